"""Head surface: which place of a head's mesh each sample of a view shows."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy import sparse

from legan_tf.data.rendered.layers import View
from legan_tf.head.head_file import load_head
from legan_tf.head.morphable_head import PARTS, MorphableHead
from legan_tf.head.ray_casting import Scene

SKIN = ("face", "side", "head")
EYES = ("left_eye", "right_eye")
MOUTH = ("mouth_socket", "gums", "tongue", "upper_teeth", "lower_teeth")
_MARGIN = 4.0  # Pixels around the picture in which triangles are kept.
_PARTED = 0.04  # cm between the inner lips from where the mouth's inside is drawn.
_INNER_LIPS = np.arange(60, 68)  # iBUG's points.
_UPPER_LIP, _LOWER_LIP = 62, 66  # iBUG's points in the middle of the inner lips.


@dataclasses.dataclass(frozen=True, eq=False)
class HeadSamples:
    """The samples of a view that show a head.

    Attributes:
        index: int64 [n], places of the samples in the flattened view, ascending.
        part: uint8 [n], index into ``PARTS``.
        corners: int32 [3, n], vertices of the triangle seen.
        weights: float32 [3, n], their shares.
        depth: float32 [n], pixels, larger is nearer.
    """

    index: np.ndarray
    part: np.ndarray
    corners: np.ndarray
    weights: np.ndarray
    depth: np.ndarray

    def at(self, values: np.ndarray) -> np.ndarray:
        """Returns values of vertices, float32 [V, k], at the samples, float32 [n, k]."""
        mixed = values.take(self.corners[0], 0)
        mixed *= self.weights[0][:, None]
        for corner in (1, 2):
            more = values.take(self.corners[corner], 0)
            more *= self.weights[corner][:, None]
            mixed += more
        return mixed

    def of(self, *parts: str) -> np.ndarray:
        """Returns which samples show one of the parts, int64 [m], places in ``index``."""
        table = np.zeros(len(PARTS), bool)
        table[[PARTS.index(part) for part in parts]] = True
        return np.flatnonzero(table[self.part])


def head_samples(vertices: np.ndarray, seen: np.ndarray, view: View) -> HeadSamples:
    """Returns the samples of a view that show the head of the package.

    Args:
        vertices: float32 [V, 3] in head space.
        seen: float64 [V, 3], the same in the picture.
        view: The view.
    """
    head = load_head()
    upper, lower = vertices[head.landmark_vertices[[_UPPER_LIP, _LOWER_LIP]]]
    low, high = np.full(2, -_MARGIN), np.full(2, view.size - 1 + _MARGIN)
    chosen = _outside()[in_view(seen, head.triangles[_outside()], low, high)]
    if np.linalg.norm(upper - lower) > _PARTED:
        # Of the mouth only what may be seen between the lips.
        lips = seen[head.landmark_vertices[_INNER_LIPS], :2]
        within = in_view(seen, head.triangles[_inside()], lips.min(0) - 1, lips.max(0) + 1)
        chosen = np.concatenate([chosen, _inside()[within]])
    triangles = head.triangles[chosen]
    (ax, bx, cx), (ay, by, cy) = seen[triangles, :2].transpose(2, 1, 0)
    kept = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay) < 0
    triangles, part = triangles[kept], head.triangle_part[chosen[kept]]
    grid_x, grid_y = _grid(view.size, view.samples)
    first, weights, depth = Scene(seen, triangles).hits(grid_x, grid_y)
    index = np.flatnonzero(first >= 0)
    hit = first[index]
    return HeadSamples(
        index,
        part[hit],
        np.ascontiguousarray(triangles[hit].T),
        np.ascontiguousarray(weights[index].T),
        depth[index].astype(np.float32),
    )


def in_view(
    seen: np.ndarray, triangles: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Returns which triangles have a corner in a rectangle of the picture, int64, ascending."""
    inside = ((seen[:, :2] > low) & (seen[:, :2] < high)).all(1)
    return np.flatnonzero(inside[triangles].any(1))


def vertex_normals(seen: np.ndarray) -> np.ndarray:
    """Returns the normals of a head's vertices in the picture, float32 [V, 3], unit, y up."""
    head = load_head()
    a, b, c = (seen[head.triangles[:, corner]].astype(np.float32) for corner in range(3))
    one, two = (b - a).T, (c - a).T
    facing = np.stack(
        [
            one[2] * two[1] - one[1] * two[2],
            one[2] * two[0] - one[0] * two[2],
            one[1] * two[0] - one[0] * two[1],
        ],
        -1,
    )
    normals = _incidence(head) @ facing
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.where(length > 0, length, 1)


@functools.lru_cache(maxsize=1)
def _outside() -> np.ndarray:
    return load_head().triangles_of(*SKIN, "eye_socket", *EYES)


@functools.lru_cache(maxsize=1)
def _inside() -> np.ndarray:
    return load_head().triangles_of(*MOUTH)


@functools.lru_cache(maxsize=4)
def _grid(size: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    at = ((np.arange(size * samples) + 0.5) / samples - 0.5).astype(np.float32)
    y, x = np.meshgrid(at, at, indexing="ij")
    return x.ravel(), y.ravel()


@functools.lru_cache(maxsize=1)
def _incidence(head: MorphableHead) -> sparse.csr_matrix:
    """Returns which triangles are around a vertex, [V, T]."""
    count = len(head.triangles)
    rows, columns = head.triangles.ravel(), np.repeat(np.arange(count), 3)
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), (len(head.neutral), count))
