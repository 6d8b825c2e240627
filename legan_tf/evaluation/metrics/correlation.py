"""Pearson's and Spearman's correlation, of ratings and of metrics over models.

``pearson`` and ``spearman`` take two arrays; pairs whose second value is NaN are left out, and the
result is NaN without any others. A ValueError is raised where the arrays differ in shape or a value
of the first is not finite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from legan_tf.evaluation.metrics.registry import register

FEWEST_MODELS = 3
"""Fewest models that are correlated: two always lie on a line."""


def known_pairs(predicted: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


@register("pearson", "Pearson", "higher", "predicted_rating mean_rating", kind="scorer",
          order=(30, None), source="standard")  # fmt: skip
def pearson(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Pearson's correlation, how nearly one is a linear function of the other; higher is better.

    Within 1e-9 of ``scipy.stats.pearsonr``, of predictions scaled by 1e-6 or 1e6 too.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown.

    Returns:
        -1 to 1; NaN where it is not defined, because one of the two is constant.
    """
    predicted, mean = known_pairs(predicted, mean)
    if not predicted.size or np.ptp(predicted) == 0 or np.ptp(mean) == 0:
        return float("nan")
    one, other = (values - values.mean() for values in (predicted, mean))
    # Rounding can lead a hair beyond 1.
    return float(np.clip(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)), -1.0, 1.0))


@register("spearman", "Spearman", "higher", "predicted_rating mean_rating", kind="scorer",
          order=(40, None), source="standard")  # fmt: skip
def spearman(predicted: np.ndarray, mean: np.ndarray) -> float:
    """Spearman's correlation, Pearson's of the ranks; higher is better.

    Within 1e-12 of ``scipy.stats.spearmanr``, with ties too.

    Args:
        predicted: float [n].
        mean: float [n], NaN where unknown. Equal values share the mean of their ranks.

    Returns:
        -1 to 1; NaN where it is not defined, because one of the two is constant.
    """
    predicted, mean = known_pairs(predicted, mean)
    return pearson(rankdata(predicted), rankdata(mean))


def correlations(
    values: Mapping[str, Sequence[float]], against: str
) -> dict[str, dict[str, float]]:
    """Correlates every metric with one of them over models.

    On LEGAN's published table Spearman's is within 1e-12 of what follows from the order and
    Pearson's has the three digits that are known.

    Args:
        values: Each metric's values, one per model in one order for all; NaN where a model has
            none.
        against: The metric with which to correlate the others.

    Returns:
        For each other metric, in their order: ``n``, the models for which both values are finite;
        ``pearson`` and ``spearman``, -1 to 1, NaN where n is below
        ``FEWEST_MODELS`` or a metric is constant.

    Raises:
        ValueError: ``against`` is not among the metrics, or a metric has more or fewer values.
    """
    if against not in values:
        raise ValueError(f"{against!r} is not among the metrics {', '.join(values)}")
    wanted = np.asarray(values[against], np.float64)
    found = {}
    for name, series in values.items():
        if name == against:
            continue
        other = np.asarray(series, np.float64)
        if other.shape != wanted.shape:
            raise ValueError(
                f"{name} has values {other.shape}, but {against} has {wanted.shape}, one per model"
            )
        both = np.isfinite(wanted) & np.isfinite(other)
        enough = both.sum() >= FEWEST_MODELS
        found[name] = {
            "n": int(both.sum()),
            "pearson": pearson(other[both], wanted[both]) if enough else float("nan"),
            "spearman": spearman(other[both], wanted[both]) if enough else float("nan"),
        }
    return found
