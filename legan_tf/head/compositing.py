"""Compositing: an edit of a face's frame applied to the photograph, at its own size."""

from __future__ import annotations

import concurrent.futures
import os

import numpy as np

from legan_tf.head.color import to_linear, to_srgb
from legan_tf.head.expression_edit import FrameEdit
from legan_tf.head.fields import bounds
from legan_tf.head.frame import Frame, affine_sample, sample

_BAND = 1 << 18  # Pixels that are worked on at once: 60 MB.
_MARGIN = 8  # Pixels around a band's sources that its spline needs.
_THREADS = min(4, os.cpu_count() or 1)


def composite(image: np.ndarray, frame: Frame, edit: FrameEdit) -> tuple[np.ndarray, np.ndarray]:
    """Applies an edit.

    Args:
        image: uint8 [H, W, 3], sRGB.
        frame: The frame of the face.
        edit: What to do at its points.

    Returns:
        The edited picture, uint8 [H, W, 3], and uint8 [H, W], 255 where the edit reaches and 0
        where every pixel is the photograph's.
    """
    result, mask = image.copy(), np.zeros(image.shape[:2], np.uint8)
    rows, columns = frame.box(image.shape)
    width = columns.stop - columns.start
    height = max(1, _BAND // max(1, width))
    axes = np.linalg.inv(frame.axes)
    painted = bounds(edit.cover > 0, 1)
    corner = np.array([painted[1].start, painted[0].start])
    paint = edit.paint[painted]
    right, down = (edit.motion @ frame.axes.T.astype(np.float32)).transpose(2, 0, 1)
    fields = right, down, edit.gain, edit.cover

    def band(top: int) -> None:
        first = np.array([columns.start, top])
        origin, shape = axes @ (first - frame.origin), (min(height, rows.stop - top), width)
        right, down, gain, cover = (affine_sample(field, axes, origin, shape) for field in fields)
        y, x = np.nonzero((right != 0) | (down != 0) | (gain != 0) | (cover > 0))
        if not len(y):
            return
        right, down, gain, cover = (field[y, x] for field in (right, down, gain, cover))
        y += top
        x += columns.start
        light = _moved(image, x, y, right, down)
        light *= np.exp(gain)[:, None]
        covered = np.flatnonzero(cover > 0)
        if len(covered):
            share = cover[covered, None]
            at = frame.to_frame(np.stack([x[covered], y[covered]], -1)) - corner
            light[covered] = light[covered] * (1 - share) + sample(paint, at) * share
        mask[y, x] = 255
        result[y, x] = np.round(to_srgb(light)).astype(np.uint8)

    # NumPy, SciPy and Pillow work without Python's lock most of the time.
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(band, range(rows.start, rows.stop, height)))
    return result, mask


def _moved(
    image: np.ndarray, x: np.ndarray, y: np.ndarray, right: np.ndarray, down: np.ndarray
) -> np.ndarray:
    """Returns the linear light, float32 [n, 3], of places x, y [n], each moved right and down."""
    moves = (right != 0) | (down != 0)
    light = np.empty((len(x), 3), np.float32)
    still = np.flatnonzero(~moves)
    light[still] = to_linear(image[y[still], x[still]])
    moving = np.flatnonzero(moves)
    if not len(moving):
        return light
    height, width = image.shape[:2]
    x, y = x[moving] + right[moving], y[moving] + down[moving]
    rows, columns = _reached(y, height), _reached(x, width)
    where = np.stack([x - columns.start, y - rows.start], -1)
    light[moving] = to_linear(sample(image[rows, columns], where, 3))
    return light


def _reached(places: np.ndarray, size: int) -> slice:
    """Returns the pixels along one axis of a picture that a spline at places needs."""
    low = min(max(int(np.floor(places.min())) - _MARGIN, 0), size - 1)
    return slice(low, max(min(int(np.ceil(places.max())) + _MARGIN, size), low + 1))
