"""Resizing in graphs by products of matrices, on processors and GPUs and under XLA.

TensorFlow's own resizing with antialiasing runs on processors alone, and XLA does not compile it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Union

import numpy as np
import tensorflow as tf

from legan_tf.graph_ops.target import current_target

Length = Union[int, tf.Tensor]
"""Pixels along an axis: an int, or a scalar tensor int32."""

_BLOCK = 32
"""Rows of a result that are made of one part of a picture."""
_TF32_BITS = -(2**13)
"""Mask of the bits of a float32 that GPUs' matrix units keep of a factor."""


def resize(
    images: tf.Tensor, size: Sequence[Length], kernel: str, middle: bool = False
) -> tf.Tensor:
    """Resizes images with antialiasing, as ``tf.image.resize`` does with ``antialias=True``.

    Differentiable to any order where the images are float. Pictures of eight bits, which may be
    large, are converted part by part.

    Args:
        images: uint8 or float [B, H, W, C].
        size: Height and width of the result.
        kernel: ``bicubic`` (Keys, 1981) or ``triangle``, TensorFlow's ``bilinear``.
        middle: Whether to resize only the largest centred square, whose sides may lie between
            pixels. At its border the pixels outside it count, as in Pillow.

    Returns:
        float32 [B, *size, C]; ``bicubic`` may overshoot the range of the images.
    """
    shape = tf.shape(images)
    lengths = [images.shape[axis] or shape[axis] for axis in (1, 2)]
    parts = [_least(*lengths)] * 2 if middle else lengths
    along = _in_blocks if images.dtype == tf.uint8 else _at_once
    for length, part, count in zip(lengths, parts, size):
        images = along(images, length, part, count, kernel)
    return images


def _least(first: Length, second: Length) -> Length:
    known = isinstance(first, int) and isinstance(second, int)
    return min(first, second) if known else tf.minimum(first, second)


# Each of the next two functions resizes the first axis of the images and swaps both axes, so that
# it resizes both when applied twice.


def _at_once(
    images: tf.Tensor, length: Length, part: Length, count: Length, kernel: str
) -> tf.Tensor:
    """Resizes the middle ``part`` of [B, length, W, C] to [B, W, count, C]."""
    if all(isinstance(number, int) for number in (length, part, count)):
        weights = tf.constant(_constant_weights(length, part, count, kernel))
    else:
        weights = _weights(length, part, count, kernel)
    width, channels = images.shape[2] or tf.shape(images)[2], images.shape[3]
    rows = _product(weights, tf.reshape(images, [-1, length, width * channels]))
    return tf.transpose(tf.reshape(rows, [-1, count, width, channels]), [0, 2, 1, 3])


