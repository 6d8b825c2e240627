"""How one metric goes with the others over several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.evaluation.metrics.ratings import pearson, spearman

FEWEST_MODELS = 3
"""The fewest that are correlated: two always lie on a line, which tells nothing."""


def correlations(
    values: Mapping[str, Sequence[float]], against: str
) -> dict[str, dict[str, float]]:
    """Correlates every metric with one of them over models.

    On LEGAN's published table Spearman's is within 1e-12 of what follows from the order and
    Pearson's has the three digits that are known; see ``ratings`` for the two themselves.

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
