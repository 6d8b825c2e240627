"""Plot of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from legan_tf.plotting.drawing import SMALL, new_figure, shortened

_CELL = (0.36, 0.62)
"""Side of a cell in inches: of many classes, of few."""
_NAME = 24
"""Characters of a class name that are shown."""


def confusion_figure(counts: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Draws a confusion matrix (Bodur et al., Fig. 8).

    Cells are shares of their row, the darker the larger, with the percentage in them (nothing
    below half a percent). The count of each row stands at its right; rows without a picture are
    grey.

    Args:
        counts: Whole numbers or floats [C,C], not negative: rows wanted, columns read.
        classes: Names of the C classes.
        title: Title of the plot.

    Raises:
        ValueError: ``counts`` is not such a matrix, or there is not one name for each class.
    """
    counts = np.asarray(counts, np.float64)
    if counts.shape != (len(classes),) * 2 or not len(classes):
        raise ValueError(
            f"counts must be [C, C] for the {len(classes)} classes, not {list(counts.shape)}"
        )
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError("counts must be finite and not negative")
    size = len(classes)
    totals = counts.sum(axis=1)
    shares = counts / np.where(totals > 0, totals, np.nan)[:, None]
    names = [shortened(name, _NAME) for name in classes]
    cell = float(np.clip(5 / size, *_CELL))
    longest = 0.075 * max(map(len, names))  # Inches; a letter takes about so much.
    upright = longest < cell
    side = size * cell
    figure = new_figure(
        max(side + longest + 2.1, 4.8), side + 0.9 + (0 if upright else 0.7 * longest)
    )
    axes = figure.add_subplot()
    axes.set_facecolor("#d0d0d0")
    image = axes.imshow(np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=1)

    axes.set_xticks(
        range(size),
        names,
        rotation=0 if upright else 45,
        ha="center" if upright else "right",
        rotation_mode="anchor",
        parse_math=False,
    )
    axes.set_yticks(range(size), names, parse_math=False)
    axes.tick_params(labelsize=SMALL, length=0)
    axes.set_xlabel("read", fontsize=SMALL + 1)
    axes.set_ylabel("wanted", fontsize=SMALL + 1)
    axes.set_title(title, fontsize=SMALL + 2, parse_math=False, pad=8)
    # White gaps keep cells apart where neighbours have the same colour.
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(True, which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    for row, total in enumerate(totals):
        axes.text(
            size - 0.4, row, f"n = {total:,.10g}", va="center", fontsize=SMALL - 1, color="#555555"
        )
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            axes.text(
                column,
                row,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=SMALL + 1 if cell > 0.5 else SMALL - 1,
                color="white" if share > 0.55 else "black",
            )
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=25, format="{x:.0%}")
    bar.ax.tick_params(labelsize=SMALL)
    bar.set_label("share of the row", fontsize=SMALL + 1)
    bar.outline.set_visible(False)
    return figure
