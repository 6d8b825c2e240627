"""Landmark finders: one interface for the networks that find faces and their landmarks."""

from __future__ import annotations

import abc
import functools
import math

import numpy as np

from legan_tf.data.align.landmarks import Face, from_mesh

FINDERS = ("tflite", "mediapipe")
"""Names of the finders; the first is the default."""

_MIDDLE_GREY = 0.5
_STRONGEST_GAMMA = 0.4


class LandmarkFinder(abc.ABC):
    """Finds the landmarks of the faces in a picture."""

    @abc.abstractmethod
    def meshes(self, image: np.ndarray) -> list[np.ndarray]:
        """Returns the points of every face of a picture, the largest first.

        Args:
            image: uint8 [H, W, 3], sRGB.

        Returns:
            For each face float64 [478, 3]: MediaPipe's 468 points of the face mesh, and of each
            iris the centre and four points of its rim, first that at the picture's left. x and y
            in pixels, the centre of the first being (0, 0); depth in pixels, larger further away.
        """

    def find(self, image: np.ndarray) -> Face | None:
        """Returns the largest face of a picture, uint8 [H, W, 3], or None."""
        meshes = self.meshes(image)
        return from_mesh(meshes[0], len(meshes)) if meshes else None


def make_finder(name: str = FINDERS[0]) -> LandmarkFinder:
    """Loads the networks of a finder, one of ``FINDERS``, the first time.

    Raises:
        UnavailableError: The finder's package is absent or does not work here.
    """
    return _made(name)


@functools.lru_cache(maxsize=len(FINDERS))
def _made(name: str) -> LandmarkFinder:
    # Imported on use: each has a package of its own.
    if name == "mediapipe":
        from legan_tf.data.align.mediapipe_finder import MediapipeFinder

        return MediapipeFinder()
    from legan_tf.data.align.tflite_finder import TfliteFinder

    return TfliteFinder()


def bounding_box(points: np.ndarray) -> np.ndarray:
    """Returns the upper left and the lower right corner of points [n, 2 or 3], [2, 2]."""
    return np.stack([points[:, :2].min(0), points[:, :2].max(0)])


def longer_side(corners: np.ndarray) -> float:
    """Returns the longer side of a box, [2, 2]."""
    return float(np.max(corners[1] - corners[0]))


def brightened(image: np.ndarray) -> np.ndarray:
    """Brings a dark picture's mean to the middle, as far as that shows more than noise."""
    mean = max(float(image.mean()) / 255, 1e-3)
    gamma = max(math.log(_MIDDLE_GREY) / math.log(mean), _STRONGEST_GAMMA) if mean < 1 else 1.0
    if gamma >= 1:
        return image
    table = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return table[image]
