"""CSV tables and other lists in text files: reading and writing."""

from __future__ import annotations

import csv
import dataclasses
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from legan_tf.data import storage
from legan_tf.errors import UserError

Line = tuple[int, list[str]]
"""Number of a line, counted from 1, and its cells."""


class TextError(UserError):
    """A content is not UTF-8 text or not valid CSV; the message continues after file and line.

    Attributes:
        line: Number of the line, counted from 1.
    """

    def __init__(self, line: int, message: str) -> None:
        """Keeps the number of the line beside the message."""
        self.line = line
        super().__init__(message)


@dataclasses.dataclass(frozen=True)
class Table:
    """A list with named columns.

    Attributes:
        file: Path of the file.
        columns: Names in lower case, in order.
        lines: The number and the cells by column of each line below the names.
    """

    file: str
    columns: list[str]
    lines: list[tuple[int, dict[str, str]]]


def to_bytes(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """Returns a table in UTF-8, the same on every system; NaN, the unknown, is left empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    # NaN is the one value that differs from itself.
    writer.writerows([cell if cell == cell else "" for cell in row] for row in rows)
    return text.getvalue().encode()


def decode(content: bytes) -> str:
    """Returns the text of a file's content, without a byte order mark.

    Raises:
        TextError: It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TextError(line, "is not UTF-8 text; save it in UTF-8.") from error


def lines(text: str, separator: str = ",") -> Iterator[Line]:
    """Yields the lines of a text with their stripped cells; blank lines are left out.

    A space as separator is any run of white space. Equal cells share their memory.

    Raises:
        TextError: A line is not valid CSV.
    """
    if separator == " ":
        split = ((number, line.split()) for number, line in enumerate(text.splitlines(), start=1))
        yield from ((number, list(map(sys.intern, cells))) for number, cells in split if cells)
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for row in reader:
            cells = [sys.intern(cell.strip()) for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise TextError(line, f"is not valid CSV ({error}).") from error


def read_lines(file: str, separator: str = "") -> list[Line]:
    """Reads the lines of a list, as ``lines`` does.

    Without a separator, it is the first of tab, comma and semicolon that the first line has, else
    white space.

    Raises:
        StorageError: The file cannot be read.
        UserError: It is not UTF-8 text, or a line is not valid CSV.
    """
    try:
        text = decode(storage.read_bytes(file))
        first = next((line for line in text.splitlines() if line.strip()), "")
        separator = separator or next((mark for mark in "\t,;" if mark in first), " ")
        return list(lines(text, separator))
    except TextError as error:
        raise UserError(f"{file}:{error.line}: {error}") from error


def read_table(file: str, default_columns: Sequence[str] = ()) -> Table:
    """Reads a list whose first line names the columns, or else has ``default_columns``.

    Raises:
        StorageError: The file cannot be read.
        UserError: It is empty or not valid CSV, or a line has fewer cells than there are columns.
    """
    found = read_lines(file)
    if not found:
        raise UserError(f"{file}: is empty.")
    columns = [cell.lower() for cell in found[0][1]]
    if default_columns and not set(columns) & set(default_columns):
        columns = list(default_columns)
    else:
        found = found[1:]
    table = Table(file, columns, [])
    for number, row in found:
        if len(row) < len(columns):
            raise UserError(
                f"{file}:{number}: has {len(row)} cells where there are {len(columns)} columns; "
                "the file may be cut short."
            )
        # Of two columns of one name, the first counts.
        table.lines.append((number, dict(zip(columns[::-1], row[: len(columns)][::-1]))))
    return table
