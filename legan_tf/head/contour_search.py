"""Contour search: cheapest paths through a strip of a face that was straightened.

A contour of the face, such as the line between the lips, is looked for near a first guess: the
picture is sampled along the guess and across it, which straightens the contour, and the cheapest
path from one end of the strip to the other is found by dynamic programming.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from legan_tf.errors import UserError
from legan_tf.head import face_mesh

SMALLEST_FACE = 20.0
"""Eyes' distance in pixels below which nothing is looked for."""

_WORKING_DISTANCE = 260.0  # Eyes' distance in pixels of the crop that is searched.
_BORDER = 3  # Pixels of the picture round the places that a crop must hold.


@dataclasses.dataclass(frozen=True, eq=False)
class FaceCrop:
    """Part of a picture, reduced to the size that contours are searched at.

    Attributes:
        pixels: float32 [h, w, 3], 0 to 1.
        corner: float64 [2], the picture's coordinates of the crop's first pixel.
        step: float64 [2], the picture's pixels from one pixel of the crop to the next.
    """

    pixels: np.ndarray
    corner: np.ndarray
    step: np.ndarray

    def sample(self, places: np.ndarray) -> np.ndarray:
        """Returns the colours at places of the picture.

        Args:
            places: float64 [..., 2], pixels x and y; beyond the crop its border goes on.

        Returns:
            float32 [..., 3], 0 to 1.
        """
        inside = (places - self.corner) / self.step
        where = np.moveaxis(inside[..., ::-1], -1, 0)
        channels = [
            map_coordinates(self.pixels[..., channel], where, order=1, mode="nearest")
            for channel in range(3)
        ]
        return np.stack(channels, axis=-1)


def check_face(image: np.ndarray, points: np.ndarray) -> None:
    """Checks a picture and the points of a face in it.

    Args:
        image: uint8 [H, W, 3].
        points: float [468 or more, 2 or 3].

    Raises:
        UserError: They are not of these forms, or a point is not a number.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise UserError(f"The picture must be uint8 [H, W, 3], not {image.dtype} {image.shape}.")
    if points.ndim != 2 or len(points) < face_mesh.POINTS or points.shape[1] not in (2, 3):
        raise UserError(
            f"A face must have {face_mesh.POINTS} points or more of two or three numbers, "
            f"not {points.shape}."
        )
    if not np.isfinite(points).all():
        raise UserError("The points of a face must be finite numbers.")


def crop_face(image: np.ndarray, places: np.ndarray, distance: float) -> FaceCrop:
    """Crops a picture to some places of a face and reduces it where the face is large.

    Args:
        image: uint8 [H, W, 3].
        places: float64 [..., 2], pixels x and y that the crop holds as far as the picture does.
        distance: Eyes' distance in pixels.

    Returns:
        The crop, at least one pixel large.
    """
    size = np.array(image.shape[1::-1])
    flat = places.reshape(-1, 2)
    low = np.clip(np.floor(flat.min(0)) - _BORDER, 0, size - 1).astype(int)
    high = np.clip(np.ceil(flat.max(0)) + _BORDER + 1, low + 1, size).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    extent = high - low
    shrink = distance / _WORKING_DISTANCE
    if shrink > 1:
        small = np.maximum(1, np.rint(extent / shrink)).astype(int)
        whole = Image.fromarray(np.ascontiguousarray(part))
        part = np.asarray(whole.resize((int(small[0]), int(small[1])), Image.Resampling.BOX))
    step = extent / np.array(part.shape[1::-1])
    pixels = part.astype(np.float32) / np.float32(255)
    return FaceCrop(pixels, low + (step - 1) / 2, step)


def cheapest_pair(cost: np.ndarray, stiffness: float, longest_step: int = 3) -> np.ndarray:
    """Returns the two paths that cost least together.

    Args:
        cost: float [S, K, L]: at each of S columns, what the first path costs at each of its K
            places together with the second at each of its L; infinite where that cannot be.
        stiffness: Cost of a step of one place from one column to the next; that of a longer one
            grows with its square.
        longest_step: The most places of one step.

    Returns:
        int64 [S, 2], the places of both paths.
    """
    cost = cost.astype(np.float32)
    steps = np.arange(-longest_step, longest_step + 1)
    prices = (stiffness * steps**2).astype(np.float32)
    taken = np.empty((2, *cost.shape), np.int8)
    total = cost[0]
    for column in range(1, len(cost)):
        for axis in (0, 1):
            # Place p is reached from the places p + step.
            padded = np.pad(
                total,
                [(longest_step,) * 2 if a == axis else (0, 0) for a in (0, 1)],
                constant_values=np.inf,
            )
            windows = np.lib.stride_tricks.sliding_window_view(padded, len(steps), axis)
            reached = windows + prices
            choice = reached.argmin(-1)
            taken[axis, column] = steps[choice]
            total = np.take_along_axis(reached, choice[..., None], -1)[..., 0]
        total = total + cost[column]
    paths = np.empty((len(cost), 2), np.int64)
    paths[-1] = np.unravel_index(int(total.argmin()), total.shape)
    for column in range(len(cost) - 1, 0, -1):
        first, second = paths[column]
        second = second + taken[1, column, first, second]
        first = first + taken[0, column, first, second]
        paths[column - 1] = first, second
    return paths


def smooth_offsets(
    offsets: np.ndarray, confidence: np.ndarray, bending: float, pull: float
) -> np.ndarray:
    """Returns offsets smoothed along a line and drawn to zero where they are not sure.

    Args:
        offsets: float64 [S], from the first guess.
        confidence: float64 [S], 0 to 1.
        bending: Weight of the squared second differences.
        pull: Weight of the squared offsets.

    Returns:
        float64 [S], the least squares of all three.
    """
    bends = np.diff(np.eye(len(offsets)), 2, axis=0)
    system = np.diag(confidence + pull) + bending * bends.T @ bends
    return np.linalg.solve(system, confidence * offsets)
