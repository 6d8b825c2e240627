"""Tables of metrics, and their output as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MISSING = "–"
"""Text of a cell without a value."""
PERCENT = "%"
_MARKS = "†‡"
_ROW_COLUMNS = ("table", "model", "source", "comparable", "reason", "runs")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: Name in reports and CSV files.
        heading: Name in tables.
        better: ``higher`` or ``lower``; empty where neither is.
        decimals: How many are shown.
        unit: Empty for plain numbers. Percentages are stored as shares of 1.
        network: Kind of the network that measures it, as in ``networks`` of a report; empty where
            none does.
    """

    key: str
    heading: str
    better: str
    decimals: int
    unit: str = ""
    network: str = ""

    @property
    def title(self) -> str:
        """The heading with unit and direction, such as ``PSNR (dB) ↑``."""
        unit = f" ({self.unit})" if self.unit else ""
        return self.heading + unit + {"higher": " ↑", "lower": " ↓", "": ""}[self.better]

    def text(self, value: float | str | None) -> str:
        """Returns a value, as a number or as reports store it, or a dash for None."""
        if value is None:
            return MISSING
        value = float(value)
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        shown = round(100 * value if self.unit == PERCENT else value, self.decimals)
        return f"{shown + 0.0:.{self.decimals}f}"  # The sum is never -0, which reads as an error.

    def best(self, values: list[float]) -> float:
        """Returns the best of one value or more."""
        return max(values) if self.better == "higher" else min(values)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A metric of one row, over one run or several.

    Attributes:
        value: The value, or its mean over the runs.
        std: Standard deviation over the runs, with n - 1; None for one run, or if infinite.
        interval: Ends of the 95 % interval; None if not known, or for several runs.
        printed: The value as the paper prints it; empty if it is measured.
    """

    value: float
    std: float | None = None
    interval: tuple[float, float] | None = None
    printed: str = ""

    def text(self, column: Column) -> str:
        """Returns the text of a cell."""
        if self.printed:
            return self.printed
        text = column.text(self.value)
        if self.std is not None:
            text += f" ± {column.text(self.std)}"
        if self.interval is not None:
            text += " [" + ", ".join(map(column.text, self.interval)) + "]"
        return text


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: Name of the model or other content; of the metric, among correlations.
        figures: Values by key of the column, without missing ones.
        runs: Number of runs; 0 for rows without runs.
        competes: Whether the row is a measured model, so that it may be the best.
        source: Where the values were published; empty if they were measured.
        differences: Why published values cannot be compared with the measured ones.
    """

    name: str
    figures: Mapping[str, Figure]
    runs: int = 0
    competes: bool = False
    source: str = ""
    differences: tuple[str, ...] = ()

    def has(self, column: Column) -> bool:
        """Whether there is a value for a column."""
        return column.key in self.figures


@dataclasses.dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        key: Name in CSV files.
        title: Heading.
        columns: The columns; values under other keys are not shown.
        rows: The rows.
        notes: Sentences below the table.
        of: Heading of the names of rows.
    """

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    of: str = "model"

    def is_best(self, row: Row, column: Column) -> bool:
        """Whether a model is the best of two or more in a column."""
        values = [r.figures[column.key].value for r in self.rows if r.competes and r.has(column)]
        if not row.competes or not row.has(column) or len(values) < 2:
            return False
        return row.figures[column.key].value == column.best(values)

    def cells(self, before: str, after: str, escape: Callable[[str], str] = str) -> list[list[str]]:
        """Returns the texts of the rows, headings first.

        Args:
            before: What stands before the best of a column.
            after: What stands behind it.
            escape: Applied to all texts.
        """
        rows = [[self.of, *(escape(column.title) for column in self.columns)]]
        for row in self.rows:
            texts = [escape(self.name_of(row))]
            for column in self.columns:
                text = row.figures[column.key].text(column) if row.has(column) else MISSING
                best = self.is_best(row, column)
                texts.append(f"{before}{escape(text)}{after}" if best else escape(text))
            rows.append(texts)
        return rows

    def marks(self) -> dict[tuple[str, ...], str]:
        """Returns the mark of each set of differences, of which a table has two at most."""
        found = dict.fromkeys(row.differences for row in self.rows if row.differences)
        return dict(zip(found, _MARKS))

    def name_of(self, row: Row) -> str:
        """Returns the name of a row as it is shown."""
        name = row.name
        if row.runs > 1:
            name += f" (n = {row.runs})"
        if row.source:
            name += ", published"
        return f"{name} {self.marks().get(row.differences, '')}".rstrip()

    def footnotes(self) -> list[str]:
        """Returns the sentences below the table, explanations of the marks first."""
        marked = [f"{mark} not comparable: {'; '.join(d)}." for d, mark in self.marks().items()]
        return [*marked, *self.notes]


def as_markdown(title: str, tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Returns tables as a Markdown document.

    Args:
        title: Its title.
        tables: One section each.
        notes: Sentences before the first table.
    """
    lines = [f"# {title}", "", *_paragraphs(notes)]
    for table in tables:
        lines += [f"## {table.title}", "", *markdown_table(table.cells("**", "**"))]
        lines += ["", *_paragraphs(table.footnotes())]
    return "\n".join(lines).rstrip("\n") + "\n"


