"""People who do not exist: what stays the same of a person under any expression and light."""

from __future__ import annotations

import dataclasses

import numpy as np

_TRAITS = 7101


@dataclasses.dataclass(frozen=True)
class Traits:
    """What parts of a person's appearance have in common.

    Attributes:
        number: The person's number, from 0.
        masculine: 0 to 1.
        age: 0 to 1, from 18 to 75 years.
        tone: 0 (light skin) to 1 (dark skin).
    """

    number: int
    masculine: float
    age: float
    tone: float


def traits(number: int) -> Traits:
    """Returns the traits of a person: the same whole number, 0 or more, is the same person."""
    rng = np.random.default_rng([_TRAITS, number])
    man = rng.random() < 0.5
    masculine = rng.uniform(0.65, 1.0) if man else rng.uniform(0.0, 0.35)
    return Traits(number, masculine, rng.random() ** 1.5, rng.random() ** 1.5)
