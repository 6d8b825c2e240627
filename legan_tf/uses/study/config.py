"""What a study can be told, once: as dataclasses and as flags."""

from __future__ import annotations

import dataclasses
import re

from legan_tf import options
from legan_tf.options import option

QUESTIONS = ("both", "choice", "rating")
MOST_RATERS = 9999
FEWEST = 3
"""Controls, or repeats of a kind, without which they tell nothing about a person."""
_SIZES = range(16, 2049)


@dataclasses.dataclass(frozen=True)
class StudyOptions:
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
        0, "make: people to divide the questions among; 0 for as many as --trials needs."
    )
    trials: int = option(100, "make: most questions to one person, repeats and controls included.")
    ratings_per_image: int = option(3, "make: people who rate each picture.")
    choices_per_source: int = option(3, "make: people who choose among the pictures of a source.")
    repeats: float = option(
        0.1, "make: share of the questions that come again later, to see who answers alike."
    )
    controls: float = option(
        0.1,
        "make: questions of an obvious answer, as a share of the others; of each kind three "
        "at least, 0 for none. They need --real.",
    )
    image_size: int = option(
        0, "make: height and width of the pictures shown; 0 for those of the first."
    )
    instructions: str = option(
        "", "make: text file that stands before the first question, in place of a general one."
    )
    image_url: str = option(
        "",
        "make: where the folder page/pictures will be on the web; with it, the files for "
        "Mechanical Turk are written.",
    )
    seed: int = option(0, "make: decides who is asked what, and in which order.")

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = options.wrong_values(self)
        if not 0 <= self.raters <= MOST_RATERS:
            problems.append(f"--raters={self.raters}: must be 0 to {MOST_RATERS}")
        for name in ("trials", "ratings_per_image", "choices_per_source"):
            if getattr(self, name) < 1:
                problems.append(f"--{name}={getattr(self, name)}: must be 1 or more")
        for name in ("repeats", "controls"):
            if not 0 <= getattr(self, name) <= 0.3:
                problems.append(f"--{name}={getattr(self, name):g}: must be a share from 0 to 0.3")
        if self.image_size and self.image_size not in _SIZES:
            problems.append(
                f"--image_size={self.image_size}: must be {_SIZES[0]} to {_SIZES[-1]}, or 0"
            )
        if self.image_url and not re.fullmatch(r"https?://[^\s\"'<>&$?#]+", self.image_url):
            problems.append(
                f"--image_url={self.image_url}: must be an address that names can be put behind, "
                "as https://host/pictures"
            )
        if not 0 <= self.seed <= 1_000_000:
            problems.append(f"--seed={self.seed}: must be 0 to 1000000")
        options.refuse(problems)


@dataclasses.dataclass(frozen=True)
class ScreenOptions:
    """When answers of a person do not count; each field is a flag of ``collect``."""

    controls_right: float = option(
        0.75, "collect: least share of questions of an obvious answer to answer so; 0 for any."
    )
    repeat_gap: float = option(
        3.0, "collect: most that two ratings of one picture differ by, on average; 9 for any."
    )
    repeat_same: float = option(
        0.0, "collect: least share of choices that come again to be answered alike; 0 for any."
    )
    min_seconds: float = option(
        0.7, "collect: least time that half of the answers take or more; 0 for any."
    )
    same_answer: float = option(
        0.9,
        "collect: most of the ratings to be one number, or of the choices one place; 1 for any.",
    )

    def check(self) -> None:
        """Checks every value.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = []
        for name, high in (
            ("controls_right", 1),
            ("repeat_gap", 9),
            ("repeat_same", 1),
            ("min_seconds", 3600),
            ("same_answer", 1),
        ):
            if not 0 <= getattr(self, name) <= high:
                problems.append(f"--{name}={getattr(self, name):g}: must be 0 to {high}")
        options.refuse(problems)
