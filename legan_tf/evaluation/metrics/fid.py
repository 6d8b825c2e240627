"""FID, the Fréchet distance of two sets of pictures by the features of a network."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.linalg

from legan_tf.evaluation.metrics.feature_sets import (
    BLOCK,
    People,
    bootstrap_counts,
    check_dimensions,
    checked_features,
    checked_sets,
    normal_interval,
)
from legan_tf.evaluation.metrics.registry import register


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and covariance of the features of one set of pictures.

    Fewer pictures than features give a covariance of low rank. A factor of it is then kept in its
    place, which is smaller and makes ``fid`` faster and more exact.

    Attributes:
        count: Pictures, at least 2.
        mean: float64 [D].
        spread: float64 [r,D]. With r < D a factor A of the unbiased covariance, AᵀA; with r = D
            the unbiased covariance itself.
    """

    count: int
    mean: np.ndarray
    spread: np.ndarray

    def __post_init__(self) -> None:
        """Raises ValueError where the fields do not belong together."""
        if self.count < 2:
            raise ValueError(f"statistics need at least 2 pictures, not {self.count}")
        if (
            self.mean.ndim != 1
            or self.spread.ndim != 2
            or self.spread.shape[1] != len(self.mean)
            or len(self.spread) > len(self.mean)
        ):
            raise ValueError(
                "statistics must have a mean [D] and a spread [r, D] with r at most D, not "
                f"{self.mean.shape} and {self.spread.shape}"
            )
        for name, array in (("mean", self.mean), ("spread", self.spread)):
            if array.dtype != np.float64 or not np.isfinite(array).all():
                raise ValueError(f"the {name} of statistics must be finite and float64")

    @classmethod
    def of(cls, features: np.ndarray) -> Statistics:
        """Returns the statistics of features that are all in memory.

        Args:
            features: Real [n,D], at least 2 rows.

        Raises:
            ValueError: They are not of that form or not finite.
        """
        streaming = StreamingStatistics()
        streaming.update(features)
        return streaming.result()

    @property
    def low_rank(self) -> bool:
        """Whether ``spread`` is a factor of the covariance and not the covariance."""
        return len(self.spread) < len(self.mean)

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance, float64 [D,D]; computed at each call where of low rank."""
        return self.spread.T @ self.spread if self.low_rank else self.spread

    @property
    def variance(self) -> float:
        """The trace of the covariance."""
        if self.low_rank:
            return float(np.vdot(self.spread, self.spread))
        return float(np.trace(self.spread))


class StreamingStatistics:
    """Statistics of features that are added in batches of any size.

    Batches are divided into blocks of a fixed size, so that the result does not depend on the batch
    sizes, not even in the last bit. Blocks are merged by the method of Chan, Golub and LeVeque
    (1979), which stays exact where the mean is large against the deviation. Memory: two or three
    arrays of D×D for any number of pictures.
    """

    def __init__(self) -> None:
        """Initialises without features; the first batch determines their number D."""
        self._block: np.ndarray = np.empty((0, 0))
        self._filled = 0
        self._merged = 0
        self._mean: np.ndarray = np.empty(0)
        self._scatter: np.ndarray = np.empty((0, 0))

    def update(self, features: np.ndarray) -> None:
        """Adds a batch.

        Args:
            features: Real [n,D]; n may be 0.

        Raises:
            ValueError: The batch is not of that form, not finite, or its D differs from that of
                the batches before. Nothing of it has been added then.
        """
        features = checked_features(features)
        if not len(self._block):
            # At least D rows: fewer pictures than features are never merged.
            dimension = features.shape[1]
            self._block = np.empty((max(dimension, BLOCK), dimension))
        if features.shape[1] != self._block.shape[1]:
            raise ValueError(
                f"a batch has {features.shape[1]} features per picture, those before it had "
                f"{self._block.shape[1]}"
            )
        while len(features):
            batch = features[: len(self._block) - self._filled]
            self._block[self._filled : self._filled + len(batch)] = batch
            self._filled += len(batch)
            features = features[len(batch) :]
            if self._filled == len(self._block):
                self._merged, self._mean, self._scatter = self._with_block()
                self._filled = 0

    def result(self) -> Statistics:
        """Returns the statistics of what was added so far; more can be added afterwards.

        Raises:
            ValueError: Fewer than 2 pictures were added.
        """
        count = self._merged + self._filled
        if count < 2:
            raise ValueError(f"statistics need at least 2 pictures, not {count}")
        if count < self._block.shape[1]:
            rows = self._block[:count]
            mean = rows.mean(axis=0)
            return Statistics(count, mean, (rows - mean) / np.sqrt(count - 1))
        count, mean, scatter = self._with_block()
        return Statistics(count, mean.copy(), scatter / (count - 1))

    def _with_block(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Returns count, mean and scatter of the merged blocks and the rows of the current one."""
        if not self._filled:
            return self._merged, self._mean, self._scatter
        rows = self._block[: self._filled]
        mean = rows.mean(axis=0)
        centred = rows - mean
        scatter = centred.T @ centred
        if not self._merged:
            return self._filled, mean, scatter
        count = self._merged + self._filled
        apart = mean - self._mean
        share = self._filled / count
        scatter += self._scatter
        scatter += np.outer(apart, apart * (self._merged * share))
        return count, self._mean + apart * share, scatter


