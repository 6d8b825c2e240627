"""Sets of pictures against the real ones, by the features that a network sees in them."""

from __future__ import annotations

import numpy as np

from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.instruments import sha256_of
from legan_tf.evaluation.metrics.sets import Statistics, bootstrap_interval, fid, kid


class Reference:
    """The features of real pictures, and how far others are from them."""

    def __init__(self, features: np.ndarray, cache: Cache) -> None:
        """Takes the features.

        Args:
            features: float [n,D] of real pictures, n at least 2.
            cache: Where statistics and intervals are kept.
        """
        self._features = features
        self._cache = cache

    def distances(self, features: np.ndarray, seed: int) -> dict[str, tuple[float, float, float]]:
        """Returns ``fid`` and ``kid`` of features to the real ones.

        Args:
            features: float [n,D], n at least 2, from the same network.
            seed: Seed of the intervals' draws.

        Returns:
            For each metric its value and the two ends of its 95 % interval.
        """

        def compute() -> dict[str, np.ndarray]:
            values = {
                "fid": fid(self._statistics(features), self._statistics(self._features)),
                "kid": kid(features, self._features),
            }
            return {
                name: np.array(
                    [value, *bootstrap_interval(name, features, self._features, seed=seed)]
                )
                for name, value in values.items()
            }

        key = {"distances": [sha256_of(features), sha256_of(self._features)], "seed": seed}
        kept = self._cache.arrays(key, compute)
        return {name: tuple(float(x) for x in kept[name]) for name in ("fid", "kid")}

    def _statistics(self, features: np.ndarray) -> Statistics:
        """Statistics, kept under a hash of the features."""
        key = {"statistics": sha256_of(features)}
        return Statistics.from_arrays(
            self._cache.arrays(key, lambda: Statistics.of(features).to_arrays())
        )
