"""L_cls, the classification of expression and lighting."""

from __future__ import annotations

import tensorflow as tf


def classification_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross entropy of a softmax over the classes of one attribute (L_cls of LEGAN and StarGAN).

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
