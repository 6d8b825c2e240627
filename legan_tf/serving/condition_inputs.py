"""Conditions as inputs of signatures: from what requests send to the code for the generator."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from legan_tf.data.conditions import (
    UNKNOWN,
    BinaryCondition,
    ClassCondition,
    Condition,
    RangeCondition,
)
from legan_tf.serving.graph_checks import require, row_names


@dataclasses.dataclass(frozen=True)
class ConditionInput:
    """A condition that requests set by its labels, in numbers.

    Attributes:
        condition: The condition.
        keeps_unnamed: Whether the network can leave it as it is.
    """

    condition: Condition
    keeps_unnamed: bool

    @property
    def spec(self) -> tf.TensorSpec:
        """The labels, int32 [B, *label_shape]."""
        # Widths are left open, so that a wrong one is answered with a sentence.
        shape = [None] * (1 + len(self.condition.label_shape))
        return tf.TensorSpec(shape, tf.int32, self.condition.name)

    @property
    def text_spec(self) -> tf.TensorSpec:
        """What stands for the labels beside encoded pictures."""
        return self.spec

    @property
    def vector_spec(self) -> tf.TensorSpec:
        """The code itself, float32 [B, size]."""
        return tf.TensorSpec([None, None], tf.float32, self.condition.name)

    def labels(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the labels that inputs of ``text_spec`` stand for."""
        return texts

    def code(self, labels: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the code of labels, float32 [rows, size], after checks."""
        one, known = self.condition, (labels >= UNKNOWN) & (labels < self.condition.values)
        ids, many = tf.strings.as_string(labels), len(one.label_shape)
        keep = f", or {UNKNOWN} to leave it as it is" if self.keeps_unnamed else ""
        unknown = tf.strings.join(
            [row_names(labels), f"unknown {one.name} id{'s' * many} "]
            + [tf.strings.reduce_join(ids, axis=1, separator=", ") if many else ids]
            + [f"; known are 0 to {one.values - 1}{keep} ({', '.join(one.names)})."]
        )
        checks = [
            *self._shape_checks(labels, rows),
            require(_all_of_row(known), unknown),
            *self._named_checks(_all_of_row(labels != UNKNOWN)),
        ]
        with tf.control_dependencies(checks):
            return one.code(tf.ensure_shape(labels, [None, *one.label_shape]))

    def checked_vectors(self, vectors: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns codes as they are, float32 [rows, size] in [0, 1], after checks."""
        one, vectors = self.condition, self._in_range(vectors, rows)
        left = one.code(tf.constant(one.unknown(1)))
        with tf.control_dependencies(self._named_checks(tf.reduce_any(vectors != left, axis=1))):
            return tf.identity(vectors)

    def _in_range(self, vectors: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns vectors as they are, float32 [rows, size], after checks of shape and range."""
        one = self.condition
        outside = tf.strings.join(
            [row_names(vectors), f"{one.name} holds a value that is no number from 0 to 1."]
        )
        # NaN is neither at least 0 nor at most 1.
        inside = _all_of_row((vectors >= 0.0) & (vectors <= 1.0))
        with tf.control_dependencies(
            [*self._shape_checks(vectors, rows), require(inside, outside)]
        ):
            return tf.ensure_shape(vectors, [None, one.size])

    def _shape_checks(self, values: tf.Tensor, rows: tf.Tensor) -> list[tf.Operation]:
        one, shape = self.condition, tf.shape(values)
        told = [f"There must be one row of {one.name} per image; images and rows given:"]
        checks = [tf.debugging.Assert(shape[0] == rows, [*told, rows, shape[0]])]
        if values.shape.rank > 1:
            width = tf.strings.join(
                [f"Each row of {one.name} must hold {one.size} values, one for each of "]
                + [f"({', '.join(one.names)}), not ", tf.strings.as_string(shape[1]), "."]
            )
            checks.append(tf.debugging.Assert(shape[1] == one.size, [width]))
        return checks

    def _named_checks(self, named: tf.Tensor) -> list[tf.Operation]:
        """Returns what fails where ``named`` [B] is false, if the network cannot keep it."""
        if self.keeps_unnamed:
            return []
        one = self.condition
        missing = f"this model cannot leave {one.name} as it is; known are: {', '.join(one.names)}."
        return [require(named, tf.strings.join([row_names(named), missing]))]


@dataclasses.dataclass(frozen=True)
class ClassInput(ConditionInput):
    """A class, by its id, and beside encoded pictures by its name, empty to leave it as it is."""

    @property
    def text_spec(self) -> tf.TensorSpec:
        """The names, string [B]."""
        return tf.TensorSpec([None], tf.string, self.condition.name)

    def labels(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the ids of names."""
        one = self.condition
        matches = tf.cast(texts[:, tf.newaxis] == tf.constant(one.names, tf.string), tf.int32)
        ids = tf.reduce_sum(matches * tf.range(1, one.size + 1), axis=1) + UNKNOWN
        problem = tf.strings.join(
            [row_names(texts), f"unknown {one.name} ", texts]
            + [f"; known are: {', '.join(one.names)}."]
        )
        with tf.control_dependencies([require((ids != UNKNOWN) | (texts == ""), problem)]):
            return tf.identity(ids)


@dataclasses.dataclass(frozen=True)
class RangeInput(ConditionInput):
    """Numbers from 0 to 1, such as action units, which are their own code."""

    @property
    def spec(self) -> tf.TensorSpec:
        """The numbers, float32 [B, size]."""
        return self.vector_spec

    def code(self, labels: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the numbers, float32 [rows, size], after checks."""
        return self._in_range(labels, rows)

    def checked_vectors(self, vectors: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the numbers, float32 [rows, size], after checks; 0 everywhere is a value too."""
        return self._in_range(vectors, rows)


INPUTS: dict[str, type[ConditionInput]] = {
    ClassCondition.kind: ClassInput,
    BinaryCondition.kind: ConditionInput,
    RangeCondition.kind: RangeInput,
}
"""The input of each kind of condition."""


def input_of(condition: Condition, keeps_unnamed: bool) -> ConditionInput:
    """Returns the input of a condition, by its kind."""
    return INPUTS[condition.kind](condition, keeps_unnamed)


def _all_of_row(holds: tf.Tensor) -> tf.Tensor:
    """Returns whether all of each row holds, bool [B] of bool [B, ...]."""
    return tf.reduce_all(holds, axis=list(range(1, holds.shape.rank)))
