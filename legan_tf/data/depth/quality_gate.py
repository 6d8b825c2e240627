"""Quality gate of meshes: measures of a mesh in its picture, and the thresholds that reject it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from legan_tf.data.align.landmarks import from_ibug
from legan_tf.data.depth.config import DepthMapOptions
from legan_tf.data.depth.hole_filling import Filled
from legan_tf.head.mesh import Mesh, facing_normals
from legan_tf.head.ray_casting import View

_DIGITS = 5  # Of measures, so that the values written are those that were compared.
_FLAT = 1e-6  # Range of depth of a plane, in pixels.
_NO_AREA = 1e-12  # Area of a degenerate triangle, as a share of the squared size of the mesh.


@dataclasses.dataclass(frozen=True)
class Measures:
    """Measures of a mesh; NaN where unknown.

    Attributes:
        coverage: Share of the picture that the mesh covers.
        hole_share: Share of the silhouette that was empty.
        filled: Share of the silhouette that was empty and was filled.
        degenerate: Share of the triangles without area.
        bulge: As ``bulge`` returns it; below 0, the visible surface is a bowl.
        back: Share of the visible surface whose triangles show their back.
        landmark_error: Mean distance of the landmarks, as a share of that of the eyes' centres; of
            a head that was fitted to the picture, as ``FittedFace.error``.
        far: Depth of the farthest visible point in pixels, as the mesh has it; a map's 1.
        near: Depth of the nearest; a map's 255 or 65535.
    """

    coverage: float = math.nan
    hole_share: float = math.nan
    filled: float = math.nan
    degenerate: float = math.nan
    bulge: float = math.nan
    back: float = math.nan
    landmark_error: float = math.nan
    far: float = math.nan
    near: float = math.nan


MEASURES = tuple(field.name for field in dataclasses.fields(Measures))
"""The names of the measures, columns of ``meshes.csv``."""


def measure(filled: Filled, mesh: Mesh, landmark_error: float) -> Measures:
    """Returns the measures of a mesh, rounded to five digits.

    Args:
        filled: Its visible surface after hole filling.
        mesh: The mesh in the coordinates of its picture.
        landmark_error: Distance of its landmarks to the picture's; NaN where unknown.
    """
    hit = filled.view.hit
    depth = filled.view.depth[hit]
    values = (
        hit.mean(),
        filled.hole_share,
        filled.filled,
        degenerate_share(mesh),
        bulge(filled.view),
        filled.view.back,
        landmark_error,
        depth.min() if depth.size else math.nan,
        depth.max() if depth.size else math.nan,
    )
    return Measures(*(round(float(value), _DIGITS) for value in values))


def rejection(options: DepthMapOptions, measures: Measures) -> tuple[str, str]:
    """Returns why a mesh is rejected, and the value that decided; both empty if it is not."""
    for value, flag, is_maximum, what in (
        (measures.degenerate, "max_degenerate", True, "triangles without area: more"),
        (measures.landmark_error, "max_landmark_error", True, "landmarks farther away"),
        (measures.coverage, "min_coverage", False, "covers less"),
        (measures.coverage, "max_coverage", True, "covers more"),
        (measures.hole_share, "max_hole_share", True, "more holes"),
        (measures.bulge, "min_bulge", False, "a bowl, as with the wrong --flip_z: bulges less"),
    ):
        limit = getattr(options, flag)
        if value > limit if is_maximum else value < limit:
            return f"{what} than --{flag}={limit:g}", f"{value:g}"
    if not measures.coverage:
        return "it is not in the picture", ""
    return "", ""


def bulge(view: View) -> float:
    """Returns how much nearer the middle is than the outline: 1 a dome, 0 a plane, -1 a bowl.

    The negative correlation of depth with the squared distance to the middle, where width and
    height count alike.
    """
    y, x = np.nonzero(view.hit)
    depth = view.depth[y, x]
    if not len(depth) or not np.ptp(x) or not np.ptp(y) or np.ptp(depth) < _FLAT:
        return 0.0
    away = sum((values - values.mean()) ** 2 / values.var() for values in (x, y))
    return -float(np.corrcoef(away, depth)[0, 1]) if np.ptp(away) else 0.0


def degenerate_share(mesh: Mesh) -> float:
    """Returns the share of the triangles that have no area, 0 to 1."""
    corners = mesh.vertices[mesh.triangles]
    size = np.ptp(mesh.used, axis=0).max()
    areas = np.linalg.norm(facing_normals(corners), axis=-1) / 2
    return float(np.mean(areas <= _NO_AREA * size**2))


def landmark_error(mesh: Mesh, vertices: np.ndarray, points: np.ndarray | None) -> float:
    """Returns how far the landmarks of a mesh are from the picture's.

    Args:
        mesh: The mesh in the coordinates of its picture.
        vertices: int [68], its vertices that are landmarks; -1 where there is none.
        points: float [68, 2], the picture's landmarks; None where unknown.

    Returns:
        Their mean distance as a share of that of the eyes' centres; NaN where unknown.
    """
    known = vertices >= 0
    if points is None or not known.any():
        return math.nan
    face = from_ibug(points)
    eyes = np.linalg.norm(face.right_eye - face.left_eye)
    away = np.linalg.norm(mesh.vertices[vertices[known], :2] - points[known], axis=-1)
    return float(away.mean() / eyes) if eyes else math.inf
