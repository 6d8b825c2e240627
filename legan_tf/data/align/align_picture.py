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
from legan_tf.data.align.face_quality import contrast_and_sharpness, refuse_poor
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


def align_picture(options: AlignOptions, size: int, picture: Picture) -> dict[str, Any]:
    """Aligns a picture to ``size`` x ``size`` pixels, writes its file and returns the outcome.

    Returns:
        ``reason``, why there is no aligned picture, empty where there is one; ``detail``, more on
        it, such as the value that was too low; ``points``, eyes and mouth in the order of
        ``landmarks.POINT_COLUMNS``, empty where no face was found, and the following are 0 or NaN
        then; ``yaw`` in degrees, NaN where unknown; ``faces``, how many the picture shows;
        ``pixels`` from the eyes down to the mouth, of the original; ``contrast`` and ``sharpness``
        as ``face_quality`` defines them.

    Raises:
        UnavailableError: A package that is needed does not work here.
        StorageError: The file cannot be written.
    """
    found: dict[str, Any] = {"points": (), "yaw": math.nan, "faces": 0}
    found.update(pixels=0.0, contrast=0.0, sharpness=0.0)
    reason = detail = ""
    try:
        _align(options, size, picture, found)
    except Rejected as rejected:
        reason, detail = rejected.reason, rejected.detail
    return {"reason": reason, "detail": detail, **found}


def _align(options: AlignOptions, size: int, picture: Picture, found: dict[str, Any]) -> None:
    """Aligns a picture and writes its file; ``found`` gets the measures as far as it comes."""
    convention = alignment.CONVENTIONS[options.convention]
    with rejected_if_unreadable(UNREADABLE, picture.file):
        image = images.decode(picture.file)
    face = _face(options, picture, image)
    eyes_and_mouth = face.left_eye, face.right_eye, face.mouth
    height, width = image.shape[:2]
    reach = max(height, width)
    everywhere = np.concatenate([eyes_and_mouth, face.outline])
    if np.any(everywhere < -reach) or np.any(everywhere > np.array([width, height]) + reach):
        raise Rejected(_NO_FACE, "they are outside the picture")
    left_eye, right_eye, middle = (np.round(point, _DECIMALS) for point in eyes_and_mouth)
    try:
        transform = alignment.similarity_from_points(left_eye, right_eye, middle, size, convention)
    except ValueError as error:
        raise Rejected(_NO_FACE, str(error)) from error
    region, into_region = cut_out(image, transform, size)
    aligned = alignment.warp(region, into_region, size)
    eyes, mouth = convention.lines(size)
    contrast, sharpness = contrast_and_sharpness(aligned, convention)
    found.update(
        points=tuple(map(float, (*left_eye, *right_eye, *middle))),
        yaw=round(face.yaw, _DECIMALS),
        faces=face.faces,
        pixels=round(math.hypot(transform[0], transform[3]) * (mouth - eyes), _DECIMALS),
        contrast=round(contrast, _DECIMALS),
        sharpness=round(sharpness, _DECIMALS + 2),
    )
    refuse_poor(options, *(found[name] for name in ("yaw", "pixels", "contrast", "sharpness")))
    if options.hull_mask:
        try:
            aligned = aligned * hull_mask(face.outline, transform, size)[..., None]
        except ValueError as error:
            raise Rejected(_NO_FACE, str(error)) from error
    images.save_png(picture.target, aligned)


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
