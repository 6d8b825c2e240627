"""Training Q on people's ratings, and being guided by Q."""

from __future__ import annotations

import tensorflow as tf

MARGIN_READINGS = (
    "epsilon",
    "epsilon-squared",
    "squared-minus-variance",
    "squared-minus-std",
    "relative",
)


def margin_loss(
    prediction: tf.Tensor, mean: tf.Tensor, std: tf.Tensor, reading: str = "epsilon"
) -> tf.Tensor:
    """Regression that forgives what the annotators disagree about (LEGAN's L_Q).

    The paper names a margin-based regression loss on (mean, std) labels and prints no formula;
    these are its readings, with d = |mean - prediction|.

    Args:
        prediction: float32 [B], ratings that Q gives.
        mean: float32 [B], mean of the annotators; NaN where unknown, which costs nothing.
        std: float32 [B], population standard deviation of the annotators; NaN counts as 0.
        reading: ``epsilon``: max(0, d - std). ``epsilon-squared``: max(0, d - std)².
            ``squared-minus-variance``: max(0, d² - std²). ``squared-minus-std``: max(0, d² - std).
            ``relative``: d / (std + 1).

    Returns:
        float32 [B].

    Raises:
        ValueError: ``reading`` is none of them.
    """
    known = tf.math.is_finite(mean)
    mean = tf.where(known, mean, 0.0)
    std = tf.where(tf.math.is_finite(std), std, 0.0)
    distance = tf.abs(mean - prediction)
    if reading == "epsilon":
        loss = tf.nn.relu(distance - std)
    elif reading == "epsilon-squared":
        loss = tf.square(tf.nn.relu(distance - std))
    elif reading == "squared-minus-variance":
        loss = tf.nn.relu(tf.square(distance) - tf.square(std))
    elif reading == "squared-minus-std":
        loss = tf.nn.relu(tf.square(distance) - std)
    elif reading == "relative":
        loss = distance / (std + 1.0)
    else:
        raise ValueError(
            f"the margin reading is one of {', '.join(MARGIN_READINGS)}, not {reading!r}"
        )
    return tf.where(known, loss, 0.0)


def naturalness_loss(rating: tf.Tensor, target: float) -> tf.Tensor:
    """Pulls the edited face to the wanted rating: |target - Q(edited)| (L_qual, forward phase).

    Args:
        rating: float32 [B], Q's rating of the edited faces.
        target: The wanted rating, 1 to 10.

    Returns:
        float32 [B].
    """
    return tf.abs(target - rating)


def preservation_loss(original: tf.Tensor, reconstructed: tf.Tensor) -> tf.Tensor:
    """Keeps the rating of a face over a cycle: |Q(input) - Q(cycle)| (L_qual, cyclic phase).

    Args:
        original: float32 [B], Q's rating of the input faces.
        reconstructed: float32 [B], Q's rating of the faces that came back.

    Returns:
        float32 [B].
    """
    return tf.abs(original - reconstructed)
