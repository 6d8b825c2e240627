"""Plots of evaluation: functions of plain data that return the bytes of a PNG."""

from __future__ import annotations

from legan_tf.evaluation.plots.confusion import confusion_picture
from legan_tf.evaluation.plots.distributions import (
    distribution_picture,
    identity_distance_picture,
)
from legan_tf.evaluation.plots.learning import learning_curves_picture
from legan_tf.evaluation.plots.scatter import correlation_picture, rating_picture

__all__ = [
    "confusion_picture",
    "correlation_picture",
    "distribution_picture",
    "identity_distance_picture",
    "learning_curves_picture",
    "rating_picture",
]
