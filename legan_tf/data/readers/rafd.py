"""Radboud Faces Database (RaFD): 67 people, eight emotions, three gazes, five cameras."""

from __future__ import annotations

import dataclasses
import re

from legan_tf.command_line.options import Options, listed, option
from legan_tf.data.attributes import emotion
from legan_tf.data.file_tree import stem
from legan_tf.data.manifest import Row
from legan_tf.data.readers.registry import Job, ValShare, register
from legan_tf.data.splits import NINE_TO_ONE, hold_out_val, split_groups

VIEWS = ("000", "045", "090", "135", "180")
GAZES = ("frontal", "left", "right")

NAME = re.compile(
    r"rafd(?P<view>\d{3})_(?P<person>\d{2})_[a-z]+_(?:fe)?male_(?P<emotion>[a-z]+)_"
    r"(?P<gaze>frontal|left|right)",
    re.IGNORECASE,
)
"""The file names of RaFD; derived names may continue after it."""


@dataclasses.dataclass(frozen=True)
class RafdOptions(Options):
    """The options of RaFD, with and without depth."""

    views: str = option("045,090,135", "camera angles to keep; 090 is frontal.")
    gazes: str = option("frontal,left,right", "directions of the gaze to keep.")

    def problems(self) -> list[str]:
        """Returns a sentence for each rule that the values break."""
        problems = super().problems()
        for name, known in (("views", VIEWS), ("gazes", GAZES)):
            words = listed(getattr(self, name))
            if not words or not set(words) <= set(known):
                problems.append(
                    f"--{name}={getattr(self, name)}: give one or more of {', '.join(known)}"
                )
        return problems


def labelled(path: str, match: re.Match[str] | None, job: Job) -> Row | str:
    """Returns a picture with the labels in its name and without a split, or why it is left out."""
    if not match:
        return "not called as RaFD's pictures are"
    if not emotion(match["emotion"]):
        return "of no known emotion"
    if match["view"] not in listed(job.options.views):
        return f"of another view than --views={job.options.views}"
    if match["gaze"].lower() not in listed(job.options.gazes):
        return f"of another gaze than --gazes={job.options.gazes}"
    return Row(path=path, identity=f"rafd{match['person']}", expression=emotion(match["emotion"]))


def split_people(rows: list[Row], job: Job) -> list[Row]:
    """Splits 90/10 by person, and takes val from train if asked to."""
    rows = split_groups(rows, NINE_TO_ONE, job.seed)
    return hold_out_val(rows, job.options.val_share, job.seed)


@register(
    "rafd",
    title="Radboud Faces Database (RaFD)",
    licence="Radboud University; for non-commercial research, on request",
    layout="Rafd090_01_Caucasian_female_fearful_frontal.jpg, in any folder",
    columns=("identity", "expression"),
    options=(RafdOptions, ValShare),
    recognises=lambda path: NAME.match(stem(path)),
)
def read(job: Job) -> list[Row]:
    """Reads the file names; two files of one name are one picture."""
    names = set()

    def label(path: str) -> Row | str:
        name = stem(path).lower()
        row = labelled(path, NAME.fullmatch(name), job)
        if isinstance(row, Row) and name in names:
            return "same picture as a file before"
        names.add(name)
        return row

    return split_people(job.rows(label), job)
