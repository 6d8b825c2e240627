"""Manifests: CSV files that name pictures and give their labels.

Columns, in any order; all but ``path`` may be absent, and any cell may be empty (unknown):
``path,identity,expression,lighting,depth,normal,rating_mean,rating_std,split``, and
``attribute:NAME`` of any number of binary attributes, and ``AU01`` to ``AU45`` of action units.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data import action_unit_files, attributes, conditions, csv_text, storage
from legan_tf.data.action_units import ACTION_UNITS, INTENSITY
from legan_tf.data.action_units import NAMES as UNITS
from legan_tf.data.conditions import (
    ATTRIBUTE_COLUMN,
    ATTRIBUTES,
    UNKNOWN,
    BinaryCondition,
    ClassCondition,
    Condition,
    RangeCondition,
)
from legan_tf.data.splits import SPLITS, fill_splits
from legan_tf.errors import UserError

RATING_RANGE = (1.0, 10.0)
CLASSES = {
    "expression": (attributes.MULTIPIE_EXPRESSIONS, attributes.AFFECTNET_EXPRESSIONS),
    "lighting": (attributes.MULTIPIE_SHOTS,),
}
"""Columns that name a class, each a condition, with vocabularies whose order classes have."""

_SHOWN_PROBLEMS = 50
_EMPTY = 2
_CODES = {"0": 0, "1": 1, "": _EMPTY}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One problem of a manifest.

    Attributes:
        file: The manifest.
        message: The problem and its solution.
        line: Where, counted from 1; 0 where it concerns the whole file.
        path: The picture as the line names it; empty where it concerns none.
    """

    file: str
    message: str
    line: int = 0
    path: str = ""

    def __str__(self) -> str:
        """Returns ``file:line: path: message``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ManifestError(UserError):
    """All the problems of a manifest in one report."""

    def __init__(self, problems: Collection[Problem]) -> None:
        """Makes the report; it shows the first 50 problems and counts the rest."""
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        count = len(self.problems)
        shown = [str(problem) for problem in self.problems[:_SHOWN_PROBLEMS]]
        if count > _SHOWN_PROBLEMS:
            shown.append(f"... and {count - _SHOWN_PROBLEMS} more.")
        noun = "problem" if count == 1 else "problems"
        summary = f"{self.problems[0].file} has {count} {noun} to solve first:"
        super().__init__("\n".join([summary, *shown]))


class Attributes(Mapping[str, int]):
    """The binary attributes of a picture that are known, 1 or 0 by name.

    They take a byte each: as dictionaries, those of CelebA would take half a gigabyte.
    """

    __slots__ = ("_codes", "_places")

    def __init__(self, places: Mapping[str, int], codes: bytes) -> None:
        """Takes labels.

        Args:
            places: The place of each attribute in ``codes``; the lines of a manifest share it.
            codes: 0 or 1 of each; any other number where it is unknown.
        """
        self._places, self._codes = places, codes

    @property
    def names(self) -> tuple[str, ...]:
        """All that the manifest has a column of, in the order of these."""
        return tuple(self._places)

    def __getitem__(self, name: str) -> int:
        """Returns a label."""
        code = self._codes[self._places[name]]
        if code > 1:
            raise KeyError(name)
        return code

    def __iter__(self) -> Iterator[str]:
        """Yields the names of those that are known."""
        return (name for name, place in self._places.items() if self._codes[place] <= 1)

    def __len__(self) -> int:
        """Returns how many are known."""
        return sum(1 for _ in self)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a manifest.

    Attributes:
        line: Number of the line in the file, counted from 1; 0 if it is not from a file.
        path: The picture as the line names it.
        file: The picture's full path or URL; empty if it is not from a file.
        identity: Name of the person; empty where unknown, as all that follow.
        expression: Name of the expression class.
        lighting: Name of the lighting class.
        depth: Full path or URL of the depth map.
        normal: Full path or URL of the normal map.
        rating_mean: Mean rating, 1 to 10; NaN where unknown.
        rating_std: Population standard deviation of the ratings; NaN where unknown.
        split: ``train``, ``val`` or ``test``.
        mesh: Full path or URL of the mesh that was fitted to the picture.
        landmarks: Full path or URL of the file of the picture's 68 landmarks.
        attributes: 1 or 0 by binary attribute; those that are not there are unknown.
        action_units: float32 [N] in [0, 1], in the order of ``Manifest.units``, NaN where unknown;
            none where all are.
    """

    line: int = 0
    path: str = ""
    file: str = ""
    identity: str = ""
    expression: str = ""
    lighting: str = ""
    depth: str = ""
    normal: str = ""
    rating_mean: float = math.nan
    rating_std: float = math.nan
    split: str = ""
    mesh: str = ""
    landmarks: str = ""
    attributes: Mapping[str, int] = dataclasses.field(default_factory=dict, hash=False)
    action_units: np.ndarray | None = dataclasses.field(default=None, compare=False)

    @property
    def rated(self) -> bool:
        """Whether the mean rating is known."""
        return not math.isnan(self.rating_mean)

    def has(self, column: str) -> bool:
        """Returns whether a label or map is known; ``rating`` is the mean rating.

        Of ``attributes`` and ``action_units``, one is enough.
        """
        if column == ACTION_UNITS:
            return self.action_units is not None
        return self.rated if column == "rating" else bool(getattr(self, column))


