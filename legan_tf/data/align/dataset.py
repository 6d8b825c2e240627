"""Alignment of a data set: from pictures with faces anywhere to aligned ones with a manifest."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

from legan_tf.data import resumable, storage
from legan_tf.data.align import alignment, landmarks
from legan_tf.data.align.align_picture import (
    UNREADABLE,
    UNREADABLE_LANDMARKS,
    Picture,
    align_picture,
)
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.align.landmark_finder import make_finder
from legan_tf.data.align.report import IMAGES, write_results
from legan_tf.data.drop_report import DropReport
from legan_tf.data.file_tree import scan, suffix
from legan_tf.data.manifest import Row
from legan_tf.data.output_folder import (
    canonical_path,
    flag_problem,
    job_settings,
    manifest_rows,
    target_names,
)
from legan_tf.data.parallel import OnProgress
from legan_tf.errors import UserError

_MAX_SIZE = 2048
_CHANGED = {  # Settings whose values are checksums.
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
        data_dir: Folder that the manifest's paths start from; empty for its own.
        seed: Seed of the splits where the manifest has none, 0 or more.
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

    A stopped job is resumed; what changed since then, and what could not be read, is done again.
    The same pictures, options and seed give the same files, byte for byte, stopped or not, but for
    the log, whose checksums depend on where the pictures are and on their files' times.

    Args:
        source: The pictures.
        output: A folder on this machine, new, or that of a stopped job; docs/data.md lists the
            files that come into it.
        size: Height and width of the aligned pictures, in pixels; the convention's if none.
        options: The options of ``align``.
        workers: Processes; 0 for one per processor.
        bar: Maps the label of a progress bar to its function of (done, total).

    Returns:
        A report: pictures per split and class; what was skipped and why.

    Raises:
        UserError: Options, manifest or folder cannot be used, or no face is left.
        UnavailableError: The finder's package does not work here.
    """
    options.check()
    _check(source, output, size, options, workers)
    dropped = DropReport()
    if source.manifest:
        maps_note = ", which belong to the pictures as they were: left out."
        rows = manifest_rows(source.manifest, source.data_dir, source.seed, dropped, maps_note)
        rows = [dataclasses.replace(row, depth="", normal="") for row in rows]
    else:
        rows = _folder_rows(source.folder, output, dropped, bar("looking through folders"))
    if size is None:
        size = alignment.CONVENTIONS[options.convention].size
    base = source.folder or source.data_dir or os.path.dirname(source.manifest) or "."
    targets = target_names([row.file for row in rows], base)
    named = [dataclasses.replace(row, file="") for row in rows]
    settings = job_settings(options, size, "pictures", base, named)
    if os.path.isdir(options.landmarks):
        settings["landmarks"] = resumable.checksum(canonical_path(options.landmarks))
    elif options.landmarks:
        settings["landmarks"] = storage.sha256(options.landmarks)
    outcomes = resumable.run(
        resumable.WorkLog(output, "align", settings, _CHANGED),
        _pictures(rows, targets, output, options),
        functools.partial(align_picture, options, size),
        (UNREADABLE, UNREADABLE_LANDMARKS),
        workers,
        bar("aligning"),
    )
    return write_results(rows, targets, outcomes, output, size, options, dropped)


def _check(
    source: Source, output: str, size: int | None, options: AlignOptions, workers: int
) -> None:
    problem = flag_problem(output, size, _MAX_SIZE, source.seed, workers)
    if bool(source.manifest) == bool(source.folder):
        problem = "give either --manifest=FILE or --input=FOLDER"
    elif source.folder and source.data_dir:
        problem = "--data_dir belongs to --manifest"
    elif not problem and options.landmarks and not storage.exists(options.landmarks):
        problem = f"--landmarks={options.landmarks}: there is no such file or folder"
    if problem:
        raise UserError(f"{problem}.")
    if not options.landmarks:
        make_finder(options.finder)  # That it cannot be used is told before the work.


def _folder_rows(folder: str, output: str, dropped: DropReport, progress: OnProgress) -> list[Row]:
    tree = scan(folder, "input", dropped, progress, leave_out=output)
    rows = []
    for line, path in enumerate(tree.files, start=1):
        if suffix(path) in _NO_PICTURES:
            dropped.drop("not a picture", path)
            continue
        try:
            path.encode()
        except UnicodeEncodeError:  # Of bytes that are no UTF-8, Python makes lone surrogates.
            dropped.drop("name is no UTF-8", path)
        else:
            rows.append(Row(line=line, path=path, file=tree.full(path)))
    if not rows:
        raise UserError(f"--input={folder}: there is no file with a usable name in it.")
    return rows


def _pictures(
    rows: Sequence[Row], targets: Sequence[str], output: str, options: AlignOptions
) -> list[Picture]:
    folder = options.landmarks if os.path.isdir(options.landmarks) else ""
    faces = landmarks.read_csv(options.landmarks) if options.landmarks and not folder else {}
    if options.hull_mask and any(not len(face.outline) for face in faces.values()):
        raise UserError(
            f"--hull_mask needs jaw and eyebrows, which {options.landmarks} does not have; give "
            "a CSV of 68 or 468 points or a folder of .pts files, or leave --landmarks away."
        )
    pictures = []
    for row, target in zip(rows, targets):
        pts = os.path.join(folder, f"{os.path.splitext(target)[0]}.pts")
        pts = pts if folder and os.path.exists(pts) else ""
        target = os.path.join(output, IMAGES, target)
        pictures.append(Picture(row.file, target, faces.get(row.path), pts))
    return pictures
