"""Naturalness ratings by Q: their level, and their agreement with ratings by people.

Functions of agreement take the predictions first and people's mean rating of the same pictures
second; pictures whose mean is NaN are left out, and the result is NaN without any others.
A ValueError is raised where the arrays differ in shape or a prediction is not finite.
"""

from __future__ import annotations

import numpy as np

from legan_tf.evaluation.metrics.correlation import known_pairs
from legan_tf.evaluation.metrics.registry import register
from legan_tf.evaluation.tables import PERCENT

NATURAL = 5.0
"""The lowest rating, of 1 to 10, at which a picture counts as natural (LEGAN's data set page)."""


@register("preference", "preference", "higher", "", decimals=1, unit=PERCENT, order=(110, None),
          source="LEGAN's main table")  # fmt: skip
def preference(share: float) -> float:
    """Share of people's choices among models, higher is better; of comparisons only."""
    return share


@register("rating", "quality", "higher", "predicted_rating", order=(90, None),
          source="LEGAN's main table")  # fmt: skip
def quality(predicted: np.ndarray) -> np.ndarray:
    """Mean rating by Q, 1 to 10, higher is better: of ratings float [n], which are returned."""
    return predicted


@register("natural", "natural", "higher", "predicted_rating", order=(100, None),
          source="LEGAN's data set page")  # fmt: skip
def is_natural(predicted: np.ndarray) -> np.ndarray:
    """Share of pictures that Q rates 5 or more, higher is better: of ratings float [n]."""
    return predicted >= NATURAL


def _average(values: np.ndarray) -> float:
    return float(np.mean(values)) if values.size else float("nan")


@register("mae", "mean absolute error", "lower", "predicted_rating mean_rating", kind="scorer",
          order=(10, None), source="standard")  # fmt: skip
def mae(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Mean absolute error, lower is better.

    Within 1e-12, relatively, of ``sklearn.metrics.mean_absolute_error``.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.

    Returns:
        0 or more, in units of the rating scale.
    """
    predicted, mean = known_pairs(predicted, mean)
    return _average(np.abs(predicted - mean))


@register("rmse", "root mean square error", "lower", "predicted_rating mean_rating", kind="scorer",
          order=(20, None), source="standard")  # fmt: skip
def rmse(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Root of the mean square error, lower is better.

    Within 1e-12, relatively, of the root of ``sklearn.metrics.mean_squared_error``.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.

    Returns:
        0 or more, in units of the rating scale.
    """
    predicted, mean = known_pairs(predicted, mean)
    return float(np.sqrt(_average(np.square(predicted - mean))))


@register("within_std", "within one std of the raters", "higher",
          "predicted_rating mean_rating rating_std", kind="scorer", order=(50, None))  # fmt: skip
def share_within_std(predicted: np.ndarray, mean: np.ndarray, std: np.ndarray) -> float:
    """Share of predictions within one standard deviation of the raters' mean, higher is better.

    Tested on examples by hand, to which it is equal.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.
        std: float [n], 0 or more: the standard deviation of each picture's ratings; NaN where
            unknown, which leaves the picture out, too.

    Returns:
        0 to 1, the bounds counted as within.
    """
    std = np.asarray(std, np.float64)
    if std.shape != np.shape(mean):
        raise ValueError(f"mean and std must be [n], not {np.shape(mean)} and {std.shape}")
    if (std < 0).any():
        raise ValueError("standard deviations must not be negative")
    known = ~np.isnan(mean) & ~np.isnan(std)
    predicted, mean = known_pairs(predicted, np.where(known, mean, np.nan))
    return _average(np.abs(predicted - mean) <= std[known])


@register("natural_accuracy", "natural or not, as people say", "higher",
          "predicted_rating mean_rating", kind="scorer", order=(60, None))  # fmt: skip
def natural_accuracy(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Share of pictures that are called natural, or not, as people do; higher is better.

    Within 1e-12, relatively, of ``sklearn.metrics.accuracy_score`` at the bound of 5.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.

    Returns:
        0 to 1; a rating of 5 or more is natural.
    """
    predicted, mean = known_pairs(predicted, mean)
    return _average((predicted >= NATURAL) == (mean >= NATURAL))
