"""Plots of ratings: a sheet of images sorted by rating, and a histogram."""

from __future__ import annotations

import os

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from legan_tf.data import images
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.plotting.drawing import COLOURS, new_figure, style_axes, write_legend
from legan_tf.uses.scoring.database import RatingDatabase

_COLUMNS = 8
_SIDE = 128
_MIN_BIN_WIDTH = 0.05
_BINS = 40


def sorted_by_rating(
    database: RatingDatabase, folder: str, count: int = 64
) -> list[tuple[str, list[tuple]]]:
    """Returns images evenly spaced by rank, from the worst to the best.

    Args:
        database: One or more ratings.
        folder: The folder that was rated.
        count: Maximum number of images.

    Returns:
        Rows for ``sheet.captioned_sheet``: images with their ratings and names.
    """
    ratings = database.ratings()
    spaced = np.linspace(0, len(ratings) - 1, min(count, len(ratings))).round().astype(int)
    rank_of = {row: rank for rank, row in enumerate(np.argsort(ratings, kind="stable")[spaced])}
    chosen = [
        (rank_of[row], path, rating)
        for row, (path, rating) in enumerate(database.rated())
        if row in rank_of
    ]
    cells = []
    for _, path, rating in sorted(chosen):
        try:
            image = images.to_square(images.decode(os.path.join(folder, path)), _SIDE)
        except UserError:  # Removed or changed since it was rated.
            image = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
        cells.append((image, f"{rating:.2f} {printable(path.rpartition('/')[2])}"))
    starts = range(0, len(cells), _COLUMNS)
    names = {starts[-1]: "best", 0: "worst"}
    return [(names.get(start, ""), cells[start : start + _COLUMNS]) for start in starts]


def histogram(ratings: np.ndarray, threshold: float | None) -> Figure:
    """Draws the distribution of ratings.

    Args:
        ratings: float [n], one or more.
        threshold: The lowest rating that is copied, if any.
    """
    width = max(_MIN_BIN_WIDTH, np.ptp(ratings) / _BINS)
    # One edge is the lowest natural rating.
    first = np.floor((ratings.min() - NATURAL) / width)
    last = np.floor((ratings.max() - NATURAL) / width) + 1
    edges = NATURAL + width * np.arange(first, last + 1)
    counts, _ = np.histogram(ratings, edges)
    share = float(np.mean(ratings >= NATURAL))
    figure = new_figure(7.2, 3.8)
    axes = figure.add_subplot()
    style_axes(
        axes, f"{len(ratings):,} pictures, mean {ratings.mean():.2f}", "rating by Q", "pictures"
    )
    handles, labels = [], []
    for natural, colour, name in (
        (False, COLOURS[1], "not natural"),
        (True, COLOURS[0], "natural"),
    ):
        bins = (edges[:-1] >= NATURAL - width / 2) == natural
        axes.bar(edges[:-1][bins], counts[bins], width, align="edge", color=colour)
        handles.append(Patch(color=colour))  # Without bars, matplotlib shows another colour.
        labels.append(f"{name}: {share if natural else 1 - share:.1%}")
    handles.append(axes.axvline(NATURAL, color="black", linestyle="--", linewidth=1.2))
    labels.append(f"{NATURAL:g}, the lowest that counts as natural")
    if threshold is not None and threshold != NATURAL:
        handles.append(axes.axvline(threshold, color=COLOURS[3], linestyle=":", linewidth=1.6))
        labels.append(f"{threshold:g}, the lowest that is kept")
    write_legend(figure, handles, labels, loc="outside lower center", ncols=2)
    return figure


def printable(path: str) -> str:
    """Returns a path in UTF-8, with other bytes escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
