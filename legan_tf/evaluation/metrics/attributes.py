"""What is read from faces against what was wanted."""

from __future__ import annotations

import numpy as np


def accuracy(predicted: np.ndarray, wanted: np.ndarray) -> float:
    """Share of predictions that are right, higher is better; unknown labels do not count.

    Args:
        predicted: int [n].
        wanted: int [n]; negative where unknown.

    Returns:
        0 to 1; NaN if no label is known.
    """
    known = np.asarray(wanted) >= 0
    if not known.any():
        return float("nan")
    return float(np.mean(np.asarray(predicted)[known] == np.asarray(wanted)[known]))
