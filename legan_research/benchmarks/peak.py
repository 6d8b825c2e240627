"""Peak performance of a device, measured."""

from __future__ import annotations

import dataclasses
import time

import tensorflow as tf

_SIDE = 4096
"""Size of the square matrices whose product measures the peak."""
_IMAGES, _IMAGE_SIZE, _CHANNELS = 16, 64, 256
"""Size of the 3 x 3 convolution that measures the peak."""


@dataclasses.dataclass(frozen=True)
class Peak:
    """Peak performance of the machine in one precision, in GFLOP/s.

    A multiply-add is two operations.
    """

    matmul: float
    convolution: float


def peak(precision: str, repeats: int = 7, scale: float = 1.0) -> Peak:
    """Measures a large matrix product and a large convolution, the best of several calls.

    Args:
        precision: Type of the numbers.
        repeats: Number of calls of each.
        scale: Factor on their size.
    """
    dtype = tf.as_dtype(precision)
    side, images = max(1, int(scale * _SIDE)), max(1, int(scale * _IMAGES))

    def values(*shape: int) -> tf.Tensor:
        return tf.cast(tf.random.stateless_uniform(shape, (0, 0), -1.0, 1.0), dtype)

    matrix = values(side, side)
    pictures = values(images, _IMAGE_SIZE, _IMAGE_SIZE, _CHANNELS)
    kernel = values(3, 3, _CHANNELS, _CHANNELS)
    product = tf.function(lambda: tf.matmul(matrix, matrix)[0, 0])
    convolution = tf.function(lambda: tf.nn.conv2d(pictures, kernel, 1, "SAME")[0, 0, 0, 0])
    counts = side**3, images * (3 * _IMAGE_SIZE * _CHANNELS) ** 2
    rates = []
    for call, count in zip((product, convolution), counts):
        call()
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            call().numpy()
            seconds.append(time.perf_counter() - began)
        rates.append(2e-9 * count / min(seconds))
    return Peak(*rates)
