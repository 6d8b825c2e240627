"""Two ways to do one thing, timed alternately, and the table that tells of it."""

from __future__ import annotations

import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import scipy
import tensorflow as tf

from legan_tf.cli import Progress

PAIRS = 5
"""Fewest pairs that a published median is taken from."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What two callables took.

    Attributes:
        what: The task that both did.
        first: Name of the one whose speed is claimed.
        second: Name of what it is compared with.
        first_s: Wall time of each call in seconds.
        second_s: That of the call of the second which followed, one for each.
        note: What else should be known of the two, such as how far their results differ.
    """

    what: str
    first: str
    second: str
    first_s: tuple[float, ...]
    second_s: tuple[float, ...]
    note: str = ""

    @property
    def medians(self) -> tuple[float, float]:
        """Median wall times of the first and of the second, in seconds."""
        return statistics.median(self.first_s), statistics.median(self.second_s)

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times as long the second took, pair by pair."""
        return tuple(slow / fast for fast, slow in zip(self.first_s, self.second_s))

    @property
    def ratio(self) -> float:
        """The median of ``ratios``; above 1 the first is faster."""
        return statistics.median(self.ratios)


def compare(
    what: str,
    first: tuple[str, Callable[[], object]],
    second: tuple[str, Callable[[], object]],
    pairs: int = PAIRS,
    note: str = "",
) -> Comparison:
    """Times two callables in turn, so that what else the machine does meets both alike.

    Each is called once before, untimed: that call may compile, allocate or read files.

    Args:
        what: The task that both do.
        first: Name and callable of the one whose speed is claimed.
        second: Those of what it is compared with.
        pairs: How often to time both.
        note: Stands beside the result.

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
    """Returns a comparison whose note tells the pictures per second of both.

    Args:
        result: What both took.
        count: Pictures in each call.
    """
    first, second = (figure(count / seconds) for seconds in result.medians)
    return dataclasses.replace(result, note=f"{first} and {second} pictures/s")


def figure(value: float) -> str:
    """Returns a figure with three digits that count, and commas."""
    return f"{float(f'{value:.3g}'):,g}"


def usable_cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: it may have been given fewer than there are.
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict[str, str]:
    """Returns what a time depends on: the processor and the versions, by name."""
    return {
        "CPU": _cpu_model(),
        "Cores": f"{usable_cores()} used of {os.cpu_count()}",
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
    }


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # Not Linux.
    return platform.processor() or platform.machine()


def as_markdown(title: str, comparisons: Sequence[Comparison], command: str) -> str:
    """Returns the table of comparisons, with the machine and the command that repeats it.

    Args:
        title: Its heading.
        comparisons: One row each; there may be none, where all that was timed is ours.
        command: What was typed.
    """
    lines = [f"# {title}", "", f"`{command}`", ""]
    lines += [" · ".join(f"{name}: {value}" for name, value in machine().items())]
    if comparisons:
        lines += ["", *_table(comparisons), "", _HOW]
    return "\n".join(lines) + "\n"


_HOW = "Wall times, medians; both timed in turn in one run, after one call of each."


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table.

    Args:
        head: Names of the columns.
        rows: Their cells.
    """
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
