"""Landmark finder: faces in pictures by mediapipe's face mesh, whose networks come with it.

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
from legan_tf.data.align.landmarks import Face, yaw_from_pairs

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
_LONGEST_SIDE = 1024  # The networks see 128 to 192 pixels; more detail only takes time.
# How often the picture goes into the side of the square that is searched. The mesh's detector
# misses faces that are cut off by the frame; with a border round it, a face is whole.
_BORDERS = (1.5, 1.0, 2.0)
_SMALL = 0.2  # Of the picture's longer side: a smaller face is searched again, in its part alone.
_CLOSE = 2.0  # Side of the part that is searched then, in sides of the face.
_MIDDLE_GREY = 0.5
_STRONGEST_GAMMA = 0.4


def require() -> ModuleType:
    """Returns mediapipe; raises ``UnavailableError`` where it does not work."""
    with _silence():
        return optional.require("mediapipe", "Finding faces")


class LandmarkFinder:
    """Finds the landmarks of the largest face of a picture.

    Two networks search for faces: that of the mesh finds the large ones, even where the frame cuts
    them off, and another the small ones, from a twelfth of the picture's longer side.
    """

    def __init__(self) -> None:
        """Loads the networks.

        Raises:
            UnavailableError: mediapipe is not installed or does not work here.
        """
        solutions = require().solutions
        with _silence():
            self._mesh = solutions.face_mesh.FaceMesh(
                static_image_mode=True, max_num_faces=_MOST_FACES
            )
            self._detector = solutions.face_detection.FaceDetection(model_selection=1)
            # Their threads write to stderr when they begin, which is with the first picture.
            for network in (self._mesh, self._detector):
                network.process(np.zeros((64, 64, 3), np.uint8))

    def find(self, image: np.ndarray) -> Face | None:
        """Returns the largest face of a picture, uint8 [H, W, 3], or None."""
        seen, scale = _reduced(image)
        candidates = _apart(
            [(_box(mesh), mesh) for mesh in self._meshes(seen, _BORDERS[0])]
            + [(box, None) for box in self._boxes(seen)]
        )
        for border in _BORDERS[1:]:
            if not candidates:
                candidates = _apart([(_box(mesh), mesh) for mesh in self._meshes(seen, border)])
        for box, mesh in candidates:
            found = None if mesh is None else _rescaled(mesh, scale)
            if mesh is None or _side(box) < _SMALL * max(seen.shape):
                nearer = self._find_in_box(image, _rescaled(box, scale))
                found = found if nearer is None else nearer
            if found is not None:
                return _face(found, len(candidates))
        return None

    def _meshes(self, image: np.ndarray, border: float) -> list[np.ndarray]:
        """Returns the points of every face, float64 [468, 3], in pixels of the picture."""
        square, corner = _squared(image, border)
        with _silence():
            found = self._mesh.process(square).multi_face_landmarks or []
        return [
            np.array([(point.x, point.y, point.z) for point in face.landmark]) * len(square)
            - (*corner, 0.0)
            for face in found
        ]

    def _boxes(self, image: np.ndarray) -> list[np.ndarray]:
        """Returns two corners of every face, float64 [2, 2], in pixels of the picture."""
        square, corner = _squared(image, 1.0)
        with _silence():
            found = self._detector.process(square).detections or []
        boxes = [detection.location_data.relative_bounding_box for detection in found]
        return [
            np.array([(box.xmin, box.ymin), (box.xmin + box.width, box.ymin + box.height)])
            * len(square)
            - corner
            for box in boxes
        ]

    def _find_in_box(self, image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
        """Returns the points of the face in a box, found in that part of the picture alone."""
        middle, half = box.mean(0), _CLOSE * _side(box) / 2
        low = np.clip(np.floor(middle - half), 0, None).astype(int)
        high = np.ceil(middle + half).astype(int)
        part = image[low[1] : high[1], low[0] : high[0]]
        if not part.size:
            return None
        seen, scale = _reduced(part)
        found = _apart([(_box(mesh), mesh) for mesh in self._meshes(seen, 1.0)])
        return _rescaled(found[0][1], scale) + (*low, 0.0) if found else None


def _reduced(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns a picture, small and bright enough, and its scale to the original, [2]."""
    height, width = image.shape[:2]
    shrink = max(height, width) / _LONGEST_SIDE
    if shrink > 1:
        size = max(1, round(width / shrink)), max(1, round(height / shrink))
        small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        seen = np.asarray(small)
    else:
        seen = image
    return _brightened(seen), np.array([width / seen.shape[1], height / seen.shape[0]])


def _squared(image: np.ndarray, border: float) -> tuple[np.ndarray, np.ndarray]:
    """Lays a picture on a black square; its first pixel's centre is at the place returned, [2]."""
    height, width = image.shape[:2]
    # Of pictures that are not square, mediapipe's points are distorted.
    side = math.ceil(max(height, width) * border)
    left, top = (side - width) // 2, (side - height) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + height, left : left + width] = image
    return square, np.array([left + 0.5, top + 0.5])


def _brightened(image: np.ndarray) -> np.ndarray:
    """Brings a dark picture's mean to the middle, as far as that shows more than noise."""
    mean = max(float(image.mean()) / 255, 1e-3)
    gamma = max(math.log(_MIDDLE_GREY) / math.log(mean), _STRONGEST_GAMMA) if mean < 1 else 1.0
    if gamma >= 1:
        return image
    table = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return table[image]


def _rescaled(points: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Brings points [n, 2 or 3] of a reduced picture back into the picture as it was."""
    places = (points[:, :2] + 0.5) * scale - 0.5
    return np.concatenate([places, points[:, 2:] * scale[0]], axis=1)


def _box(mesh: np.ndarray) -> np.ndarray:
    return np.stack([mesh[:, :2].min(0), mesh[:, :2].max(0)])


def _side(box: np.ndarray) -> float:
    return float(np.max(box[1] - box[0]))


def _apart(
    candidates: list[tuple[np.ndarray, np.ndarray | None]],
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Returns the faces, the largest first, each once: as a mesh if it was found as one."""
    # One face is often found twice, by both networks or at two sizes.
    different: list[tuple[np.ndarray, np.ndarray | None]] = []
    for box, mesh in sorted(candidates, key=lambda face: (face[1] is None, -_side(face[0]))):
        if not any(_overlap(box, other) for other, _ in different):
            different.append((box, mesh))
    return sorted(different, key=lambda face: -_side(face[0]))


def _overlap(one: np.ndarray, other: np.ndarray) -> bool:
    """Returns whether the middle of either box is in the other one."""
    return any(
        bool(np.all(box[0] <= middle) and np.all(middle <= box[1]))
        for box, middle in ((one, other.mean(0)), (other, one.mean(0)))
    )


def _face(mesh: np.ndarray, faces: int) -> Face:
    return Face(
        left_eye=mesh[list(_LEFT_EYE), :2].mean(0),
        right_eye=mesh[list(_RIGHT_EYE), :2].mean(0),
        mouth=mesh[list(_MOUTH_CORNERS), :2].mean(0),
        outline=mesh[[*_LEFT_OUTLINE, _CHIN, *_RIGHT_OUTLINE], :2],
        yaw=yaw_from_pairs(mesh[list(_LEFT_SIDE)], mesh[list(_RIGHT_SIDE)]),
        faces=faces,
    )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppresses what native code writes to stderr."""
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
