"""Ray casting: what the rays of a parallel projection meet first, and what hides a light.

Coordinates are those of the picture: x to the right, y down, z to the viewer, in pixels.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from legan_tf.head.mesh import Mesh, facing_normals, vertex_normals

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


class Scene:
    """A mesh that rays are cast at, by embreex, in float32."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        """Builds the scene.

        Args:
            vertices: float [V, 3] in the picture.
            triangles: int [T, 3], T >= 1.
        """
        # Embree's time grows with the vertices, also those of no triangle.
        used = np.zeros(len(vertices), bool)
        used[triangles] = True
        place = np.cumsum(used, dtype=np.int32) - 1
        kept = vertices[used]
        self._nearest = float(kept[:, 2].max())
        self._scene = EmbreeScene()
        moved = (kept - (0, 0, self._nearest)).astype(np.float32)
        TriangleMesh(self._scene, moved, place[triangles].astype(np.int32))

    def first_triangles(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Returns the triangle nearest to the viewer at points [n] of the picture, or -1, [n]."""
        return self._scene.run(*_viewing_rays(x, y))

    def hits(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns what the viewer sees at points of the picture.

        Args:
            x: float [n].
            y: float [n].

        Returns:
            The nearest triangle, int [n], -1 where there is none; the weights of its corners,
            float32 [n, 3]; and the depth there, float64 [n].
        """
        seen = self._scene.run(*_viewing_rays(x, y), output=1)
        weights = np.stack([1 - seen["u"] - seen["v"], seen["u"], seen["v"]], -1)
        return seen["primID"], weights, self._nearest + 1 - seen["tfar"].astype(np.float64)

    def occluded(self, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Returns whether the mesh hides a direction from points.

        Args:
            points: float [n, 3] in the picture; off the surface, or it hides all of them.
            direction: float [3] or [n, 3], to the light.

        Returns:
            bool [n].
        """
        start = points.astype(np.float32)
        start[:, 2] = points[:, 2] - self._nearest
        way = np.broadcast_to(np.asarray(direction, np.float32), start.shape)
        return self._scene.run(start, np.ascontiguousarray(way), query="OCCLUDED") >= 0


def _viewing_rays(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where the rays through points [n] begin, and where they go, float32 [n, 3]."""
    start, way = np.empty((2, len(x), 3), np.float32)
    start[:, 0], start[:, 1], start[:, 2] = x, y, 1
    way[:] = 0, 0, -1
    return start, way


def cast_rays(mesh: Mesh, height: int, width: int) -> View:
    """Casts a ray through the centre of each pixel, which sees the nearest triangle.

    embreex finds the triangle, in float32; depth and normal are worked out from its corners in
    float64. Normals are interpolated between those of the vertices, and turned to the viewer where
    the triangle shows its back.

    Args:
        mesh: Its vertices in the picture, as ``camera_fit`` returns them.
        height: Of the picture.
        width: Of the picture.
    """
    corners = mesh.vertices[mesh.triangles]
    facing = facing_normals(corners)
    # Vertices at one place, as along the seams of a texture, are one.
    places, place = np.unique(mesh.vertices, axis=0, return_inverse=True)
    place = place.reshape(-1)
    normals = vertex_normals(places, place[mesh.triangles])[place]
    view = View(np.full((height, width), np.nan), np.full((height, width, 3), np.nan))
    low, high = mesh.used.min(0), mesh.used.max(0)
    low = np.clip(np.ceil(low[:2]), 0, (width, height)).astype(int)
    high = np.clip(np.floor(high[:2]) + 1, 0, (width, height)).astype(int)
    if np.any(low >= high):
        return view
    # trimesh's own way to embreex scales all rays in float64, which takes twice as long.
    scene = Scene(mesh.vertices, mesh.triangles)
    backs = 0
    lines = max(1, _MAX_RAYS // (high[0] - low[0]))
    for top in range(low[1], high[1], lines):
        y, x = np.mgrid[top : min(top + lines, high[1]), low[0] : high[0]]
        y, x = y.ravel(), x.ravel()
        first = scene.first_triangles(x, y)
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
