"""AffectNet: faces from the web with one of eight emotions; in its three forms."""

from __future__ import annotations

import io
import re

import numpy as np

from legan_tf.data import csv_text, storage
from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS, emotion
from legan_tf.data.file_tree import Names
from legan_tf.data.manifest import Row
from legan_tf.data.readers.registry import Job, ValShare, register
from legan_tf.data.splits import hold_out_val, split_of_folders, test_from_val
from legan_tf.errors import UserError

_LISTS = {"training.csv": "train", "validation.csv": "test"}
_COLUMNS = (
    "subdirectory_filepath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
_NEEDED = ("subdirectory_filepath", "face_width", "expression")
_NOT_AN_EMOTION = {8: "none", 9: "uncertain", 10: "no face"}
_ANNOTATION = "_exp.npy"
_FILES = re.compile(
    r"(training\.csv|validation\.csv|_exp\.npy|(?:^|/)(?:train|val)[^/]*/[0-7]/[^/]+)$",
    re.IGNORECASE,
)


@register(
    "affectnet",
    title="AffectNet",
    licence="its authors, University of Denver; for research, after an agreement",
    layout="Manually_Annotated/Manually_Annotated_Images/1/x.jpg with "
    "Manually_Annotated_file_lists/training.csv and validation.csv, or train_set/images/1.jpg "
    "with train_set/annotations/1_exp.npy, or train/0/x.jpg",
    columns=("expression",),
    options=(ValShare,),
    recognises=_FILES.search,
)
def read(job: Job) -> list[Row]:
    """Reads the lists, else the annotations beside the pictures, else the numbered folders.

    The official validation set is the test set, unless a repacked tree has a test set of its own.
    """
    lists = {}
    for name, split in _LISTS.items():
        found = job.tree.named(name)
        if len(found) > 1:
            raise UserError(
                f"--data_dir={job.tree.folder}: holds {' and '.join(found[:2])}; name a folder "
                f"with one {name}."
            )
        if found:
            lists[split] = found[0]
    annotations = [path for path in job.tree.files if path.lower().endswith(_ANNOTATION)]
    if lists:
        rows = _from_lists(job, lists)
    elif annotations:
        rows = _from_annotations(job, annotations)
    else:
        rows = _from_folders(job)
    return hold_out_val(test_from_val(rows), job.options.val_share, job.seed)


def _from_lists(job: Job, lists: dict[str, str]) -> list[Row]:
    pictures = job.tree.pictures(job.report)
    names = Names(pictures)
    used: set[str] = set()
    rows = []
    for split, list_path in lists.items():
        file = job.tree.full(list_path)
        table = csv_text.read_table(file, _COLUMNS)
        missing = [name for name in _NEEDED if name not in table.columns]
        if missing:
            raise UserError(f"{file}: has no column {missing[0]!r}; AffectNet's lists have it.")
        for line, cells in table.lines:
            found = names.find(cells["subdirectory_filepath"])
            number = int(_number(file, line, cells["expression"]))
            reason = _why_not(number, _number(file, line, cells["face_width"]))
            if not found:
                reason = reason or "listed, but no such picture"
            elif len(found) > 1:
                reason = reason or "listed, and several pictures have the name"
            elif found[0] in used:
                reason = reason or "listed before"
            used.update(found)
            if reason:
                job.report.drop(reason, f"{list_path}:{line}")
            else:
                expression = AFFECTNET_EXPRESSIONS[number]
                rows.append(Row(path=found[0], expression=expression, split=split))
    for path in pictures:
        if path not in used:
            job.report.drop("in no list", path)
    return rows


def _from_annotations(job: Job, annotations: list[str]) -> list[Row]:
    numbers = {}
    progress = job.bar("reading annotations")
    for done, path in enumerate(annotations, start=1):
        file = job.tree.full(path)
        content = io.BytesIO(storage.read_bytes(file))
        try:
            value = np.load(content, allow_pickle=False)
            numbers[path[: -len(_ANNOTATION)].lower()] = int(value.item())
        except Exception as error:  # NumPy raises whatever a damaged or false header causes.
            raise UserError(f"{file}: is not one number in NumPy's format; replace it.") from error
        progress(done, len(annotations))

    def label(path: str) -> Row | str:
        folder, _, name = path.rpartition("/")
        beside = f"{folder.rpartition('/')[0]}/annotations/{name.rpartition('.')[0]}".lower()
        number = numbers.get(beside.lstrip("/"))
        split = split_of_folders(path.split("/")[:-1])
        if number is None:
            return f"without an annotation (annotations/NAME{_ANNOTATION})"
        if not split:
            return "in no folder called train_set or val_set"
        return _why_not(number) or Row(
            path=path, expression=AFFECTNET_EXPRESSIONS[number], split=split
        )

    pictures = [path for path in job.tree.files if not path.lower().endswith(".npy")]
    return job.rows(label, pictures)


def _from_folders(job: Job) -> list[Row]:
    def label(path: str) -> Row | str:
        *folders, _ = path.split("/")
        split, word = split_of_folders(folders), folders[-1] if folders else ""
        if not split:
            return "in no folder called train, val or test"
        if word.isdecimal() and int(word) in _NOT_AN_EMOTION:
            return _why_not(int(word))
        if not emotion(word):
            return "in no folder of an emotion (0 to 7, or its name)"
        return Row(path=path, expression=emotion(word), split=split)

    return job.rows(label)


def _why_not(number: int, width: float = 0) -> str:
    if number in _NOT_AN_EMOTION:
        return f"expression {number}, {_NOT_AN_EMOTION[number]}"
    if number not in range(len(AFFECTNET_EXPRESSIONS)):
        return "expression that is none of 0 to 10"
    return "face_width below 0: no face was found" if width < 0 else ""


def _number(file: str, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(
            f"{file}:{line}: {text!r} is not a number; face_width and expression are."
        ) from error
