"""Faces found in pictures, by mediapipe's face mesh; its networks come with the package.

The only module that uses mediapipe.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
from PIL import Image

from legan_tf import optional
from legan_tf.data.align.faces import Face, yaw_from_pairs

# Points of the mesh, by their numbers. Left is the left of the picture; eyes are the contours
# of the lids, not the iris, which moves.
_LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
_RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
_MOUTH_CORNERS = (61, 291)
# Where ibug's 68 points have the jaw and the upper edge of the eyebrows.
_LEFT_OUTLINE = (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 70, 63, 105, 66, 107)
_RIGHT_OUTLINE = (356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 300, 293, 334, 296, 336)
_CHIN = 152
_LEFT_SIDE = (33, 133, 61, 127, 234, 93, 132, 58, 70, 98)
_RIGHT_SIDE = (263, 362, 291, 356, 454, 323, 361, 288, 300, 327)

_MOST_FACES = 5
_LONGEST_SIDE = 1024  # The networks look at 128 and 192 pixels; more detail only takes time.
# How often the picture goes into the side of the square that is searched. The detector misses
# faces that are cut off by the frame; with a border round it, a face is small enough. Without
# one, small faces are larger.
_TRIES = (1.5, 1.0, 2.0)
_MIDDLE_GREY = 0.5
_STRONGEST_GAMMA = 0.4


def require() -> ModuleType:
    """Returns mediapipe.

    Raises:
        UnavailableError: It is not installed or does not work here.
    """
    with _silence():
        return optional.require("mediapipe", "Finding faces")


class FaceFinder:
    """Finds the main face of pictures."""

    def __init__(self) -> None:
        """Loads the networks.

        Raises:
            UnavailableError: mediapipe is not installed or does not work here.
        """
        mediapipe = require()
        with _silence():
            self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
                static_image_mode=True, max_num_faces=_MOST_FACES
            )
            # Its threads have their say when they begin, which is with the first picture.
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))

    def find(self, image: np.ndarray) -> Face | None:
        """Returns the largest face of a picture, or nothing.

        Args:
            image: uint8 [H, W, 3].
        """
        height, width = image.shape[:2]
        shrink = max(1.0, max(height, width) / _LONGEST_SIDE)
        seen = np.asarray(
            Image.fromarray(image).resize(
                (max(1, round(width / shrink)), max(1, round(height / shrink))),
                Image.Resampling.BILINEAR,
                reducing_gap=2.0,
            )
            if shrink > 1
            else image
        )
        seen = _brightened(seen)
        for border in _TRIES:
            meshes = self._meshes(seen, border)
            if meshes:
                scale = np.array([width / seen.shape[1], height / seen.shape[0]])
                return _main_face([_rescaled(mesh, scale) for mesh in meshes])
        return None

    def _meshes(self, image: np.ndarray, border: float) -> list[np.ndarray]:
        """Returns the points of every face, float64 [468, 3], in pixels of the picture."""
        height, width = image.shape[:2]
        # Of pictures that are not square, mediapipe's points are distorted.
        side = math.ceil(max(height, width) * border)
        left, top = (side - width) // 2, (side - height) // 2
        square = np.zeros((side, side, 3), np.uint8)
        square[top : top + height, left : left + width] = image
        with _silence():
            found = self._mesh.process(square).multi_face_landmarks or []
        shift = np.array([left + 0.5, top + 0.5, 0.0])
        return [
            np.array([(point.x, point.y, point.z) for point in face.landmark]) * side - shift
            for face in found
        ]


def _rescaled(mesh: np.ndarray, scale: np.ndarray) -> np.ndarray:
    points = (mesh[:, :2] + 0.5) * scale - 0.5
    return np.concatenate([points, mesh[:, 2:] * scale[0]], axis=1)


def _brightened(image: np.ndarray) -> np.ndarray:
    """Brings a dark picture's mean to the middle, as far as that shows more than noise."""
    mean = max(float(image.mean()) / 255, 1e-3)
    gamma = max(math.log(_MIDDLE_GREY) / math.log(mean), _STRONGEST_GAMMA) if mean < 1 else 1.0
    if gamma >= 1:
        return image
    table = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return table[image]


def _main_face(meshes: list[np.ndarray]) -> Face:
    """Returns the largest face, and how many there are beside it."""
    meshes = sorted(meshes, key=_extent, reverse=True)
    apart: list[np.ndarray] = []
    for mesh in meshes:
        # One face is sometimes found twice, at two sizes.
        if not any(_holds(larger, mesh[:, :2].mean(0)) for larger in apart):
            apart.append(mesh)
    main = apart[0]
    return Face(
        left_eye=main[list(_LEFT_EYE), :2].mean(0),
        right_eye=main[list(_RIGHT_EYE), :2].mean(0),
        mouth=main[list(_MOUTH_CORNERS), :2].mean(0),
        outline=main[[*_LEFT_OUTLINE, _CHIN, *_RIGHT_OUTLINE], :2],
        yaw=yaw_from_pairs(main[list(_LEFT_SIDE)], main[list(_RIGHT_SIDE)]),
        faces=len(apart),
    )


def _extent(mesh: np.ndarray) -> float:
    return float(np.prod(np.ptp(mesh[:, :2], axis=0)))


def _holds(mesh: np.ndarray, point: np.ndarray) -> bool:
    low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
    return bool(np.all(low <= point) and np.all(point <= high))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps what native code writes to stderr from the user."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
