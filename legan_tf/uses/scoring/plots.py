"""Ratings of a folder in pictures: the pictures by rank, and the histogram."""

from __future__ import annotations

import os

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from legan_tf.data import images
from legan_tf.drawing import COLOURS, dress, new_figure, write_legend
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.uses.scoring.database import State

_COLUMNS = 8
_SIDE = 128
_NARROWEST = 0.05
_BARS = 40


def ranks(state: State, folder: str, most: int = 64) -> list[tuple[str, list[tuple]]]:
    """Chooses pictures evenly spaced by rank, the worst first and the best last.

    Args:
        state: The ratings, one or more.
        folder: What was rated.
        most: How many to choose at most.

    Returns:
        Rows for ``sheet.captioned_sheet``: pictures with their ratings and names.
    """
    ratings = state.ratings()
    spaced = np.linspace(0, len(ratings) - 1, min(most, len(ratings))).round().astype(int)
    rank_of = {row: rank for rank, row in enumerate(np.argsort(ratings, kind="stable")[spaced])}
    chosen = [
        (rank_of[row], path, rating)
        for row, (path, rating) in enumerate(state.rated())
        if row in rank_of
    ]
    cells = []
    for _, path, rating in sorted(chosen):
        try:
            picture = images.to_square(images.decode(os.path.join(folder, path)), _SIDE)
        except UserError:  # It was there when it was rated.
            picture = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
        cells.append((picture, f"{rating:.2f} {printable(path.rpartition('/')[2])}"))
    starts = range(0, len(cells), _COLUMNS)
    names = {starts[-1]: "best", 0: "worst"}
    return [(names.get(start, ""), cells[start : start + _COLUMNS]) for start in starts]


def histogram(ratings: np.ndarray, least: float | None) -> Figure:
    """Draws how many pictures are rated how.

    Args:
        ratings: float [n], one or more.
        least: The lowest rating of what is kept, if anything is.
    """
    width = max(_NARROWEST, np.ptp(ratings) / _BARS)
    # A bar ends where what counts as natural begins.
    first = np.floor((ratings.min() - NATURAL) / width)
    last = np.floor((ratings.max() - NATURAL) / width) + 1
    edges = NATURAL + width * np.arange(first, last + 1)
    counts, _ = np.histogram(ratings, edges)
    share = float(np.mean(ratings >= NATURAL))
    figure = new_figure(7.2, 3.8)
    axes = figure.add_subplot()
    dress(axes, f"{len(ratings):,} pictures, mean {ratings.mean():.2f}", "rating by Q", "pictures")
    handles, labels = [], []
    for natural, colour, name in (
        (False, COLOURS[1], "not natural"),
        (True, COLOURS[0], "natural"),
    ):
        of = (edges[:-1] >= NATURAL - width / 2) == natural
        axes.bar(edges[:-1][of], counts[of], width, align="edge", color=colour)
        handles.append(Patch(color=colour))  # Of no bars, matplotlib shows another colour.
        labels.append(f"{name}: {share if natural else 1 - share:.1%}")
    handles.append(axes.axvline(NATURAL, color="black", linestyle="--", linewidth=1.2))
    labels.append(f"{NATURAL:g}, the lowest that counts as natural")
    if least is not None and least != NATURAL:
        handles.append(axes.axvline(least, color=COLOURS[3], linestyle=":", linewidth=1.6))
        labels.append(f"{least:g}, the lowest that is kept")
    write_legend(figure, handles, labels, loc="outside lower center", ncols=2)
    return figure


def printable(path: str) -> str:
    """Returns a path in UTF-8; bytes that are none are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
