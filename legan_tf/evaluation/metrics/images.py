"""Likeness of pictures, pair by pair."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def _checked(first: np.ndarray, second: np.ndarray) -> None:
    for images in (first, second):
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"images must be uint8 [n, height, width, 3], not {images.dtype} {images.shape}"
            )
    if first.shape != second.shape:
        raise ValueError(f"the images differ in shape: {first.shape} and {second.shape}")


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity, higher is better (Wang et al., TIP 2004).

    Args:
        first: uint8 [n,H,W,3], at least 11 pixels high and wide.
        second: The same shape.

    Returns:
        float32 [n], at most 1: the mean over RGB with a Gaussian window of 11 pixels, σ = 1.5.

    Raises:
        ValueError: The images are not of that form, or differ in shape.
    """
    _checked(first, second)
    return tf.image.ssim(tf.constant(first), tf.constant(second), max_val=255).numpy()


def mean_absolute_error(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute difference as a share of the value range, lower is better.

    Args:
        first: uint8 [n,H,W,3].
        second: The same shape.

    Returns:
        float64 [n], 0 to 1.

    Raises:
        ValueError: The images are not of that form, or differ in shape.
    """
    _checked(first, second)
    return np.abs(first.astype(np.float64) - second).mean(axis=(1, 2, 3)) / 255.0
