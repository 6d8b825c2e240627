"""From pictures with faces anywhere in them to a folder of aligned ones, with its manifest."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from legan_tf.data import storage
from legan_tf.data.align import finder, landmark_files, position
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.align.results import IMAGES, conclude
from legan_tf.data.align.work import UNREADABLE, UNREADABLE_LANDMARKS, Picture, align
from legan_tf.data.drop_report import DropReport
from legan_tf.data.file_tree import OnProgress, scan, skip_output, suffix
from legan_tf.data.journal import (
    Journal,
    Outcomes,
    digest,
    flag_problem,
    in_parts,
    real,
    remove_leftovers,
    stamp,
    target_names,
    work_through,
)
from legan_tf.data.manifest import ManifestError, Row, read_manifest
from legan_tf.errors import UserError

_MOST_SIZE = 2048
# Settings that are told in words, since their values are checksums.
_OTHER = {
    "landmarks": "other landmarks",
    "pictures": "other pictures",
    "labels": "another list of pictures or labels",
}
_NO_PICTURES = frozenset((".pts", ".csv", ".txt", ".json"))  # Others may be, whatever their names.


@dataclasses.dataclass(frozen=True)
class Source:
    """The pictures to align: those of a manifest or of a folder.

    Attributes:
        manifest: The manifest, or empty.
        folder: The folder, or empty.
        data_dir: What the manifest's paths start from; empty for its own folder.
        seed: Decides the splits where the manifest has none, 0 or more.
    """

    manifest: str = ""
    folder: str = ""
    data_dir: str = ""
    seed: int = 0


def align_pictures(
    source: Source,
    output: str,
    size: int | None,
    options: AlignOptions,
    workers: int,
    bar: Callable[[str], OnProgress],
) -> str:
    """Aligns the faces of a manifest's or a folder's pictures and writes a manifest of them.

    Where it was stopped, it goes on; what changed since then, and what could not be read, is done
    again. The same pictures, options and seed give the same files, byte for byte, stopped or not.
    Into ``output`` come ``images``, as PNG, named and sorted into folders as the originals;
    ``manifest.csv`` with the labels of the originals; ``faces.csv`` with the landmarks and measures
    of all faces found; ``skipped.csv`` with what has no aligned picture and why; ``sheet.png``, a
    selection to look at; and ``align.json`` and ``align.jsonl``, what was asked for and what is
    done, with checksums that depend on where the pictures are and on their files' times.

    Args:
        source: The pictures.
        output: A folder on this machine, new, or one that this was stopped in.
        size: Height and width of the aligned pictures, in pixels; the convention's if none.
        options: What to do.
        workers: Processes; 0 for one per processor.
        bar: Given what is counted, returns what shows how far it is.

    Returns:
        A report: pictures per split and class; what was skipped and why.

    Raises:
        UserError: Options, manifest or folder cannot be used, or no face is left.
        UnavailableError: mediapipe or tensorflow-addons does not work here.
    """
    options.check()
    _check(source, output, size, options, workers)
    ledger = DropReport()
    if source.manifest:
        rows = _manifest_rows(source, ledger)
    else:
        rows = _folder_rows(source.folder, output, ledger, bar("looking through folders"))
    if size is None:
        size = position.CONVENTIONS[options.convention].size
    base = source.folder or source.data_dir or os.path.dirname(source.manifest) or "."
    targets = target_names([row.file for row in rows], base)
    pictures = _pictures(rows, targets, output, options)
    parts = in_parts(pictures)
    inputs = [_inputs(part) for part in parts]

    def prepare(missing: Sequence[Sequence[Picture]]) -> None:
        position.require()
        if not options.landmarks:
            finder.require()
        remove_leftovers(output, [picture.target for part in missing for picture in part])

    outcomes = work_through(
        Journal(output, "align", _settings(options, size, rows, base), _OTHER),
        parts,
        inputs,
        _finished,
        prepare,
        functools.partial(align, options, size),
        workers,
        bar("aligning"),
    )
    return conclude(rows, targets, outcomes, output, size, options, ledger)


def _check(
    source: Source, output: str, size: int | None, options: AlignOptions, workers: int
) -> None:
    problem = ""
    if bool(source.manifest) == bool(source.folder):
        problem = "give either --manifest=FILE or --input=FOLDER"
    elif source.folder and source.data_dir:
        problem = "--data_dir belongs to --manifest"
    else:
        problem = flag_problem(output, size, _MOST_SIZE, source.seed, workers)
    problem = problem or _landmarks_problem(options)
    if problem:
        raise UserError(f"{problem}.")


def _landmarks_problem(options: AlignOptions) -> str:
    if options.hull_mask and options.landmarks.lower().endswith(".csv"):
        return (
            "--hull_mask needs jaw and eyebrows, which a CSV of landmarks does not have; give a "
            "folder of .pts files, or leave --landmarks away"
        )
    if options.landmarks and not storage.exists(options.landmarks):
        return f"--landmarks={options.landmarks}: there is no such file or folder"
    return ""


def _manifest_rows(source: Source, ledger: DropReport) -> list[Row]:
    read = read_manifest(source.manifest, source.data_dir or None, source.seed)
    # Too few people to split is no problem here.
    problems = [problem for problem in read.problems if problem.line]
    if problems:
        raise ManifestError(problems)
    for note in read.notes:
        ledger.note(note)
    maps = sum(bool(row.depth or row.normal) for row in read.rows)
    if maps:
        ledger.note(
            f"{maps} lines name depth or normal maps, which belong to the pictures as they were: "
            "left out."
        )
    return [dataclasses.replace(row, depth="", normal="") for row in read.rows]


def _folder_rows(folder: str, output: str, ledger: DropReport, progress: OnProgress) -> list[Row]:
    tree = scan(folder, "input", ledger, skip_output(folder, output), on_progress=progress)
    rows = []
    for line, path in enumerate(tree.files, start=1):
        if suffix(path) in _NO_PICTURES:
            ledger.drop("not a picture", path)
            continue
        try:
            path.encode()
        except UnicodeEncodeError:  # Of bytes that are no UTF-8, Python makes lone surrogates.
            ledger.drop("name is no UTF-8", path)
        else:
            rows.append(Row(line=line, path=path, file=tree.full(path)))
    if not rows:
        raise UserError(f"--input={folder}: there is no file with a usable name in it.")
    return rows


def _pictures(
    rows: Sequence[Row], targets: Sequence[str], output: str, options: AlignOptions
) -> list[Picture]:
    pictures = [
        Picture(row.file, os.path.join(output, IMAGES, target))
        for row, target in zip(rows, targets)
    ]
    if os.path.isdir(options.landmarks):
        files = [landmark_files.pts_file(options.landmarks, target) for target in targets]
        return [
            dataclasses.replace(picture, pts=file if os.path.exists(file) else "")
            for picture, file in zip(pictures, files)
        ]
    if options.landmarks:
        faces = landmark_files.read_csv(options.landmarks)
        return [
            dataclasses.replace(picture, face=faces.get(row.path))
            for row, picture in zip(rows, pictures)
        ]
    return pictures


def _settings(options: AlignOptions, size: int, rows: Sequence[Row], base: str) -> dict[str, Any]:
    """Returns what the files of the output depend on, besides what ``_inputs`` returns."""
    settings = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    settings["image_size"] = size
    settings["pictures"] = digest(real(base))
    settings["labels"] = digest(
        [dataclasses.astuple(dataclasses.replace(row, file="")) for row in rows]
    )
    if os.path.isdir(options.landmarks):
        settings["landmarks"] = digest(real(options.landmarks))
    elif options.landmarks:
        settings["landmarks"] = storage.sha256(options.landmarks)
    return settings


def _inputs(part: Iterable[Picture]) -> str:
    """Returns a checksum of what shows that a part's files have changed."""
    return digest([(stamp(picture.file), stamp(picture.pts)) for picture in part])


def _finished(done: Outcomes, part: Sequence[Picture]) -> bool:
    for outcome, picture in zip(done, part):
        if outcome["reason"] in (UNREADABLE, UNREADABLE_LANDMARKS):
            return False
        if not outcome["reason"] and not os.path.exists(picture.target):
            return False
    return True
