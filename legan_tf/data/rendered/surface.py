"""Geometry: one height field per face, with its normals, albedo, mask and landmarks.

Lengths are in face units: half the width of the picture. x points right, y up, z to the viewer;
the middle of the picture is (0, 0). The eye line lies at 40/128 and the mouth at 88/128 of the
height, as in LightCNN's aligned crops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from legan_tf.data.rendered import contours, identity, shaping
from legan_tf.data.rendered.expressions import actions
from legan_tf.data.rendered.face_parts import FaceParts
from legan_tf.data.rendered.height_field import height_field
from legan_tf.data.rendered.identity import IdentityParameters
from legan_tf.data.rendered.material import material


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The geometry and material of N faces, before lighting.

    Attributes:
        depth: float32 [N, S, S], face units, larger is nearer; NaN outside the head.
        normals: float32 [N, S, S, 3], unit, the derivative of the depth.
        albedo: float32 [N, S, S, 3], linear RGB in [0, 1].
        mask: bool [N, S, S], head, hair and neck.
        face_mask: bool [N, S, S], the face without hair, ears and neck.
        landmarks: float32 [N, 68, 2], pixels (x, y), in ibug's order; the middle of the first
            pixel is (0.5, 0.5).
        coverage: float32 [N, S, S] in [0, 1], how much of a pixel the head covers.
        gloss: float32 [N, S, S], strength of the highlight.
        openness: float32 [N, S, S] in [0, 1], how much of the room's light gets there.
        background: float32 [N, 3], linear RGB.
        height: float32 [N, S, S], the depth continued beyond the outline, for cast shadows.
    """

    depth: np.ndarray
    normals: np.ndarray
    albedo: np.ndarray
    mask: np.ndarray
    face_mask: np.ndarray
    landmarks: np.ndarray
    coverage: np.ndarray
    gloss: np.ndarray
    openness: np.ndarray
    background: np.ndarray
    height: np.ndarray

    def __len__(self) -> int:
        """Returns the number of faces."""
        return len(self.depth)


@dataclasses.dataclass(frozen=True)
class Mesh:
    """A triangle mesh of a face.

    Attributes:
        vertices: float32 [V, 3], face units; seen along -z it is the depth map.
        triangles: int32 [T, 3], counter-clockwise from the front.
        colours: uint8 [V, 3], sRGB albedo.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    colours: np.ndarray


def _yaw_profile(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns a smooth approximation of the head's height: how far its yaw moves a point."""
    return (
        0.85 * np.exp(-0.5 * np.square(x / 0.62))
        + 0.2 * shaping.gaussian(x, y + 0.03, 0.12, 0.2)
        - 0.72
    )


def _to_face(t: IdentityParameters, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns picture coordinates in the coordinates of the upright face seen from the front."""
    x, y = (x - t.shift_x) / t.scale, (y - t.shift_y) / t.scale
    c, s = np.cos(t.roll), np.sin(t.roll)
    x, y = c * x + s * y, c * y - s * x
    return x - np.sin(t.yaw) * _yaw_profile(x, y), y


def _to_picture(
    t: IdentityParameters, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the inverse of ``_to_face``, by fixed-point iteration."""
    turned = x
    for _ in range(12):
        turned = x + np.sin(t.yaw) * _yaw_profile(turned, y)
    c, s = np.cos(t.roll), np.sin(t.roll)
    x, y = c * turned - s * y, c * y + s * turned
    return x * t.scale + t.shift_x, y * t.scale + t.shift_y


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns picture coordinates of the pixel centres, float32 [1, S, S]."""
    at = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(at, -at)
    return x[None], y[None]


def geometry(persons: Sequence[int], expressions: Sequence[str], size: int) -> Geometry:
    """Returns the geometry of N people under N expressions, in pictures of ``size`` pixels a side.

    Raises:
        ValueError: An expression has no rendered form.
    """
    t = identity.identity_parameters(persons)
    n, pixel = len(t.width), 2 / size
    x, y = _to_face(t, *_grid(size))
    parts = FaceParts(t, actions(persons, expressions), x, y, pixel)
    heights = height_field(parts)
    surface = material(parts, heights)
    # A turned head comes nearer on one side; lengths scale with the picture.
    height = ((heights.z - np.tan(t.yaw) * x) * t.scale).astype(np.float32)
    mask = surface.coverage > 0.5
    lx, ly = _to_picture(t, *contours.landmarks(t, parts.a))
    landmarks = np.concatenate([(lx + 1) * (size / 2), (1 - ly) * (size / 2)], axis=1)
    return Geometry(
        depth=np.where(mask, height, np.float32(np.nan)),
        normals=normals_of(height, pixel),
        albedo=surface.albedo,
        mask=mask,
        face_mask=surface.face & mask,
        landmarks=np.ascontiguousarray(landmarks.transpose(0, 2, 1), np.float32),
        coverage=surface.coverage,
        gloss=surface.gloss,
        openness=surface.openness,
        background=t.background.reshape(n, 3),
        height=height,
    )


def normals_of(depth: np.ndarray, pixel: float) -> np.ndarray:
    """Returns the unit normals, float32 [N, S, S, 3], of height fields, float32 [N, S, S].

    Larger heights are nearer; ``pixel`` is the distance of two pixels in their unit. x is to the
    right, y up, z to the viewer.
    """
    dy, dx = np.gradient(depth, pixel, axis=(1, 2))
    normals = np.stack([-dx, dy, np.ones_like(dx)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals.astype(np.float32)


def linear_to_srgb(light: np.ndarray) -> np.ndarray:
    """Returns linear light in [0, 1] encoded as sRGB (IEC 61966-2-1), in [0, 1]."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def mesh(person: int, expression: str, resolution: int) -> Mesh:
    """Returns the triangle mesh of one face.

    Args:
        person: The person's number.
        expression: Name of the expression.
        resolution: Points along each side of the grid that is laid over the picture; the mesh
            keeps those on the head. At ``resolution == size`` they are the depth map's pixels.

    Raises:
        ValueError: The expression has no rendered form.
    """
    face = geometry([person], [expression], resolution)
    mask = face.mask[0]
    x, y = (np.broadcast_to(axis[0], mask.shape) for axis in _grid(resolution))
    number = np.cumsum(mask).reshape(mask.shape) - 1
    full = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    corners = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    a, b, c, d = (corner[full] for corner in corners)
    triangles = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])
    light = face.albedo[0][mask]
    return Mesh(
        vertices=np.stack([x[mask], y[mask], face.depth[0][mask]], axis=-1).astype(np.float32),
        triangles=triangles.astype(np.int32),
        colours=np.round(255 * linear_to_srgb(light)).astype(np.uint8),
    )
