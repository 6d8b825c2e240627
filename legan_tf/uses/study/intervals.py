"""How far a share or a mean could be another with other people and other pictures."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binomtest

DRAWS = 2000
FEWEST_RATERS = 5
"""People without whom a mean rating gets no interval; that of a share is held by Wilson's."""
_ENDS = (2.5, 97.5)


def resample(sums: np.ndarray, counts: np.ndarray, seed: int) -> np.ndarray:
    """Draws people and sources anew, with replacement, and takes the ratios again.

    Answers of one person are alike, and so are answers on one source: an interval that counts
    single answers is too narrow. This bootstrap draws both sides independently, which is slightly
    conservative for many people (Owen, "The pigeonhole bootstrap", 2007) and too narrow for few:
    in simulations, 95 % intervals of a mean rating held the truth in 0.90 of the cases with 4 to 6
    people, and in 0.79 with 2 or 3.

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


def wilson(chosen: float, answers: float) -> tuple[float, float]:
    """Returns the ends of Wilson's 95 % interval of a share, over single answers."""
    ends = binomtest(round(chosen), round(answers)).proportion_ci(method="wilson")
    return float(ends.low), float(ends.high)


def newcombe(one: float, other: float, answers: float) -> tuple[float, float]:
    """Returns the ends of the 95 % interval of the difference of two shares of the same choices.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based
    on paired data" (1998): of Wilson's two intervals. What goes to one model is lost to the other,
    which makes the shares correlate as those of a multinomial do; with two models in all, the ends
    are those of twice the one share, less 1.

    Args:
        one: How many choices fell on the first.
        other: How many on the second.
        answers: How many there were.
    """
    share, less = one / answers, other / answers
    (low, high), (less_low, less_high) = wilson(one, answers), wilson(other, answers)
    rest = (1 - share) * (1 - less)
    correlation = -math.sqrt(min(1.0, share * less / rest)) if rest else -1.0

    def reach(first: float, second: float) -> float:
        return math.sqrt(first**2 + second**2 - 2 * correlation * first * second)

    middle = share - less
    return (
        middle - reach(share - low, less_high - less),
        middle + reach(high - share, less - less_low),
    )


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """Returns the ends of the 95 % interval of what was drawn, [n]; NaN where nothing was."""
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, _ENDS)
    return float(low), float(high)
