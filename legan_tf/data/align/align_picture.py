"""Alignment of a picture: read, find landmarks, resample, quality gate, mask, write."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from PIL import Image

from legan_tf.data import images
from legan_tf.data.align import alignment, landmarks
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.align.face_quality import contrast_and_sharpness, rejection
from legan_tf.data.align.hull_mask import hull_mask
from legan_tf.data.align.landmark_finder import make_finder
from legan_tf.data.align.landmarks import Face
from legan_tf.data.output_folder import Rejected, rejected_if_unreadable

UNREADABLE, UNREADABLE_LANDMARKS = "the picture cannot be read", "its landmarks cannot be read"
"""Reasons that may be temporary: the file may be repaired."""

_NO_FACE = "its landmarks are not those of a face"
_LARGE = 4.0  # Pixels of the original per pixel, from where the original is shrunk first.
_DECIMALS = 2  # Of points and measures, so that those written down are those that were used.


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture to align.

    Attributes:
        file: Its full path or URL.
        target: Full path of the aligned picture.
        face: Its landmarks, where they are known.
        pts: The file that has its landmarks, where there is one.
    """

    file: str
    target: str
    face: Face | None = None
    pts: str = ""

    @property
    def inputs(self) -> tuple[str, str]:
        """The files that decide the aligned picture."""
        return self.file, self.pts

    @property
    def targets(self) -> tuple[str]:
        """The aligned picture alone."""
        return (self.target,)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result for a picture.

    Attributes:
        reason: Why there is no aligned picture; empty where there is one.
        detail: More on the reason, such as the value that was too low.
        points: Eyes and mouth in the order of ``landmarks.POINT_COLUMNS``; empty where no
            face was found; the following are 0 or NaN then.
        yaw: Degrees; NaN where unknown.
        faces: How many faces the picture shows.
        pixels: From the eyes down to the mouth, in pixels of the original.
        contrast: As ``face_quality`` defines it.
        sharpness: Likewise.
    """

    reason: str = ""
    detail: str = ""
    points: tuple[float, ...] = ()
    yaw: float = math.nan
    faces: int = 0
    pixels: float = 0.0
    contrast: float = 0.0
    sharpness: float = 0.0


def align_picture(options: AlignOptions, size: int, picture: Picture) -> dict[str, Any]:
    """Aligns a picture to ``size`` x ``size`` pixels, writes its file and returns the outcome.

    Raises:
        UnavailableError: A package that is needed does not work here.
        StorageError: The file cannot be written.
    """
    try:
        outcome = _align(options, size, picture)
    except Rejected as rejected:
        outcome = Outcome(rejected.reason, rejected.detail)
    return dataclasses.asdict(outcome)


def _align(options: AlignOptions, size: int, picture: Picture) -> Outcome:
    convention = alignment.CONVENTIONS[options.convention]
    with rejected_if_unreadable(UNREADABLE, picture.file):
        image = images.decode(picture.file)
    face = _face(options, picture, image)
    if not _near(face, image.shape[1::-1]):
        raise Rejected(_NO_FACE, "they are outside the picture")
    face = dataclasses.replace(
        face,
        left_eye=np.round(face.left_eye, _DECIMALS),
        right_eye=np.round(face.right_eye, _DECIMALS),
        mouth=np.round(face.mouth, _DECIMALS),
        yaw=round(face.yaw, _DECIMALS),
    )
    points = face.left_eye, face.right_eye, face.mouth
    try:
        transform = alignment.similarity_from_points(*points, size, convention)
    except ValueError as error:
        raise Rejected(_NO_FACE, str(error)) from error
    region, into_region = cut_out(image, transform, size)
    aligned = alignment.warp(region[None], into_region[None], size)[0]
    eyes, mouth = convention.lines(size)
    contrast, sharpness = contrast_and_sharpness(aligned, convention)
    found = Outcome(
        points=tuple(map(float, np.concatenate(points))),
        yaw=face.yaw,
        faces=face.faces,
        pixels=round(math.hypot(transform[0], transform[3]) * (mouth - eyes), _DECIMALS),
        contrast=round(contrast, _DECIMALS),
        sharpness=round(sharpness, _DECIMALS + 2),
    )
    reason, detail = rejection(options, found.yaw, found.pixels, found.contrast, found.sharpness)
    if options.hull_mask and not reason:
        try:
            aligned = aligned * hull_mask(face.outline, transform, size)[..., None]
        except ValueError as error:
            reason, detail = _NO_FACE, str(error)
    if not reason:
        images.save_png(picture.target, aligned)
    return dataclasses.replace(found, reason=reason, detail=detail)


def _face(options: AlignOptions, picture: Picture, image: np.ndarray) -> Face:
    if not options.landmarks:
        face, reason = make_finder(options.finder).find(image), "no face was found"
    elif picture.pts:
        with rejected_if_unreadable(UNREADABLE_LANDMARKS, picture.pts):
            return landmarks.from_ibug(landmarks.read_points(picture.pts))
    else:
        face, reason = picture.face, "no landmarks are given for it"
    if face is None:
        raise Rejected(reason)
    return face


def _near(face: Face, size: tuple[int, int]) -> bool:
    """Returns whether no point is further outside the picture than its longer side."""
    points = np.stack([face.left_eye, face.right_eye, face.mouth, *face.outline])
    return bool(np.all((points >= -max(size)) & (points <= np.array(size) + max(size))))


def cut_out(image: np.ndarray, transform: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the part of a picture that an aligned face needs, shrunk by a whole number if large.

    Args:
        image: uint8 [H, W, 3].
        transform: float [6], from the aligned picture to this one.
        size: Height and width of the aligned picture.

    Returns:
        The part, uint8 [h, w, 3] of at least one pixel, and the transform into it, float64 [6].
    """
    affine = np.asarray(transform, np.float64).reshape(2, 3)
    ends = np.array([-0.5, size - 0.5])
    corners = np.array([(x, y, 1.0) for x in ends for y in ends]) @ affine.T
    scale = math.sqrt(abs(np.linalg.det(affine[:, :2])))
    shrink = int(scale // (_LARGE / 2)) if scale >= _LARGE else 1
    limits = np.array(image.shape[1::-1])
    low = np.clip(np.floor(corners.min(0)) - 1 - shrink, 0, limits - 1).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + 2 + shrink, low + 1, limits).astype(int)
    high = np.minimum(low + -(-(high - low) // shrink) * shrink, limits)
    part = image[low[1] : high[1], low[0] : high[0]]
    if shrink > 1:
        part = np.asarray(Image.fromarray(part).reduce(shrink))
    into = affine / shrink
    into[:, 2] = (affine[:, 2] - low + 0.5) / shrink - 0.5
    return part, into.reshape(6)
