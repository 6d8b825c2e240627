"""L_id, the distance of two faces in the embedding of a face network."""

from __future__ import annotations

import tensorflow as tf


def identity_loss(original: tf.Tensor, edited: tf.Tensor) -> tf.Tensor:
    """Squared distance of unit embeddings (LEGAN's L_id; the metric is our inference).

    Args:
        original: Embeddings of the input faces, float32 [B,D].
        edited: Embeddings of the edited faces, float32 [B,D].

    Returns:
        float32 [B], 0 (same direction) to 4 (opposite).
    """
    difference = tf.math.l2_normalize(original, -1) - tf.math.l2_normalize(edited, -1)
    return tf.reduce_sum(tf.square(difference), axis=-1)
