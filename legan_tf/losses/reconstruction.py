"""L_rec, the cycle reconstruction in pixel space."""

from __future__ import annotations

import tensorflow as tf


def reconstruction_loss(original: tf.Tensor, reconstructed: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference of two images (L_rec of LEGAN, StarGAN and Bodur et al.).

    Args:
        original: float32 [B,H,W,C] in [-1, 1].
        reconstructed: The same shape and range.

    Returns:
        float32 [B], 0 to 2.
    """
    return tf.reduce_mean(tf.abs(original - reconstructed), axis=[1, 2, 3])