FITTED_COLUMNS = ("mesh", "landmarks")
"""Further columns that may be there: what ``scripts/prepare.py depth`` makes maps of."""

COLUMNS = tuple(
    field.name
    for field in dataclasses.fields(Row)
    if field.name not in ("line", "file", ATTRIBUTES, ACTION_UNITS, *FITTED_COLUMNS)
)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A manifest as read: its lines, and the names that all its splits share.

    Attributes:
        file: Its path or URL.
        rows: Its lines, in order.
        conditions: What its lines name: ``expression`` and ``lighting``, whose classes have the
            order of ``data.attributes`` or follow in alphabetical order, then ``attributes``, in
            the order of their columns.
        identities: People, alphabetical.
        notes: Decisions made while reading, one sentence each.
        problems: Problems of the text itself; ``check_manifest`` reports them.
        units: The action units of its lines, where it has any; no condition unless a training asks
            for them.
    """

    file: str
    rows: tuple[Row, ...]
    conditions: tuple[Condition, ...]
    identities: tuple[str, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    units: RangeCondition | None = None

    def split(self, name: str) -> tuple[Row, ...]:
        """Returns the lines of one split, in order."""
        return tuple(row for row in self.rows if row.split == name)

    def names(self, condition: str) -> tuple[str, ...]:
        """Returns the names of a condition's classes or attributes; none without it."""
        return next((one.names for one in self.conditions if one.name == condition), ())

    def only(self, names: Sequence[str], attributes: Sequence[str] = ()) -> Manifest:
        """Returns the manifest with some of its conditions; see ``conditions.only``.

        Raises:
            KeyError: It has not one of them.
        """
        kept = dataclasses.replace(
            self, conditions=conditions.only(self.conditions, names, attributes)
        )
        if kept.conditions == self.conditions:
            return self
        blank: dict[str, Any] = {one: "" for one in CLASSES if one not in names}
        places = {name: place for place, name in enumerate(kept.names(ATTRIBUTES))}

        def row(full: Row) -> Row:
            codes = bytes(full.attributes.get(name, _EMPTY) for name in places)
            return dataclasses.replace(full, attributes=Attributes(places, codes), **blank)

        return dataclasses.replace(kept, rows=tuple(map(row, self.rows)))

    def labels(self, condition: Condition, rows: Sequence[Row] | None = None) -> np.ndarray:
        """Returns the labels of lines in a condition, or of their people, int32 [n, *label_shape].

        Args:
            condition: One of the manifest's, or ``people``.
            rows: Some of its lines; all of them if none are given.
        """
        rows = self.rows if rows is None else rows
        return condition.labels([getattr(row, condition.name) for row in rows])

    def unit_labels(self, rows: Sequence[Row]) -> np.ndarray:
        """Returns the action units of lines, float32 [n, N]; ``units`` says which."""
        assert self.units is not None  # Else the lines have none.
        return self.units.labels([() if r.action_units is None else r.action_units for r in rows])

    def with_action_units(self, file: str) -> Manifest:
        """Returns the manifest with the action units of a file, joined by path.

        Args:
            file: As ``read_action_units`` reads it; none if empty.

        Raises:
            StorageError: The file cannot be read.
            UserError: It is no such file, has none of the pictures, or the manifest has others.
        """
        if not file:
            return self
        flag = f"--action_units_file={file}"
        if self.units is not None:
            raise UserError(
                f"{flag}: {self.file} has action units already, and two programs measure "
                "differently; take the columns AU… out of it, or leave the flag out."
            )
        found = action_unit_files.read_action_units(file)
        rows, known = [], 0
        for row in self.rows:
            vector = found.vectors.get(row.path, found.vectors.get(row.file))
            there = vector is not None and not np.isnan(vector).all()
            rows.append(dataclasses.replace(row, action_units=vector) if there else row)
            known += there
        if not known:
            raise UserError(
                f"{flag}: has no line of a picture of {self.file}, whose first path is "
                f"{self.rows[0].path!r}; write the paths alike."
            )
        note = (
            f"Action units of {known} of {len(rows)} pictures, by {found.condition.source}: "
            f"{', '.join(found.condition.names)}."
        )
        return dataclasses.replace(
            self, rows=tuple(rows), units=found.condition, notes=(*self.notes, note)
        )

    @property
    def people(self) -> Condition:
        """The people, as the classes of a condition."""
        return ClassCondition("identity", self.identities)

    def columns(self) -> Iterator[tuple[Condition, str, tuple[str, ...], np.ndarray]]:
        """Yields each column of labels, that of people last.

        Yields:
            Its condition, its name, its cells by label, and the labels of the lines, int32 [n].
        """
        for condition in (*self.conditions, self.people):
            columns = condition.columns()
            labels = self.labels(condition).reshape(len(self.rows), len(columns))
            for (name, cells), ids in zip(columns.items(), labels.T):
                yield condition, name, cells, ids

    def with_any(self, columns: Collection[str]) -> Manifest:
        """Returns the manifest without the lines that have none of some labels or maps.

        Args:
            columns: Their names, as ``Row.has`` takes them; all lines stay if there are none.

        Returns:
            The lines that are left, with all classes, and a note that counts the others.
        """
        rows = tuple(row for row in self.rows if any(map(row.has, columns)))
        if not columns or len(rows) == len(self.rows):
            return self
        without = dataclasses.replace(self, rows=rows)
        counts = (
            f"{len(self.split(split)) - len(without.split(split))} of {split}" for split in SPLITS
        )
        note = f"Left out for want of {' and '.join(columns)}: {', '.join(counts)}."
        return dataclasses.replace(without, notes=(*self.notes, note))

    def problem(self, message: str, row: Row | None = None) -> Problem:
        """Returns a problem of this manifest, or of one of its lines."""
        row = row or Row()
        return Problem(self.file, message, row.line, row.path)


