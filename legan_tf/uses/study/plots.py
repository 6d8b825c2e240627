"""Plots of a study: shares of choices with intervals, and distributions of ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.plotting.drawing import COLOURS, as_png, new_figure, panels, shortened, style_axes
from legan_tf.uses.study.answers import RATINGS

_MAX_NAME = 40


def share_plot(shares: Mapping[str, tuple[float, float | None, float | None]]) -> bytes:
    """Returns a PNG of the share of choices of each model.

    Args:
        shares: Share and ends of its interval, 0 to 1, by model; unknown ends are None.
    """
    figure = new_figure(6.4, 1.1 + 0.42 * len(shares))
    axes = figure.add_subplot()
    title = "Chosen as most natural; lines are 95 % intervals, dots chance"
    style_axes(axes, title, "share of choices (%)")
    axes.grid(False, axis="y")
    places = np.arange(len(shares))[::-1]
    values = 100 * np.array(list(shares.values()), float)
    axes.barh(places, values[:, 0], color=COLOURS[0], height=0.62)
    for place, (value, low, high) in zip(places, values):
        if np.isfinite([low, high]).all():
            axes.plot([low, high], [place, place], color="black", linewidth=1.6)
            axes.plot([low, high], [place, place], "|", color="black", markersize=9)
        end = (float(np.nanmax([value, high])), place)
        axes.annotate(
            f"{value:.1f}", end, (6, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.axvline(100 / len(shares), color="#555555", linewidth=1, linestyle=":")
    axes.set_yticks(places, [shortened(name, _MAX_NAME) for name in shares], parse_math=False)
    axes.set_xlim(0, 1.12 * max(np.nanmax(values), 1))
    return as_png(figure)


def rating_plot(counts: Mapping[str, Sequence[int]]) -> bytes:
    """Returns a PNG of the distribution of the ratings of each model.

    Args:
        counts: Number of ratings of 1 to 10, by model.
    """
    figure, grid = panels(len(counts))
    highest = max(max(np.array(c) / max(sum(c), 1)) for c in counts.values())
    for axes, (name, given) in zip(grid, counts.items()):
        total = sum(given)
        mean = np.dot(RATINGS, given) / total if total else float("nan")
        title = f"{shortened(name, _MAX_NAME)}: mean {mean:.2f}, n = {total}"
        style_axes(axes, title, "rating", "share (%)")
        axes.grid(False, axis="x")
        axes.bar(RATINGS, 100 * np.array(given) / max(total, 1), color=COLOURS[0], width=0.8)
        axes.set_xticks(RATINGS)
        axes.set_ylim(0, 105 * highest)
    return as_png(figure)
