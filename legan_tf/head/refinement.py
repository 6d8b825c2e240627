"""Refinement of a finder's points on the pixels: those of the lips."""

from __future__ import annotations

import numpy as np

from legan_tf.head.lip_line import refine_lips


def refined_points(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns the points of a face, those of the lips moved to the edges that are seen.

    Args:
        image: uint8 [H, W, 3].
        points: float64 [468 or more, 2 or 3], in pixels.
    """
    return refine_lips(image, points)
