"""Depth and normal maps of a data set: from fitted meshes to maps with a manifest."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

from legan_tf import optional
from legan_tf.data import resumable, storage
from legan_tf.data.depth.config import DepthOptions
from legan_tf.data.depth.landmark_vertices import read_landmark_vertices
from legan_tf.data.depth.mesh_maps import UNREADABLE, FittedMesh, make_maps
from legan_tf.data.depth.meshes import SUFFIXES, TRIANGLES_FILE
from legan_tf.data.depth.report import write_results
from legan_tf.data.drop_report import DropReport
from legan_tf.data.file_tree import PICTURES, scan, skip_output, stem, suffix
from legan_tf.data.manifest import ManifestError, Problem, Row
from legan_tf.data.output_folder import flag_problem, job_settings, manifest_rows, target_names
from legan_tf.data.parallel import OnProgress
from legan_tf.errors import UserError

DEFAULT_SIZE = 256
"""Height and width of the maps of meshes that are seen from the front, as in Bodur et al."""

_MAX_SIZE = 4096
_ENDINGS = {"png8": ".png", "png16": ".png", "exr": ".exr"}
_CHANGED = {  # Settings whose values are checksums.
    "landmark_vertices": "other --landmark_vertices",
    "meshes": "other meshes",
    "labels": "another list of meshes, pictures or labels",
}


@dataclasses.dataclass(frozen=True)
class Source:
    """The meshes.

    Attributes:
        meshes: A manifest with a column ``mesh``, a file ``.csv``; or a folder of meshes.
        data_dir: Folder that the manifest's paths start from; empty for its own.
        seed: Seed of the splits where the manifest has none, 0 or more.
    """

    meshes: str
    data_dir: str = ""
    seed: int = 0

    @property
    def is_manifest(self) -> bool:
        """Whether it is a manifest."""
        return suffix(self.meshes) == ".csv"


def make_depth(
    source: Source,
    output: str,
    size: int | None,
    options: DepthOptions,
    workers: int,
    bar: Callable[[str], OnProgress],
) -> str:
    """Makes depth and normal maps, as large as their pictures, and writes a manifest of them.

    A stopped job is resumed; what changed since then, and what could not be read, is done again.
    The same meshes, pictures, options and seed give the same files, byte for byte, stopped
    or not. Into ``output`` come ``depth`` and ``normal``, maps that are named and sorted into
    folders as the pictures, or the meshes where there is no picture; ``manifest.csv`` with the
    labels of the pictures, which stay where they are; ``meshes.csv`` with the measures of all
    meshes; ``rejected.csv`` with what has no maps and why; ``counts.csv``, how many per expression;
    ``sheet.png`` and ``rejected.png``, selections to look at; and ``depth.json`` and
    ``depth.jsonl``, the log of the work.

    Args:
        source: The meshes, with or without pictures.
        output: A folder on this machine, new, or that of a stopped job.
        size: Height and width of the maps of meshes without a picture; if none, 256 where the
            camera looks from the front, else such meshes are rejected.
        options: The options of ``depth``.
        workers: Processes; 0 for one per processor.
        bar: Maps the label of a progress bar to its function of (done, total).

    Returns:
        A report: meshes found, rejected and kept per expression; what was rejected and why.

    Raises:
        UserError: Options, manifest or folder cannot be used, or no mesh is left.
        UnavailableError: trimesh or embreex does not work here.
    """
    options.check()
    _check(source, output, size, options, workers)
    size = DEFAULT_SIZE if size is None and options.camera == "frame" else size
    dropped = DropReport()
    if source.is_manifest:
        maps_note = " already: the new ones replace them."
        rows = manifest_rows(
            source.meshes, source.data_dir, source.seed, dropped, maps_note, required="mesh"
        )
        base = source.data_dir or os.path.dirname(source.meshes) or "."
    else:
        progress = bar("looking through folders")
        rows = _folder_rows(source.meshes, output, options, dropped, progress)
        base = source.meshes
    targets = target_names([row.file or row.mesh for row in rows], base, PICTURES | SUFFIXES)
    _refuse_second_meshes(source, rows, targets)
    meshes = [_fitted_mesh(row, target, output, options) for row, target in zip(rows, targets)]

    def require() -> None:
        optional.require("trimesh", "Reading meshes")

    outcomes = resumable.run(
        resumable.WorkLog(output, "depth", _settings(options, size, rows, base), _CHANGED),
        meshes,
        functools.partial(make_maps, options, size),
        UNREADABLE,
        require,
        workers,
        bar("making maps"),
    )
    return write_results(rows, meshes, outcomes, output, size, options, dropped)


def _check(
    source: Source, output: str, size: int | None, options: DepthOptions, workers: int
) -> None:
    problem = ""
    if not source.meshes:
        problem = "give --meshes=FOLDER, or a manifest with a column 'mesh'"
    elif source.data_dir and not source.is_manifest:
        problem = "--data_dir belongs to a manifest, not to a folder of meshes"
    elif source.is_manifest and options.camera == "frame":
        problem = (
            "--camera=frame looks from the front and not as the pictures of a manifest; give "
            "another camera, or a folder of meshes"
        )
    else:
        problem = flag_problem(output, size, _MAX_SIZE, source.seed, workers)
    if problem:
        raise UserError(f"{problem}.")
    if options.landmark_vertices:
        read_landmark_vertices(options.landmark_vertices)


def _folder_rows(
    folder: str, output: str, options: DepthOptions, dropped: DropReport, progress: OnProgress
) -> list[Row]:
    """Lists the meshes of a folder with the picture and the landmarks of the same name."""
    tree = scan(folder, "meshes", dropped, progress, skip_output(folder, output))
    beside: dict[str, list[str]] = collections.defaultdict(list)
    for path in tree.files:
        beside[os.path.splitext(path)[0]].append(path)
    rows = []
    for line, path in enumerate(tree.files, start=1):
        if suffix(path) not in SUFFIXES or os.path.basename(path) == TRIANGLES_FILE:
            continue
        near = beside[os.path.splitext(path)[0]]
        pictures = [name for name in near if suffix(name) in PICTURES and options.camera != "frame"]
        if len(pictures) > 1:
            dropped.drop(f"one of several pictures that are called {stem(path)}", path)
            continue
        picture = next(iter(pictures), "")
        points = next((tree.full(name) for name in near if suffix(name) == ".pts"), "")
        file = picture and tree.full(picture)
        rows.append(Row(line, picture, file, mesh=tree.full(path), landmarks=points))
    if not rows:
        raise UserError(
            f"--meshes={folder}: there is no mesh in it; known are {', '.join(sorted(SUFFIXES))}."
        )
    return rows


def _refuse_second_meshes(source: Source, rows: Sequence[Row], targets: Sequence[str]) -> None:
    first: dict[str, Row] = {}
    for row, target in zip(rows, targets):
        other = first.setdefault(target, row)
        if other is not row and other.mesh == row.mesh:
            message = f"is listed in line {other.line} already, with the same mesh; remove one."
            raise ManifestError([Problem(source.meshes, message, row.line, row.path)])
        if other is not row:
            raise UserError(
                f"{row.file or row.mesh}: has two meshes, {other.mesh} and {row.mesh}; keep one."
            )


def _fitted_mesh(row: Row, target: str, output: str, options: DepthOptions) -> FittedMesh:
    name = os.path.splitext(target)[0]
    depth, normal = (
        os.path.join(output, kind, name + _ENDINGS[form])
        for kind, form in (("depth", options.depth_format), ("normal", options.normal_format))
    )
    return FittedMesh(row.mesh, row.file, row.landmarks, depth, normal)


def _settings(
    options: DepthOptions, size: int | None, rows: Sequence[Row], base: str
) -> dict[str, Any]:
    """Returns what the files of the output depend on, besides size and time of the input files."""
    named = [
        dataclasses.replace(row, file="", mesh=_inside(row.mesh, base), landmarks="")
        for row in rows
    ]
    settings = job_settings(options, size, "meshes", base, named)
    if options.landmark_vertices:
        settings["landmark_vertices"] = storage.sha256(options.landmark_vertices)
    return settings


def _inside(file: str, base: str) -> str:
    return file if "://" in file else os.path.relpath(file, base)
