"""The work on single meshes: read, look at, judge, and write the maps."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from legan_tf.data import exr, images, maps, storage
from legan_tf.data.align import landmark_files
from legan_tf.data.align.faces import IBUG_POINTS, from_ibug
from legan_tf.data.depth import cameras
from legan_tf.data.depth.cast import View, cast, degenerate_share
from legan_tf.data.depth.config import DepthOptions
from legan_tf.data.depth.holes import fill
from legan_tf.data.depth.meshes import Mesh, MeshError, read_mesh
from legan_tf.errors import UserError, first_line

UNREADABLE = ("the mesh cannot be read", "the picture cannot be read", "no landmarks can be read")
"""Reasons where there may be a map yet, once a file is repaired."""

_DIGITS = 5  # Of measures, so that those written down are those that were compared.


@dataclasses.dataclass(frozen=True)
class Fit:
    """A mesh and what it was fitted to.

    Attributes:
        mesh: Its full path or URL.
        picture: Its picture's; empty where there is none.
        landmarks: The file of the picture's 68 landmarks; empty where there is none.
        depth: Where the depth map goes, full path.
        normal: Where the normal map goes.
    """

    mesh: str
    picture: str
    landmarks: str
    depth: str
    normal: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a mesh.

    Attributes:
        reason: Why there are no maps; empty where there are.
        detail: What else there is to say about that.
        coverage: Share of the picture that the mesh covers; NaN where unknown, as all that follow.
        hole_share: Share of the silhouette that was empty.
        filled: Share of the silhouette that was empty and is not any more.
        degenerate: Share of the triangles without area.
        bulge: Correlation of depth with nearness to the middle; below 0, what is seen is a bowl.
        back: Share of what is seen where triangles show their backs.
        landmark_error: Mean distance of the landmarks, as a share of that of the eyes.
        far: Depth of the farthest point that is seen, as the mesh has it in pixels; a map's 1.
        near: Depth of the nearest; a map's 255 or 65535.
    """

    reason: str = ""
    detail: str = ""
    coverage: float = math.nan
    hole_share: float = math.nan
    filled: float = math.nan
    degenerate: float = math.nan
    bulge: float = math.nan
    back: float = math.nan
    landmark_error: float = math.nan
    far: float = math.nan
    near: float = math.nan


