"""L_per, the distance of two pictures in the features of a network."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""From the first layer to the last (Wang et al., pix2pixHD, CVPR 2018; Bodur et al. print none)."""


def perceptual_loss(prediction: Sequence[tf.Tensor], truth: Sequence[tf.Tensor]) -> tf.Tensor:
    """Weighted mean absolute difference of features (Bodur et al., equation 10, L_per).

    Args:
        prediction: Features of the predicted maps by ``models.vgg19_taps``: five tensors [B,h,w,c].
        truth: Features of the true maps, of the same shapes.

    Returns:
        float32 [B], the sum over layers, each with its ``LAYER_WEIGHTS``.

    Raises:
        ValueError: The number of features differs from that of the weights.
    """
    if not len(prediction) == len(truth) == len(LAYER_WEIGHTS):
        raise ValueError(
            f"L_per compares {len(LAYER_WEIGHTS)} layers, not {len(prediction)} with {len(truth)}"
        )
    loss = tf.constant(0.0)
    for weight, predicted, wanted in zip(LAYER_WEIGHTS, prediction, truth):
        difference = tf.abs(tf.cast(predicted, tf.float32) - tf.cast(wanted, tf.float32))
        loss += weight * tf.reduce_mean(difference, axis=[1, 2, 3])
    return loss
