"""CASIA-WebFace, Labeled Faces in the Wild, and any folders that stand for classes."""

from __future__ import annotations

import re

from legan_tf.data.readers.entries import (
    EIGHT_ONE_ONE,
    Entry,
    Job,
    hold_out_val,
    split_groups,
    split_of_folders,
)

CASIA_LAYOUT = "0000045/001.jpg, a folder for each person"
LFW_LAYOUT = "Aaron_Eckhart/Aaron_Eckhart_0001.jpg, a folder for each person"
LAYOUT = "train/CLASS/x.jpg and test/CLASS/x.jpg, or CLASS/x.jpg, or x.jpg"

_CASIA = re.compile(r"(?:^|/)(\d{7})/[^/]+$")
_LFW = re.compile(r"(?:^|/)([^/]+)/(\1)_\d{4}\.[^/.]+$")


def recognises_casia(files: list[str]) -> bool:
    """Returns whether the files are in folders called as CASIA-WebFace's are."""
    return any(_CASIA.search(path) for path in files)


def recognises_lfw(files: list[str]) -> bool:
    """Returns whether the files are called as LFW's are."""
    return any(_LFW.search(path) for path in files)


def read_casia(job: Job) -> list[Entry]:
    """Reads CASIA-WebFace, a folder of seven digits for each person; split 80/10/10 by person."""
    return _by_person(job, _CASIA, "casia", "in no folder of a person (seven digits)")


def read_lfw(job: Job) -> list[Entry]:
    """Reads LFW, a folder for each person, whose name the files repeat; split 80/10/10."""
    return _by_person(job, _LFW, "", "not called PERSON_0001 in a folder PERSON")


def _by_person(job: Job, name: re.Pattern, prefix: str, reason: str) -> list[Entry]:
    entries = []
    for path in job.tree.pictures(job.ledger):
        match = name.search(path)
        if match:
            entries.append(Entry(path, identity=prefix + match[1]))
        else:
            job.ledger.drop(reason, path)
    return split_groups(entries, EIGHT_ONE_ONE, job.seed)


def read_folder(job: Job) -> list[Entry]:
    """Reads folders as StarGAN uses them: splits, below them classes; or only one, or none.

    Without folders of splits, 80/10/10 by ``job.seed``: people whole where the classes are
    people, pictures one by one otherwise.
    """
    entries, seen = [], {}
    column = job.options.folder_column
    for path in job.tree.pictures(job.ledger):
        *folders, _ = path.split("/")
        split = split_of_folders(folders[:1])
        classes = folders[1:] if split else folders
        entry = Entry(path, split=split)
        entries.append(entry._replace(**{column: classes[0]}) if classes else entry)
        seen.setdefault(split, path)
    if set(seen) == {""}:
        return split_groups(entries, EIGHT_ONE_ONE, job.seed)
    if "" in seen:
        kept = [entry for entry in entries if entry.split]
        for entry in entries:
            if not entry.split:
                job.ledger.drop("in no folder of a split, where others are", entry.path)
        entries = kept
    if not any(entry.split == "test" for entry in entries):
        job.ledger.note("There is no folder called test: nothing is held out for it.")
    return hold_out_val(entries, job.options.val_share, job.seed)
