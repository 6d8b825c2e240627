"""Pixel values: eight bits and floating point in [-1, 1]."""

from __future__ import annotations

import tensorflow as tf


def to_float(image: tf.Tensor) -> tf.Tensor:
    """Maps uint8 to float32 in [-1, 1]."""
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Maps float in [-1, 1] to uint8, rounded; what is outside the range is clipped."""
    scaled = (tf.cast(image, tf.float32) + 1.0) * 127.5
    return tf.cast(tf.clip_by_value(tf.round(scaled), 0.0, 255.0), tf.uint8)
