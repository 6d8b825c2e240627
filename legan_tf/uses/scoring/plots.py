"""Plots of ratings: a sheet of images sorted by rating, and a histogram."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from legan_tf.data import images
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.plotting.drawing import COLOURS, new_figure, style_axes, write_legend

_COLUMNS = 8
_SIDE = 128
_MIN_BIN_WIDTH = 0.05
_BINS = 40

Cell = tuple[np.ndarray, str]
"""An image, uint8 [S, S, 3], and its caption."""


def sorted_by_rating(
    ratings: Mapping[str, float], folder: str, count: int = 64
) -> list[tuple[str, list[Cell]]]:
    """Returns images evenly spaced by rank, from the worst to the best.

    Args:
        ratings: One or more, by path relative to ``folder``.
        folder: The folder that was rated.
        count: Maximum number of images.

    Returns:
        Rows for ``sheet.captioned_sheet``: images with their ratings and names.
    """
    ranked = sorted(ratings, key=lambda path: (ratings[path], path))
    cells: list[Cell] = []
    for rank in np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int):
        path = ranked[rank]
        try:
            image = images.to_square(images.decode(os.path.join(folder, path)), _SIDE)
        except UserError:  # Removed or changed since it was rated.
            image = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
        cells.append((image, f"{ratings[path]:.2f} {os.path.basename(path)}"))
    starts = range(0, len(cells), _COLUMNS)
    names = {starts[-1]: "best", 0: "worst"}
    return [(names.get(start, ""), cells[start : start + _COLUMNS]) for start in starts]


def histogram(ratings: np.ndarray, threshold: float = NATURAL) -> Figure:
    """Draws the distribution of ratings.

    Args:
        ratings: float [n], one or more.
        threshold: The lowest rating that is copied.
    """
    width = max(_MIN_BIN_WIDTH, np.ptp(ratings) / _BINS)
    # One edge is the lowest natural rating.
    first, last = np.floor((np.array([ratings.min(), ratings.max()]) - NATURAL) / width)
    edges = NATURAL + width * np.arange(first, last + 2)
    figure = new_figure(7.2, 3.8)
    axes = figure.add_subplot()
    style_axes(
        axes, f"{len(ratings):,} pictures, mean {ratings.mean():.2f}", "rating by Q", "pictures"
    )
    for colour, name, chosen in (
        (COLOURS[1], "not natural", ratings < NATURAL),
        (COLOURS[0], "natural", ratings >= NATURAL),
    ):
        label = f"{name}: {np.mean(chosen):.1%}"
        axes.hist(ratings[chosen], edges, color=colour, label=label)
    label = f"{NATURAL:g}, the lowest that counts as natural"
    axes.axvline(NATURAL, color="black", linestyle="--", linewidth=1.2, label=label)
    if threshold != NATURAL:
        label = f"{threshold:g}, the lowest that is kept"
        axes.axvline(threshold, color=COLOURS[3], linestyle=":", linewidth=1.6, label=label)
    write_legend(figure, *axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
