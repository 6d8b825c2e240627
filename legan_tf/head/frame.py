"""Frame of a face: an upright grid over its part of a picture, in which edits are worked out.

Whatever the face's roll and the picture's size, edits see the face upright and at most a set size;
what they decide (a field of displacements, of gain, of paint) is applied to the picture at its own.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from legan_tf.head.fit import FittedHead

MAX_SCALE = 260.0
"""Eyes' distance in pixels of the frame, at most."""

_MARGIN = 0.75  # Of the eyes' distance, around the face.


Window = tuple[slice, slice]
"""Rows and columns of a frame."""


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """An upright grid.

    Attributes:
        origin: float64 [2], the grid's first point in the picture.
        axes: float64 [2, 2]; the columns are the way in the picture of one step to the right and
            one step down.
        height: Points from top to bottom.
        width: Points from left to right.
        scale: Eyes' distance in steps.
    """

    origin: np.ndarray
    axes: np.ndarray
    height: int
    width: int
    scale: float

    @property
    def step(self) -> float:
        """Pixels of the picture per step."""
        return float(np.hypot(*self.axes[:, 0]))

    def to_frame(self, places: np.ndarray) -> np.ndarray:
        """Returns places [..., 2 or 3] of the picture in the frame; depth in steps."""
        found = np.array(places, np.float64)
        found[..., :2] = (found[..., :2] - self.origin) @ np.linalg.inv(self.axes).T
        found[..., 2:] /= self.step
        return found

    def to_picture(self, places: np.ndarray) -> np.ndarray:
        """Returns places [..., 2] of the frame in the picture."""
        return places @ self.axes.T + self.origin

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns x and y of the grid's points in the frame, float32 [height, width], read-only."""
        shape = self.height, self.width
        y, x = (np.arange(size, dtype=np.float32) for size in shape)
        return np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape)

    def window(self, low: np.ndarray, high: np.ndarray) -> Window:
        """Returns the window of the points from ``low`` to ``high``, x and y, in the frame."""
        size = self.width, self.height
        left, top = np.clip(np.floor(low), 0, size).astype(int)
        right, bottom = np.clip(np.ceil(high) + 1, 0, size).astype(int)
        return slice(top, max(top, bottom)), slice(left, max(left, right))

    def sample(self, image: np.ndarray) -> np.ndarray:
        """Returns a picture [H, W, c] at the grid's points, float32 [height, width, c].

        Beyond the picture its edge goes on.
        """
        size = max(1, int(self.step))
        axes, origin = self.axes / size, (self.origin - (size - 1) / 2) / size
        corners = self._corners() @ axes.T + origin
        most = np.array(image.shape[1::-1]) // size - 1
        x, y = (
            np.clip(np.arange(low - 1, high + 2), 0, limit)
            for low, high, limit in zip(
                np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int), most
            )
        )
        part = image[y[0] * size : (y[-1] + 1) * size, x[0] * size : (x[-1] + 1) * size]
        part = shrunk(part, size)[(y - y[0])[:, None], x - x[0]]
        first = np.floor(corners.min(0)) - 1
        return affine_sample(part, axes, origin - first, (self.height, self.width))

    def box(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Returns the rows and columns of a picture [H, W, ...] that the frame reaches."""
        corners = self.to_picture(self._corners())
        low = np.clip(np.floor(corners.min(0)), 0, (shape[1], shape[0])).astype(int)
        high = np.clip(np.ceil(corners.max(0)) + 1, 0, (shape[1], shape[0])).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])

    def _corners(self) -> np.ndarray:
        """Returns the grid's corners in the frame, [4, 2]."""
        return np.array([(x, y) for x in (0, self.width - 1) for y in (0, self.height - 1)])


def face_frame(fitted: FittedHead, vertices: list[np.ndarray]) -> Frame:
    """Returns the frame that holds a face in all of its shapes.

    Args:
        fitted: The fit.
        vertices: Shapes of the face, each float64 [V, 3] in the picture.
    """
    step = max(1.0, fitted.scale / MAX_SCALE)
    axes = fitted.upright * step
    skin = fitted.head.vertices_of("face")
    inside = np.concatenate([shape[skin, :2] for shape in vertices]) @ np.linalg.inv(axes).T
    margin = _MARGIN * fitted.scale / step
    low, high = np.floor(inside.min(0) - margin), np.ceil(inside.max(0) + margin)
    width, height = (high - low).astype(int) + 1
    return Frame(axes @ low, axes, int(height), int(width), fitted.scale / step)


def shrunk(image: np.ndarray, size: int) -> np.ndarray:
    """Returns a picture [H, W, c] as means of blocks of ``size`` x ``size`` pixels."""
    if size <= 1:
        return image
    height, width = (side // size * size for side in image.shape[:2])
    total = np.zeros((height // size, width // size, image.shape[2]), np.float32)
    for row in range(size):
        for column in range(size):
            total += image[row:height:size, column:width:size]
    return total / size**2


def affine_sample(
    field: np.ndarray, axes: np.ndarray, origin: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Returns a field at the points of a grid, linearly interpolated.

    Args:
        field: [H, W] or [H, W, c].
        axes: float [2, 2]; the columns are the way in the field of one step of the grid to the
            right and one step down.
        origin: float [2], x and y of the grid's first point in the field.
        shape: Points of the grid from top to bottom and from left to right.

    Returns:
        float32 [h, w] or [h, w, c]; 0 more than half a pixel beyond the field.
    """
    # Pillow counts from the corner of the first pixel, not from its centre.
    start = origin + 0.5 - axes @ (0.5, 0.5)
    matrix = (*axes[0], start[0], *axes[1], start[1])
    planes = [field] if field.ndim == 2 else np.moveaxis(field, -1, 0)
    found = np.empty((*shape, len(planes)), np.float32)
    for channel, plane in enumerate(planes):
        picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
        found[..., channel] = picture.transform(
            shape[::-1], Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
    return found[..., 0] if field.ndim == 2 else found


def sample(image: np.ndarray, places: np.ndarray, order: int = 1) -> np.ndarray:
    """Returns a picture at places.

    Args:
        image: [H, W] or [H, W, c].
        places: float [..., 2], x and y in pixels.
        order: Of the spline: 1 linear, 3 cubic.

    Returns:
        float32 [...] or [..., c]; beyond the picture its edge goes on.
    """
    where = np.moveaxis(places, -1, 0)[::-1]
    channels = image[..., None] if image.ndim == 2 else image
    found = np.empty((*places.shape[:-1], channels.shape[-1]), np.float32)
    for channel in range(channels.shape[-1]):
        plane = np.ascontiguousarray(channels[..., channel], np.float32)
        found[..., channel] = map_coordinates(plane, where, order=order, mode="nearest")
    return found[..., 0] if image.ndim == 2 else found
