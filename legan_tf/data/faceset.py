"""Face sets: the form in which every data set reaches training and evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from legan_tf.data.attributes import UNKNOWN


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
    """

    depth: np.ndarray
    normals: np.ndarray
    albedo: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True)
class FaceSet:
    """One split of one data set: labels in memory, images on demand.

    Attributes:
        name: Its name in reports, for example ``rendered/test``.
        image_size: Height and width of every image, in pixels.
        expressions: Names of the expression classes.
        lightings: Names of the lighting classes.
        identities: Names of the people.
        expression: int32 [n], index into ``expressions``; -1 where unknown.
        lighting: int32 [n], index into ``lightings``; -1 where unknown.
        identity: int32 [n], index into ``identities``; -1 where unknown.
        rating_mean: float32 [n], mean naturalness rating, 1 to 10; NaN where unknown.
        rating_std: float32 [n], population standard deviation of the ratings; NaN where unknown.
        load: Maps an int64 scalar tensor (an index) to a uint8 image [size, size, 3]. May be
            called inside a TensorFlow graph.
        truth: Maps (index, expression, lighting) to the true uint8 image of the same person under
            that expression and light. Only rendered faces have one.
        surface: Maps n indices and n expressions to the true surfaces of the same people under
            these expressions. Only rendered faces have one.
        map_kind: ``depth`` or ``normal`` where ``maps`` are such; empty where there are none.
        maps: Maps an index, like ``load``, to the uint8 map [size, size, 3] of that image's
            surface, as ``legan_tf.data.maps`` has it; all black where it is not known.
        true_map: Maps (index, expression) to the true map of the same person under that
            expression, in that form. Only rendered faces that have maps have one.
    """

    name: str
    image_size: int
    expressions: tuple[str, ...]
    lightings: tuple[str, ...]
    identities: tuple[str, ...]
    expression: np.ndarray
    lighting: np.ndarray
    identity: np.ndarray
    rating_mean: np.ndarray
    rating_std: np.ndarray
    load: Callable[[tf.Tensor], tf.Tensor]
    truth: Callable[[int, int, int], np.ndarray] | None = None
    surface: Callable[[np.ndarray, np.ndarray], Surface] | None = None
    map_kind: str = ""
    maps: Callable[[tf.Tensor], tf.Tensor] | None = None
    true_map: Callable[[int, int], np.ndarray] | None = None

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.expression)

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

    def without_lighting_labels(self) -> FaceSet:
        """Returns the same faces without lighting classes, for editors of expressions alone.

        The true image of a face under another expression keeps that face's own light.
        """
        own, truth = self.lighting, self.truth

        def of_expression(index: int, expression: int, lighting: int) -> np.ndarray:
            return truth(index, expression, int(own[index]))

        return dataclasses.replace(
            self,
            lightings=(),
            lighting=np.full_like(own, UNKNOWN),
            truth=of_expression if truth else None,
        )
