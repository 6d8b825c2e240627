"""Ray casting: depth and normals of a mesh, by a ray through the centre of each pixel."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from legan_tf import optional
from legan_tf.data.depth.meshes import Mesh

PURPOSE = "Casting rays at meshes"

_MAX_RAYS = 1 << 22  # That are in memory at once: 0.5 GB.
_CANCELLED = 1e-3  # Mean normals shorter than this have no direction.


@dataclasses.dataclass(frozen=True)
class View:
    """The visible surface of a mesh.

    Attributes:
        depth: float64 [H, W], pixels, larger is nearer; NaN beside the mesh.
        normals: float64 [H, W, 3] of length 1, x right, y up, z to the viewer; NaN beside
            the mesh.
        back: Share of the visible surface whose triangles show their back.
    """

    depth: np.ndarray
    normals: np.ndarray
    back: float = 0.0

    @property
    def hit(self) -> np.ndarray:
        """Pixels that show the mesh, bool [H, W]."""
        return np.isfinite(self.depth)


def cast_rays(mesh: Mesh, height: int, width: int) -> View:
    """Casts a ray through the centre of each pixel, which sees the nearest triangle.

    embreex finds the triangle, in float32; depth and normal are worked out from its corners in
    float64. Normals are interpolated between those of the vertices, and turned to the viewer where
    the triangle shows its back.

    Args:
        mesh: Its vertices in the picture, as ``camera_fit`` returns them.
        height: Of the picture.
        width: Of the picture.

    Raises:
        UnavailableError: embreex does not work here.
    """
    corners = mesh.vertices[mesh.triangles]
    facing = facing_normals(corners)
    normals = _vertex_normals(mesh, facing)
    view = View(np.full((height, width), np.nan), np.full((height, width, 3), np.nan))
    low, high = mesh.used.min(0), mesh.used.max(0)
    nearest = high[2]
    low = np.clip(np.ceil(low[:2]), 0, (width, height)).astype(int)
    high = np.clip(np.floor(high[:2]) + 1, 0, (width, height)).astype(int)
    if np.any(low >= high):
        return view
    scene = _scene(mesh, nearest)
    backs = 0
    lines = max(1, _MAX_RAYS // (high[0] - low[0]))
    for top in range(low[1], high[1], lines):
        y, x = np.mgrid[top : min(top + lines, high[1]), low[0] : high[0]]
        y, x = y.ravel(), x.ravel()
        rays = np.empty((2, len(x), 3), np.float32)  # Where they begin, and where they go.
        rays[0, :, 0], rays[0, :, 1], rays[0, :, 2] = x, y, 1
        rays[1] = 0, 0, -1
        first = scene.run(*rays)
        hit = first >= 0
        x, y, first = x[hit], y[hit], first[hit]
        shown = corners[first]
        weights = _weights(shown[..., :2], x, y)
        view.depth[y, x] = np.sum(weights * shown[..., 2], -1)
        around = mesh.triangles[first]
        mixed = sum(weights[:, i, None] * normals[around[:, i]] for i in range(3))
        cancelled = np.linalg.norm(mixed, axis=-1) < _CANCELLED
        mixed[cancelled] = facing[first[cancelled]]
        back = facing[first, 2] < 0
        mixed[back] *= -1
        backs += np.count_nonzero(back)
        view.normals[y, x] = mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)
    return dataclasses.replace(view, back=backs / max(1, np.count_nonzero(view.hit)))


def _scene(mesh: Mesh, nearest: float) -> Any:
    """Returns embreex's scene of a mesh, with its nearest point at z = 0.

    trimesh's own way to embreex converts and scales all rays in float64, which takes twice as long.
    """
    optional.require("embreex", PURPOSE)
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene = EmbreeScene()
    vertices = mesh.vertices - (0, 0, nearest)
    TriangleMesh(scene, vertices.astype(np.float32), mesh.triangles.astype(np.int32))
    return scene


def facing_normals(corners: np.ndarray) -> np.ndarray:
    """Returns the normals of triangles [T, 3, 3] of the picture, with y up, twice the area long."""
    upright = corners * (1, -1, 1)
    return np.cross(upright[:, 1] - upright[:, 0], upright[:, 2] - upright[:, 0])


def _vertex_normals(mesh: Mesh, facing: np.ndarray) -> np.ndarray:
    """Returns normals of the vertices, the mean of the triangles' around by area.

    Vertices at one place, as along the seams of a texture, are one.
    """
    _, place = np.unique(mesh.vertices, axis=0, return_inverse=True)
    place = place.reshape(-1)
    at = place[mesh.triangles].ravel()
    sums = np.stack([np.bincount(at, np.repeat(part, 3), place.max() + 1) for part in facing.T], -1)
    length = np.linalg.norm(sums, axis=-1, keepdims=True)
    return (sums / np.where(length > 0, length, 1))[place]


def _weights(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the shares [n, 3] that the corners [n, 3, 2] of a triangle have in a point."""
    (ax, ay), (bx, by) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    px, py = x - corners[:, 0, 0], y - corners[:, 0, 1]
    area = ax * by - bx * ay
    flat = area == 0  # Seen edge on, which float32 may still hit.
    area = np.where(flat, 1, area)
    second, third = (px * by - bx * py) / area, (ax * py - px * ay) / area
    weights = np.clip(np.stack([1 - second - third, second, third], -1), 0, None)
    weights[flat] = 1
    return weights / weights.sum(-1, keepdims=True)