def fid(first: Statistics, second: Statistics) -> float:
    """Fréchet distance of two sets of features, lower is better (Heusel et al., NeurIPS 2017).

    That of two Gaussians, |m₁ − m₂|² + tr(S₁ + S₂ − 2 (S₁S₂)^½). The trace of the root is taken
    from the eigenvalues of S₁S₂ as a symmetric problem, or from the singular values of A₁A₂ᵀ
    where Sᵢ = AᵢᵀAᵢ is of low rank, so that it is real for any number of pictures and any rank.

    Of features of full rank it is within 1e-11, relatively, of the formula with
    ``scipy.linalg.sqrtm``; with fewer pictures than features it is within 2e-6, and with repeated
    pictures within 1e-5, as that root is less exact there. It is within 1e-6 of TF-GAN's
    ``frechet_classifier_distance_from_activations``. All of that holds as tested, of 24 features
    of 2 to 300 pictures.

    The estimate is too high by an amount that shrinks with the number of pictures: compare only
    numbers of as many pictures and of one network.

    Args:
        first: Statistics of one set.
        second: Those of the other, from the same network.

    Returns:
        0 or more; below 1e-7 for a set with itself, and the same either way round within 1e-7.

    Raises:
        ValueError: The two have different numbers of features.
    """
    check_dimensions(len(first.mean), len(second.mean))
    apart = first.mean - second.mean
    spread = first.variance + second.variance - 2.0 * _trace_of_root(first, second)
    return max(0.0, float(apart @ apart) + spread)


def _trace_of_root(first: Statistics, second: Statistics) -> float:
    """Returns the trace of (S₁S₂)^½."""
    if first.low_rank and second.low_rank:
        return float(np.linalg.svd(first.spread @ second.spread.T, compute_uv=False).sum())
    if second.low_rank:
        first, second = second, first
    if first.low_rank:
        squares = np.linalg.eigvalsh(first.spread @ second.spread @ first.spread.T)
    else:
        try:
            # By a Cholesky factor of S₁: three times as fast as by a root from eigenvectors.
            squares = scipy.linalg.eigh(
                second.spread, first.spread, type=2, driver="gv", eigvals_only=True
            )
        except scipy.linalg.LinAlgError:  # S₁ is singular: features without variance, say.
            values, vectors = np.linalg.eigh(first.spread)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            squares = np.linalg.eigvalsh(root.T @ second.spread @ root)
    return float(np.sqrt(np.maximum(squares, 0.0)).sum())  # Zeros may be rounded below 0.


def fid_interval(
    first: np.ndarray,
    second: np.ndarray,
    resamples: int = 50,
    seed: int = 0,
    people: People | None = None,
) -> tuple[float, float]:
    """95 % bootstrap interval of FID; see ``feature_sets.normal_interval``.

    Takes as long as computing ``resamples`` values of FID.

    Args:
        first: Real [n,D], features of one set, at least 2 rows.
        second: Real [m,D], those of the other, at least 2 rows.
        resamples: How often both sets are drawn, with replacement; at least 2.
        seed: Seed of the draws.
        people: Who is in the pictures, to draw people; see ``feature_sets.bootstrap_counts``.

    Returns:
        The lower end, never below 0, and the upper end.

    Raises:
        ValueError: The features are not of that form or not finite, or there are too few resamples.
    """
    first, second = checked_sets(first, second)
    drawn = bootstrap_counts(first, second, resamples, seed, people)
    values = [
        fid(_resampled(first, drawn[0][:, b]), _resampled(second, drawn[1][:, b]))
        for b in range(resamples)
    ]
    low, high = normal_interval(fid(Statistics.of(first), Statistics.of(second)), values)
    return max(0.0, low), high


@register("fid", "FID", "lower", "features reference_features", interval=fid_interval,
          by_other_network="Fréchet distance", order=(10, None),
          source="Heusel et al. 2017")  # fmt: skip
def fid_of_features(first: np.ndarray, second: np.ndarray) -> float:
    """Fréchet distance of the features of pictures and of real pictures, lower is better.

    Args:
        first: Real [n,D], n at least 2.
        second: Real [m,D], m at least 2.
    """
    return fid(Statistics.of(first), Statistics.of(second))


def _resampled(features: np.ndarray, draws: np.ndarray) -> Statistics:
    """Returns the statistics of a resample that drew row i ``draws[i]`` times."""
    drawn = np.flatnonzero(draws)  # Two rows in three: a third is never drawn.
    rows, weights = features[drawn].astype(np.float64), draws[drawn]
    count = int(weights.sum())  # Of people, who have different numbers of pictures, not always n.
    mean = weights @ rows / count
    rows -= mean
    rows *= np.sqrt(weights / (count - 1))[:, None]
    return Statistics(count, mean, rows if len(rows) < rows.shape[1] else rows.T @ rows)
