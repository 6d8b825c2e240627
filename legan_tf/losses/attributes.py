"""Classification of expression and lighting."""

from __future__ import annotations

import tensorflow as tf


def attribute_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross entropy of a softmax over the classes of one attribute (LEGAN's L_cls).

    Args:
        logits: float32 [B,N].
        labels: int32 [B]; a negative label is unknown and costs nothing.

    Returns:
        float32 [B].
    """
    known = labels >= 0
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.where(known, labels, 0), logits=logits
    )
    return tf.where(known, entropy, 0.0)
