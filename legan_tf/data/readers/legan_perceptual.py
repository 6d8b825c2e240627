"""LEGAN Perceptual Dataset: synthetic faces of five sources with people's ratings.

The layout of the archive is not published. Any CSV, text or JSON file in it that names pictures
with mean and standard deviation, or with three ratings, is read; pictures are found by name.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence

from legan_tf.command_line.options import Options, option
from legan_tf.data.file_tree import PICTURES, Names, Tree, scan, suffix
from legan_tf.data.manifest import RATING_RANGE, Row
from legan_tf.data.readers.rating_files import SUFFIXES, Label, read_labels
from legan_tf.data.readers.registry import Job, register
from legan_tf.data.splits import EIGHT_ONE_ONE, split_groups
from legan_tf.errors import UserError

NOTRE_DAME = "Notre Dame"
_SOURCES = {
    # FaceForensics++ before DeepFake: one of its four methods is called Deepfakes.
    "FaceForensics++": r"face.?forensics|ff\+\+|ffpp|(?:^|[/_ -])ff(?:$|[/_ -])",
    "StyleGAN": r"style.?gan|generated.?photos",
    "ProGAN": r"pro.?gan|pg.?gan",
    "DeepFake": r"deep.?fake|dfdc",
    NOTRE_DAME: r"notre.?dame|(?:^|[/_ -])nd(?:$|[/_ -])|nd.?synth",
}
_GROUPS = {
    # Frames of one video, named by its target and its source; the swap of the same two both ways
    # shows the same two people.
    "FaceForensics++": re.compile(r"(?<!\d)(\d{3})_(\d{3})(?!\d)"),
    "DeepFake": re.compile(r"(?<![a-z])([a-z]{10})(?![a-z])"),
    NOTRE_DAME: re.compile(r"(?<!\d)(\d{5})d\d+"),
}
_LOW, _HIGH = RATING_RANGE
_HIGHEST_STD = (_HIGH - _LOW) / 2
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class PerceptualOptions(Options):
    """The options of LEGAN's perceptual data set."""

    notre_dame_dir: str = option("", "your copy of the Notre Dame Synthetic Face Dataset.")


@register(
    "legan_perceptual",
    title="LEGAN Perceptual Dataset",
    licence="the authors of LEGAN, on request; Notre Dame's pictures from there",
    layout="pictures in any folders, and a CSV, text or JSON file of name, mean, std",
    columns=("identity", "rating_mean", "rating_std"),
    options=(PerceptualOptions,),
)
def read(job: Job) -> list[Row]:
    """Reads all label files, finds their pictures, and splits each source 80/10/10.

    Frames of one video and pictures of one Notre Dame subject stay in one split and get its name
    as their identity, where their file names contain it.
    """
    labels = _labels(job)
    pictures = _index(job.tree)
    elsewhere = _notre_dame(job)
    rows: dict[str, list[Row]] = {}
    places: dict[str, str] = {}
    for file, label in labels:
        found, place = pictures.find(label.name, file.rpartition("/")[0]), ""
        source = _source(label.source, found[0] if len(found) == 1 else "", label.name, file)
        # Splits must not depend on where a copy of the Notre Dame set lies.
        key = place = found[0] if found else ""
        if elsewhere and not found:
            tree, names = elsewhere
            found = names.find(label.name)
            if found:
                source, key = NOTRE_DAME, f"{NOTRE_DAME}/{found[0]}"
                place = os.path.abspath(tree.full(found[0]))
        reason = _why_not(job, label, found, source) or ("rated before" if key in places else "")
        if reason:
            job.report.drop(reason, f"{file}:{label.line} {label.name}")
            continue
        places[key] = place
        group = _group(source, found[0])
        row = Row(path=key, identity=group, rating_mean=label.mean, rating_std=label.std)
        rows.setdefault(source, []).append(row)
    for path in job.tree.files:
        if suffix(path) in PICTURES and path not in places:
            job.report.drop("a picture that no label file rates", path)
    for source in sorted(rows):
        job.report.note(f"{len(rows[source])} pictures of {source or 'unknown source'}.")
    return [
        dataclasses.replace(row, path=places[row.path])
        for source in sorted(rows)
        for row in split_groups(rows[source], EIGHT_ONE_ONE, job.seed)
    ]


def _index(tree: Tree) -> Names:
    return Names([path for path in tree.files if suffix(path) in PICTURES], with_stems=True)


def _notre_dame(job: Job) -> tuple[Tree, Names] | None:
    """Lists the user's copy of the Notre Dame set, if there is one."""
    folder = job.options.notre_dame_dir
    if not folder:
        return None
    tree = scan(folder, "notre_dame_dir", job.report, job.bar("looking through Notre Dame"))
    return tree, _index(tree)


def _why_not(job: Job, label: Label, found: Sequence[str], source: str) -> str:
    if not _LOW <= label.mean <= _HIGH:
        return f"mean rating outside {_LOW:g} to {_HIGH:g}"
    if not 0 <= label.std <= _HIGHEST_STD:
        return f"standard deviation outside 0 to {_HIGHEST_STD:g}"
    if len(found) > 1:
        return "several pictures have the name"
    if found:
        return ""
    if job.options.notre_dame_dir:
        return "no such picture, nor in --notre_dame_dir"
    if source == NOTRE_DAME:
        return "of Notre Dame, which has to be got from there (give --notre_dame_dir)"
    return "no such picture (those of Notre Dame need --notre_dame_dir)"


def _source(*texts: str) -> str:
    """Returns the source that the first text to name one names; empty if none does."""
    for text in texts:
        for source, pattern in _SOURCES.items():
            if re.search(pattern, text.lower()):
                return source
    return ""


def _group(source: str, path: str) -> str:
    """Returns the video or subject in a picture's name; empty if there is none."""
    pattern = _GROUPS.get(source)
    match = pattern.search("/".join(path.lower().split("/")[-2:])) if pattern else None
    return f"{source} {'-'.join(sorted(match.groups()))}" if match else ""


def _labels(job: Job) -> list[tuple[str, Label]]:
    """Returns the labels of all label files, each with its file."""
    labels: list[tuple[str, Label]] = []
    refused = []
    for path in job.tree.files:
        if suffix(path) in PICTURES:
            continue
        read: list[Label] = []
        others: list[int] = []
        if suffix(path) in SUFFIXES:
            reason = "no lines of name, mean and std, nor of three ratings"
            try:
                read, others = read_labels(job.tree.full(path))
            except UserError as error:
                reason = str(error)
            refused.append(f"{path} ({reason})")
        if len(read) <= len(others):
            job.report.drop("neither a picture nor a label file", path)
            continue
        labels += [(path, label) for label in read]
        for line in others:
            job.report.drop(
                "line without name, mean and std, or name and three ratings", f"{path}:{line}"
            )
    if not labels:
        looked = f" Looked at: {', '.join(refused[:_SHOWN])}" if refused else ""
        raise UserError(
            f"--data_dir={job.tree.folder}: holds no label file ({', '.join(SUFFIXES)}) with a "
            f"picture's name, mean and std, or name and three ratings, on each line.{looked}"
        )
    return labels
