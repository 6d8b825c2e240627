"""How good an aligned face is, in figures that have a meaning, and what is not good enough."""

from __future__ import annotations

import numpy as np

from legan_tf.data import images
from legan_tf.data.align.position import Convention

# The part that is measured reaches, from the middle and from the eye and mouth lines, so many
# times the distance of eyes and mouth: brows, eyes, nose and mouth, and no background.
_ASIDE, _ABOVE, _BELOW = 0.75, 0.25, 0.25


def contrast_and_sharpness(image: np.ndarray, convention: Convention) -> tuple[float, float]:
    """Measures the inner part of an aligned face, from the eyebrows to below the lips.

    Args:
        image: uint8 [S, S, 3], aligned, not masked.
        convention: Where the face stands in it.

    Returns:
        The contrast, the standard deviation of the grey levels, 0 to 127.5: low in pictures that
        are dark, washed out or foggy. And the sharpness, the mean absolute difference of a pixel
        to the mean of its four neighbours, divided by the contrast: low in blurred and in
        enlarged pictures, whatever their light.
    """
    size = image.shape[0]
    eyes, mouth = convention.lines(size)
    unit, middle = mouth - eyes, (size - 1) / 2
    top, bottom = max(0, round(eyes - _ABOVE * unit)), round(mouth + _BELOW * unit) + 1
    left, right = max(0, round(middle - _ASIDE * unit)), round(middle + _ASIDE * unit) + 1
    grey = image[top:bottom, left:right].astype(np.float64) @ images.LUMA
    contrast = float(grey.std())
    around = (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    detail = float(np.abs(grey[1:-1, 1:-1] - around).mean())
    return contrast, detail / contrast if contrast else 0.0