def read_manifest(file: str, data_dir: str | None = None, seed: int = 0) -> Manifest:
    """Reads a manifest; opens no picture yet.

    Lines without a split get one from ``splits.fill_splits``, and ``notes`` says so.

    Args:
        file: The CSV, UTF-8. Local path or URL.
        data_dir: Folder that relative paths start from; default is the manifest's own.
        seed: Seed of the split where the manifest has none.

    Returns:
        The manifest; what is wrong in single lines is kept in ``problems``.

    Raises:
        ManifestError: The file is no such CSV at all.
        StorageError: The file cannot be read.
    """
    folder = os.path.dirname(file) if data_dir is None else data_dir
    header, lines = _parse(file, storage.read_bytes(file))
    binary = tuple(_attribute(column) for column in header if _attribute(column))
    places = {name: place for place, name in enumerate(binary)}
    units = tuple(name for name in UNITS if name in header)
    problems: list[Problem] = []
    rows: list[Row] = []
    for line, cells in lines:
        if len(cells) != len(header):
            message = (
                f"has {len(cells)} cells where the first line has {len(header)}; quote cells that "
                "contain a comma."
            )
            problems.append(Problem(file, message, line, cells[0]))
            continue
        row = _row(file, line, dict(zip(header, cells)), folder, places, units, problems)
        if row:
            rows.append(row)
    notes: list[str] = []
    if not all(row.split for row in rows):
        try:
            rows, note = fill_splits(rows, seed)
            notes.append(note)
        except UserError as error:
            problems.append(Problem(file, str(error)))
    classes = {
        column: _class_names((getattr(row, column) for row in rows), vocabularies)
        for column, vocabularies in CLASSES.items()
    }
    return Manifest(
        file=file,
        rows=tuple(rows),
        conditions=(
            *conditions.of_classes(**classes),
            *([BinaryCondition(ATTRIBUTES, binary)] if binary else []),
        ),
        identities=_class_names((row.identity for row in rows), ()),
        notes=tuple(notes),
        problems=tuple(problems),
        units=RangeCondition(ACTION_UNITS, units, "columns of the manifest") if units else None,
    )


