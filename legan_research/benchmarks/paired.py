"""Paired timings of two implementations of a task, and their table."""

from __future__ import annotations

import dataclasses
import platform
import statistics
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import scipy
import tensorflow as tf

from legan_tf.command_line.cli import Progress
from legan_tf.runtime import hardware

PAIRS = 5
"""Least number of pairs of a published median."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Wall times of two implementations.

    Attributes:
        what: The task.
        first: Name of the implementation under test.
        second: Name of the reference implementation.
        first_s: Seconds of each call of the first.
        second_s: Seconds of each following call of the second.
        note: Further information, such as the difference of the results.
    """

    what: str
    first: str
    second: str
    first_s: tuple[float, ...]
    second_s: tuple[float, ...]
    note: str = ""

    @property
    def medians(self) -> tuple[float, float]:
        """Median seconds of the first and of the second."""
        return statistics.median(self.first_s), statistics.median(self.second_s)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Time of the second divided by that of the first, for each pair."""
        return tuple(slow / fast for fast, slow in zip(self.first_s, self.second_s))

    @property
    def ratio(self) -> float:
        """Median of ``ratios``; above 1 the first is faster."""
        return statistics.median(self.ratios)


def compare(
    what: str,
    first: tuple[str, Callable[[], object]],
    second: tuple[str, Callable[[], object]],
    pairs: int = PAIRS,
    note: str = "",
) -> Comparison:
    """Times two callables alternately, so that other load on the machine affects both.

    Each is first called once untimed, to compile, allocate or read files.

    Args:
        what: The task.
        first: Name and callable of the implementation under test.
        second: Name and callable of the reference.
        pairs: Number of timed pairs.
        note: Further information for the table.

    Raises:
        ValueError: ``pairs`` is below 1.
    """
    if pairs < 1:
        raise ValueError(f"pairs must be at least 1, not {pairs}")
    progress = Progress(2 * (pairs + 1), what)
    seconds = ([], [])
    for pair in range(pairs + 1):
        for side, (_, call) in enumerate((first, second)):
            began = time.perf_counter()
            call()
            if pair:
                seconds[side].append(time.perf_counter() - began)
            progress.update(2 * pair + side + 1)
    return Comparison(what, first[0], second[0], tuple(seconds[0]), tuple(seconds[1]), note)


def with_rates(result: Comparison, count: int) -> Comparison:
    """Returns a comparison with the rates of both as its note.

    Args:
        result: The comparison.
        count: Images in each call.
    """
    first, second = (figure(count / seconds) for seconds in result.medians)
    return dataclasses.replace(result, note=f"{first} and {second} pictures/s")


def figure(value: float) -> str:
    """Returns a number with three significant digits and thousands separators."""
    return f"{float(f'{value:.3g}'):,g}"


def machine() -> dict[str, str]:
    """Returns the processor and the versions that times depend on, by name."""
    return {
        "CPU": str(hardware.processor()),
        "GPU": "; ".join(map(str, hardware.gpus())) or "none",
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
    }


def as_markdown(title: str, comparisons: Sequence[Comparison], command: str) -> str:
    """Returns the table of comparisons with the machine and the command.

    Args:
        title: The heading.
        comparisons: The rows; may be empty.
        command: The command line.
    """
    lines = [f"# {title}", "", f"`{command}`", ""]
    lines += [" · ".join(f"{name}: {value}" for name, value in machine().items())]
    if comparisons:
        lines += ["", *_table(comparisons), "", _HOW]
    return "\n".join(lines) + "\n"


_HOW = "Wall times, medians; both timed in turn in one run, after one call of each."


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table with column names ``head``."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return [lines[0], "|" + "---|" * len(head), *lines[1:]]


def _table(comparisons: Sequence[Comparison]) -> list[str]:
    rows = []
    for row in comparisons:
        fast, slow = row.medians
        rows.append(
            [
                row.what,
                f"{row.first}: {fast:.3g} s",
                f"{row.second}: {slow:.3g} s",
                str(len(row.ratios)),
                f"**{row.ratio:.3g}** ({min(row.ratios):.3g} to {max(row.ratios):.3g})",
                row.note,
            ]
        )
    return table(["", "first", "second", "pairs", "second / first (lowest to highest)", ""], rows)
