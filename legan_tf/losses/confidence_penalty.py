"""The confidence penalty on a classifier (Bodur et al., equation 11; Pereyra et al., 2017)."""

from __future__ import annotations

import tensorflow as tf


def confidence_penalty(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Negative entropy of a softmax, which keeps the classifier from being too confident.

    Added to the classification loss with the weight β. The paper's first term has the wrong sign,
    which is corrected here.

    Args:
        logits: float32 [B,N].
        labels: int32 [B]; a negative label is unknown and costs nothing.

    Returns:
        float32 [B] in nats, -log N (all classes alike) to 0 (certain of one class).
    """
    entropy = -tf.reduce_sum(tf.nn.softmax(logits) * tf.nn.log_softmax(logits), axis=-1)
    return tf.where(labels >= 0, -entropy, 0.0)
