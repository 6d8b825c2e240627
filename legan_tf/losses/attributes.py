"""Classification of expression and lighting."""

from __future__ import annotations

import tensorflow as tf


def attribute_loss(
    logits: tf.Tensor, labels: tf.Tensor, confidence_penalty: float = 0.0
) -> tf.Tensor:
    """Cross entropy of a softmax over the classes of one attribute (L_cls of LEGAN and StarGAN).

    Args:
        logits: float32 [B,N].
        labels: int32 [B]; a negative label is unknown and costs nothing.
        confidence_penalty: β; so many times the softmax's entropy is taken off, which keeps the
            classifier from being sure (Bodur et al., equation 11, with the sign of its first term
            put right; Pereyra et al., 2017).

    Returns:
        float32 [B].
    """
    known = labels >= 0
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.where(known, labels, 0), logits=logits
    )
    if confidence_penalty:
        loss -= confidence_penalty * entropy_of(logits)
    return tf.where(known, loss, 0.0)


def entropy_of(logits: tf.Tensor) -> tf.Tensor:
    """Entropy of a softmax, in nats.

    Args:
        logits: float32 [B,N].

    Returns:
        float32 [B], 0 (sure of one class) to log N (knows nothing).
    """
    return -tf.reduce_sum(tf.nn.softmax(logits) * tf.nn.log_softmax(logits), axis=-1)
