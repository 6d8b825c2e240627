"""LEGAN Perceptual Dataset: synthetic faces of five sources with people's ratings.

The layout of the archive is not published. Any CSV, text or JSON file in it that names pictures
with mean and standard deviation, or with three ratings, is read; pictures are found by name.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from legan_tf.data.readers import tables
from legan_tf.data.readers.entries import EIGHT_ONE_ONE, Entry, Job, split_groups
from legan_tf.data.readers.tree import PICTURES, Names, Tree, scan, stem, suffix
from legan_tf.errors import UserError

LAYOUT = "pictures in any folders, and a CSV, text or JSON file of name, mean, std"

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
_LABEL_FILES = (".csv", ".tsv", ".txt", ".json")
_NAME = ("name", "image", "image_name", "filename", "file_name", "file", "path", "image_path")
_MEAN = ("mean", "m", "mu", "average", "rating_mean", "mean_rating", "mean_score", "score")
_STD = (
    *("std", "s", "sd", "sigma", "stdev", "stddev", "std_dev", "standard_deviation"),
    *("rating_std", "std_rating", "std_score"),
)
_SOURCE = ("source", "method", "dataset")
_RATING = re.compile(r"(?:rating|rater|score|annotator|worker|r)[ _-]?[1-9a-c]")
_RATERS = 3
_LOW, _HIGH = 1, 10
_HIGHEST_STD = (_HIGH - _LOW) / 2


class _Label(NamedTuple):
    where: str
    near: str
    name: str
    mean: float
    std: float
    source: str


def read(job: Job) -> list[Entry]:
    """Reads all label files, finds their pictures, and splits each source 80/10/10.

    Frames of one video and pictures of one Notre Dame subject stay in one split and get its name
    as their identity, where their names tell it.
    """
    labels = _labels(job)
    pictures = _Pictures([path for path in job.tree.files if suffix(path) in PICTURES])
    notre_dame = _notre_dame(job, labels, pictures)
    entries: dict[str, list[Entry]] = {}
    places: dict[str, str] = {}
    for label in labels:
        found, tree = pictures.find(label.name, label.near), job.tree
        if not found and notre_dame:
            found = notre_dame[1].find(label.name)
            tree = notre_dame[0] if found else tree
        source = _source(label, found[0] if len(found) == 1 else "")
        if tree is not job.tree:
            source = NOTRE_DAME
        # Splits must not depend on where a copy of the Notre Dame set lies.
        key = "".join(found[:1]) if tree is job.tree else f"{NOTRE_DAME}/{found[0]}"
        reason = _why_not(job, label, found, source) or ("rated before" if key in places else "")
        if reason:
            job.ledger.drop(reason, f"{label.where} {label.name}")
            continue
        places[key] = found[0] if tree is job.tree else os.path.abspath(tree.full(found[0]))
        entries.setdefault(source, []).append(
            Entry(key, _group(source, found[0]), rating_mean=label.mean, rating_std=label.std)
        )
    rated = set(places)
    for path in job.tree.files:
        if suffix(path) in PICTURES and path not in rated:
            job.ledger.drop("a picture that no label file rates", path)
    for source in sorted(entries):
        job.ledger.note(f"{len(entries[source])} pictures of {source or 'unknown source'}.")
    return [
        entry._replace(path=places[entry.path])
        for source in sorted(entries)
        for entry in split_groups(entries[source], EIGHT_ONE_ONE, job.seed)
    ]


class _Pictures:
    """Finds pictures by name, with or without suffix."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._names = Names(paths)
        self._of = {os.path.splitext(path)[0]: path for path in paths}
        self._stems = Names(self._of)

    def find(self, name: str, near: str = "") -> list[str]:
        found = self._names.find(name, near)
        if found or suffix(name) in PICTURES:
            return found
        return [self._of[path] for path in self._stems.find(name, near)]


def _notre_dame(
    job: Job, labels: Sequence[_Label], pictures: _Pictures
) -> tuple[Tree, _Pictures] | None:
    """Lists the user's copy of the Notre Dame set; keeps what labels ask for."""
    folder = job.options.notre_dame_dir
    if not folder:
        return None
    tree = scan(
        folder, "notre_dame_dir", job.ledger, on_progress=job.bar("looking through Notre Dame")
    )
    wanted = {
        stem(label.name.replace("\\", "/")).lower()
        for label in labels
        if not pictures.find(label.name, label.near)
    }
    kept = [p for p in tree.files if suffix(p) in PICTURES and stem(p).lower() in wanted]
    return tree, _Pictures(kept)


def _why_not(job: Job, label: _Label, found: Sequence[str], source: str) -> str:
    if not _LOW <= label.mean <= _HIGH:
        return f"mean rating outside {_LOW} to {_HIGH}"
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


def _source(label: _Label, path: str) -> str:
    for text in (label.source, path, label.name, label.where.rpartition(":")[0]):
        for source, pattern in _SOURCES.items():
            if re.search(pattern, text.lower()):
                return source
    return ""