def class_counts(manifest: Manifest) -> dict[str, dict[str, dict[str, int]]]:
    """Counts pictures per condition, class and split.

    Returns:
        ``counts[condition][name][split]`` for the manifest's conditions and ``identity``: pictures
        of a class, or with an attribute; those of which nothing is known have the name ``""``,
        where there are any.
    """
    rows = {split: manifest.split(split) for split in SPLITS}
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for condition in (*manifest.conditions, manifest.people):
        labels = {split: manifest.labels(condition, rows[split]) for split in SPLITS}
        table = {
            name: {split: int(condition.has(labels[split], place).sum()) for split in SPLITS}
            for place, name in (*enumerate(condition.names), (UNKNOWN, ""))
        }
        if not any(table[""].values()):
            del table[""]
        counts[condition.name] = table
    return counts


def counts_table(manifest: Manifest) -> str:
    """Returns the counts per split and class as lines of text, with the manifest's notes."""
    counts = class_counts(manifest)
    splits = {split: manifest.split(split) for split in SPLITS}
    lines = [
        ("", "", SPLITS),
        ("pictures", "", [len(rows) for rows in splits.values()]),
        ("rated", "", [sum(row.rated for row in rows) for rows in splits.values()]),
        ("people", "", [len({row.identity for row in rows} - {""}) for rows in splits.values()]),
    ]
    for condition in manifest.conditions:
        for name, per_split in counts[condition.name].items():
            lines.append((condition.name, name or "(unknown)", list(per_split.values())))
    width = max(len(name) for _, name, _ in lines)
    table = [
        f"{title:<10} {name:<{width}}" + "".join(f" {value:>7}" for value in values)
        for title, name, values in lines
    ]
    return "\n".join([*table, *manifest.notes])


def to_csv(lines: Iterable[Mapping[str, Any]], units: Sequence[str] = ()) -> bytes:
    """Returns the text of a manifest of lines, each with its cells by column.

    What is absent or NaN is left empty. Numbers have as many digits as they need to be read back.
    The cells of binary attributes are those of ``attributes``, as ``Row`` has it, and those of
    action units, whose names are ``units``, those of ``action_units``.
    """

    def cell(value: str | float) -> str:
        if isinstance(value, str):
            return value
        return "" if math.isnan(value) else np.format_float_positional(value, trim="-")

    lines = list(lines)
    labels = [line.get(ATTRIBUTES, {}) for line in lines]
    named = (found.names if isinstance(found, Attributes) else found for found in labels)
    binary = list(dict.fromkeys(itertools.chain.from_iterable(named)))
    header = (*COLUMNS, *(f"{ATTRIBUTE_COLUMN}{name}" for name in binary), *units)

    def intensities(vector: np.ndarray | None) -> list[str]:
        if vector is None:
            return [""] * len(units)
        return [cell(float(number) * INTENSITY) for number in vector]

    cells = (
        [
            *(cell(line.get(column, "")) for column in COLUMNS),
            *(found.get(name, "") for name in binary),
            *(intensities(line.get(ACTION_UNITS)) if units else ()),
        ]
        for line, found in zip(lines, labels)
    )
    return csv_text.to_bytes(header, cells)


def _parse(file: str, content: bytes) -> tuple[list[str], list[csv_text.Line]]:
    """Returns the column names and the cells of every line that is not blank."""
    try:
        lines = list(csv_text.lines(csv_text.decode(content)))
    except csv_text.TextError as error:
        raise ManifestError([Problem(file, str(error), error.line)]) from error
    if not lines:
        raise ManifestError([Problem(file, f"is empty; its first line is {','.join(COLUMNS)}.")])
    (header_line, header), *lines = lines
    _check_header(file, header_line, header)
    if not lines:
        raise ManifestError([Problem(file, "has no lines below the column names.")])
    return header, lines


def _attribute(column: str) -> str:
    """Returns the binary attribute whose labels a column holds; empty if it holds none."""
    return column[len(ATTRIBUTE_COLUMN) :] if column.startswith(ATTRIBUTE_COLUMN) else ""


