"""Options of ``scripts/study.py``."""

from __future__ import annotations

import dataclasses
import re

from legan_tf.options import Limit, Options, between, option

QUESTIONS = ("both", "choice", "rating")
MAX_RATERS = 9999
MIN_CONTROLS = 3
"""Controls, or repeats of a kind, from which on a rater is judged by them."""
_SIZES = range(16, 2049)
_COUNT = Limit(lambda value: value >= 1, "must be 1 or more")
_SHARE = Limit(lambda value: 0 <= value <= 0.3, "must be a share from 0 to 0.3")
_SIZE = Limit(
    lambda value: not value or value in _SIZES, f"must be {_SIZES[0]} to {_SIZES[-1]}, or 0"
)
_URL = Limit(
    lambda value: not value or bool(re.fullmatch(r"https?://[^\s\"'<>&$?#]+", value)),
    "must be an address that names can be put behind, as https://host/pictures",
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
        "make: people to divide the questions among; 0 for as many as --trials needs.",
        limit=between(0, MAX_RATERS),
    )
    trials: int = option(
        100, "make: most questions to one person, repeats and controls included.", limit=_COUNT
    )
    ratings_per_image: int = option(3, "make: people who rate each picture.", limit=_COUNT)
    choices_per_source: int = option(
        3, "make: people who choose among the pictures of a source.", limit=_COUNT
    )
    repeats: float = option(
        0.1,
        "make: share of the questions that come again later, to see who answers alike.",
        limit=_SHARE,
    )
    controls: float = option(
        0.1,
        "make: questions of an obvious answer, as a share of the others; of each kind three "
        "at least, 0 for none. They need --real.",
        limit=_SHARE,
    )
    image_size: int = option(
        0,
        "make: height and width of the pictures shown; 0 for those of the first.",
        limit=_SIZE,
    )
    instructions: str = option(
        "", "make: text file that stands before the first question, in place of a general one."
    )
    image_url: str = option(
        "",
        "make: where the folder page/pictures will be on the web; with it, the files for "
        "Mechanical Turk are written.",
        limit=_URL,
    )
    seed: int = option(
        0, "make: decides who is asked what, and in which order.", limit=between(0, 1_000_000)
    )


@dataclasses.dataclass(frozen=True)
class ScreenOptions(Options):
    """Limits beyond which a rater is excluded; each field is a flag of ``collect``."""

    controls_right: float = option(
        0.75,
        "collect: least share of questions of an obvious answer to answer so; 0 for any.",
        limit=between(0, 1),
    )
    repeat_gap: float = option(
        3.0,
        "collect: most that two ratings of one picture differ by, on average; 9 for any.",
        limit=between(0, 9),
    )
    repeat_same: float = option(
        0.0,
        "collect: least share of choices that come again to be answered alike; 0 for any.",
        limit=between(0, 1),
    )
    min_seconds: float = option(
        0.7,
        "collect: least time that half of the answers take or more; 0 for any.",
        limit=between(0, 3600),
    )
    same_answer: float = option(
        0.9,
        "collect: most of the ratings to be one number, or of the choices one place; 1 for any.",
        limit=between(0, 1),
    )
