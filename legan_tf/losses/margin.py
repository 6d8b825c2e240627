"""The margin loss L_Q, by which Q learns people's ratings."""

from __future__ import annotations

import tensorflow as tf

MARGIN_VARIANTS = (
    "epsilon",
    "epsilon-squared",
    "squared-minus-variance",
    "squared-minus-std",
    "relative",
)


def margin_loss(
    prediction: tf.Tensor, mean: tf.Tensor, std: tf.Tensor, variant: str = "epsilon"
) -> tf.Tensor:
    """Regression within the spread of the annotators' ratings (LEGAN's L_Q).

    The paper names a margin-based regression loss on (mean, std) labels and prints no formula;
    these are possible variants, with d = |mean - prediction|.

    Args:
        prediction: float32 [B], ratings by Q.
        mean: float32 [B], mean of the annotators; NaN where unknown, which costs nothing.
        std: float32 [B], population standard deviation of the annotators; NaN counts as 0.
        variant: ``epsilon``: max(0, d - std). ``epsilon-squared``: max(0, d - std)².
            ``squared-minus-variance``: max(0, d² - std²). ``squared-minus-std``: max(0, d² - std).
            ``relative``: d / (std + 1).

    Returns:
        float32 [B].

    Raises:
        ValueError: ``variant`` is unknown.
    """
    known = tf.math.is_finite(mean)
    mean = tf.where(known, mean, 0.0)
    std = tf.where(tf.math.is_finite(std), std, 0.0)
    distance = tf.abs(mean - prediction)
    if variant == "epsilon":
        loss = tf.nn.relu(distance - std)
    elif variant == "epsilon-squared":
        loss = tf.square(tf.nn.relu(distance - std))
    elif variant == "squared-minus-variance":
        loss = tf.nn.relu(tf.square(distance) - tf.square(std))
    elif variant == "squared-minus-std":
        loss = tf.nn.relu(tf.square(distance) - std)
    elif variant == "relative":
        loss = distance / (std + 1.0)
    else:
        raise ValueError(
            f"the margin variant is one of {', '.join(MARGIN_VARIANTS)}, not {variant!r}"
        )
    return tf.where(known, loss, 0.0)
