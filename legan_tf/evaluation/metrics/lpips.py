"""LPIPS, the learned perceptual distance of two pictures (Zhang et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from legan_tf.evaluation.metrics.registry import register

_EPSILON = 1e-10
"""Added to the length of every feature vector, as in the reference implementation."""


@register("lpips", "LPIPS", "lower", "lpips_distance", order=(30, None), source="Zhang et al. 2018")
def lpips(distance: np.ndarray) -> np.ndarray:
    """Learned perceptual distance, lower is better: float32 [n] as of ``lpips_from_taps``."""
    return distance


def lpips_from_taps(
    first: Sequence[tf.Tensor | np.ndarray],
    second: Sequence[tf.Tensor | np.ndarray],
    weights: Sequence[np.ndarray],
) -> tf.Tensor:
    """Learned perceptual distance of pictures, lower is better (Zhang et al., eq. 1).

    The feature vectors at every position of every tap are normalised to unit length and the squares
    of their differences weighted; the sums are averaged over space and added up over the taps.
    Computed in float32, it is within 1e-5, relatively, of a loop over the places in float64.

    Args:
        first: Taps of a network, float32 [n,h,w,c] each.
        second: The same taps of the pictures to compare with, in the same order and shapes.
        weights: Weight of each channel of each tap, [c] each, none negative.

    Returns:
        float32 [n], 0 or more; 0 within 1e-6 where feature vectors differ in length only.

    Raises:
        ValueError: The lists are empty or differ in length, or their members do not fit each other.
    """
    if not 0 < len(first) == len(second) == len(weights):
        raise ValueError(
            f"{len(first)} and {len(second)} taps do not go with {len(weights)} weights"
        )
    parts = []
    for one, other, weight in zip(first, second, weights):
        if tuple(one.shape) != tuple(other.shape) or one.shape[-1:] != weight.shape:
            raise ValueError(
                f"taps of shape {tuple(one.shape)} and {tuple(other.shape)} and weights of shape "
                f"{tuple(weight.shape)} do not belong together"
            )
        squares = tf.square(_unit(one) - _unit(other))
        weighted = tf.tensordot(squares, tf.constant(weight, tf.float32), 1)
        parts.append(tf.reduce_mean(weighted, axis=(1, 2)))
    return tf.add_n(parts)


def _unit(tap: tf.Tensor | np.ndarray) -> tf.Tensor:
    return tap / (tf.sqrt(tf.reduce_sum(tf.square(tap), -1, keepdims=True)) + _EPSILON)