def _group(source: str, path: str) -> str:
    """Returns the video or subject that a picture's name tells; empty if none."""
    pattern = _GROUPS.get(source)
    match = pattern.search("/".join(path.lower().split("/")[-2:])) if pattern else None
    return f"{source} {'-'.join(sorted(match.groups()))}" if match else ""


def _labels(job: Job) -> list[_Label]:
    labels, refused = [], []
    for path in job.tree.files:
        if suffix(path) in PICTURES:
            continue
        if suffix(path) not in _LABEL_FILES:
            job.ledger.drop("neither a picture nor a label file", path)
            continue
        try:
            records = list(_records(job.tree.full(path)))
        except UserError as error:
            records, reason = [], str(error)
        else:
            reason = f"{path}: has no lines of name, mean and std, nor of name and three ratings"
        read, wrong = [], []
        for place, record in records:
            where = f"{path}:{place}"
            label = _label(where, path.rpartition("/")[0], record)
            if label:
                read.append(label)
            else:
                wrong.append(where)
        if len(read) <= len(wrong):
            refused.append(reason)
            job.ledger.drop("neither a picture nor a label file", path)
            continue
        labels += read
        for where in wrong:
            job.ledger.drop("line without name, mean and std, or name and three ratings", where)
    if not labels:
        looked = " ".join(f"Looked at: {reason}" for reason in refused[:1])
        raise UserError(
            f"--data_dir={job.tree.folder}: holds no label file ({', '.join(_LABEL_FILES)}) with "
            f"a picture's name, mean and std, or name and three ratings, on each line. {looked}"
        )
    return labels


def _records(file: str) -> Iterable[tuple[int, Mapping[str, Any] | Sequence[str]]]:
    """Yields (place, record) for every line: a mapping where columns are named, else cells."""
    text = tables.read_text(file)
    if suffix(file) == ".json":
        try:
            content = json.loads(text)
        except ValueError as error:
            raise UserError(f"{file}: is not valid JSON ({error}).") from error
        yield from enumerate(_json_records(content), start=1)
        return
    lines = tables.cells(file, text)
    if not lines:
        return
    head = [cell.lower() for cell in lines[0][1]]
    named = any(name in head for name in (*_MEAN, *_STD)) or _rating_columns(head)
    for line, cells in lines[1:] if named else lines:
        if not named:
            yield line, cells
        elif len(cells) == len(head):
            record = dict(zip(head, cells))
            if not any(name in record for name in _NAME):
                record["name"] = cells[0]
            yield line, record
        else:
            yield line, []


def _json_records(content: Any, source: str = "") -> Iterable[Mapping[str, Any] | Sequence[str]]:
    if isinstance(content, list):
        for item in content:
            if isinstance(item, Mapping):
                yield {"source": source, **{key.lower(): value for key, value in item.items()}}
            elif isinstance(item, list):
                yield [str(value) for value in item]
    elif isinstance(content, Mapping):
        for name, value in content.items():
            if isinstance(value, Mapping) and {key.lower() for key in value} & {*_MEAN, "ratings"}:
                lowered = {key.lower(): item for key, item in value.items()}
                yield {"source": source, "name": name, **lowered}
            elif isinstance(value, list) and all(isinstance(v, (int, float)) for v in value):
                yield [name, *map(str, value)]
            else:
                yield from _json_records(value, name)


def _rating_columns(columns: Iterable[str]) -> list[str]:
    found = [name for name in columns if _RATING.fullmatch(name)]
    return found if len(found) == _RATERS else []


def _label(where: str, near: str, record: Mapping[str, Any] | Sequence[str]) -> _Label | None:
    if isinstance(record, Mapping):
        name = next((record[key] for key in _NAME if key in record), "")
        ratings = record.get("ratings") or [record[key] for key in _rating_columns(record)]
        given = [next((record[key] for key in keys if key in record), "") for keys in (_MEAN, _STD)]
        numbers = given if all(value != "" for value in given) else ratings
        source = next((str(record[key]) for key in _SOURCE if key in record), "")
    else:
        words = [cell for cell in record if math.isnan(_number(cell))]
        numbers = [cell for cell in record if not math.isnan(_number(cell))]
        if len(words) + 2 < len(record) and len(numbers) != _RATERS:
            # A picture may be called by a bare number, which then stands first.
            words, numbers = [record[0], *words], list(record[1:])
        name, source = (*words, "", "")[:2]
    values = [_number(value) for value in numbers] if isinstance(numbers, (list, tuple)) else []
    if not name or any(map(math.isnan, values)):
        return None
    if len(values) == _RATERS and all(v in range(_LOW, _HIGH + 1) for v in values):
        values = [statistics.fmean(values), statistics.pstdev(values)]
    if len(values) != 2:
        return None
    return _Label(where, near, str(name), values[0], values[1], source)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
