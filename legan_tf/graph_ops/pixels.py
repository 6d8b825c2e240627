"""Pixel values: eight bits, floating point in [-1, 1], and pictures of masks."""

from __future__ import annotations

import tensorflow as tf


def to_float(image: tf.Tensor) -> tf.Tensor:
    """Maps uint8 to float32 in [-1, 1]."""
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Maps float in [-1, 1] to uint8, rounded; what is outside the range is clipped."""
    scaled = (tf.cast(image, tf.float32) + 1.0) * 127.5
    return tf.cast(tf.clip_by_value(tf.round(scaled), 0.0, 255.0), tf.uint8)


def mask_to_grey(mask: tf.Tensor) -> tf.Tensor:
    """Returns masks as pictures: the mean over the channels, stretched to 0 to 255 in each.

    Args:
        mask: float [B, H, W, M].

    Returns:
        uint8 [B, H, W, 1].
    """
    mean = tf.reduce_mean(tf.cast(mask, tf.float32), axis=-1, keepdims=True)
    low = tf.reduce_min(mean, axis=(1, 2, 3), keepdims=True)
    high = tf.reduce_max(mean, axis=(1, 2, 3), keepdims=True)
    return to_uint8(2.0 * tf.math.divide_no_nan(mean - low, high - low) - 1.0)
