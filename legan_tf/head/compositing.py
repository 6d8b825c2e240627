"""Compositing: an edit of a face's frame applied to the photograph, at its own size."""

from __future__ import annotations

import concurrent.futures
import os

import numpy as np

from legan_tf.head.color import to_linear, to_srgb
from legan_tf.head.expression_edit import FrameEdit
from legan_tf.head.frame import Frame, sample

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
    touched = edit.touched.astype(np.float32)
    height = max(1, _BAND // max(1, columns.stop - columns.start))

    def band(top: int) -> None:
        y, x = np.mgrid[top : min(top + height, rows.stop), columns]
        at = frame.to_frame(np.stack([x, y], -1)).astype(np.float32)
        chosen = sample(touched, at) > 0
        if chosen.any():
            at, x, y = at[chosen], x[chosen], y[chosen]
            mask[y, x] = 255
            result[y, x] = _pixels(image, frame, edit, at, x, y)

    # NumPy and SciPy work without Python's lock most of the time.
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(band, range(rows.start, rows.stop, height)))
    return result, mask


def _pixels(
    image: np.ndarray, frame: Frame, edit: FrameEdit, at: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Returns pixels of the edited picture, uint8 [n, 3], at places x, y that are ``at`` [n, 2]."""
    motion = sample(edit.motion, at) @ frame.axes.T.astype(np.float32)
    light = to_linear(image[y, x])
    moved = np.flatnonzero((motion != 0).any(1))
    if len(moved):
        from_ = np.stack([x, y], -1)[moved] + motion[moved]
        size = image.shape[1::-1]
        low = np.clip(np.floor(from_.min(0)).astype(int) - _MARGIN, 0, np.array(size) - 1)
        high = np.clip(np.ceil(from_.max(0)).astype(int) + _MARGIN, low + 1, size)
        part = image[low[1] : high[1], low[0] : high[0]]
        light[moved] = to_linear(np.clip(sample(part, from_ - low, 3), 0, 255))
    light *= np.exp(sample(edit.gain, at))[:, None]
    cover = sample(edit.cover, at)
    painted = np.flatnonzero(cover > 0)
    if len(painted):
        share = cover[painted, None]
        paint = sample(edit.paint, at[painted])
        light[painted] = light[painted] * (1 - share) + paint * share
    return np.round(to_srgb(light)).astype(np.uint8)
