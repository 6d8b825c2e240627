"""Options of ``scripts/study.py``."""

from __future__ import annotations

import dataclasses
import re

from legan_tf.command_line.options import Limit, Options, between, option

QUESTIONS = ("both", "choice", "rating")
MAX_RATERS = 9999
MIN_CONTROLS = 3
"""Least number of controls, or of repeats of a kind, to screen a rater by."""
_SIZES = range(16, 2049)
_COUNT = Limit(lambda value: value >= 1, "must be 1 or more")
_SHARE = Limit(lambda value: 0 <= value <= 0.3, "must be a share from 0 to 0.3")
_SIZE = Limit(
    lambda value: not value or value in _SIZES, f"must be {_SIZES[0]} to {_SIZES[-1]}, or 0"
)
_URL = Limit(
    lambda value: not value or bool(re.fullmatch(r"https?://[^\s\"'<>&$?#]+", str(value))),
    "must be an address that file names can follow, such as https://host/pictures",
)


@dataclasses.dataclass(frozen=True)
class StudyOptions(Options):
    """The options of ``scripts/study.py make``; each field is a flag."""

    real: str = option(
        "", "make: folder of real pictures, for the questions that show who is careless."
    )
    questions: str = option(
        "both",
        "make: choice, which of the models' pictures of one source looks most natural; rating, how "
        "natural one picture looks, 1 to 10; or both.",
        QUESTIONS,
    )
    raters: int = option(
        0,
        "make: number of raters; 0 for as many as --trials needs.",
        limit=between(0, MAX_RATERS),
    )
    trials: int = option(
        100, "make: maximum questions per rater, repeats and controls included.", limit=_COUNT
    )
    ratings_per_image: int = option(3, "make: raters of each picture.", limit=_COUNT)
    choices_per_source: int = option(
        3, "make: raters who choose among the pictures of a source.", limit=_COUNT
    )
    repeats: float = option(
        0.1,
        "make: share of the questions that are repeated later, to measure consistency.",
        limit=_SHARE,
    )
    controls: float = option(
        0.1,
        "make: control questions with an obvious answer, as a share of the others; at least three "
        "of each kind, 0 for none. They need --real.",
        limit=_SHARE,
    )
    image_size: int = option(
        0,
        "make: height and width of the pictures shown; 0 for those of the first.",
        limit=_SIZE,
    )
    instructions: str = option(
        "", "make: text file to show before the first question, in place of a general one."
    )
    image_url: str = option(
        "",
        "make: URL where the folder page/pictures will be; with it, the files for Mechanical Turk "
        "are written.",
        limit=_URL,
    )
    seed: int = option(
        0,
        "make: seed of the questions of each rater and their order.",
        limit=between(0, 1_000_000),
    )


@dataclasses.dataclass(frozen=True)
class ScreenOptions(Options):
    """Limits beyond which a rater is excluded; each field is a flag of ``collect``."""

    controls_right: float = option(
        0.75,
        "collect: minimum share of controls with the right answer; 0 for any.",
        limit=between(0, 1),
    )
    repeat_gap: float = option(
        3.0,
        "collect: maximum mean difference of two ratings of one picture; 9 for any.",
        limit=between(0, 9),
    )
    min_seconds: float = option(
        0.7,
        "collect: minimum median seconds of an answer; 0 for any.",
        limit=between(0, 3600),
    )
    same_answer: float = option(
        0.9,
        "collect: maximum share of one number among the ratings, or of one place among the "
        "choices; 1 for any.",
        limit=between(0, 1),
    )
