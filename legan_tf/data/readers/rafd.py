"""Radboud Faces Database (RaFD): 67 people, eight emotions, three gazes, five cameras."""

from __future__ import annotations

import re

from legan_tf.data.readers.config import listed
from legan_tf.data.readers.emotions import emotion
from legan_tf.data.readers.entries import NINE_TO_ONE, Entry, Job, hold_out_val, split_groups
from legan_tf.data.readers.tree import stem

LAYOUT = "Rafd090_01_Caucasian_female_fearful_frontal.jpg, in any folder"

NAME = re.compile(
    r"rafd(?P<view>\d{3})_(?P<person>\d{2})_[a-z]+_(?:fe)?male_(?P<emotion>[a-z]+)_"
    r"(?P<gaze>frontal|left|right)",
    re.IGNORECASE,
)
"""How RaFD calls its pictures; names derived from them may go on after it."""


def recognises(files: list[str]) -> bool:
    """Returns whether the files are called as RaFD's are."""
    return any(NAME.match(stem(path)) for path in files)


def why_not(match: re.Match | None, job: Job) -> str:
    """Returns the reason for which a picture of this name is left out, or nothing."""
    if not match:
        return "not called as RaFD's pictures are"
    if not emotion(match["emotion"]):
        return "of no known emotion"
    if match["view"] not in listed(job.options.views):
        return f"of another view than --views={job.options.views}"
    if match["gaze"].lower() not in listed(job.options.gazes):
        return f"of another gaze than --gazes={job.options.gazes}"
    return ""


def entry_of(path: str, match: re.Match) -> Entry:
    """Returns what the name of a picture tells; its split is open."""
    return Entry(path, identity=f"rafd{match['person']}", expression=emotion(match["emotion"]))


def split_people(entries: list[Entry], job: Job) -> list[Entry]:
    """Splits 90/10 by person, and takes val from train if asked to."""
    entries = split_groups(entries, NINE_TO_ONE, job.seed)
    return hold_out_val(entries, job.options.val_share, job.seed)


def read(job: Job) -> list[Entry]:
    """Reads the file names; two files of one name are one picture."""
    found: dict[str, Entry] = {}
    for path in job.tree.pictures(job.ledger):
        name = stem(path).lower()
        match = NAME.fullmatch(name)
        reason = why_not(match, job)
        if not reason and name in found:
            reason = "same picture as a file before"
        if reason:
            job.ledger.drop(reason, path)
        else:
            found[name] = entry_of(path, match)
    return split_people(list(found.values()), job)
