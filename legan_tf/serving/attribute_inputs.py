"""Attribute codes of requests: from class ids, names or vectors to the input of a generator."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from legan_tf.serving.graph_checks import require, row_names
from legan_tf.serving.labels import KEEP


@dataclasses.dataclass(frozen=True)
class AttributeInput:
    """An attribute that requests set.

    Attributes:
        name: ``expression`` or ``lighting``.
        classes: Names of its classes in the order of their ids; none if the network has none.
        keeps_unnamed: Whether the network can leave it as it is.
    """

    name: str
    classes: tuple[str, ...]
    keeps_unnamed: bool

    def ids(self, names: tf.Tensor) -> tf.Tensor:
        """Maps class names [B] to int32 ids [B]; the empty name maps to ``KEEP``."""
        matches = tf.cast(names[:, tf.newaxis] == tf.constant(self.classes, tf.string), tf.int32)
        ids = tf.reduce_sum(matches * tf.range(1, len(self.classes) + 1), axis=1) - 1
        hint = f"; known are: {', '.join(self.classes)}."
        problem = tf.strings.join(
            [row_names(names), f"unknown {self.name} ", names]
            + [hint if self.classes else self._not_edited("an empty name")]
        )
        with tf.control_dependencies([require((ids >= 0) | (names == ""), problem)]):
            return tf.identity(ids)

    def codes(self, ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Maps ids [rows] to one-hot codes, float32 [rows, classes]; ``KEEP`` to zeros."""
        last = len(self.classes) - 1
        keep = f", or {KEEP} to leave it as it is" if self._may_keep else ""
        hint = f"; known are 0 to {last}{keep} ({', '.join(self.classes)})."
        unknown = tf.strings.join(
            [row_names(ids), f"unknown {self.name} id ", tf.strings.as_string(ids)]
            + [hint if self.classes else self._not_edited(str(KEEP))]
        )
        checks = [
            self._one_per_image(ids, rows),
            require((ids >= KEEP) & (ids <= last), unknown),
            *self._named_checks(ids != KEEP),
        ]
        with tf.control_dependencies(checks):
            return tf.one_hot(ids, len(self.classes))

    def checked_vectors(self, vectors: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns codes, float32 [rows, classes] in [0, 1], after checks; zeros leave it as is."""
        count, width = len(self.classes), tf.shape(vectors)[1]
        wrong_width = tf.strings.join(
            [f"Each row of {self.name} must hold {count} values, one for each class ("]
            + [f"{', '.join(self.classes)}), not ", tf.strings.as_string(width), "."]
        )
        outside = tf.strings.join(
            [row_names(vectors), f"{self.name} holds a value that is no number from 0 to 1."]
        )
        # NaN is neither at least 0 nor at most 1.
        inside = tf.reduce_all((vectors >= 0.0) & (vectors <= 1.0), axis=1)
        checks = [
            self._one_per_image(vectors, rows),
            tf.debugging.Assert(width == count, [wrong_width]),
            require(inside, outside),
            *self._named_checks(tf.reduce_any(vectors != 0.0, axis=1)),
        ]
        with tf.control_dependencies(checks):
            return tf.ensure_shape(vectors, [None, count])

    @property
    def _may_keep(self) -> bool:
        return self.keeps_unnamed or not self.classes

    def _not_edited(self, to_send: str) -> str:
        return f". This model does not edit the {self.name}; send {to_send}."

    def _one_per_image(self, values: tf.Tensor, rows: tf.Tensor) -> tf.Operation:
        return tf.debugging.Assert(
            tf.shape(values)[0] == rows,
            [f"There must be one {self.name} per image; images and {self.name}s given:"]
            + [rows, tf.shape(values)[0]],
        )

    def _named_checks(self, named: tf.Tensor) -> list[tf.Operation]:
        """Returns what fails where ``named`` [B] is false, if the network cannot keep it."""
        if self._may_keep:
            return []
        missing = tf.strings.join(
            [row_names(named), f"no {self.name} given, and this model cannot leave it as it is; "]
            + [f"name one of: {', '.join(self.classes)}."]
        )
        return [require(named, missing)]
