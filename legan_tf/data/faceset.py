"""Face sets: the form in which every data set reaches training and evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from legan_tf.data.action_units import ACTION_UNITS, NAMES, of_head
from legan_tf.data.conditions import ClassCondition, Condition, RangeCondition, only


def from_pool(pictures: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the ``load`` of a face set whose pictures, uint8 [n, S, S, 3], are all in memory."""
    with tf.device("/CPU:0"):  # A pool of gigabytes has no place in a GPU's memory.
        pool = tf.convert_to_tensor(pictures)

    def load(index: tf.Tensor) -> tf.Tensor:
        with tf.device("/CPU:0"):
            return tf.gather(pool, index)

    return load


@dataclasses.dataclass(frozen=True)
class Surface:
    """The surfaces of the faces in N pictures, without light.

    Attributes:
        depth: float32 [N, S, S], larger is nearer, in half widths of the picture; NaN outside
            the head.
        normals: float32 [N, S, S, 3], unit; x points right, y up, z to the viewer.
        albedo: float32 [N, S, S, 3], linear RGB in [0, 1].
        mask: bool [N, S, S], the face without hair, ears and neck.
        parts: uint8 [N, S, S], index into ``legan_tf.head.morphable_head.PARTS``; one more than
            the last where no head is.
        uv: float32 [N, S, S, 2], places of the skin in a chart that all people share, in shares of
            its height and width; NaN elsewhere.
    """

    depth: np.ndarray
    normals: np.ndarray
    albedo: np.ndarray
    mask: np.ndarray
    parts: np.ndarray
    uv: np.ndarray


Truth = Callable[[int, Mapping[str, Any]], np.ndarray]
"""Maps an index and labels by condition to a picture or a map of the same person under these
labels, uint8 [S, S, 3]; a condition that is not named, or ``UNKNOWN``, is the picture's own."""


@dataclasses.dataclass(frozen=True)
class FaceSet:
    """One split of one data set: labels in memory, images on demand.

    Attributes:
        name: Its name in reports, for example ``rendered/test``.
        image_size: Height and width of every image, in pixels.
        conditions: What its pictures are labelled with, in the order of codes and signatures.
        labels: The labels by condition, [n, *label_shape], int32 but for action units.
        identities: Names of the people.
        identity: int32 [n], index into ``identities``; -1 where unknown.
        rating_mean: float32 [n], mean naturalness rating, 1 to 10; NaN where unknown.
        rating_std: float32 [n], population standard deviation of the ratings; NaN where unknown.
        load: Maps an int64 scalar tensor (an index) to a uint8 image [size, size, 3]. May be
            called inside a TensorFlow graph.
        truth: The true image under other labels. Only rendered faces have one.
        surface: Maps n indices and n expressions to the true surfaces of the same people under
            these expressions. Only rendered faces have one.
        map_kind: ``depth`` or ``normal`` where ``maps`` are such; empty where there are none.
        maps: Maps an index, like ``load``, to the uint8 map [size, size, 3] of that image's
            surface, as ``legan_tf.data.maps`` has it; all black where it is not known.
        action_units: float32 [n, A], the intensity of each of
            ``legan_tf.head.action_units.MEASURED`` in the pictures. Only rendered faces have them.
        light_directions: float32 [n, 3], unit vectors to the flashes, x right, y up, z to the
            viewer; 0 without a flash. Only rendered faces have them.
        true_map: The true map under other labels, in that form. Only rendered faces that have maps
            have one.
        measured_units: Action units of photographs as a condition has them, and their labels,
            float32 [n, N]; see ``unit_labels``.
    """

    name: str
    image_size: int
    conditions: tuple[Condition, ...]
    labels: Mapping[str, np.ndarray]
    identities: tuple[str, ...]
    identity: np.ndarray
    rating_mean: np.ndarray
    rating_std: np.ndarray
    load: Callable[[tf.Tensor], tf.Tensor]
    truth: Truth | None = None
    surface: Callable[[np.ndarray, np.ndarray], Surface] | None = None
    map_kind: str = ""
    maps: Callable[[tf.Tensor], tf.Tensor] | None = None
    action_units: np.ndarray | None = None
    light_directions: np.ndarray | None = None
    true_map: Truth | None = None
    measured_units: tuple[RangeCondition, np.ndarray] | None = None

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.identity)

    def condition(self, name: str) -> Condition | None:
        """Returns the condition of that name, if its pictures are labelled with it."""
        return next((one for one in self.conditions if one.name == name), None)

    def names(self, condition: str) -> tuple[str, ...]:
        """Returns the names of a condition's classes or attributes; none without it."""
        found = self.condition(condition)
        return found.names if found else ()

    def classes(self) -> dict[str, tuple[str, ...]]:
        """Returns the names of the classes by condition, of those that are one class of several."""
        return {one.name: one.names for one in self.conditions if one.kind == ClassCondition.kind}

    def only(self, conditions: Sequence[str], attributes: Sequence[str] = ()) -> FaceSet:
        """Returns the same faces with some of their conditions; see ``conditions.only``.

        Raises:
            KeyError: The faces are not labelled with one of them.
        """
        kept = only(self.conditions, conditions, attributes)
        labels = {
            one.name: one.translated(self.labels[one.name], self.names(one.name)) for one in kept
        }
        return dataclasses.replace(self, conditions=kept, labels=labels)

    def unit_labels(self) -> tuple[RangeCondition, np.ndarray] | None:
        """Returns the action units of the faces as a condition, and its labels, where known.

        Those of rendered faces are exact, mapped from the head's by ``action_units.of_head``.
        """
        if self.action_units is None:
            return self.measured_units
        condition = RangeCondition(ACTION_UNITS, NAMES, source="rendered faces")
        return condition, of_head(self.action_units)

    def with_action_units(self) -> FaceSet:
        """Returns the same faces, labelled with their action units too, where they are known."""
        known = self.unit_labels()
        if known is None:
            return self
        condition, labels = known
        return dataclasses.replace(
            self,
            conditions=(*self.conditions, condition),
            labels={**self.labels, condition.name: labels},
        )

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Returns the images at ``indices`` as uint8 [n, size, size, 3]."""
        return self._stack(self.load, indices)

    def map_images(self, indices: np.ndarray) -> np.ndarray:
        """Returns the maps at ``indices`` as uint8 [n, size, size, 3].

        Raises:
            ValueError: The face set was made without maps.
        """
        if self.maps is None:
            raise ValueError(f"{self.name} was made without maps")
        return self._stack(self.maps, indices)

    def _stack(self, load: Callable[[tf.Tensor], tf.Tensor], indices: np.ndarray) -> np.ndarray:
        if len(indices) == 0:
            return np.zeros((0, self.image_size, self.image_size, 3), np.uint8)
        return np.stack([load(tf.constant(int(i), tf.int64)).numpy() for i in indices])
