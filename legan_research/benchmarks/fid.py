"""Benchmark of the FID of two sets of statistics, compared with ``scipy.linalg.sqrtm``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import scipy.linalg

from legan_research.benchmarks.paired import PAIRS, Comparison, compare
from legan_tf.evaluation.metrics.fid import Statistics, fid

DIMENSION = 2048
"""Features of the Inception network that FID is defined with."""
COUNTS = (500, 5000)
"""Images of each set: fewer than features, and more."""


def benchmark(
    pairs: int = PAIRS, counts: Sequence[int] = COUNTS, dimension: int = DIMENSION
) -> list[Comparison]:
    """Times the FID of two sets, given their statistics.

    Args:
        pairs: Number of timed pairs.
        counts: Images of each set, one comparison each.
        dimension: Features of each image.
    """
    results = []
    for count in counts:
        first, second = (Statistics.of(x) for x in _features(count, dimension))
        # Computed beforehand: legan_tf's FID needs no covariances, the usual one does.
        covariances = first.covariance, second.covariance
        ours = fid(first, second)
        usual = _fid_by_sqrtm(first.mean, covariances[0], second.mean, covariances[1])
        results.append(
            compare(
                f"FID, {dimension} features, n = {count}",
                ("legan_tf", lambda a=first, b=second: fid(a, b)),
                (
                    "scipy.linalg.sqrtm",
                    lambda a=first, b=second, s=covariances: _fid_by_sqrtm(
                        a.mean, s[0], b.mean, s[1]
                    ),
                ),
                pairs,
                note=f"values {ours:.10g} and {usual:.10g}",
            )
        )
    return results


def _fid_by_sqrtm(
    first_mean: np.ndarray, first: np.ndarray, second_mean: np.ndarray, second: np.ndarray
) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The product is singular for small n, and SciPy warns.
        root = scipy.linalg.sqrtm(first @ second)
    apart = first_mean - second_mean
    return float(apart @ apart + np.trace(first) + np.trace(second) - 2.0 * np.trace(root).real)


def _features(count: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets with variances as those of a network's features, and slightly different means."""
    rng = np.random.default_rng(0)
    strength = np.arange(1, dimension + 1) ** -0.5
    mixing = strength[:, None] * rng.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    return tuple(
        np.maximum(0.0, shift + 3.0 * rng.normal(size=(count, dimension)) @ mixing)
        for shift in (0.10, 0.12)
    )
