"""L_qual, LEGAN's loss under a frozen Q: naturalness of an edit and preservation over a cycle."""

from __future__ import annotations

import tensorflow as tf


def quality_naturalness_loss(rating: tf.Tensor, target: float) -> tf.Tensor:
    """L_qual of the forward phase: |target - Q(edited)|.

    Args:
        rating: float32 [B], Q's rating of the edited faces.
        target: The rating to reach, 1 to 10.

    Returns:
        float32 [B].
    """
    return tf.abs(target - rating)


def quality_preservation_loss(original: tf.Tensor, reconstructed: tf.Tensor) -> tf.Tensor:
    """L_qual of the cyclic phase: |Q(input) - Q(cycle)|.

    Args:
        original: float32 [B], Q's rating of the input faces.
        reconstructed: float32 [B], Q's rating of the reconstructed faces.

    Returns:
        float32 [B].
    """
    return tf.abs(original - reconstructed)
