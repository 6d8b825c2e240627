"""From pictures with faces anywhere in them to a folder of aligned ones, with its manifest."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import posixpath
from collections.abc import Callable, Sequence
from typing import Any

from legan_tf.data import parallel, storage
from legan_tf.data.align import finder, landmark_files, position
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.align.journal import Journal
from legan_tf.data.align.results import IMAGES, conclude
from legan_tf.data.align.work import Picture, align
from legan_tf.data.manifest import ManifestError, Row, read_manifest
from legan_tf.data.readers.ledger import Ledger
from legan_tf.data.readers.tree import PICTURES, OnProgress, scan
from legan_tf.errors import UserError

_LEAST_SIZE, _MOST_SIZE = 16, 2048
_PER_PART = 16  # Pictures that are worked on, and after a stop repeated, together.


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

    Where it was stopped, it goes on. The same pictures, options and seed give the same files, byte
    for byte, stopped or not. Into ``output`` come ``images``, as PNG, named and sorted into folders
    as the originals; ``manifest.csv`` with the labels of the originals; ``faces.csv`` with the
    landmarks and measures of all faces found; ``skipped.csv`` with what has no aligned picture and
    why; ``sheet.png``, a selection to look at; and ``align.json`` and ``align.jsonl``, what was
    asked for and what is done.

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
    ledger = Ledger()
    if source.manifest:
        rows = _manifest_rows(source, ledger)
    else:
        rows = _folder_rows(source.folder, output, ledger, bar("looking through folders"))
    if size is None:
        size = position.CONVENTIONS[options.convention].size
    base = source.folder or source.data_dir or os.path.dirname(source.manifest) or "."
    targets = target_names([row.file for row in rows], base)
    pictures = _pictures(rows, targets, output, options)
    parts = [pictures[i : i + _PER_PART] for i in range(0, len(pictures), _PER_PART)]
    journal = Journal(output, _settings(options, size, rows))
    missing = [number for number, part in enumerate(parts) if not _finished(journal, number, part)]
    if missing:
        position.require()
        if not options.landmarks:
            finder.require()
        journal.begin()
        _remove_parts(output)
    progress = bar("aligning")
    done = len(pictures) - sum(len(parts[number]) for number in missing)
    results = parallel.each(
        functools.partial(align, options, size),
        [parts[number] for number in missing],
        workers,
    )
    for number, outcomes in zip(missing, results):
        journal.add(number, outcomes)
        done += len(parts[number])
        progress(done, len(pictures))
    journal.close()
    outcomes = [outcome for number in range(len(parts)) for outcome in journal.done[number]]
    return conclude(rows, targets, outcomes, output, size, options, ledger)


def target_names(files: Sequence[str], base: str) -> list[str]:
    """Names the aligned pictures after the originals.

    Args:
        files: Full paths or URLs of the originals.
        base: The folder where they are.

    Returns:
        For each, its path from ``base``, or from the folder that all share where some are
        elsewhere, with ``.png`` for the suffix of a picture; wherever two would be called alike,
        ``.png`` is added to all names instead.
    """
    base, *full = [path if "://" in path else os.path.realpath(path) for path in (base, *files)]
    shared = base if all(file.startswith(posixpath.join(base, "")) for file in full) else None
    shared = shared or posixpath.commonpath([posixpath.dirname(file) for file in full])
    inside = [posixpath.relpath(file, shared) for file in full]
    pairs = [posixpath.splitext(name) for name in inside]
    short = [stem if suffix.lower() in PICTURES else stem + suffix for stem, suffix in pairs]
    # A file that is listed twice is one picture.
    names = inside if len(set(short)) < len(set(inside)) else short
    return [f"{name}.png" for name in names]


def _check(
    source: Source, output: str, size: int | None, options: AlignOptions, workers: int
) -> None:
    problem = ""
    if bool(source.manifest) == bool(source.folder):
        problem = "give either --manifest=FILE or --input=FOLDER"
    elif not output or output.lower().endswith(".csv"):
        problem = f"--output={output}: name the folder to write"
    elif "://" in output:
        problem = f"--output={output}: must be a folder on this machine"
    elif os.path.exists(output) and not os.path.isdir(output):
        problem = f"--output={output}: is a file; name a folder"
    elif size is not None and not _LEAST_SIZE <= size <= _MOST_SIZE:
        problem = f"--image_size={size}: must be {_LEAST_SIZE} to {_MOST_SIZE}"
    elif source.seed < 0:
        problem = f"--seed={source.seed}: must be 0 or more"
    elif workers < 0:
        problem = f"--workers={workers}: must be 0 or more"
    elif options.hull_mask and options.landmarks.lower().endswith(".csv"):
        problem = (
            "--hull_mask needs jaw and eyebrows, which a CSV of landmarks does not have; give a "
            "folder of .pts files, or leave --landmarks away"
        )
    elif options.landmarks and not storage.exists(options.landmarks):
        problem = f"--landmarks={options.landmarks}: there is no such file or folder"
    if problem:
        raise UserError(f"{problem}.")


def _manifest_rows(source: Source, ledger: Ledger) -> list[Row]:
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


def _folder_rows(folder: str, output: str, ledger: Ledger, progress: OnProgress) -> list[Row]:
    def skip(inside: str) -> str:
        same = os.path.realpath(os.path.join(folder, inside)) == os.path.realpath(output)
        return "the output" if same else ""

    tree = scan(folder, "input", ledger, skip, on_progress=progress)
    rows = []
    for line, path in enumerate(tree.files, start=1):
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
        files = [landmark_files.pts_file(options.landmarks, row.path) for row in rows]
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


def _settings(options: AlignOptions, size: int, rows: Sequence[Row]) -> dict[str, Any]:
    """Returns what the files of the output depend on."""
    settings = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    settings["image_size"] = size
    settings["pictures"] = len(rows)
    labels = [dataclasses.astuple(dataclasses.replace(row, file="")) for row in rows]
    settings["labels"] = hashlib.sha256(json.dumps(labels).encode()).hexdigest()
    if options.landmarks:
        settings["landmarks"] = storage.sha256(options.landmarks)
    return settings


def _finished(journal: Journal, number: int, part: Sequence[Picture]) -> bool:
    outcomes = journal.done.get(number)
    return outcomes is not None and all(
        outcome["reason"] or os.path.exists(picture.target)
        for outcome, picture in zip(outcomes, part)
    )


def _remove_parts(output: str) -> None:
    """Removes the half-written files of a program that was killed."""
    for folder, _, names in os.walk(output):
        for name in names:
            if name.startswith(".") and name.endswith(".part"):
                os.remove(os.path.join(folder, name))
