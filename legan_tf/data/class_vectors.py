"""Vectors that stand for classes: which action units a network is told for "smile"."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data.action_units import prototype
from legan_tf.errors import UserError

EXEMPLAR, CLASS_MEAN, MEDOID, PROTOTYPE = "exemplar", "class_mean", "medoid", "prototype"
POLICIES = (EXEMPLAR, CLASS_MEAN, MEDOID, PROTOTYPE)
"""Which vector stands for a class: that of a random training picture of the class; the mean of all;
that of the picture which is nearest to all others; or what the tables of FACS have."""

_EXAMPLES = 32
_COMPARED = 1000
"""Pictures of a class among which the medoid is looked for, so that large sets take no hours."""
_DIGITS = 4

Vector = tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class ClassVectors:
    """The vectors of one condition that stand for the classes of another one.

    Attributes:
        condition: Name of the condition of classes, such as ``expression``.
        names: Names of its classes, of which there are training pictures.
        examples: Of each class the vectors of up to 32 random training pictures.
        means: Of each class the mean over all training pictures.
        medoids: Of each class the vector that is nearest to all others.
    """

    condition: str
    names: tuple[str, ...]
    examples: tuple[tuple[Vector, ...], ...]
    means: tuple[Vector, ...]
    medoids: tuple[Vector, ...]

    @classmethod
    def of(
        cls, condition: str, names: Sequence[str], ids: np.ndarray, vectors: np.ndarray, seed: int
    ) -> ClassVectors | None:
        """Returns the vectors of the classes of training pictures; none if no class has any.

        Args:
            condition: Name of the condition of classes.
            names: Names of its classes.
            ids: int [n], the class of each picture, negative where unknown.
            vectors: float [n, N]; pictures with NaN are left out.
            seed: Seed of the examples.
        """
        rng = np.random.default_rng(seed)
        found = {}
        for place, name in enumerate(names):
            rows = np.flatnonzero((ids == place) & ~np.isnan(vectors).any(axis=1))
            if len(rows):
                of_class = vectors[rng.permutation(rows)].astype(np.float64)
                some = of_class[:_COMPARED]
                apart = np.linalg.norm(some[:, None] - some[None], axis=-1).sum(axis=1)
                found[name] = (of_class[:_EXAMPLES], of_class.mean(0), some[np.argmin(apart)])
        if not found:
            return None
        examples, means, medoids = zip(*found.values())
        return cls(
            condition,
            tuple(found),
            tuple(tuple(map(_plain, some)) for some in examples),
            tuple(map(_plain, means)),
            tuple(map(_plain, medoids)),
        )

    def vector(self, place: int, policy: str, number: int, names: Sequence[str]) -> np.ndarray:
        """Returns the vector that stands for a class, float32 [N].

        Args:
            place: Place of the class in ``names`` of this object.
            policy: One of ``POLICIES``.
            number: Which of the examples, counted from 0 and again from the first after the last.
            names: What the N numbers are of, for ``prototype``.

        Raises:
            UserError: The tables of FACS do not have the class.
        """
        if policy == PROTOTYPE:
            found = prototype(self.names[place], names)
            if found is None:
                raise UserError(
                    f"--class_policy={policy}: FACS has no table of {self.names[place]!r}; choose "
                    "another policy."
                )
            return found
        if policy == EXEMPLAR:
            of_class = self.examples[place]
            return np.array(of_class[number % len(of_class)], np.float32)
        return np.array({CLASS_MEAN: self.means, MEDOID: self.medoids}[policy][place], np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Returns the vectors as plain values, for files."""
        return {field.name: _lists(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassVectors:
        """Returns what ``to_dict`` described.

        Raises:
            ValueError: The values describe nothing of the kind.
        """
        try:
            return cls(**{f.name: _tuples(values[f.name]) for f in dataclasses.fields(cls)})
        except KeyError as error:
            raise ValueError(f"the vectors of classes lack {error}") from error


def _plain(vector: np.ndarray) -> Vector:
    return tuple(round(float(value), _DIGITS) for value in vector)


def _lists(value: Any) -> Any:
    return [_lists(one) for one in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, (list, tuple)) else value
