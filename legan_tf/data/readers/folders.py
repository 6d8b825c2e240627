"""CASIA-WebFace, Labeled Faces in the Wild, and folders of classes."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from legan_tf.command_line.options import Options, option
from legan_tf.data.manifest import Row
from legan_tf.data.readers.registry import Job, ValShare, register
from legan_tf.data.splits import EIGHT_ONE_ONE, hold_out_val, split_groups, split_of_folders

FOLDER_COLUMNS = ("expression", "lighting", "identity")

_CASIA = re.compile(r"(?:^|/)(\d{7})/[^/]+$")
_LFW = re.compile(r"(?:^|/)([^/]+)/(\1)_\d{4}\.[^/.]+$")


@dataclasses.dataclass(frozen=True)
class FolderOptions(Options):
    """The options of folders of classes."""

    folder_column: str = option(
        "expression", "what the names of the class folders mean.", FOLDER_COLUMNS
    )


@register(
    "casia",
    title="CASIA-WebFace",
    licence="Chinese Academy of Sciences; for research",
    layout="0000045/001.jpg, a folder for each person",
    columns=("identity",),
    recognises=_CASIA.search,
)
def read_casia(job: Job) -> list[Row]:
    """Reads CASIA-WebFace, a folder of seven digits for each person; split 80/10/10 by person."""
    return _by_person(job, _CASIA, "casia", "in no folder of a person (seven digits)")


@register(
    "lfw",
    title="Labeled Faces in the Wild",
    licence="University of Massachusetts; for research",
    layout="Aaron_Eckhart/Aaron_Eckhart_0001.jpg, a folder for each person",
    columns=("identity",),
    recognises=_LFW.search,
)
def read_lfw(job: Job) -> list[Row]:
    """Reads LFW, a folder for each person, whose name the files repeat; split 80/10/10."""
    return _by_person(job, _LFW, "", "not called PERSON_0001 in a folder PERSON")


def _by_person(job: Job, name: re.Pattern[str], prefix: str, reason: str) -> list[Row]:
    def label(path: str) -> Row | str:
        match = name.search(path)
        return Row(path=path, identity=prefix + match[1]) if match else reason

    return split_groups(job.rows(label), EIGHT_ONE_ONE, job.seed)


@register(
    "folder",
    title="Folders of classes",
    licence="your own pictures",
    layout="train/CLASS/x.jpg and test/CLASS/x.jpg, or CLASS/x.jpg, or x.jpg",
    columns=FOLDER_COLUMNS,
    options=(FolderOptions, ValShare),
)
def read_folder(job: Job) -> list[Row]:
    """Reads folders as StarGAN uses them: splits, below them classes; or only one, or none.

    Without folders of splits, 80/10/10 by ``job.seed``: people whole where the classes are
    people, pictures one by one otherwise.
    """

    def label(path: str) -> Row:
        *folders, _ = path.split("/")
        split = split_of_folders(folders[:1])
        classes = folders[1:] if split else folders
        labels: dict[str, Any] = {job.options.folder_column: classes[0]} if classes else {}
        return Row(path=path, split=split, **labels)

    rows = job.rows(label)
    if not any(row.split for row in rows):
        return split_groups(rows, EIGHT_ONE_ONE, job.seed)
    for row in rows:
        if not row.split:
            job.report.drop("in no folder of a split, where others are", row.path)
    rows = [row for row in rows if row.split]
    if not any(row.split == "test" for row in rows):
        job.report.note("There is no folder called test: nothing is held out for it.")
    return hold_out_val(rows, job.options.val_share, job.seed)
