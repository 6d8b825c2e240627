"""L_cls, the discriminator's reading of a condition."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from legan_tf.data.conditions import BinaryCondition, ClassCondition, Condition, RangeCondition


def classification_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross entropy of a softmax over classes (L_cls of LEGAN and StarGAN).

    Args:
        logits: float32 [B,N].
        labels: int32 [B]; a negative label is unknown and costs nothing.

    Returns:
        float32 [B].
    """
    known = labels >= 0
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.where(known, labels, 0), logits=logits
    )
    return tf.where(known, loss, 0.0)


def binary_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Binary cross entropy, summed over attributes (L_cls of StarGAN's code on CelebA).

    Args:
        logits: float32 [B,N].
        labels: int32 [B,N] of 0 and 1; a negative label is unknown and costs nothing.

    Returns:
        float32 [B].
    """
    known = labels >= 0
    loss = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.cast(tf.where(known, labels, 0), tf.float32), logits=logits
    )
    return tf.reduce_sum(tf.where(known, loss, 0.0), axis=-1)


def regression_loss(prediction: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean squared error of numbers in a range (GANimation's regression of action units).

    A mean over the image's numbers, and not a sum over the batch as in its code, so that neither
    batch size nor replicas change its weight (ours).

    Args:
        prediction: float32 [B,N].
        labels: float32 [B,N]; NaN is unknown and costs nothing.

    Returns:
        float32 [B].
    """
    known = ~tf.math.is_nan(labels)
    # Masked before the square: a NaN that is left out afterwards still spoils the gradient.
    error = prediction - tf.where(known, labels, prediction)
    return tf.reduce_mean(tf.square(error), axis=-1)


LOSSES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    ClassCondition.kind: classification_loss,
    BinaryCondition.kind: binary_loss,
    RangeCondition.kind: regression_loss,
}
"""The loss of each kind of condition."""


def condition_loss(condition: Condition, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """L_cls of a condition, float32 [B], by the loss of its kind."""
    return LOSSES[condition.kind](logits, labels)
