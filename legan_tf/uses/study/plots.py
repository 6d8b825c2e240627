"""Pictures of a study's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.drawing import COLOURS, as_png, dress, new_figure, panels, shortened
from legan_tf.uses.study.answers import RATINGS

_LONGEST = 40


def share_picture(shares: Mapping[str, tuple[float, float, float]]) -> bytes:
    """Draws how often each model was chosen, with intervals.

    Args:
        shares: By model, the share and the ends of its interval, 0 to 1; ends may be NaN.

    Returns:
        A PNG.
    """
    figure = new_figure(6.4, 1.1 + 0.42 * len(shares))
    axes = figure.add_subplot()
    dress(
        axes,
        "Chosen as most natural; lines are 95 % intervals, dots chance",
        "share of choices (%)",
    )
    axes.grid(False, axis="y")
    places = np.arange(len(shares))[::-1]
    values = 100 * np.array(list(shares.values()))
    axes.barh(places, values[:, 0], color=COLOURS[0], height=0.62)
    for place, (value, low, high) in zip(places, values):
        if np.isfinite([low, high]).all():
            axes.plot([low, high], [place, place], color="black", linewidth=1.6)
            axes.plot([low, high], [place, place], "|", color="black", markersize=9)
        axes.annotate(
            f"{value:.1f}", (np.nanmax([value, high]), place), (6, 0),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    axes.axvline(100 / len(shares), color="#555555", linewidth=1, linestyle=":")
    axes.set_yticks(places, [shortened(name, _LONGEST) for name in shares], parse_math=False)
    axes.set_xlim(0, 1.12 * max(np.nanmax(values), 1))
    return as_png(figure)


def rating_picture(counts: Mapping[str, Sequence[int]]) -> bytes:
    """Draws how often each model got each rating.

    Args:
        counts: By model, how many ratings of 1 to 10 there are.

    Returns:
        A PNG.
    """
    figure, grid = panels(len(counts))
    highest = max(max(np.array(c) / max(sum(c), 1)) for c in counts.values())
    for axes, (name, given) in zip(grid, counts.items()):
        total = sum(given)
        mean = np.dot(RATINGS, given) / total if total else float("nan")
        title = f"{shortened(name, _LONGEST)}: mean {mean:.2f}, n = {total}"
        dress(axes, title, "rating", "share (%)")
        axes.grid(False, axis="x")
        axes.bar(RATINGS, 100 * np.array(given) / max(total, 1), color=COLOURS[0], width=0.8)
        axes.set_xticks(RATINGS)
        axes.set_ylim(0, 105 * highest)
    return as_png(figure)
