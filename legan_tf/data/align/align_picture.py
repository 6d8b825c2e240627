"""Alignment of a batch of pictures: read, find landmarks, resample, quality gate, mask, write."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from legan_tf.data import images, storage
from legan_tf.data.align import alignment, landmarks
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.align.face_quality import contrast_and_sharpness, rejection
from legan_tf.data.align.hull_mask import hull_mask
from legan_tf.data.align.landmark_finder import LandmarkFinder
from legan_tf.data.align.landmarks import Face
from legan_tf.data.output_folder import message_without_path
from legan_tf.errors import UserError

UNREADABLE, UNREADABLE_LANDMARKS = "the picture cannot be read", "its landmarks cannot be read"
"""Reasons that may be temporary: the file may be repaired."""

_NO_FACE = "its landmarks are not those of a face"
_LARGE = 4.0  # Pixels of the original per pixel, from where the original is shrunk first.
_DECIMALS = 2  # Of points and measures, so that those written down are those that were used.
_MOST_SAMPLES = 32_000_000  # Float pixels that are in memory at once: 0.4 GB.


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
        """The files that it is made of."""
        return self.file, self.pts

    @property
    def targets(self) -> tuple[str]:
        """The files that are made of it."""
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


@dataclasses.dataclass(frozen=True)
class _Cut:
    """The part of a picture that its aligned face is taken from."""

    index: int
    face: Face
    region: np.ndarray
    transform: np.ndarray
    whole_transform: np.ndarray
    pixels: float


def align_batch(
    options: AlignOptions, size: int, pictures: Sequence[Picture]
) -> list[dict[str, Any]]:
    """Aligns a few pictures and writes their files.

    The result for a picture does not depend on the others.

    Args:
        options: The options of ``align``.
        size: Height and width of the aligned pictures.
        pictures: The pictures.

    Returns:
        The outcomes as dictionaries, in order.

    Raises:
        UnavailableError: A package that is needed does not work here.
        StorageError: A file cannot be written.
    """
    convention = alignment.CONVENTIONS[options.convention]
    outcomes: list[Outcome] = []
    cuts = []
    for index, picture in enumerate(pictures):
        outcome, cut = _read(options, convention, size, index, picture)
        outcomes.append(outcome)
        if cut:
            cuts.append(cut)
    for cut, aligned in _aligned(cuts, size):
        contrast, sharpness = contrast_and_sharpness(aligned, convention)
        found = Outcome(
            points=tuple(map(float, (*cut.face.left_eye, *cut.face.right_eye, *cut.face.mouth))),
            yaw=cut.face.yaw,
            faces=cut.face.faces,
            pixels=round(cut.pixels, _DECIMALS),
            contrast=round(contrast, _DECIMALS),
            sharpness=round(sharpness, _DECIMALS + 2),
        )
        reason, detail = rejection(
            options, found.yaw, found.pixels, found.contrast, found.sharpness
        )
        if options.hull_mask and not reason:
            try:
                mask = hull_mask(cut.face.outline, cut.whole_transform, size)
                aligned = aligned * mask[..., None]
            except ValueError as error:
                reason, detail = _NO_FACE, str(error)
        outcomes[cut.index] = dataclasses.replace(found, reason=reason, detail=detail)
        if not reason:
            images.save_png(pictures[cut.index].target, aligned)
    return [dataclasses.asdict(outcome) for outcome in outcomes]


def _read(
    options: AlignOptions,
    convention: alignment.Convention,
    size: int,
    index: int,
    picture: Picture,
) -> tuple[Outcome, _Cut | None]:
    try:
        image = images.decode(picture.file)
    except (images.ImageError, storage.StorageError) as error:
        return Outcome(UNREADABLE, message_without_path(picture.file, error)), None
    face = picture.face
    if options.landmarks:
        if picture.pts:
            try:
                face = landmarks.read_pts(picture.pts)
            except UserError as error:
                return Outcome(UNREADABLE_LANDMARKS, message_without_path(picture.pts, error)), None
        if face is None:
            return Outcome("no landmarks are given for it"), None
    else:
        face = _finder().find(image)
        if face is None:
            return Outcome("no face was found"), None
    if not _near(face, image.shape[1::-1]):
        return Outcome(_NO_FACE, "they are outside the picture"), None
    face = _rounded(face)
    try:
        transform = alignment.similarity_from_points(
            face.left_eye, face.right_eye, face.mouth, size, convention
        )
    except ValueError as error:
        return Outcome(_NO_FACE, str(error)), None
    region, into_region = cut_out(image, transform, size)
    eyes, mouth = convention.lines(size)
    pixels = math.hypot(transform[0], transform[3]) * (mouth - eyes)
    return Outcome(), _Cut(index, face, region, into_region, transform, pixels)


def _near(face: Face, size: tuple[int, int]) -> bool:
    """Returns whether no point is further outside the picture than its longer side."""
    points = np.stack([face.left_eye, face.right_eye, face.mouth, *face.outline])
    return bool(np.all((points >= -max(size)) & (points <= np.array(size) + max(size))))


@functools.lru_cache(maxsize=1)
def _finder() -> LandmarkFinder:
    """Returns the process's one finder; its networks take a second to load."""
    return LandmarkFinder()


def _rounded(face: Face) -> Face:
    return dataclasses.replace(
        face,
        left_eye=np.round(face.left_eye, _DECIMALS),
        right_eye=np.round(face.right_eye, _DECIMALS),
        mouth=np.round(face.mouth, _DECIMALS),
        yaw=round(face.yaw, _DECIMALS),
    )


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


def _aligned(cuts: Sequence[_Cut], size: int) -> list[tuple[_Cut, np.ndarray]]:
    results = []
    for batch in _batches(cuts, size):
        height = max(cut.region.shape[0] for cut in batch)
        width = max(cut.region.shape[1] for cut in batch)
        regions = np.zeros((len(batch), height, width, 3), np.uint8)
        for region, cut in zip(regions, batch):
            region[: cut.region.shape[0], : cut.region.shape[1]] = cut.region
        warped = alignment.warp(regions, np.stack([cut.transform for cut in batch]), size)
        results += zip(batch, warped)
    return results


def _batches(cuts: Sequence[_Cut], size: int) -> list[list[_Cut]]:
    """Groups parts by sampling density, no more together than fit into memory."""
    alike: dict[int, list[_Cut]] = collections.defaultdict(list)
    for cut in cuts:
        affine = cut.transform.reshape(2, 3)
        alike[math.ceil(math.sqrt(abs(np.linalg.det(affine[:, :2]))))].append(cut)
    batches = []
    for samples, group in alike.items():
        most = max(1, _MOST_SAMPLES // (size * max(samples, 1)) ** 2)
        batches += [group[start : start + most] for start in range(0, len(group), most)]
    return batches
