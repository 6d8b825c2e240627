"""Lists that come with a data set: CSV, and columns with other separators."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence

from legan_tf.data import storage
from legan_tf.errors import UserError

Cells = tuple[int, list[str]]
"""Number of a line, counted from 1, and its cells."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A list with named columns.

    Attributes:
        file: Where it is.
        columns: Names in lower case, in order.
        lines: Its lines, without the names.
    """

    file: str
    columns: list[str]
    lines: list[Cells]

    def column(self, *names: str) -> int:
        """Returns the place of the first of these columns that there is; -1 if there is none."""
        return next((self.columns.index(name) for name in names if name in self.columns), -1)


def read_text(file: str) -> str:
    """Returns the text of a file.

    Raises:
        UserError: The file cannot be read, or is no UTF-8 text.
    """
    try:
        return storage.read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is not UTF-8 text; save it as UTF-8.") from error


def cells(file: str, text: str, separator: str = "") -> list[Cells]:
    """Splits a text into lines and cells; blank lines are left out.

    Args:
        file: Its name, for errors.
        text: Its content.
        separator: What stands between cells; if empty, the first of tab, comma and semicolon that
            the first line has, else any run of spaces.

    Raises:
        UserError: A line is not valid CSV.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = separator or next((mark for mark in "\t,;" if mark in first), " ")
    if separator == " ":
        lines = enumerate(text.splitlines(), start=1)
        return [(number, line.split()) for number, line in lines if line.strip()]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found, line = [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.append((line, [cell.strip() for cell in row]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{file}:{line}: is not valid CSV ({error}).") from error
    return found


def table(file: str, text: str, default_columns: Sequence[str] = ()) -> Table:
    """Reads a CSV whose first line names the columns.

    Args:
        file: Its name, for errors.
        text: Its content.
        default_columns: The names, in lower case, where the first line has none of them.

    Raises:
        UserError: It is empty or not valid CSV, or a line has fewer cells than there are columns.
    """
    lines = cells(file, text)
    if not lines:
        raise UserError(f"{file}: is empty.")
    columns = [cell.lower() for cell in lines[0][1]]
    if default_columns and not set(columns) & set(default_columns):
        columns = list(default_columns)
    else:
        lines = lines[1:]
    for number, row in lines:
        if len(row) < len(columns):
            raise UserError(
                f"{file}:{number}: has {len(row)} cells where there are {len(columns)} columns; "
                "the file may be cut short."
            )
    return Table(file, columns, lines)
