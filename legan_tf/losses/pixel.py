"""Pixel distance of a depth or normal map to the true one."""

from __future__ import annotations

import tensorflow as tf

from legan_tf.losses.reconstruction import reconstruction_loss


def pixel_loss(prediction: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Returns the mean absolute difference of two maps (Bodur et al., equation 9, L_pix).

    Args:
        prediction: float32 [B,S,S,3] in [-1, 1], the maps of the depth network.
        truth: The true maps, of the same shape and range.

    Returns:
        float32 [B], 0 to 2.
    """
    return reconstruction_loss(truth, prediction)
