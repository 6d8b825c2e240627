"""Learning curves: losses and other metrics over the steps of training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from legan_tf.plotting.drawing import (
    finite,
    mark_empty,
    panels,
    style,
    style_axes,
    write_shared_legend,
)

SMOOTHED = 0.05
"""Share of a curve's points that one point of its smoothed line averages."""
SPIKE = 4.0
"""Greatest range of all values that is shown whole, relative to that of 98 of 100."""

Curve = tuple[np.ndarray, np.ndarray]


def learning_curves_figure(runs: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Draws the curves of several runs, a panel for each metric (Bodur et al., Fig. 9).

    A run has the same colour and dashes in every panel. What was measured is faint; the line over
    it averages a twentieth of the points around each.

    Args:
        runs: By the name of the run and of the metric, steps [n] and values [n]. Values that are
            not finite are gaps.

    Raises:
        ValueError: There is no metric, or steps and values differ in number.
    """
    metrics = list(dict.fromkeys(metric for curves in runs.values() for metric in curves))
    if not metrics:
        raise ValueError("there is no metric to draw")
    figure, grid = panels(len(metrics))
    for axes, metric in zip(grid, metrics):
        style_axes(axes, metric, "step")
        shown = [np.zeros(0)]
        for index, curves in enumerate(runs.values()):
            if metric not in curves:
                continue
            steps, values = np.asarray(curves[metric][0]), finite(curves[metric][1])
            if steps.shape != values.shape or steps.ndim != 1:
                raise ValueError(f"{metric}: steps and values must both be [n]")
            shown.append(values[np.isfinite(values)])
            line = style(index)
            # Below the smoothed lines of all runs.
            axes.plot(steps, values, color=line["color"], linewidth=0.8, alpha=0.35, zorder=1.5)
            # A single point has no line.
            dot = "o" if np.isfinite(values).sum() == 1 else None
            axes.plot(steps, smooth(values), linewidth=1.6, marker=dot, markersize=3, **line)
        everything = np.concatenate(shown)
        if everything.size:
            _leave_out_spikes(axes, everything)
        else:
            mark_empty(axes)
    handles = [Line2D([], [], linewidth=1.6, **style(index)) for index in range(len(runs))]
    write_shared_legend(figure, handles, list(runs))
    return figure


def _leave_out_spikes(axes: Axes, values: np.ndarray) -> None:
    """Limits the panel where a few outliers would flatten the curves."""
    low, high = np.percentile(values, [1, 99])
    if np.ptp(values) > SPIKE * (high - low) > 0:
        room = 0.2 * (high - low)
        axes.set_ylim(max(low - room, values.min()), min(high + room, values.max()))


def smooth(values: np.ndarray) -> np.ndarray:
    """Returns running means over a twentieth of the points around each, fewer at the ends.

    Args:
        values: float [n]; NaN does not count.

    Returns:
        float64 [n]; NaN where ``values`` is.
    """
    reach = int(SMOOTHED * len(values) / 2)
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    places = np.arange(len(values))
    # At the beginning, which is steep, as far to the right as there is to the left.
    reaches = np.minimum(reach, places)
    low, high = places - reaches, np.minimum(places + reaches + 1, len(values))
    means = (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1)
    return np.where(known, means, np.nan)
