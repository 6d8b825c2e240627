"""What several seeds say together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

LEVEL = 0.95


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Returns the mean and the standard deviation with n - 1; none of one value.

    Args:
        values: One per seed, at least one.
    """
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None


def paired_difference(
    values: Sequence[float], others: Sequence[float]
) -> tuple[float, tuple[float, float] | None]:
    """Returns the mean of ``values - others`` and the ends of its 95 % interval by Student's t.

    Args:
        values: One per seed.
        others: Of the same seeds in the same order.

    Returns:
        The interval is none of one seed.

    Raises:
        ValueError: They differ in number.
    """
    if len(values) != len(others):
        raise ValueError(f"{len(values)} and {len(others)} values are no pairs")
    mean, std = mean_and_std(np.subtract(values, others))
    if std is None:
        return mean, None
    margin = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * std / np.sqrt(len(values))
    return mean, (float(mean - margin), float(mean + margin))