def _check_header(file: str, line: int, header: list[str]) -> None:
    problems = []
    for name in dict.fromkeys(header):
        if "," in _attribute(name) or "=" in _attribute(name):
            message = f"column {name!r}: the name of an attribute has no comma and no equals sign."
            problems.append(Problem(file, message, line))
        elif name not in (*COLUMNS, *FITTED_COLUMNS, *UNITS) and not _attribute(name):
            hint = _column_hint(name)
            problems.append(Problem(file, f"column {name!r} is not known; {hint}", line))
        elif header.count(name) > 1:
            problems.append(Problem(file, f"column {name!r} is there twice; keep one.", line))
    if "path" not in header:
        message = "no column is called 'path'; the first line names the columns, with commas."
        problems.append(Problem(file, message, line))
    if problems:
        raise ManifestError(problems)


def _column_hint(name: str) -> str:
    begin, colon, rest = name.partition(":")
    if rest and difflib.get_close_matches(f"{begin.lower()}{colon}", [ATTRIBUTE_COLUMN]):
        return f"did you mean {ATTRIBUTE_COLUMN + rest.strip()!r}?"
    close = difflib.get_close_matches(name.lower(), COLUMNS, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"columns are {', '.join(COLUMNS)} and {ATTRIBUTE_COLUMN}NAME."


def _row(
    file: str,
    line: int,
    named: dict[str, str],
    folder: str,
    places: Mapping[str, int],
    units: Sequence[str],
    problems: list[Problem],
) -> Row | None:
    """Returns a line, its attributes at these places; none if it names no picture."""
    path = named["path"]

    def report(message: str) -> None:
        problems.append(Problem(file, message, line, path))

    def number(column: str) -> float:
        cell = named.get(column, "")
        if not cell:
            return math.nan
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            report(f"{column} {cell!r} is not a number; leave it empty if unknown.")
            return math.nan
        return value

    if not path:
        report("the path is empty; name a picture or remove the line.")
        return None
    mean, std = number("rating_mean"), number("rating_std")
    low, high = RATING_RANGE
    if mean < low or mean > high:
        report(f"rating_mean {mean:g} is outside {low:g} to {high:g}; rescale the ratings.")
    if std < 0:
        report(f"rating_std {std:g} is negative; a standard deviation is 0 or more.")
    if named.get("rating_std") and not named.get("rating_mean"):
        report("rating_std is given without rating_mean; give both or none.")
    split = named.get("split", "")
    if split and split not in SPLITS:
        close = {"dev": "val", "eval": "val"}.get(split.lower()) or next(
            (name for name in SPLITS if split.lower().startswith(name)), None
        )
        hint = f"did you mean {close!r}?" if close else f"splits are {', '.join(SPLITS)}."
        report(f"split {split!r} is not known; {hint}")
    labels = {name: named.get(name, "") for name in ("identity", "expression", "lighting")}
    codes = bytearray()
    for name in places:
        cell = named[ATTRIBUTE_COLUMN + name]
        if cell not in _CODES:
            report(
                f"{ATTRIBUTE_COLUMN}{name} {cell!r} is neither 1 (there) nor 0 (not there); leave "
                "it empty if unknown."
            )
        codes.append(_CODES.get(cell, _EMPTY))
    vector = np.array([number(name) for name in units], np.float32) / np.float32(INTENSITY)
    for name in np.array(units)[(vector < 0) | (vector > 1)]:
        report(f"{name} {named[name]} is outside 0 to {INTENSITY:g}; rescale the column.")
    files = {
        column: storage.join(folder, named[column]) if named.get(column) else ""
        for column in ("depth", "normal", *FITTED_COLUMNS)
    }
    file = storage.join(folder, path)
    return Row(
        line,
        path,
        file,
        **labels,
        **files,
        rating_mean=mean,
        rating_std=std,
        split=split,
        attributes=Attributes(places, bytes(codes)),
        action_units=None if np.isnan(vector).all() else vector,
    )


def _class_names(
    found: Iterable[str], vocabularies: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    names = sorted({name for name in found if name})
    # The vocabularies share names in different orders: the one that knows the most decides.
    order = max(vocabularies, key=lambda known: len(set(known) & set(names)), default=())
    return (*(name for name in order if name in names), *(n for n in names if n not in order))
