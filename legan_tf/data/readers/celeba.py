"""CelebA: 202,599 faces of 10,177 people with forty attributes that are there or not."""

from __future__ import annotations

import collections
import dataclasses
import difflib

from legan_tf.command_line.options import Options, listed, option
from legan_tf.data import csv_text
from legan_tf.data.file_tree import stem
from legan_tf.data.manifest import Attributes, Row
from legan_tf.data.readers.registry import Job, register
from legan_tf.data.splits import EIGHT_ONE_ONE, SPLITS, split_groups
from legan_tf.errors import UserError

_ATTRIBUTES = "list_attr_celeba"
_IDENTITY = "identity_celeba"
_PARTITION = "list_eval_partition"
_ALIGNED = "img_align_celeba"
_CODES = {"1": 1, "-1": 0, "0": 0}


@dataclasses.dataclass(frozen=True)
class CelebAOptions(Options):
    """The options of CelebA."""

    attributes: str = option(
        "Smiling",
        "attributes that fill the expression column, beside a column for each of the forty. One "
        "gives the classes NAME and not NAME; of several, a picture's class is the only one that "
        "it has.",
    )

    def problems(self) -> list[str]:
        """Returns a sentence for each rule that the values break."""
        message = "--attributes is empty: name at least one, for example Smiling"
        return [*super().problems(), *([] if listed(self.attributes) else [message])]


@register(
    "celeba",
    title="CelebA",
    licence="The Chinese University of Hong Kong; for non-commercial research",
    layout="img_align_celeba/000001.jpg with list_attr_celeba, identity_CelebA and "
    "list_eval_partition, as .txt or .csv",
    columns=("identity", "expression", "attribute:NAME"),
    options=(CelebAOptions,),
    recognises=lambda path: stem(path).lower() == _ATTRIBUTES,
)
def read(job: Job) -> list[Row]:
    """Reads the lists; the official partition is the split, else 80/10/10 by person."""
    columns, attributes = _list(job, _ATTRIBUTES)
    if not attributes:
        raise UserError(
            f"--data_dir={job.tree.folder}: holds no {_ATTRIBUTES}.txt or .csv; it comes with "
            "CelebA's annotations."
        )
    wanted = _wanted(columns, job)
    _, people = _list(job, _IDENTITY)
    _, parts = _list(job, _PARTITION)
    if not people:
        job.report.note(f"There is no {_IDENTITY}: nobody is known.")
    if not parts:
        job.report.note(f"There is no {_PARTITION}: the split is ours, not the official one.")
    places = {name: place for place, name in enumerate(columns)}
    splits: dict[str, str] = {}
    rows, listed_names = [], set()
    pictures = _pictures(job)
    for name, (where, cells) in attributes.items():
        listed_names.add(name)
        path = pictures.get(name, "")
        person = f"celeba{people[name][1][0]}" if name in people else ""
        split = _split(parts[name]) if name in parts else ""
        reason = "" if path else "listed, but no such picture"
        if not reason and parts and not split:
            reason = f"in no split of {_PARTITION}"
        if not reason and person and splits.setdefault(person, split) != split:
            reason = "of a person that is in another split"
        if reason:
            job.report.drop(reason, where)
            continue
        has = Attributes(places, _codes(where, cells))
        label = _class([bool(has[name]) for name in wanted], job)
        row = Row(path=path, identity=person, expression=label, split=split, attributes=has)
        rows.append(row)
    for name, path in pictures.items():
        if name not in listed_names:
            job.report.drop(f"not in {_ATTRIBUTES}", path)
    return rows if parts else split_groups(rows, EIGHT_ONE_ONE, job.seed)


def _class(has: list[bool], job: Job) -> str:
    names = listed(job.options.attributes)
    if len(names) == 1:
        return names[0] if has[0] else f"not {names[0]}"
    return names[has.index(True)] if sum(has) == 1 else ""


def _codes(where: str, cells: list[str]) -> bytes:
    try:
        return bytes(_CODES[cell] for cell in cells)
    except KeyError as error:
        raise UserError(
            f"{where}: {error} is no label of an attribute; they are 1 and -1."
        ) from error


def _wanted(columns: list[str], job: Job) -> list[str]:
    """Returns the attributes that fill the expression column, as the list has their names."""
    lowered = [name.lower() for name in columns]
    wanted = []
    for name in listed(job.options.attributes):
        if name.lower() not in lowered:
            close = difflib.get_close_matches(name.lower(), lowered, n=1)
            hint = f"did you mean {columns[lowered.index(close[0])]}?" if close else "see the list."
            raise UserError(f"--attributes: CelebA has no attribute {name!r}; {hint}")
        wanted.append(columns[lowered.index(name.lower())])
    return wanted


def _split(row: tuple[str, list[str]]) -> str:
    where, cells = row
    try:
        return SPLITS[("0", "1", "2").index(cells[0])]
    except ValueError as error:
        raise UserError(f"{where}: {cells[0]!r} is no split; they are 0, 1 and 2.") from error


def _pictures(job: Job) -> dict[str, str]:
    """Returns the picture of each number; of several, the aligned one, and JPEG before PNG."""
    found = collections.defaultdict(list)
    lists = (_ATTRIBUTES, _IDENTITY, _PARTITION)
    for path in job.tree.pictures(job.report):
        if stem(path).lower() not in lists:
            found[stem(path).lower()].append(path)
    chosen = {}
    for name, paths in found.items():
        paths.sort(key=lambda path: (_ALIGNED not in path.lower().split("/"), path))
        chosen[name] = paths[0]
        for path in paths[1:]:
            job.report.drop("another copy of the same picture", path)
    return chosen


def _list(job: Job, name: str) -> tuple[list[str], dict[str, tuple[str, list[str]]]]:
    """Reads one of the lists.

    Returns:
        The names of its columns after the first, and for each picture (by its number) the place
        of its line and the cells after the first.
    """
    paths = job.tree.named(f"{name}.txt", f"{name}.csv")
    if not paths:
        return [], {}
    file = job.tree.full(paths[0])
    comma = paths[0].lower().endswith(".csv")
    lines = csv_text.read_lines(file, "," if comma else " ")
    if lines and len(lines[0][1]) == 1 and lines[0][1][0].isdecimal():
        lines = lines[1:]  # The text form begins with the number of pictures.
    columns: list[str] = []
    if lines and (name == _ATTRIBUTES or lines[0][1][0].lower() == "image_id"):
        columns = lines[0][1][1:] if lines[0][1][0].lower() == "image_id" else lines[0][1]
        lines = lines[1:]
    width = len(columns) or 1
    rows = {}
    for line, cells in lines:
        where = f"{file}:{line}"
        if len(cells) != width + 1:
            raise UserError(
                f"{where}: has {len(cells)} cells instead of {width + 1}; the file may be damaged."
            )
        rows[stem(cells[0]).lower()] = (where, cells[1:])
    return columns, rows