def _paragraphs(sentences: Sequence[str]) -> list[str]:
    return [line for sentence in sentences for line in (sentence, "")]


def markdown_table(rows: Sequence[Sequence[str]], align: str = "---:") -> list[str]:
    """Returns the lines of a table in Markdown, the headings first."""
    head, *body = (
        "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows
    )
    return [head, "| --- |" + f" {align} |" * (len(rows[0]) - 1), *body]


def as_csv(tables: Sequence[Table]) -> str:
    """Returns tables as one CSV with a line per row, numbers in full precision.

    The columns are ``table``, ``model``, ``source`` (``measured``, or where it was published),
    ``comparable`` (``yes`` or ``no``), ``reason`` (why not), ``runs``, and the keys of all columns,
    with ``_std``, ``_low`` and ``_high`` behind them where there is a deviation or an interval.

    Args:
        tables: A line for each of their rows.
    """
    records = []
    for table in tables:
        for row in table.rows:
            comparable = "no" if row.differences else "yes"
            reason = "; ".join(row.differences)
            source = row.source or "measured"
            about = (table.key, row.name, source, comparable, reason, row.runs or "")
            record: dict[str, Any] = dict(zip(_ROW_COLUMNS, about))
            for column in table.columns:
                if row.has(column):
                    record.update(_numbers(column.key, row.figures[column.key]))
            records.append(record)
    given = {name for record in records for name in record}
    keys = dict.fromkeys(column.key for table in tables for column in table.columns)
    figures = [key + end for key in keys for end in ("", "_std", "_low", "_high")]
    names = [*_ROW_COLUMNS, *(name for name in figures if name in given)]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _numbers(key: str, figure: Figure) -> dict[str, float]:
    """The cells of a value in a CSV file."""
    numbers = {key: figure.value}
    if figure.std is not None:
        numbers[f"{key}_std"] = figure.std
    if figure.interval is not None:
        numbers[f"{key}_low"], numbers[f"{key}_high"] = figure.interval
    return numbers


_LATEX: dict[str, Any] = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "%&_#${}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # After a line break a bracket would open its optional argument.
    "[": "{[}",
    "]": "{]}",
    **{character: f"${character}$" for character in "<>|"},
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "∞": r"$\infty$",
    "°": r"$^\circ$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "–": "--",
}


def _latex(text: str) -> str:
    """Text escaped for LaTeX, with the minus sign of numbers."""
    escaped = text.translate(str.maketrans(_LATEX))
    return re.sub(r"(?<![\w-])-(?=[\d$])", "$-$", escaped)


def as_latex(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Returns tables as LaTeX for a document without special packages.

    Args:
        tables: A paragraph with a tabular each.
        notes: Sentences to keep as comments.
    """
    lines = [f"% {note}" for note in notes]
    for table in tables:
        lines += ["", rf"\paragraph{{{_latex(table.title)}}}", ""]
        lines += [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\hline"]
        head, *body = (" & ".join(row) + r" \\" for row in table.cells(r"\textbf{", "}", _latex))
        lines += [head, r"\hline", *body, r"\hline", r"\end{tabular}"]
        for sentence in table.footnotes():
            lines += ["", _latex(sentence)]
    return "\n".join(lines) + "\n"
