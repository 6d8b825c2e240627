"""Simulated raters: three naturalness ratings of a damaged face, whole numbers 1 to 10."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

RATERS = 3
"""Ratings for each picture, as in LEGAN's perceptual study."""

_UNDAMAGED = 9.0
_RUINED = 1.3

# Loss of naturalness by each kind of damage at severity 1, as a share.
_HARM = {
    "blur": 0.85,
    "blobs": 0.95,
    "noise": 0.85,
    "warp": 0.90,
    "colour_cast": 0.80,
    "seam": 0.85,
    "specks": 0.85,
    "grid": 0.75,
    "ghost": 0.85,
    "shadow": 0.70,
}


class Rater(NamedTuple):
    """One simulated person.

    Attributes:
        bias: Difference to the average rater; above 0 is kinder.
        noise: Standard deviation of ratings of the same picture.
    """

    bias: float
    noise: float


def panel(seed: int) -> tuple[Rater, ...]:
    """Returns three raters."""
    rng = np.random.default_rng([7003, seed])
    return tuple(
        Rater(bias=float(rng.normal(0, 0.5)), noise=float(rng.uniform(0.4, 1.0)))
        for _ in range(RATERS)
    )


def naturalness(severities: Mapping[str, float]) -> float:
    """Returns the naturalness of a picture on the scale 1 to 10, without bias and noise.

    The severities, in [0, 1], are those of each kind of damage to it.

    Raises:
        ValueError: A kind of damage is not known.
    """
    left = 1.0
    for kind, severity in severities.items():
        if kind not in _HARM:
            raise ValueError(f"There is no damage {kind!r}; choose from {', '.join(_HARM)}.")
        # People notice light damage early.
        left *= 1 - _HARM[kind] * severity**0.7
    return _RUINED + (_UNDAMAGED - _RUINED) * left


def rate(
    naturalness: np.ndarray, raters: tuple[Rater, ...], rng: np.random.Generator
) -> np.ndarray:
    """Returns the rating of every picture by every rater, int32 [n, raters], 1 to 10.

    For each picture, float [n], ``naturalness`` is as ``naturalness()`` returns it.
    """
    bias, noise = np.transpose(raters)
    ratings = np.asarray(naturalness)[:, None] + bias
    ratings = ratings + noise * rng.normal(size=ratings.shape)
    return np.clip(np.round(ratings), 1, 10).astype(np.int32)
