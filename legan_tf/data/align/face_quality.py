"""Quality gate of aligned faces: yaw, size, contrast and sharpness against their thresholds."""

from __future__ import annotations

import numpy as np

from legan_tf.data import images
from legan_tf.data.align.alignment import Convention
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.output_folder import Rejected

# The part that is measured reaches, from the middle and from the eye and mouth lines, so many
# times the distance of eyes and mouth: brows, eyes, nose and mouth, and no background.
_ASIDE, _ABOVE, _BELOW = 0.75, 0.25, 0.25


def contrast_and_sharpness(image: np.ndarray, convention: Convention) -> tuple[float, float]:
    """Returns contrast and sharpness of the inner face, from the eyebrows to below the lips.

    Args:
        image: uint8 [S, S, 3], aligned, not masked.
        convention: The position of the face in it.

    Returns:
        Contrast, the standard deviation of the grey levels, 0 to 127.5: low in pictures that are
        dark, washed out or foggy. Sharpness, the mean absolute difference of a pixel to the mean
        of its four neighbours, divided by the contrast: low in blurred and in enlarged pictures,
        whatever their light.
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


def refuse_poor(
    options: AlignOptions, yaw: float, pixels: float, contrast: float, sharpness: float
) -> None:
    """Refuses a face whose measures are beyond the thresholds of the options.

    Args:
        options: The thresholds.
        yaw: Degrees to the side; NaN, where it is unknown, rejects nothing.
        pixels: From the eyes down to the mouth, in pixels of the original.
        contrast: As ``contrast_and_sharpness`` returns it.
        sharpness: Likewise.

    Raises:
        Rejected: With the threshold as the reason, and the value as its detail.
    """
    if options.max_yaw < 90 and abs(yaw) >= options.max_yaw:
        raise Rejected(f"turned by --max_yaw={options.max_yaw:g} or more", f"{yaw:g} degrees")
    for flag, value, what in (
        ("min_face", pixels, "smaller"),
        ("min_contrast", contrast, "less contrast"),
        ("min_sharpness", sharpness, "less sharp"),
    ):
        least = getattr(options, flag)
        if value < least:
            raise Rejected(f"{what} than --{flag}={least:g}", f"{value:g}")
