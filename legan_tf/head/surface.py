"""Surface: which place of a head's mesh is seen at each point of a frame."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from legan_tf.head.frame import Frame, Window
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

    def sky(self, where: np.ndarray) -> np.ndarray:
        """Returns the light of a soft frontal sky at vertices of the skin, int [n], float32 [n]."""
        normals = self.skin_normals[where]
        front = np.flatnonzero(normals[:, 2] > _BACK)
        light = np.zeros(len(where), np.float32)
        places = self.vertices[where[front]]
        light[front] = sky_light(self.scene, places, normals[front], self._scale)
        return light


@dataclasses.dataclass(frozen=True, eq=False)
class Surface:
    """What a viewer sees of a face.

    Attributes:
        window: Rows and columns of the frame that it is given at, [h, w]: all that can show the
            face.
        corners: int64 [3, h, w], vertices of the triangle seen; 0 where there is none.
        weights: float32 [3, h, w], their shares; 0 where there is none.
        part: uint8 [h, w], index into ``PARTS``; 255 where there is none.
    """

    window: Window
    corners: np.ndarray
    weights: np.ndarray
    part: np.ndarray

    def at(self, values: np.ndarray) -> np.ndarray:
        """Returns values of vertices, [V] or [V, k], at the points, float32 [h, w] or [h, w, k]."""
        values = values.astype(np.float32)
        shares = self.weights if values.ndim == 1 else self.weights[..., None]
        mixed = values.take(self.corners[0], 0) * shares[0]
        for corner in (1, 2):
            mixed += values.take(self.corners[corner], 0) * shares[corner]
        return mixed

    def shows(self, *parts: str) -> np.ndarray:
        """Returns where one of the parts is seen, bool [h, w]."""
        return part_table(*parts)[self.part]


def seen_surface(shape: Shape, frame: Frame) -> Surface:
    """Returns what is seen of the face of a shape at the points of a frame."""
    facial = shape.triangles[part_table("face", *MOUTH, *EYES)[shape.part]]
    used = shape.vertices[np.unique(facial), :2]
    window = frame.window(used.min(0), used.max(0))
    x, y = (axis[window] for axis in frame.grid())
    if not x.size:
        none = np.zeros((3, *x.shape), np.int64)
        return Surface(window, none, none.astype(np.float32), np.zeros(x.shape, np.uint8))
    first, shares, _ = shape.scene.hits(x.ravel(), y.ravel())
    hit = first >= 0
    return Surface(
        window,
        (shape.triangles[first] * hit[:, None]).T.reshape(3, *x.shape).astype(np.int64, order="C"),
        np.ascontiguousarray((shares * hit[:, None]).T).reshape(3, *x.shape),
        np.where(hit, shape.part[first], 255).astype(np.uint8).reshape(x.shape),
    )
