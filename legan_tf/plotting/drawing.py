"""Charts with matplotlib: figures, colours, legends and PNG.

``pyplot`` is not used, which keeps global state and may open a display.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 120
SMALL = 8
"""Size of ticks and legends in points; titles and axis labels are a point larger."""
PANEL = (3.6, 2.7)
"""Width and height of one of several panels, in inches."""

# Okabe and Ito's colours, distinct for colour-blind people too, without yellow, ordered so that
# lines of equal dashes differ in lightness. Pairs of colour and dash repeat after 28.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#000000", "#56B4E9")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D")


def new_figure(width: float, height: float) -> Figure:
    """Returns a white figure with constrained layout; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """Returns a figure and its ``count`` panels, at most three in a row."""
    columns = min(count, 3)
    rows = math.ceil(count / columns)
    figure = new_figure(max(PANEL[0] * columns, 4.8), PANEL[1] * rows + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in grid[count:]:
        spare.remove()
    return figure, list(grid[:count])


def as_png(figure: Figure) -> bytes:
    """Renders a figure as PNG; characters missing from the bundled font become boxes."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(content, format="png")
    return content.getvalue()


def style(index: int) -> dict[str, Any]:
    """Returns colour and dashes of line number ``index``; the dashes differ also in grey."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}


def marker(index: int) -> dict[str, Any]:
    """Returns colour and shape of the marker number ``index``."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def finite(values: Any) -> np.ndarray:
    """Returns values as float64, with NaN, which is not drawn, for infinite ones."""
    values = np.asarray(values, np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def shortened(text: str, length: int) -> str:
    """Returns a text of at most ``length`` characters, with its middle left out."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def write_legend(
    place: Figure | Axes, handles: Sequence[Artist], labels: Sequence[str], **options: Any
) -> None:
    """Adds a legend with literal labels.

    Left to itself, matplotlib hides labels that begin with ``_`` and reads ``$`` as mathematics.
    """
    places = [str(index) for index in range(len(labels))]
    legend = place.legend(handles, places, fontsize=SMALL, frameon=False, **options)
    for text, label in zip(legend.get_texts(), labels):
        text.set(text=label, parse_math=False)


def write_shared_legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Adds one legend above all panels of a figure, in as many columns as fit."""
    labels = [shortened(label, 48) for label in labels]
    # An entry takes about 0.07 inches per character and 0.6 for its line and the gap.
    room = figure.get_figwidth() / (0.07 * max(map(len, labels)) + 0.6)
    columns = max(1, min(len(labels), int(room)))
    write_legend(figure, handles, labels, loc="outside upper center", ncols=columns)


def style_axes(axes: Axes, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Adds titles and a faint grid to axes and hides the upper and right spines."""
    axes.set_title(title, fontsize=SMALL + 1, parse_math=False)
    axes.set_xlabel(xlabel, fontsize=SMALL + 1, parse_math=False)
    axes.set_ylabel(ylabel, fontsize=SMALL + 1, parse_math=False)
    axes.tick_params(labelsize=SMALL)
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def mark_empty(axes: Axes) -> None:
    """Writes "nothing to show" in the middle of axes without a scale."""
    axes.set_yticks([])
    axes.text(
        0.5,
        0.5,
        "nothing to show",
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=SMALL + 1,
        color="#555555",
    )