def make_maps(options: DepthOptions, size: int | None, fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """Makes the maps of a few meshes and writes their files.

    Args:
        options: What to do.
        size: Height and width of the maps of meshes that have no picture; none to reject them.
        fits: What to work on.

    Returns:
        The outcomes as dictionaries, in order.

    Raises:
        UnavailableError: A package that is needed does not work here.
        StorageError: A file cannot be written.
    """
    outcomes = []
    for fit in fits:
        outcome, view, _ = look(options, size, fit)
        if view is not None and not outcome.reason:
            storage.write_bytes(fit.depth, _depth_file(view, options.depth_format))
            storage.write_bytes(fit.normal, _normal_file(view, options.normal_format))
        outcomes.append(dataclasses.asdict(outcome))
    return outcomes


def look(
    options: DepthOptions, size: int | None, fit: Fit
) -> tuple[Outcome, View | None, np.ndarray | None]:
    """Looks at one mesh, and writes nothing.

    Returns:
        What becomes of it; what is seen of it; and its picture, uint8 [H, W, 3]; none where they
        cannot be read.

    Raises:
        UnavailableError: A package that is needed does not work here.
    """
    broken, no_picture, no_landmarks = UNREADABLE
    picture = points = None
    try:
        mesh = read_mesh(fit.mesh)
    except (MeshError, storage.StorageError) as error:
        return Outcome(broken, _without(fit.mesh, error)), None, None
    if fit.picture:
        try:
            picture = images.decode(fit.picture)
        except (images.ImageError, storage.StorageError) as error:
            return Outcome(no_picture, _without(fit.picture, error)), None, None
    if fit.landmarks:
        try:
            points = landmark_files.read_points(fit.landmarks)
        except UserError as error:
            return Outcome(no_landmarks, _without(fit.landmarks, error)), None, picture
    if picture is None and size is None:
        return Outcome("there is no picture beside it, and no --image_size"), None, None
    height, width = picture.shape[:2] if picture is not None else (size, size)
    try:
        numbers = _landmarks(options, mesh)
        seen = _in_picture(options, mesh, height, numbers, points)
    except ValueError as error:
        return Outcome("the camera cannot be found", str(error)), None, picture
    try:
        filled = fill(cast(seen, height, width), options.fill_holes, options.max_hole_share)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # Of meshes that are no faces, numpy and scipy despair variously.
        return Outcome("its maps cannot be made", f"{first_line(error)}."), None, picture
    hit = filled.view.hit
    depth = filled.view.depth[hit]
    outcome = Outcome(
        coverage=_rounded(hit.mean()),
        hole_share=_rounded(filled.hole_share),
        filled=_rounded(filled.filled),
        degenerate=_rounded(degenerate_share(seen)),
        bulge=_rounded(filled.view.bulge),
        back=_rounded(filled.view.back),
        landmark_error=_rounded(_landmark_error(seen, numbers, points)),
        far=_rounded(depth.min()) if depth.size else math.nan,
        near=_rounded(depth.max()) if depth.size else math.nan,
    )
    reason, detail = _rejected(options, outcome)
    return dataclasses.replace(outcome, reason=reason, detail=detail), filled.view, picture


def _landmarks(options: DepthOptions, mesh: Mesh) -> np.ndarray:
    """Returns the vertices of the 68 landmarks, -1 for those that are none."""
    if not options.landmark_vertices:
        return np.full(IBUG_POINTS, -1)
    numbers = _landmark_vertices(options.landmark_vertices)
    if numbers.max() >= len(mesh.vertices):
        raise ValueError(
            f"--landmark_vertices names vertex {numbers.max()}; it has {len(mesh.vertices)}."
        )
    return numbers


@functools.lru_cache(maxsize=1)
def _landmark_vertices(file: str) -> np.ndarray:
    return cameras.read_landmark_vertices(file)


def _in_picture(
    options: DepthOptions,
    mesh: Mesh,
    height: int,
    numbers: np.ndarray,
    points: np.ndarray | None,
) -> Mesh:
    """Returns the mesh in the coordinates of its picture.

    Raises:
        ValueError: It is not known where it is.
    """
    if options.camera == "fit":
        if points is None:
            raise ValueError("There is no file of landmarks.")
        known = numbers >= 0
        vertices = cameras.by_landmarks(mesh.vertices, numbers[known], points[known])
    elif options.camera == "frame":
        vertices = cameras.by_frame(mesh.vertices, height, mesh.used)
    else:
        y_up = options.camera == "image_y_up"
        vertices = cameras.by_pixels(
            mesh.vertices, height, y_up, options.first_pixel, options.flip_z
        )
    return dataclasses.replace(mesh, vertices=vertices)


def _landmark_error(seen: Mesh, numbers: np.ndarray, points: np.ndarray | None) -> float:
    known = numbers >= 0
    if points is None or not known.any():
        return math.nan
    face = from_ibug(points)
    eyes = np.linalg.norm(face.right_eye - face.left_eye)
    away = np.linalg.norm(seen.vertices[numbers[known], :2] - points[known], axis=-1)
    return float(away.mean() / eyes) if eyes else math.inf


def _rejected(options: DepthOptions, outcome: Outcome) -> tuple[str, str]:
    """Returns why a mesh is rejected, and the figure; both empty if it is not."""
    for value, flag, most, what in (
        (outcome.degenerate, "max_degenerate", True, "triangles without area: more"),
        (outcome.landmark_error, "max_landmark_error", True, "landmarks farther away"),
        (outcome.coverage, "min_coverage", False, "covers less"),
        (outcome.coverage, "max_coverage", True, "covers more"),
        (outcome.hole_share, "max_hole_share", True, "more holes"),
        (outcome.bulge, "min_bulge", False, "a bowl, as with the wrong --flip_z: bulges less"),
    ):
        limit = getattr(options, flag)
        if value > limit if most else value < limit:
            return f"{what} than --{flag}={limit:g}", f"{value:g}"
    if not outcome.coverage:
        return "it is not in the picture", ""
    return "", ""


def _depth_file(view: View, form: str) -> bytes:
    if form == "exr":
        # OpenEXR's readers expect a number everywhere; 0 is nothing, and what is there, 1 or more.
        depth = view.depth - np.nanmin(view.depth) + 1
        return exr.to_exr({"Z": np.nan_to_num(depth, nan=0.0)})
    return images.to_png(maps.depth_to_grey(view.depth, {"png8": 8, "png16": 16}[form]))


def _normal_file(view: View, form: str) -> bytes:
    if form == "exr":
        return exr.to_exr(dict(zip("RGB", np.moveaxis(np.nan_to_num(view.normals), -1, 0))))
    return images.to_png(maps.normals_to_map(view.normals))


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)


def _without(file: str, error: Exception) -> str:
    """Returns an error's words without the path before them: the list has its own."""
    return str(error).removeprefix(f"{file}: ")
