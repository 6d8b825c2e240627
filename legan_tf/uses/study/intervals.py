"""How far a share or a mean could be another with other people and other pictures."""

from __future__ import annotations

import numpy as np

DRAWS = 2000
_ENDS = (2.5, 97.5)


def resample(sums: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Draws people and sources anew, with replacement, and takes the ratios again.

    Answers of one person are alike, and so are answers on one source: an interval that counts
    single answers is too narrow. This bootstrap draws both sides independently, which is slightly
    conservative (Owen, "The pigeonhole bootstrap", 2007).

    Args:
        sums: float [ratios, raters, sources], what is summed up of each person and source.
        counts: Likewise, over how many answers.
        seed: Decides the draws.

    Returns:
        float [DRAWS, ratios], NaN where a draw holds no answer.
    """
    rng = np.random.default_rng([7104, seed])
    _, raters, sources = sums.shape
    drawn = []
    for _ in range(DRAWS):
        people = np.bincount(rng.integers(raters, size=raters), minlength=raters).astype(float)
        places = np.bincount(rng.integers(sources, size=sources), minlength=sources).astype(float)
        above, below = ((people @ table) @ places for table in (sums, counts))
        drawn.append(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))
    return np.array(drawn)


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """Returns the ends of the 95 % interval of what was drawn, [n]; NaN where nothing was."""
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, _ENDS)
    return float(low), float(high)
