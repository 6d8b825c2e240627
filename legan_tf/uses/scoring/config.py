"""Options of ``scripts/score.py``."""

from __future__ import annotations

import dataclasses
import math
import os

from legan_tf.command_line.options import Limit, Options, between, option


@dataclasses.dataclass(frozen=True)
class ScoringConfig(Options):
    """The options of ``scripts/score.py``; each field is a flag."""

    input: str = option("", "Folder of pictures; its subfolders are searched, too.")
    output: str = option("", "CSV to write; a list of unreadable files is written beside it.")
    batch_size: int = option(32, "Pictures in a batch.", limit=between(1, 1024))
    workers: int = option(
        0, "Threads that read pictures; 0 for one per processor.", limit=between(0, 256)
    )
    keep_dir: str = option("", "Folder for copies of the pictures rated --keep_above or more.")
    keep_above: float = option(
        5.0,
        "Minimum rating of the pictures to copy to --keep_dir; 5 is natural.",
        limit=Limit(math.isfinite, "must be a rating"),
    )
    sheet: str = option(
        "",
        "PNG to write: pictures from the worst to the best; beside it, a histogram of all ratings.",
    )

    def problems(self) -> list[str]:
        """Returns a sentence for each rule that the values break."""
        problems = super().problems()
        for name, kind, suffix in (("output", "CSV", ".csv"), ("sheet", "picture", ".png")):
            path = getattr(self, name)
            if (path or name == "output") and not path.lower().endswith(suffix):
                problems.append(f"--{name}={path}: name the {kind} to write, ending in {suffix}")
            elif os.path.isdir(path):
                problems.append(f"--{name}={path}: is a folder; name the {kind} to write")
        if self.keep_above != type(self).keep_above and not self.keep_dir:
            problems.append("--keep_above needs --keep_dir, the folder for the copies")
        for name in ("output", "keep_dir", "sheet"):
            if "://" in getattr(self, name):
                problems.append(f"--{name}={getattr(self, name)}: must be on this machine")
        for name in ("keep_dir", "sheet"):
            path = getattr(self, name)
            if path and os.path.isdir(self.input) and _is_in(path, self.input):
                problems.append(
                    f"--{name}={path}: lies in --input={self.input}, where it would be rated "
                    "itself; choose another place"
                )
        if os.path.exists(self.keep_dir) and not os.path.isdir(self.keep_dir):
            problems.append(f"--keep_dir={self.keep_dir}: is a file; name a folder")
        return problems


def _is_in(path: str, folder: str) -> bool:
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([path, folder]) == folder
