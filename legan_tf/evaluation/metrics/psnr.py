"""PSNR and L1, the errors of pixels of two pictures."""

from __future__ import annotations

import numpy as np

from legan_tf.evaluation.metrics.registry import register
from legan_tf.evaluation.metrics.ssim import check_images


@register("psnr", "PSNR", "higher", "image true_image", decimals=2, unit="dB", order=(50, 40),
          source="standard")  # fmt: skip
@register("cycle_psnr", "PSNR of the cycle", "higher", "cycle_image source_image", decimals=2,
          unit="dB", order=(160, None), source="Bodur et al.")  # fmt: skip
def psnr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in decibels, 10 log₁₀(255² / MSE), higher is better.

    The mean square error is over all pixels and channels of a picture. Within 1e-12, relatively, of
    ``skimage.metrics.peak_signal_noise_ratio`` with ``data_range=255``.

    Args:
        first: uint8 [n,H,W,3].
        second: The same shape.

    Returns:
        float64 [n], 0 or more; infinite for equal pictures.

    Raises:
        ValueError: The images are not of that form, or differ in shape.
    """
    check_images(first, second)
    errors = np.square(first.astype(np.int32) - second).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(255.0**2 / errors)


@register("l1", "L1", "lower", "image true_image", order=(60, 50), source="standard")
@register("l1", "L1 over the picture", "lower", "map true_map", kind="depth", decimals=4,
          order=(10, None), source="standard")  # fmt: skip
def mean_absolute_error(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute difference as a share of the value range, lower is better.

    Within 1e-7, relatively, of examples by hand.

    Args:
        first: uint8 [n,H,W,3].
        second: The same shape.

    Returns:
        float64 [n], 0 to 1.

    Raises:
        ValueError: The images are not of that form, or differ in shape.
    """
    check_images(first, second)
    return np.abs(first.astype(np.float64) - second).mean(axis=(1, 2, 3)) / 255.0
