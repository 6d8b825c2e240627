"""Sets of features: their checks, and bootstrap intervals of distances between two sets."""

from __future__ import annotations

import numpy as np

People = tuple[np.ndarray, np.ndarray]
"""The person in each picture of two sets, int [n] and [m], negative where unknown."""

BLOCK = 2048
"""Rows multiplied at a time: 32 MiB of float64 for 2048 features, or for one block of kernel
values, and enough work in each product to keep the processor busy."""
_NORMAL_95 = 1.96


def checked_features(features: np.ndarray) -> np.ndarray:
    """Returns features as an array.

    Args:
        features: Real [n,D], D at least 1.

    Raises:
        ValueError: They are not of that form or not finite.
    """
    features = np.asarray(features)
    if features.ndim != 2 or not features.shape[1] or features.dtype.kind not in "fiu":
        raise ValueError(
            f"features must be real numbers [n, D], not {features.dtype} {features.shape}"
        )
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise ValueError(f"features must be finite; row {row} is not")
    return features


def checked_sets(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two sets of features as arrays; raises ValueError for unequal D or n below 2."""
    first, second = checked_features(first), checked_features(second)
    for features in (first, second):
        if len(features) < 2:
            raise ValueError(f"each set needs at least 2 pictures, one has {len(features)}")
    check_dimensions(first.shape[1], second.shape[1])
    return first, second


def check_dimensions(first: int, second: int) -> None:
    """Raises ValueError if two sets differ in their number of features."""
    if first != second:
        raise ValueError(f"the sets have {first} and {second} features per picture, not as many")


def bootstrap_counts(
    first: np.ndarray,
    second: np.ndarray,
    resamples: int,
    seed: int,
    people: People | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws bootstrap resamples of two sets: people, each with all pictures.

    Pictures of one person are alike, so that as many of other people tell more. A person in both
    sets is drawn for both at once. People in both, in the first only and in the second only are
    drawn apart, as many as there are, so that sets that share nobody are drawn independently.

    Args:
        first: Real [n,D].
        second: Real [m,D].
        resamples: B, at least 2.
        seed: Seed of the draws.
        people: Who is in the pictures; each unknown one is a person of its own, and so is each
            picture where ``resampled_units`` says so.

    Returns:
        How often each resample drew each row, float64 [n,B] and [m,B].

    Raises:
        ValueError: There are fewer than two resamples.
    """
    if resamples < 2:
        raise ValueError(f"resamples must be at least 2, not {resamples}")
    generator = np.random.default_rng(seed)
    one, other = _numbered(len(first), len(second), people)
    counts = np.zeros((resamples, max(one.max(), other.max()) + 1))
    for members in (
        np.intersect1d(one, other),
        np.setdiff1d(one, other),
        np.setdiff1d(other, one),
    ):
        if len(members):
            shares = np.full(len(members), 1.0 / len(members))
            counts[:, members] = generator.multinomial(len(members), shares, resamples)
    return counts[:, one].T, counts[:, other].T


def resampled_units(people: People | None) -> str:
    """Returns what bootstrap resamples draw, as the end of a sentence.

    Pictures where nobody is known, and where a set shows one person alone, of whom there are no
    others to draw.
    """
    if people is None or not any(np.any(ids >= 0) for ids in people):
        return "pictures"
    if any(np.all(ids == ids[0]) and ids[0] >= 0 for ids in people):
        return "pictures"
    unknown = any(np.any(ids < 0) for ids in people)
    return "people, and pictures of unknown people" if unknown else "people"


def _numbered(first: int, second: int, people: People | None) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the people in the rows of two sets of so many, from 0."""
    if people is None or resampled_units(people) == "pictures":
        return np.arange(first), np.arange(first, first + second)
    ids = np.concatenate(people)
    own = ids.max() + 1 + np.arange(len(ids))
    _, numbers = np.unique(np.where(ids < 0, own, ids), return_inverse=True)
    return numbers[:first], numbers[first:]


def normal_interval(estimate: float, resampled: np.ndarray | list[float]) -> tuple[float, float]:
    """Returns the 95 % interval of a distance: the estimate ± 1.96 standard deviations.

    Not the quantiles of the resampled values: repeated rows make every resample less like the other
    set than the pictures are, most of all by FID. The interval is of the value for so many
    pictures; the bias of FID by their number is in both ends.

    Measured on independent Gaussian features (D = 64 with 30 to 1,000 pictures, D = 256 with 100;
    200 repetitions each) it holds the mean over samples 93 to 100 times in 100. Where the sets are
    of one distribution it is too wide, up to 2.6 times, and so is that of FID where n < D;
    elsewhere it holds it 93 to 99 times. With 50 resamples the width itself is uncertain by 10 %.

    Args:
        estimate: The distance of the two sets.
        resampled: That of their resamples, [B].
    """
    margin = _NORMAL_95 * float(np.std(resampled, ddof=1))
    return estimate - margin, estimate + margin
