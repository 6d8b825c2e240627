"""Files of the action units of photographs, as the programs that measure them write them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import numpy as np

from legan_tf.data import csv_text
from legan_tf.data.action_units import ACTION_UNITS, INTENSITY, NAMES, of_head
from legan_tf.data.conditions import RangeCondition
from legan_tf.errors import UserError
from legan_tf.head.action_units import MEASURED

_COLUMN = re.compile(r"au_?0*(\d+)(_r|_intensity)?")
_FORMS = {"_r": "OpenFace", "_intensity": "LibreFace"}
_PY_FEAT = ("au11", "au43", "facescore", "input")
"""Columns that tell py-feat's file, whose action units have no ending, from one made by hand."""
_HEAD = [f"au{number}" for number in MEASURED]
_PATHS = ("path", "input", "filename")


@dataclasses.dataclass(frozen=True)
class ActionUnitFile:
    """The action units of pictures.

    Attributes:
        condition: Those that the file has, in the order of ``action_units.NAMES``, and its source.
        vectors: float32 [N] in [0, 1] by path, NaN where unknown.
    """

    condition: RangeCondition
    vectors: Mapping[str, np.ndarray]


def read_action_units(file: str) -> ActionUnitFile:
    """Reads a file of action units, a line for each picture.

    Recognised are the columns of OpenFace (``AU01_r``, 0 to 5), LibreFace (``au_1_intensity``, 0 to
    5), py-feat (``AU01``, 0 to 1, whose AU43 stands for AU45) and files made by hand (``AU01``, 0
    to 5); and ``action_units.csv`` of ``prepare.py depth --pictures``, by the head that is fitted
    to a picture, whose units become the condition's by ``of_head``. A cell that is empty or NaN is
    unknown, and so is a line with ``success`` 0.

    Args:
        file: The CSV; a column ``path`` (of py-feat ``input``) has the paths of the manifest.

    Raises:
        StorageError: The file cannot be read.
        UserError: It is no such file; the message names the line and what to do.
    """
    table = csv_text.read_table(file)
    if table.columns == ["path", *_HEAD]:
        return _of_fitted_heads(table)
    flag = f"--action_units_file={file}"
    path = next((name for name in _PATHS if name in table.columns), "")
    if not path:
        raise UserError(
            f"{flag}: no column is called 'path'; add one with the paths of the manifest's "
            "pictures."
        )
    found = {c: match for c in table.columns if (match := _COLUMN.fullmatch(c))}
    endings = {match[2] for match in found.values() if match[2]}
    if len(endings) > 1:
        raise UserError(f"{flag}: has columns of OpenFace and of LibreFace; keep those of one.")
    ending = next(iter(endings), None)
    column_of = {int(match[1]): c for c, match in found.items() if match[2] == ending}
    py_feat = ending is None and any(name in table.columns for name in _PY_FEAT)
    if py_feat and 45 not in column_of and 43 in column_of:
        column_of[45] = column_of[43]
    columns = {name: column_of[int(name[2:])] for name in NAMES if int(name[2:]) in column_of}
    if not columns:
        raise UserError(
            f"{flag}: has no column of action units; they are called AU01_r (OpenFace), "
            "au_1_intensity (LibreFace) or AU01."
        )
    program = "py-feat" if py_feat else _FORMS.get(ending or "", "own measurements")
    most = 1.0 if py_feat else INTENSITY
    vectors: dict[str, np.ndarray] = {}
    for line, cells in table.lines:
        place = f"{flag}: line {line}"
        if cells[path] in vectors:
            raise UserError(
                f"{place}: {cells[path]!r} is there twice; keep the line of the face that the "
                "picture is of."
            )
        vector = np.full(len(columns), np.nan, np.float32)
        if cells.get("success", "1") not in ("0", "0.0", "False"):
            numbers = [_number(cells[c], most, f"{place}, {name}") for name, c in columns.items()]
            vector[:] = np.array(numbers) / most
        vectors[cells[path]] = vector
    condition = RangeCondition(ACTION_UNITS, tuple(columns), source=program)
    return ActionUnitFile(condition, vectors)


def _of_fitted_heads(table: csv_text.Table) -> ActionUnitFile:
    place = f"--action_units_file={table.file}: line"
    vectors = {
        cells["path"]: of_head(
            np.array([_number(cells[c], np.inf, f"{place} {line}, {c}") for c in _HEAD])
        )
        for line, cells in table.lines
    }
    return ActionUnitFile(RangeCondition(ACTION_UNITS, NAMES, source="the fitted head"), vectors)


def _number(cell: str, most: float, place: str) -> float:
    try:
        value = float(cell or "nan")
    except ValueError:
        raise UserError(f"{place}: {cell!r} is no number; leave it empty if unknown.") from None
    if value < 0 or value > most:
        raise UserError(f"{place}: {value:g} is outside 0 to {most:g}; rescale the column.")
    return value


def constant_units(condition: RangeCondition, vectors: np.ndarray) -> list[str]:
    """Returns the names of action units that hardly differ between pictures, float [n, N]."""
    known = ~np.isnan(vectors)
    return [
        name
        for place, name in enumerate(condition.names)
        if not known[:, place].any() or np.std(vectors[known[:, place], place]) < 0.01
    ]


def remarks(condition: RangeCondition, vectors: np.ndarray) -> list[str]:
    """Returns sentences on action units that a training would learn badly.

    Args:
        condition: Which they are.
        vectors: float32 [n, N], those of the pictures to train on; NaN where unknown.
    """
    found = []
    constant = constant_units(condition, vectors)
    if constant:
        found.append(
            f"{', '.join(constant)}: hardly any difference between the pictures of train, so a "
            "network cannot learn to edit them."
        )
    missing = np.isnan(vectors).any(axis=1)
    if missing.any():
        found.append(
            f"{missing.sum()} of {len(missing)} pictures of train lack some action units: these "
            "take part in no loss, and the pictures are no targets."
        )
    if len(vectors) and condition.source != "py-feat" and np.nanmax(vectors) <= 1 / INTENSITY:
        found.append(
            f"No action unit is above {np.nanmax(vectors) * INTENSITY:.2g} of {INTENSITY:g}; if "
            f"the file has 0 to 1, multiply it by {INTENSITY:g}."
        )
    return found
