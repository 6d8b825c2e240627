"""CMU Multi-PIE: frontal pictures of 337 people, six expressions under twenty flashes."""

from __future__ import annotations

import collections
import dataclasses
import re

from legan_tf.command_line.options import Options, option
from legan_tf.data.attributes import MULTIPIE_SHOTS
from legan_tf.data.file_tree import stem
from legan_tf.data.manifest import Row
from legan_tf.data.readers.registry import Job, register
from legan_tf.data.splits import Shares, shuffled, splits_in_order

CAMERA = "051"
"""The camera in front of the face; its folders are called 05_1."""

EXPRESSIONS = {
    (1, 1): "neutral",
    (1, 2): "smile",
    (2, 1): "neutral",
    (2, 2): "surprise",
    (2, 3): "squint",
    (3, 1): "neutral",
    (3, 2): "smile",
    (3, 3): "disgust",
    (4, 1): "neutral",
    (4, 2): "neutral",
    (4, 3): "scream",
}
"""Expressions that people were asked for, by session and recording."""

SHARES: Shares = (208, 64, 65)
"""People in train, val and test: the sizes of the published protocol."""

_NAME = re.compile(r"(\d{3})_(\d{2})_(\d{2})_(\d{3})_(\d{2})")
_SESSION = re.compile(r"(?:^|/)session(\d{2})/", re.IGNORECASE)
_CAMERA_FOLDER = re.compile(r"\d{2}_\d")


@dataclasses.dataclass(frozen=True)
class MultiPieOptions(Options):
    """The options of Multi-PIE."""

    merge_flashless: bool = option(False, "call shot19 shot00 too; both are taken without a flash.")


def skip(folder: str) -> str:
    """Returns the reason to leave a folder out: it is another camera's."""
    name = folder.rpartition("/")[2]
    if _CAMERA_FOLDER.fullmatch(name) and name.replace("_", "") != CAMERA:
        return "folder of a camera other than 05_1"
    return ""


@register(
    "multipie",
    title="CMU Multi-PIE",
    licence="Carnegie Mellon University; under a paid licence",
    layout="session01/multiview/001/01/05_1/001_01_01_051_07.png",
    columns=("identity", "expression", "lighting"),
    options=(MultiPieOptions,),
    recognises=lambda path: _NAME.fullmatch(stem(path)),
    skip=skip,
)
def read(job: Job) -> list[Row]:
    """Reads the file names: person, session, recording, camera, shot.

    The people of val and test are those who came to the most sessions, chosen by the seed where
    there are more of them: what is held out should show every expression.
    """
    names: set[str] = set()
    sessions: dict[str, set[str]] = collections.defaultdict(set)
    shots: collections.Counter[tuple[str, ...]] = collections.Counter()

    def label(path: str) -> Row | str:
        match = _NAME.fullmatch(stem(path))
        reason = _why_not(path, match)
        if reason or match is None:
            return reason
        if match[0] in names:
            return "same shot as a file before"
        names.add(match[0])
        person, session, recording, _, shot = match.groups()
        lighting = MULTIPIE_SHOTS[int(shot)]
        if job.options.merge_flashless and lighting == MULTIPIE_SHOTS[-1]:
            lighting = MULTIPIE_SHOTS[0]
        sessions[f"multipie{person}"].add(session)
        shots[person, session, recording] += 1
        expression = EXPRESSIONS[int(session), int(recording)]
        return Row(
            path=path, identity=f"multipie{person}", expression=expression, lighting=lighting
        )

    rows = job.rows(label)
    missing = {"01", "02", "03", "04"} - set().union(*sessions.values())
    if sessions and missing:
        job.report.note(f"There is no picture of session {', '.join(sorted(missing))}.")
    short = [key for key, count in shots.items() if count < len(MULTIPIE_SHOTS)]
    if short:
        job.report.note(
            f"{len(short)} of {len(shots)} recordings have fewer than {len(MULTIPIE_SHOTS)} shots; "
            f"the first is {'_'.join(min(short))}."
        )
    # A stable sort: equal numbers of sessions stay in the order of the seed.
    people = sorted(shuffled(sessions, job.seed), key=lambda person: len(sessions[person]))
    split = splits_in_order(people, SHARES)
    # Val and test would else be sorted among themselves, and test have the more faithful people.
    held_out = [person for person in people if split[person] != "train"]
    in_test = sum(split[person] == "test" for person in held_out)
    for at, person in enumerate(shuffled(held_out, job.seed)):
        split[person] = "test" if at < in_test else "val"
    return [dataclasses.replace(row, split=split[row.identity]) for row in rows]


def _why_not(path: str, match: re.Match[str] | None) -> str:
    """Returns the reason for which a file is left out; empty where there is none."""
    if "highres" in path.lower().split("/"):
        return "of the highres tree, which has other cameras and light"
    if not match:
        return "not called as Multi-PIE's pictures are (PPP_SS_RR_CCC_LL)"
    _, session, recording, camera, shot = match.groups()
    folder = _SESSION.search(path)
    if folder and folder[1] != session:
        return "of another session than its folder"
    if camera != CAMERA:
        return "of a camera other than 05_1"
    if (int(session), int(recording)) not in EXPRESSIONS:
        return "of a recording that no expression is known for"
    if int(shot) >= len(MULTIPIE_SHOTS):
        return "of a shot above 19"
    return ""
