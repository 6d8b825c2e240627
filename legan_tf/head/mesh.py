"""A mesh of triangles, and the normals of its surface."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Mesh:
    """A surface of triangles.

    Attributes:
        vertices: float64 [V, 3].
        triangles: int64 [T, 3], numbers of vertices, from 0.
    """

    vertices: np.ndarray
    triangles: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """The vertices that belong to triangles, float64 [U, 3]."""
        used = np.zeros(len(self.vertices), bool)
        used[self.triangles] = True
        return self.vertices[used]


def facing_normals(corners: np.ndarray) -> np.ndarray:
    """Returns the normals of triangles [T, 3, 3] of the picture, with y up, twice the area long."""
    upright = corners * (1, -1, 1)
    return np.cross(upright[:, 1] - upright[:, 0], upright[:, 2] - upright[:, 0])


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Returns the normals of vertices, the mean of the triangles' around by area.

    Args:
        vertices: float [V, 3] in the picture: x right, y down, z to the viewer.
        triangles: int [T, 3].

    Returns:
        float64 [V, 3] with y up, of length 1; 0 where no triangle has a vertex, or where those
        around cancel out.
    """
    facing = facing_normals(vertices[triangles])
    at = triangles.ravel()
    sums = np.stack([np.bincount(at, np.repeat(part, 3), len(vertices)) for part in facing.T], -1)
    length = np.linalg.norm(sums, axis=-1, keepdims=True)
    return sums / np.where(length > 0, length, 1)
