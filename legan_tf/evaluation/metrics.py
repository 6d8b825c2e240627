"""Metrics: pure functions on arrays."""

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


def accuracy(predicted: np.ndarray, wanted: np.ndarray) -> float:
    """Share of predictions that are right, higher is better; unknown labels do not count.

    Args:
        predicted: int [n].
        wanted: int [n]; negative where unknown.

    Returns:
        0 to 1; NaN if no label is known.
    """
    known = np.asarray(wanted) >= 0
    if not known.any():
        return float("nan")
    return float(np.mean(np.asarray(predicted)[known] == np.asarray(wanted)[known]))


def first_rank_rate(
    probes: np.ndarray, probe_people: np.ndarray, gallery: np.ndarray, gallery_people: np.ndarray
) -> float:
    """Share of probes whose nearest gallery face shows the right person, higher is better.

    Args:
        probes: float [n,D], embeddings of the faces to find.
        probe_people: int [n].
        gallery: float [m,D], embeddings of the faces to find them among.
        gallery_people: int [m].

    Returns:
        0 to 1, nearest by the cosine of the angle.
    """
    unit = [faces / np.linalg.norm(faces, axis=1, keepdims=True) for faces in (probes, gallery)]
    nearest = np.argmax(unit[0] @ unit[1].T, axis=1)
    return float(np.mean(np.asarray(gallery_people)[nearest] == np.asarray(probe_people)))
