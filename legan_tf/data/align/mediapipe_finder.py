"""Landmark finder on request: the package mediapipe, whose networks come with it.

The only module that uses mediapipe.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from legan_tf import optional
from legan_tf.data.align import landmark_finder
from legan_tf.data.align.landmark_finder import bounding_box, longer_side
from legan_tf.data.align.quiet import native_silence

_MOST_FACES = 40
_LONGEST_SIDE = 1024  # The networks see 128 to 192 pixels; more detail only takes time.
# How often the picture goes into the side of the square that is searched. The mesh's detector
# misses faces that are cut off by the frame; with a border round it, a face is whole.
_BORDERS = (1.5, 1.0, 2.0)
_SMALL = 0.2  # Of the picture's longer side: a smaller face is searched again, in its part alone.
_CLOSE = 2.0  # Side of the part that is searched then, in sides of the face.


class MediapipeFinder(landmark_finder.LandmarkFinder):
    """Finds faces and their landmarks by mediapipe, with its refined lips, lids and irises.

    Two networks search for faces: that of the mesh finds the large ones, even where the frame cuts
    them off, and another the small ones, from a twelfth of the picture's longer side.
    """

    def __init__(self) -> None:
        """Loads the networks.

        Raises:
            UnavailableError: mediapipe is not installed or does not work here.
        """
        with native_silence():
            solutions = optional.require("mediapipe", "--finder=mediapipe").solutions
            self._mesh = solutions.face_mesh.FaceMesh(
                static_image_mode=True, max_num_faces=_MOST_FACES, refine_landmarks=True
            )
            self._detector = solutions.face_detection.FaceDetection(model_selection=1)
            # Their threads write to stderr when they begin, which is with the first picture.
            for network in (self._mesh, self._detector):
                network.process(np.zeros((64, 64, 3), np.uint8))

    def meshes(self, image: np.ndarray) -> list[np.ndarray]:
        """Returns the points of every face of a picture, as ``LandmarkFinder.meshes`` says."""
        seen, scale = _reduced(image)
        candidates = _apart([*self._found(seen, _BORDERS[0]), *self._boxes(seen)])
        for border in _BORDERS[1:]:
            candidates = candidates or _apart(self._found(seen, border))
        meshes = []
        for face in candidates:
            found = _rescaled(face, scale) if len(face) > 2 else None
            if found is None or longer_side(bounding_box(face)) < _SMALL * max(seen.shape):
                nearer = self._find_in_box(image, _rescaled(bounding_box(face), scale))
                found = found if nearer is None else nearer
            if found is not None:
                meshes.append(found)
        return sorted(meshes, key=lambda mesh: -longer_side(bounding_box(mesh)))

    def _found(self, image: np.ndarray, border: float) -> list[np.ndarray]:
        """Returns the points of every face, float64 [478, 3], in pixels of the picture."""
        square, corner = _squared(image, border)
        with native_silence():
            found = self._mesh.process(square).multi_face_landmarks or []
        return [
            np.array([(point.x, point.y, point.z) for point in face.landmark]) * len(square)
            - (*corner, 0.0)
            for face in found
        ]

    def _boxes(self, image: np.ndarray) -> list[np.ndarray]:
        """Returns two corners of every face, float64 [2, 2], in pixels of the picture."""
        square, corner = _squared(image, 1.0)
        with native_silence():
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
        middle, half = box.mean(0), _CLOSE * longer_side(box) / 2
        low = np.clip(np.floor(middle - half), 0, None).astype(int)
        high = np.ceil(middle + half).astype(int)
        part = image[low[1] : high[1], low[0] : high[0]]
        if not part.size:
            return None
        seen, scale = _reduced(part)
        found = _apart(self._found(seen, 1.0))
        return _rescaled(found[0], scale) + (*low, 0.0) if found else None


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
    scale = np.array([width / seen.shape[1], height / seen.shape[0]])
    return landmark_finder.brightened(seen), scale


def _squared(image: np.ndarray, border: float) -> tuple[np.ndarray, np.ndarray]:
    """Lays a picture on a black square; its first pixel's centre is at the place returned, [2]."""
    height, width = image.shape[:2]
    # Of pictures that are not square, mediapipe's points are distorted.
    side = math.ceil(max(height, width) * border)
    left, top = (side - width) // 2, (side - height) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + height, left : left + width] = image
    return square, np.array([left + 0.5, top + 0.5])


def _rescaled(points: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Brings points [n, 2 or 3] of a reduced picture back into the picture as it was."""
    places = (points[:, :2] + 0.5) * scale - 0.5
    return np.concatenate([places, points[:, 2:] * scale[0]], axis=1)


def _apart(faces: list[np.ndarray]) -> list[np.ndarray]:
    """Returns faces, points of meshes or corners of boxes, each once, the largest first."""

    def smallness(face: np.ndarray) -> float:
        return -longer_side(bounding_box(face))

    # One face is often found twice, by both networks or at two sizes; as a mesh it is better known.
    different: list[np.ndarray] = []
    for face in sorted(faces, key=lambda face: (len(face) == 2, smallness(face))):
        if not any(_overlap(bounding_box(face), bounding_box(other)) for other in different):
            different.append(face)
    return sorted(different, key=smallness)


def _overlap(one: np.ndarray, other: np.ndarray) -> bool:
    """Returns whether the middle of either box is in the other one."""
    return any(
        bool(np.all(box[0] <= middle) and np.all(middle <= box[1]))
        for box, middle in ((one, other.mean(0)), (other, one.mean(0)))
    )
