"""Options of ``scripts/prepare.py align``."""

from __future__ import annotations

import dataclasses

from legan_tf.command_line.options import Limit, Options, option
from legan_tf.data.align.landmark_finder import FINDERS

CONVENTIONS = ("lightcnn", "rafd")
_YAW = Limit(lambda value: 0 < value <= 90, "must be above 0 and up to 90 degrees")
_THRESHOLD = Limit(lambda value: value >= 0, "must be 0 or more")


@dataclasses.dataclass(frozen=True)
class FinderOptions(Options):
    """The choice of the landmark finder."""

    finder: str = option(
        FINDERS[0],
        "align, depth: what finds landmarks: tflite, in every install; mediapipe, with the extra "
        "[align] on Python before 3.12.",
        FINDERS,
    )


@dataclasses.dataclass(frozen=True)
class AlignOptions(FinderOptions):
    """The options of ``scripts/prepare.py align``; each field is a flag.

    ``face_quality`` defines the measures of the thresholds.
    """

    convention: str = option(
        "lightcnn",
        "align: position of the face: lightcnn, eyes at 40 and mouth at 88 of 128; rafd, the "
        "whole head with the middle between eyes and mouth in the centre, 64 of 256 apart.",
        CONVENTIONS,
    )
    landmarks: str = option(
        "",
        "align: landmarks: a CSV, or a folder of .pts files; empty to find them by --finder.",
    )
    hull_mask: bool = option(
        False, "align: black out all that is outside the convex hull of jaw and eyebrows."
    )
    max_yaw: float = option(
        15.0,
        "align: leave out faces turned to the side by as many degrees or more; 90 to keep all.",
        limit=_YAW,
    )
    min_face: float = option(
        16.0,
        "align: leave out faces with fewer pixels from the eyes down to the mouth, in the "
        "original.",
        limit=_THRESHOLD,
    )
    min_contrast: float = option(
        5.0,
        "align: leave out dark and washed-out faces: standard deviation of their grey levels, of "
        "255.",
        limit=_THRESHOLD,
    )
    min_sharpness: float = option(
        0.02,
        "align: leave out blurred faces: finest detail as a share of the contrast.",
        limit=_THRESHOLD,
    )
