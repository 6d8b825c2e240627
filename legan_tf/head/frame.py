"""Frame of a face: an upright grid over its part of a picture, in which edits are worked out.

Whatever the face's roll and the picture's size, edits see the face upright and at most a set size;
what they decide (a field of displacements, of gain, of paint) is applied to the picture at its own.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.ndimage import map_coordinates

from legan_tf.head.fit import FittedHead

MAX_SCALE = 260.0
"""Eyes' distance in pixels of the frame, at most."""

_MARGIN = 0.75  # Of the eyes' distance, around the face.


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
        """Returns x and y of the grid's points in the frame, float32 [height, width]."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        return x, y

    def sample(self, image: np.ndarray) -> np.ndarray:
        """Returns a picture [H, W, c] at the grid's points, float32 [height, width, c].

        Beyond the picture its edge goes on.
        """
        x, y = self.grid()
        place = self.to_picture(np.stack([x, y], -1))
        size = max(1, int(self.step))
        return sample(shrunk(image, size), (place - (size - 1) / 2) / size)

    def box(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Returns the rows and columns of a picture [H, W, ...] that the frame reaches."""
        ends = np.array([(x, y) for x in (0, self.width - 1) for y in (0, self.height - 1)])
        corners = self.to_picture(ends)
        low = np.clip(np.floor(corners.min(0)), 0, (shape[1], shape[0])).astype(int)
        high = np.clip(np.ceil(corners.max(0)) + 1, 0, (shape[1], shape[0])).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])


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
    blocks = image[:height, :width].reshape(height // size, size, width // size, size, -1)
    return blocks.mean((1, 3), dtype=np.float32)


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
