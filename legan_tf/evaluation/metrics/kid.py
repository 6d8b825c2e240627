"""KID, the kernel distance of two sets of pictures by the features of a network."""

from __future__ import annotations

import numpy as np

from legan_tf.evaluation.metrics.feature_sets import (
    BLOCK,
    People,
    bootstrap_counts,
    checked_sets,
    normal_interval,
)
from legan_tf.evaluation.metrics.registry import register


def kid_interval(
    first: np.ndarray,
    second: np.ndarray,
    resamples: int = 50,
    seed: int = 0,
    people: People | None = None,
) -> tuple[float, float]:
    """95 % bootstrap interval of KID; see ``feature_sets.normal_interval``.

    Takes hardly longer than computing one value of KID.

    Args:
        first: Real [n,D], features of one set, at least 2 rows.
        second: Real [m,D], those of the other, at least 2 rows.
        resamples: How often both sets are drawn, with replacement; at least 2.
        seed: Seed of the draws.
        people: Who is in the pictures, to draw people; see ``feature_sets.bootstrap_counts``.

    Returns:
        The lower and the upper end.

    Raises:
        ValueError: The features are not of that form or not finite, or there are too few resamples.
    """
    first, second = checked_sets(first, second)
    drawn = bootstrap_counts(first, second, resamples, seed, people)
    return normal_interval(kid(first, second), _kid(first, second, *drawn))


@register("kid", "KID", "lower", "features reference_features", decimals=4, interval=kid_interval,
          by_other_network="kernel distance", order=(20, None),
          source="Bińkowski et al. 2018")  # fmt: skip
def kid(first: np.ndarray, second: np.ndarray) -> float:
    """Kernel distance of two sets of features, lower is better (Bińkowski et al., ICLR 2018).

    The unbiased estimate of the squared maximum mean discrepancy with the kernel (x·y/D + 1)³,
    over all pairs at once and not averaged over subsets. Memory does not grow with the pairs.
    Within 1e-11, relatively, of TF-GAN's ``kernel_classifier_distance_from_activations`` and of a
    loop over the pairs; of a set with itself within 1e-10.

    Args:
        first: Real [n,D], features of one set, at least 2 rows.
        second: Real [m,D], those of the other, from the same network, at least 2 rows.

    Returns:
        About 0 for two sets of one kind, and then as often a little negative as positive.

    Raises:
        ValueError: The features are not of that form or not finite.
    """
    first, second = checked_sets(first, second)
    return float(_kid(first, second, np.ones((len(first), 1)), np.ones((len(second), 1)))[0])


def _kid(
    first: np.ndarray, second: np.ndarray, draws_first: np.ndarray, draws_second: np.ndarray
) -> np.ndarray:
    """Returns KID of B resamples, [B], from how often each drew each row, [n,B] and [m,B].

    A row is never paired with itself, so that having been drawn twice does not look like
    likeness within the set.
    """
    within = [
        _kernel_sums(features, features, draws, draws, within=True)
        # A resample of two rows may consist of one: it has no pairs, and the sum of none is 0.
        / np.maximum(draws.sum(axis=0) ** 2 - (draws**2).sum(axis=0), 1.0)
        for features, draws in ((first, draws_first), (second, draws_second))
    ]
    between = _kernel_sums(first, second, draws_first, draws_second, within=False)
    pairs = draws_first.sum(axis=0) * draws_second.sum(axis=0)
    return within[0] + within[1] - 2.0 * between / pairs


def _kernel_sums(
    first: np.ndarray,
    second: np.ndarray,
    draws_first: np.ndarray,
    draws_second: np.ndarray,
    within: bool,
) -> np.ndarray:
    """Sums the kernel over pairs of rows, each as often as drawn, [B].

    ``within`` one set, given twice: each half of the symmetric pairs is computed once, and those
    of a row with itself are left out.
    """
    sums = np.zeros(draws_first.shape[1])
    for i in range(0, len(first), BLOCK):
        rows = first[i : i + BLOCK].astype(np.float64)
        rows /= rows.shape[1]
        for j in range(i if within else 0, len(second), BLOCK):
            kernel = rows @ second[j : j + BLOCK].astype(np.float64).T
            kernel += 1.0
            kernel *= kernel * kernel
            if within and i == j:
                np.fill_diagonal(kernel, 0.0)
            pairs = kernel @ draws_second[j : j + BLOCK]
            part = np.einsum("ib,ib->b", draws_first[i : i + BLOCK], pairs)
            sums += 2.0 * part if within and j > i else part
    return sums
