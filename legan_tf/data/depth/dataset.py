"""Depth and normal maps of a data set: from fitted meshes or pictures to maps with a manifest."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

from legan_tf import optional
from legan_tf.data import resumable, storage
from legan_tf.data.align.landmark_finder import make_finder
from legan_tf.data.depth.config import DepthMapOptions
from legan_tf.data.depth.landmark_vertices import read_landmark_vertices
from legan_tf.data.depth.mesh_maps import UNREADABLE, FittedMesh, make_maps
from legan_tf.data.depth.meshes import SUFFIXES, TRIANGLES_FILE
from legan_tf.data.depth.report import write_results
from legan_tf.data.drop_report import DropReport
from legan_tf.data.file_tree import PICTURES, Tree, scan, stem, suffix
from legan_tf.data.manifest import ManifestError, Problem, Row
from legan_tf.data.output_folder import flag_problem, job_settings, manifest_rows, target_names
from legan_tf.data.parallel import OnProgress
from legan_tf.errors import UserError
from legan_tf.head.head_file import load_head

_FRONTAL_SIZE = 256  # Of the maps of meshes that are seen from the front, as in Bodur et al.
_MAX_SIZE = 4096
_OF_PICTURES = ("finder", "head")
_OF_MESHES = ("camera", "first_pixel", "flip_z", "landmark_vertices")
_ENDINGS = {"png8": ".png", "png16": ".png", "exr": ".exr"}
_CHANGED = {  # Settings whose values are checksums.
    "landmark_vertices": "other --landmark_vertices",
    "meshes": "other meshes",
    "pictures": "other pictures",
    "labels": "another list of meshes, pictures or labels",
}


@dataclasses.dataclass(frozen=True)
class Source:
    """The meshes, or the pictures that a head is fitted to.

    Attributes:
        meshes: A manifest with a column ``mesh``, a file ``.csv``; or a folder of meshes; or empty.
        data_dir: Folder that the manifest's paths start from; empty for its own.
        seed: Seed of the splits where the manifest has none, 0 or more.
        pictures: A manifest, a file ``.csv``; or a folder of pictures; or empty.
    """

    meshes: str = ""
    data_dir: str = ""
    seed: int = 0
    pictures: str = ""

    @property
    def place(self) -> str:
        """The manifest or folder."""
        return self.meshes or self.pictures

    @property
    def is_manifest(self) -> bool:
        """Whether it is a manifest."""
        return suffix(self.place) == ".csv"


def make_depth(
    source: Source,
    output: str,
    size: int | None,
    options: DepthMapOptions,
    workers: int,
    bar: Callable[[str], OnProgress],
) -> str:
    """Makes depth and normal maps, as large as their pictures, and writes a manifest of them.

    They are those of meshes that were fitted to the pictures, or of a head that is fitted here to
    the largest face of each. A stopped job is resumed; what changed since then, and what could not
    be read, is done again. The same meshes, pictures, options and seed give the same files, byte
    for byte, stopped or not.

    Args:
        source: The meshes, with or without pictures, or the pictures.
        output: A folder on this machine, new, or that of a stopped job; docs/data.md lists the
            files that come into it.
        size: Height and width of the maps of meshes without a picture; if none, 256 where the
            camera looks from the front, else such meshes are rejected.
        options: The options of ``depth``.
        workers: Processes; 0 for one per processor.
        bar: Maps the label of a progress bar to its function of (done, total).

    Returns:
        A report: meshes or pictures found, rejected and kept per expression; what was rejected and
        why.

    Raises:
        UserError: Options, head, manifest or folder cannot be used, or nothing is left.
        UnavailableError: trimesh, embreex or the finder's package does not work here.
    """
    options.check()
    _check(source, output, size, options, workers)
    size = _FRONTAL_SIZE if size is None and options.camera == "frame" else size
    dropped = DropReport()
    if source.is_manifest:
        base = source.data_dir or os.path.dirname(source.place) or "."
        maps_note = " already: the new ones replace them."
        required = "mesh" if source.meshes else ""
        rows = manifest_rows(
            source.place, source.data_dir, source.seed, dropped, maps_note, required
        )
    else:
        base, flag = source.place, "meshes" if source.meshes else "pictures"
        tree = scan(base, flag, dropped, bar("looking through folders"), leave_out=output)
        rows = _mesh_rows(tree, options, dropped) if source.meshes else _picture_rows(tree, dropped)
    if source.pictures:
        rows = [dataclasses.replace(row, mesh="", landmarks="") for row in rows]
    targets = target_names([row.file or row.mesh for row in rows], base, PICTURES | SUFFIXES)
    _refuse_second(source, rows, targets)
    meshes = [_fitted_mesh(row, target, output, options) for row, target in zip(rows, targets)]
    named = [
        dataclasses.replace(row, file="", mesh=_inside(row.mesh, base), landmarks="")
        for row in rows
    ]
    settings = job_settings(options, size, "meshes" if source.meshes else "pictures", base, named)
    if options.landmark_vertices:
        settings["landmark_vertices"] = storage.sha256(options.landmark_vertices)
    outcomes = resumable.run(
        resumable.WorkLog(output, "depth", settings, _CHANGED),
        meshes,
        functools.partial(make_maps, options, size),
        UNREADABLE,
        workers,
        bar("making maps"),
    )
    return write_results(rows, meshes, outcomes, output, size, options, dropped)


def _check(
    source: Source, output: str, size: int | None, options: DepthMapOptions, workers: int
) -> None:
    problem = flag_problem(output, size, _MAX_SIZE, source.seed, workers)
    defaults = DepthMapOptions()
    others = [
        name
        for name in (_OF_PICTURES if source.meshes else _OF_MESHES)
        if getattr(options, name) != getattr(defaults, name)
    ]
    if bool(source.meshes) == bool(source.pictures):
        problem = (
            "give --meshes=FOLDER, or a manifest with a column 'mesh'; or --pictures=FOLDER, or a "
            "manifest, to fit a head to each"
        )
    elif source.data_dir and not source.is_manifest:
        problem = "--data_dir belongs to a manifest, not to a folder"
    elif source.pictures and size is not None:
        problem = "--image_size belongs to --meshes; maps of pictures are as large as these"
    elif others:
        problem = f"--{others[0]} belongs to --{'pictures' if source.meshes else 'meshes'}"
    elif source.meshes and source.is_manifest and options.camera == "frame":
        problem = (
            "--camera=frame looks from the front and not as the pictures of a manifest; give "
            "another camera, or a folder of meshes"
        )
    if problem:
        raise UserError(f"{problem}.")
    if options.landmark_vertices:
        read_landmark_vertices(options.landmark_vertices)
    if source.pictures:
        load_head(options.head)
        make_finder(options.finder)  # That it cannot be used is told before the work.
    else:
        optional.require("trimesh", "Reading meshes")


def _picture_rows(tree: Tree, dropped: DropReport) -> list[Row]:
    """Lists the pictures of a folder."""
    pictures = tree.pictures(dropped)
    if not pictures:
        raise UserError(f"--pictures={tree.folder}: there is no picture in it.")
    return [Row(line, path, tree.full(path)) for line, path in enumerate(pictures, start=1)]


def _mesh_rows(tree: Tree, options: DepthMapOptions, dropped: DropReport) -> list[Row]:
    """Lists the meshes of a folder with the picture and the landmarks of the same name."""
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
        known = ", ".join(sorted(SUFFIXES))
        raise UserError(f"--meshes={tree.folder}: there is no mesh in it; known are {known}.")
    return rows


def _refuse_second(source: Source, rows: Sequence[Row], targets: Sequence[str]) -> None:
    first: dict[str, Row] = {}
    for row, target in zip(rows, targets):
        other = first.setdefault(target, row)
        if other is not row and other.mesh == row.mesh:
            same = ", with the same mesh" if row.mesh else ""
            message = f"is listed in line {other.line} already{same}; remove one."
            raise ManifestError([Problem(source.place, message, row.line, row.path)])
        if other is not row:
            raise UserError(
                f"{row.file or row.mesh}: has two meshes, {other.mesh} and {row.mesh}; keep one."
            )


def _fitted_mesh(row: Row, target: str, output: str, options: DepthMapOptions) -> FittedMesh:
    name = os.path.splitext(target)[0]
    depth, normal = (
        os.path.join(output, kind, name + _ENDINGS[form])
        for kind, form in (("depth", options.depth_format), ("normal", options.normal_format))
    )
    return FittedMesh(row.mesh, row.file, row.landmarks, depth, normal)


def _inside(file: str, base: str) -> str:
    return file if "://" in file or not file else os.path.relpath(file, base)
