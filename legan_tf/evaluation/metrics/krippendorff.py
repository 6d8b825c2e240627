"""Krippendorff's alpha, the agreement of raters."""

from __future__ import annotations

import numpy as np

LEVELS = ("nominal", "ordinal", "interval")
"""Levels of measurement: values are names, ranks or numbers."""


def krippendorff_alpha(values: np.ndarray, level: str) -> float:
    """Krippendorff's alpha, agreement beyond chance; higher is better.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), parts C and D: one less the
    disagreement within units over that of all values put together. Units with one value or none
    compare nothing and are left out. Tested on that paper's example and on others by hand, to which
    it is equal to the digits printed.

    Args:
        values: float [raters, units], NaN where a rater did not judge a unit. Who gave which of a
            unit's values does not matter.
        level: ``nominal``, where the values stand for classes; ``ordinal``, where they are ranks;
            or ``interval``.

    Returns:
        1 where all agree, about 0 for chance, below it for more disagreement than that; NaN where
        it is not defined, because nothing is compared or all values are equal.

    Raises:
        ValueError: The values have another shape or one is infinite, or there is no such level.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2:
        raise ValueError(f"values must be [raters, units], not {values.shape}")
    if np.isinf(values).any():
        raise ValueError("values must be finite, or NaN where missing")
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    values = values[:, np.sum(~np.isnan(values), axis=0) > 1]
    known = np.unique(values[~np.isnan(values)])
    if len(known) < 2:
        return float("nan")
    # How often each unit has each value, [units, values].
    counts = np.stack([np.sum(values == value, axis=0) for value in known], axis=1)
    weight = 1 / (counts.sum(axis=1) - 1)
    coincidences = (counts * weight[:, None]).T @ counts - np.diag(weight @ counts)
    totals = counts.sum(axis=0)
    distances = _distances(known, totals, level)
    expected = np.outer(totals, totals) / (totals.sum() - 1)
    return float(1 - np.sum(coincidences * distances) / np.sum(expected * distances))


def _distances(known: np.ndarray, totals: np.ndarray, level: str) -> np.ndarray:
    """The square of the difference of each two values, [values, values]."""
    if level == "nominal":
        return 1.0 - np.eye(len(known))
    places = known
    if level == "ordinal":
        # Up to a constant, the mean rank: between two values lie all that are between, and half of
        # those that are equal to either.
        places = np.cumsum(totals) - totals / 2
    return np.square(places[:, None] - places[None, :])