def _in_blocks(
    images: tf.Tensor, length: Length, part: Length, count: Length, kernel: str
) -> tf.Tensor:
    """Does what ``_at_once`` does, for a few rows of the result at a time."""
    width, channels = images.shape[2] or tf.shape(images)[2], images.shape[3]
    pixels = tf.reshape(images, [-1, length, width * channels])
    rows = tf.range(-(-count // _BLOCK) * _BLOCK)
    centres, reach = _centres(tf.minimum(rows, count - 1), length, part, count, kernel)
    centres = tf.reshape(centres, [-1, _BLOCK])
    span = tf.reduce_max(centres[:, -1] - centres[:, 0]) + 2.0 * reach
    span = tf.minimum(tf.cast(tf.math.ceil(span), tf.int32) + 2, length)
    starts = tf.cast(tf.math.floor(centres[:, 0] - reach), tf.int32)
    starts = tf.clip_by_value(starts, 0, length - span)
    weights = _weights_at(starts[:, tf.newaxis] + tf.range(span), centres, reach, kernel)

    # GPUs slice no uint8, and XLA no ranges that it does not know when it compiles.
    sliced = tf.bitcast(pixels, tf.int8) if pixels.dtype == tf.uint8 else pixels

    def block(start_and_weights: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        start, weights = start_and_weights
        rows = tf.slice(sliced, [0, start, 0], [-1, span, -1])
        return _product(weights, tf.bitcast(rows, pixels.dtype))

    # One by one, to hold one part of the picture as floats.
    made = tf.map_fn(
        block, (starts, weights), parallel_iterations=1, fn_output_signature=tf.float32
    )
    made = tf.reshape(made, [-1, tf.shape(images)[0], _BLOCK, width, channels])
    made = tf.transpose(made, [1, 3, 0, 2, 4])
    made = tf.reshape(made, [-1, width, tf.size(rows), channels])
    return made[:, :, :count]


@functools.lru_cache(256)
def _constant_weights(length: int, part: int, count: int, kernel: str) -> np.ndarray:
    with tf.init_scope(), tf.device("CPU:0"):
        return _weights(length, part, count, kernel).numpy()


def _weights(length: Length, part: Length, count: Length, kernel: str) -> tf.Tensor:
    """Returns the weights of ``length`` pixels for each of ``count``, float32 [count, length]."""
    centres, reach = _centres(tf.range(count), length, part, count, kernel)
    return _weights_at(tf.range(length), centres, reach, kernel)


def _centres(
    rows: tf.Tensor, length: Length, part: Length, count: Length, kernel: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where rows of the result lie in the picture, and how far their kernel reaches.

    In float64, since float32 has few digits left for fractions of a pixel of large pictures.
    """
    length, part = tf.cast(length, tf.float64), tf.cast(part, tf.float64)
    step = part / tf.cast(count, tf.float64)
    centres = (tf.cast(rows, tf.float64) + 0.5) * step + 0.5 * (length - part)
    # Antialiased: to make fewer pixels, the kernel covers more of them.
    return centres, _KERNELS[kernel][0] * tf.maximum(step, 1.0)


def _weights_at(pixels: tf.Tensor, centres: tf.Tensor, reach: tf.Tensor, kernel: str) -> tf.Tensor:
    """Returns the weights of pixels int32 [..., P] for centres [..., N], float32 [..., N, P]."""
    radius, function = _KERNELS[kernel]
    places = tf.cast(pixels, tf.float64) + 0.5
    distances = tf.abs(places[..., tf.newaxis, :] - centres[..., tf.newaxis])
    weights = function(tf.cast(distances * (radius / reach), tf.float32))
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def _triangle(x: tf.Tensor) -> tf.Tensor:
    return tf.maximum(1.0 - x, 0.0)


def _bicubic(x: tf.Tensor) -> tf.Tensor:
    """The cubic kernel with a = -1/2 for x of at least 0, as a sum without cases."""
    inner, outer = tf.maximum(1.0 - x, 0.0), tf.maximum(2.0 - x, 0.0)
    return 0.5 * outer**2 * (outer - 1.0) + inner**2 * (1.0 - 2.0 * inner)


_KERNELS: dict[str, tuple[float, Callable[[tf.Tensor], tf.Tensor]]] = {
    "bicubic": (2.0, _bicubic),
    "triangle": (1.0, _triangle),
}
"""Radius of each kernel, in pixels of the coarser grid, and its function."""


def _product(weights: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Multiplies weights [N, L] and pixels [B, L, M] with the precision of float32.

    By default GPUs round factors to TF32, which changes results of eight bits. So each factor is
    split into a part that TF32 holds exactly and the rest; pixels of eight bits are exact as they
    are.
    """
    values = tf.cast(pixels, tf.float32)
    if current_target() == "cpu":
        return tf.matmul(weights, values)
    rest = _beyond_tf32(weights)
    weights -= rest
    if pixels.dtype == tf.uint8:
        return tf.matmul(weights, values) + tf.matmul(rest, values)
    small = _beyond_tf32(values)
    values -= small
    return tf.matmul(weights, values) + (tf.matmul(rest, values) + tf.matmul(weights, small))


def _beyond_tf32(x: tf.Tensor) -> tf.Tensor:
    """Returns what float32 numbers lose by truncation to TF32, without a gradient."""
    kept = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), _TF32_BITS), tf.float32)
    return tf.stop_gradient(x - kept)
