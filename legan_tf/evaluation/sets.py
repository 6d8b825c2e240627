"""Sets of pictures against the real ones, by the features that a network sees in them."""

from __future__ import annotations

import hashlib

import numpy as np

from legan_tf.evaluation.cache import Cache
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

        key = {"distances": [_sha256(features), _sha256(self._features)], "seed": seed}
        kept = self._cache.arrays(key, compute)
        return {name: tuple(float(x) for x in kept[name]) for name in ("fid", "kid")}

    def _statistics(self, features: np.ndarray) -> Statistics:
        """Statistics, kept under a hash of the features."""
        key = {"statistics": _sha256(features)}
        return Statistics.from_arrays(
            self._cache.arrays(key, lambda: Statistics.of(features).to_arrays())
        )


def _sha256(features: np.ndarray) -> str:
    digest = hashlib.sha256(f"{features.dtype} {features.shape} ".encode())
    digest.update(np.ascontiguousarray(features).tobytes())
    return digest.hexdigest()
