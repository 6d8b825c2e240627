"""What the rating of a folder can be told, once: as a dataclass and as flags."""

from __future__ import annotations

import dataclasses
import os

from legan_tf import options
from legan_tf.options import option

_MOST_WORKERS = 256
_LARGEST_BATCH = 1024


@dataclasses.dataclass(frozen=True)
class ScoringConfig:
    """The options of ``scripts/score.py``; each field is a flag."""

    input: str = option("", "Folder of pictures; its subfolders are searched, too.")
    output: str = option("", "CSV to write; what could not be read goes beside it.")
    batch_size: int = option(32, "Pictures that Q rates at once.")
    workers: int = option(0, "Threads that read pictures; 0 for one per processor.")
    keep_above: float = option(
        None, "Lowest rating of the pictures that are copied to --keep_dir; 5 is natural."
    )
    keep_dir: str = option("", "Folder for copies of the pictures rated --keep_above or more.")
    sheet: str = option(
        "",
        "PNG to write: pictures from the worst to the best; beside it, a histogram of all ratings.",
    )

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        problems = self._input_problems()
        if not self.output.lower().endswith(".csv"):
            problems.append(f"--output={self.output}: name the CSV to write, ending in .csv")
        elif os.path.isdir(self.output):
            problems.append(f"--output={self.output}: is a folder; name the CSV to write")
        if self.sheet and not self.sheet.lower().endswith(".png"):
            problems.append(f"--sheet={self.sheet}: name the picture to write, ending in .png")
        elif os.path.isdir(self.sheet):
            problems.append(f"--sheet={self.sheet}: is a folder; name the picture to write")
        for name in ("output", "keep_dir", "sheet"):
            if "://" in getattr(self, name):
                problems.append(f"--{name}={getattr(self, name)}: must be on this machine")
        if not 1 <= self.batch_size <= _LARGEST_BATCH:
            problems.append(f"--batch_size={self.batch_size}: must be 1 to {_LARGEST_BATCH}")
        if not 0 <= self.workers <= _MOST_WORKERS:
            problems.append(f"--workers={self.workers}: must be 0 to {_MOST_WORKERS}")
        if self.keep_above is not None and not abs(self.keep_above) < float("inf"):
            problems.append(f"--keep_above={self.keep_above}: must be a rating")
        if (self.keep_above is None) == bool(self.keep_dir):
            missing, given = ("keep_above", "keep_dir") if self.keep_dir else ("keep_dir",
                "keep_above")  # fmt: skip
            problems.append(f"--{given} needs --{missing}: give both or none")
        if os.path.exists(self.keep_dir) and not os.path.isdir(self.keep_dir):
            problems.append(f"--keep_dir={self.keep_dir}: is a file; name a folder")
        options.refuse(problems)

    def _input_problems(self) -> list[str]:
        given = f"--input={self.input}"
        if "://" in self.input:
            return [f"{given}: must be a folder on this machine; copy the pictures here"]
        if not os.path.isdir(self.input):
            is_file = os.path.exists(self.input)
            what = (
                "is a file; name the folder that holds it" if is_file else "there is no such folder"
            )
            return [f"{given}: {what}"]
        # What is written there would be rated itself the next time.
        return [
            f"--{name}={getattr(self, name)}: lies in {given}, where it would be rated itself; "
            "choose another place"
            for name in ("keep_dir", "sheet")
            if getattr(self, name) and _is_in(getattr(self, name), self.input)
        ]


def _is_in(path: str, folder: str) -> bool:
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([path, folder]) == folder
