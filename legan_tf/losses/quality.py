"""L_qual, LEGAN's loss under a frozen Q: naturalness of an edit and preservation over a cycle."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from legan_tf.losses.terms import EDITOR, loss_term

_L_QUAL: dict[str, Any] = {
    "default": 1.0,
    "weight": "quality_weight",
    "help": "Weight of L_qual; 0 needs no Q.",
}


@loss_term(
    "naturalness",
    EDITOR,
    inputs=("edited_rating", "quality_target"),
    source="LEGAN, section 4, L_qual, forward",
    **_L_QUAL,
)
def quality_naturalness_loss(rating: tf.Tensor, target: float) -> tf.Tensor:
    """L_qual of the forward phase: |target - Q(edited)|.

    Args:
        rating: float32 [B], Q's rating of the edited faces.
        target: The rating to reach, 1 to 10.

    Returns:
        float32 [B].
    """
    return tf.abs(target - rating)


@loss_term(
    "preservation",
    EDITOR,
    inputs=("original_rating", "reconstructed_rating"),
    source="LEGAN, section 4, L_qual, cycle",
    over_cycle=True,
    **_L_QUAL,
)
def quality_preservation_loss(original: tf.Tensor, reconstructed: tf.Tensor) -> tf.Tensor:
    """L_qual of the cyclic phase: |Q(input) - Q(cycle)|.

    Args:
        original: float32 [B], Q's rating of the input faces.
        reconstructed: float32 [B], Q's rating of the reconstructed faces.

    Returns:
        float32 [B].
    """
    return tf.abs(original - reconstructed)
