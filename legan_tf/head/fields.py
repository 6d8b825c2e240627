"""Fields over a frame: blurring, and smooth continuation from where they are known."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

_SCALES = (64, 32, 16, 8, 4, 2)
_TRUNCATE = 2.5


def blurred(values: np.ndarray, deviation: float) -> np.ndarray:
    """Returns a field [h, w] or [h, w, c] blurred by a Gaussian, float32; its edge goes on."""
    spread = (deviation, deviation, 0.0)[: values.ndim]
    return gaussian_filter(
        np.asarray(values, np.float32), spread, mode="nearest", truncate=_TRUNCATE
    )


def blurred_within(values: np.ndarray, inside: np.ndarray, deviation: float) -> np.ndarray:
    """Returns a field [h, w] blurred over the points inside [h, w] alone, float32."""
    weight = inside.astype(np.float32)
    return blurred(values * weight, deviation) / np.maximum(blurred(weight, deviation), 1e-3)


def continued(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns a field continued smoothly from where it is known, from coarse to fine.

    Args:
        values: float [h, w, c].
        known: bool [h, w].

    Returns:
        float32 [h, w, c], close to the values where they are known.
    """
    weight = known.astype(np.float32)
    weighted = values * weight[..., None]
    result = np.zeros(values.shape, np.float32)
    for row, scale in enumerate(_SCALES):
        amount = blurred(weight, scale)
        mean = blurred(weighted, scale) / np.maximum(amount, 1e-6)[..., None]
        share = np.clip(4 * amount, 0, 1)[..., None] if row else 1.0
        result = result * (1 - share) + mean * share
    return result


def smooth_step(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Returns 0 below ``low``, 1 above ``high``, and a smooth way between."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def bounds(field: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Returns the rows and columns of all that is not 0 in a field [h, w], with a margin."""
    rows, columns = (np.flatnonzero(field.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )
