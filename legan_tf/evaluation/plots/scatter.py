"""Scatter plots: ratings by Q and by people, and quality against other metrics over models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from legan_tf.data.manifest import RATING_RANGE
from legan_tf.evaluation.metrics.correlation import pearson, spearman
from legan_tf.plotting.drawing import (
    COLOURS,
    finite,
    mark_empty,
    marker,
    new_figure,
    panels,
    style_axes,
    write_legend,
    write_shared_legend,
)

_EDGE = 0.3
"""Margin of the axes beyond the scale, so that points at its ends are whole."""


def rating_figure(predicted: np.ndarray, mean: np.ndarray, std: np.ndarray) -> Figure:
    """Draws ratings by Q against ratings by people.

    The band is one standard deviation of the raters on either side of their mean, averaged over
    the pictures of about the same mean. A point is filled where Q is within the deviation of that
    very picture. Ratings by Q off the scale are drawn at its ends.

    Args:
        predicted: [n], Q's ratings.
        mean: [n], people's mean rating, 1 to 10.
        std: [n], people's standard deviation. Pictures of which one of the three is not finite
            are left out.

    Raises:
        ValueError: The three differ in shape, a mean is off the scale or a deviation negative.
    """
    shapes = [np.shape(values) for values in (predicted, mean, std)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        raise ValueError(f"predicted, mean and std must be [n], not {shapes}")
    values = np.stack([finite(values) for values in (predicted, mean, std)])
    predicted, mean, std = values[:, ~np.isnan(values).any(axis=0)]
    if mean.size and not (RATING_RANGE[0] <= mean.min() and mean.max() <= RATING_RANGE[1]):
        raise ValueError(f"mean ratings must be from {RATING_RANGE[0]:g} to {RATING_RANGE[1]:g}")
    if (std < 0).any():
        raise ValueError("standard deviations must not be negative")

    figure = new_figure(5.0, 5.6)
    axes = figure.add_subplot()
    style_axes(axes, "", "mean rating by people", "rating by Q")
    ends = (RATING_RANGE[0] - _EDGE, RATING_RANGE[1] + _EDGE)
    axes.set(xlim=ends, ylim=ends, xticks=range(1, 11), yticks=range(1, 11), aspect="equal")
    if not mean.size:
        mark_empty(axes)
        return figure
    (line,) = axes.plot(RATING_RANGE, RATING_RANGE, color="black", linewidth=1)
    places, widths = _band(mean, std)
    band = axes.fill_between(
        places, places - widths, places + widths, color="#cccccc", linewidth=0, zorder=0.5
    )
    within = np.abs(predicted - mean) <= std
    shown = np.clip(predicted, *RATING_RANGE)
    inside = axes.scatter(
        mean[within], shown[within], s=14, color=COLOURS[0], alpha=0.6, linewidth=0
    )
    outside = axes.scatter(
        mean[~within], shown[~within], s=14, facecolors="none", edgecolors=COLOURS[3], linewidth=0.8
    )
    share = within.mean()
    labels = [
        "agreement",
        "one standard deviation of the raters",
        f"within it: {share:.1%} of {mean.size:,}",
        f"beyond it: {1 - share:.1%}",
    ]
    write_legend(figure, [line, band, inside, outside], labels, loc="outside lower center", ncols=2)
    return figure


def _band(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places on the scale and the deviation at each: an average that near pictures weigh most in.

    The weights are those of a Gaussian of half a rating.
    """
    places = np.linspace(mean.min(), mean.max(), 50)
    squares = ((places[:, None] - mean) / 0.5) ** 2 / 2
    # Relative to the nearest picture, so that a place far from all is not zero by zero.
    weights = np.exp(squares.min(axis=1, keepdims=True) - squares)
    return places, weights @ std / weights.sum(axis=1)


def correlation_figure(
    points: Mapping[str, tuple[np.ndarray, np.ndarray]], names: Sequence[str]
) -> Figure:
    """Draws quality against every other metric, a point for each model.

    The title of a panel has Spearman's and Pearson's correlation, "–" where fewer than two
    models have both or all are equal in one.

    Args:
        points: By the name of the metric, the quality score [n] of the n models and their value of
            that metric [n]; where one is not finite the model is left out of the panel.
        names: Names of the n models.

    Raises:
        ValueError: There is no metric or no model, or values differ in number from the models.
    """
    if not points or not names:
        raise ValueError("there is no metric or no model to draw")
    every = finite(np.concatenate([np.ravel(quality) for quality, _ in points.values()]))
    every = every[~np.isnan(every)]
    # The same in every panel, though not every model is in each.
    lowest, highest = (every.min(), every.max()) if every.size else (0.0, 1.0)
    room = 0.12 * (highest - lowest) or 0.5
    figure, grid = panels(len(points))
    for axes, (metric, pair) in zip(grid, points.items()):
        quality, values = (finite(series) for series in pair)
        if quality.shape != (len(names),) or values.shape != quality.shape:
            raise ValueError(f"{metric}: quality and values must be [{len(names)}], one per model")
        known = ~(np.isnan(quality) | np.isnan(values))
        pair = quality[known], values[known]
        texts = (_correlation_text(value(*pair)) for value in (spearman, pearson))
        title = "Spearman {}, Pearson {}".format(*texts)
        style_axes(axes, title, "quality", metric)
        handles = [
            axes.scatter(x, y, s=42, edgecolors="black", linewidth=0.5, **marker(index))
            for index, (x, y) in enumerate(zip(quality, values))
        ]
        axes.margins(y=0.12)
        axes.set_xlim(lowest - room, highest + room)
        if not known.any():
            mark_empty(axes)
    write_shared_legend(figure, handles, names)
    return figure


def _correlation_text(correlation: float) -> str:
    """A correlation as text, or a dash where it is not defined."""
    return "–" if np.isnan(correlation) else f"{correlation:+.2f}".replace("-", "\N{MINUS SIGN}")
