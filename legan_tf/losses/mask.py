"""The terms that keep GANimation's mask from saturating and from flickering."""

from __future__ import annotations

import tensorflow as tf


def mask_size(mask: tf.Tensor) -> tf.Tensor:
    """How much of the input a mask keeps, which GANimation makes small.

    Args:
        mask: float32 [B,H,W,1] in [0, 1]; 1 keeps the input, 0 paints.

    Returns:
        float32 [B] in [0, 1], the mean over pixels.
    """
    return tf.reduce_mean(mask, axis=[1, 2, 3])


def mask_smoothness(mask: tf.Tensor) -> tf.Tensor:
    """Total variation of a mask.

    Summed over the pixels of an image and not over the batch, as in GANimation's code, so that
    neither batch size nor replicas change its weight (ours).

    Args:
        mask: float32 [B,H,W,1].

    Returns:
        float32 [B], the sum of the absolute differences between neighbours.
    """
    return tf.image.total_variation(mask)
