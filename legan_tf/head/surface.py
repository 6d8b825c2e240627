"""Surface: which place of a head's mesh is seen at each point of a frame."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from legan_tf.head.frame import Frame
from legan_tf.head.mesh import vertex_normals
from legan_tf.head.morphable_head import PARTS, MorphableHead
from legan_tf.head.ray_casting import Scene
from legan_tf.head.sky import sky_light

SKIN = ("face", "side", "head")
MOUTH = ("mouth_socket", "gums", "tongue", "upper_teeth", "lower_teeth")
EYES = ("eye_socket", "left_eye", "right_eye")
_SOLID = (*SKIN, *MOUTH, *EYES)
_BACK = -0.2  # Cosine to the viewer below which a vertex is not seen, nor near one that is.


def part_table(*parts: str) -> np.ndarray:
    """Returns a table, bool [256], of which entries of ``Surface.part`` are the parts."""
    table = np.zeros(256, bool)
    table[[PARTS.index(part) for part in parts]] = True
    return table


class Shape:
    """One shape of a head in a frame: all of it but the lashes, ready for rays.

    Attributes:
        vertices: float64 [V, 3] in the frame.
        triangles: int [T, 3].
        part: uint8 [T], index into ``PARTS``.
        scene: What rays meet.
    """

    def __init__(self, head: MorphableHead, vertices: np.ndarray, scale: float) -> None:
        """Takes the head, its vertices in the frame and the eyes' distance there."""
        self._head, self._scale = head, scale
        chosen = head.triangles_of(*_SOLID)
        self.vertices = vertices
        self.triangles, self.part = head.triangles[chosen], head.triangle_part[chosen]
        self.scene = Scene(vertices, self.triangles)

    @functools.cached_property
    def skin_normals(self) -> np.ndarray:
        """Normals of the skin's vertices, float64 [V, 3], y up; 0 elsewhere."""
        return vertex_normals(self.vertices, self.triangles[part_table(*SKIN)[self.part]])

    @functools.cached_property
    def sky(self) -> np.ndarray:
        """Light of a soft frontal sky at the face's vertices, float32 [n]."""
        skin = self._head.vertices_of("face")
        normals = self.skin_normals[skin]
        front = np.flatnonzero(normals[:, 2] > _BACK)
        light = np.zeros(len(skin), np.float32)
        places = self.vertices[skin[front]]
        light[front] = sky_light(self.scene, places, normals[front], self._scale)
        return light


@dataclasses.dataclass(frozen=True, eq=False)
class Surface:
    """What a viewer sees of a head.

    Attributes:
        corners: int [h, w, 3], vertices of the triangle seen; 0 where there is none.
        weights: float32 [h, w, 3], their shares; 0 where there is none.
        part: uint8 [h, w], index into ``PARTS``; 255 where there is none.
    """

    corners: np.ndarray
    weights: np.ndarray
    part: np.ndarray

    def at(self, values: np.ndarray) -> np.ndarray:
        """Returns values of vertices, [V] or [V, k], at the points, [h, w] or [h, w, k]."""
        values = values.astype(np.float32)
        first, second, third = (values[self.corners[..., i]] for i in range(3))
        shares = self.weights if values.ndim == 1 else self.weights[..., None, :]
        return first * shares[..., 0] + second * shares[..., 1] + third * shares[..., 2]

    def shows(self, *parts: str) -> np.ndarray:
        """Returns where one of the parts is seen, bool [h, w]."""
        return part_table(*parts)[self.part]


def seen_surface(shape: Shape, frame: Frame) -> Surface:
    """Returns what is seen of a shape at the points of a frame."""
    size = frame.height, frame.width
    corners = np.zeros((*size, 3), np.int32)
    weights = np.zeros((*size, 3), np.float32)
    part = np.full(size, 255, np.uint8)
    used = shape.vertices[np.unique(shape.triangles), :2]
    low = np.clip(np.ceil(used.min(0)), 0, (frame.width, frame.height)).astype(int)
    high = np.clip(np.floor(used.max(0)) + 1, 0, (frame.width, frame.height)).astype(int)
    window = slice(low[1], high[1]), slice(low[0], high[0])
    y, x = np.mgrid[window]
    if y.size:
        first, shares, _ = shape.scene.hits(x.ravel(), y.ravel())
        first = first.reshape(y.shape)
        hit = first >= 0
        corners[window] = np.where(hit[..., None], shape.triangles[first], 0)
        weights[window] = shares.reshape(*y.shape, 3) * hit[..., None]
        part[window] = np.where(hit, shape.part[first], 255)
    return Surface(corners, weights, part)
