"""How well predicted ratings of naturalness agree with people's.

Every function takes the predictions first and people's mean rating of the same pictures second;
pictures whose mean is NaN are not rated and left out, and without any that are the result is NaN.
A ValueError is raised where the arrays differ in shape or a prediction is not finite.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

NATURAL = 5.0
"""The lowest rating, of 1 to 10, at which a picture counts as natural (LEGAN's data set page)."""


def _rated(predicted: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and means of the pictures that are rated, float64 [m] each."""
    predicted, mean = np.asarray(predicted, np.float64), np.asarray(mean, np.float64)
    if predicted.ndim != 1 or predicted.shape != mean.shape:
        raise ValueError(
            f"predicted and mean ratings must be [n], not {predicted.shape} and {mean.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(predicted))
    if bad.size:
        raise ValueError(f"predicted rating {bad[0]} is {predicted[bad[0]]}, not a number")
    known = ~np.isnan(mean)
    return predicted[known], mean[known]


def _average(values: np.ndarray) -> float:
    return float(np.mean(values)) if values.size else float("nan")


def mae(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Mean absolute error, lower is better.

    Within 1e-12, relatively, of ``sklearn.metrics.mean_absolute_error``.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.

    Returns:
        0 or more, in units of the rating scale.
    """
    predicted, mean = _rated(predicted, mean)
    return _average(np.abs(predicted - mean))


def rmse(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Root of the mean square error, lower is better.

    Within 1e-12, relatively, of the root of ``sklearn.metrics.mean_squared_error``.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.

    Returns:
        0 or more, in units of the rating scale.
    """
    predicted, mean = _rated(predicted, mean)
    return float(np.sqrt(_average(np.square(predicted - mean))))


def pearson(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Pearson's correlation, how nearly one is a linear function of the other; higher is better.

    Within 1e-9 of ``scipy.stats.pearsonr``, of predictions scaled by 1e-6 or 1e6 too.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.

    Returns:
        -1 to 1; NaN where it is not defined, because one of the two is constant.
    """
    predicted, mean = _rated(predicted, mean)
    if not predicted.size or np.ptp(predicted) == 0 or np.ptp(mean) == 0:
        return float("nan")
    one, other = (values - values.mean() for values in (predicted, mean))
    # Rounding can lead a hair beyond 1.
    return float(np.clip(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)), -1.0, 1.0))


def spearman(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Spearman's correlation, Pearson's of the ranks; higher is better.

    Within 1e-12 of ``scipy.stats.spearmanr``, with ties too.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown. Equal values share the mean of their ranks.

    Returns:
        -1 to 1; NaN where it is not defined, because one of the two is constant.
    """
    predicted, mean = _rated(predicted, mean)
    return pearson(rankdata(predicted), rankdata(mean))


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
    predicted, mean = _rated(predicted, np.where(known, mean, np.nan))
    return _average(np.abs(predicted - mean) <= std[known])


def natural_accuracy(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Share of pictures that are called natural, or not, as people do; higher is better.

    Within 1e-12, relatively, of ``sklearn.metrics.accuracy_score`` at the bound of 5.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.

    Returns:
        0 to 1; a rating of 5 or more is natural.
    """
    predicted, mean = _rated(predicted, mean)
    return _average((predicted >= NATURAL) == (mean >= NATURAL))


def rating_figures(predicted: np.ndarray, mean: np.ndarray, std: np.ndarray) -> dict[str, float]:
    """Returns every figure of this module; their tolerances stand there.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.
        std: float [n], NaN where unknown.

    Returns:
        ``mae``, ``rmse``, ``pearson``, ``spearman``, ``within_std`` and ``natural_accuracy``.
    """
    return {
        "mae": mae(predicted, mean),
        "rmse": rmse(predicted, mean),
        "pearson": pearson(predicted, mean),
        "spearman": spearman(predicted, mean),
        "within_std": share_within_std(predicted, mean, std),
        "natural_accuracy": natural_accuracy(predicted, mean),
    }
