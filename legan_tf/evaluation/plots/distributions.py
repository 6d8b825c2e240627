"""Distributions of values over pictures, several models in one plot."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.figure import Figure

from legan_tf.plotting.drawing import (
    finite,
    mark_empty,
    new_figure,
    shortened,
    style,
    style_axes,
    write_legend,
)

DISTANCES = (0.0, 2.0)
"""Values that the distance of two unit vectors can take."""
_BINS = 500
_STEEPEST = 8.0
"""Highest peak that is shown whole, relative to the lowest; the peak of equal values would flatten
the other curves."""
_REFERENCE_STYLES = (
    {"color": "#444444", "linestyle": "-", "facecolor": "#00000022"},
    {"color": "#888888", "linestyle": "--", "facecolor": "#00000010"},
)


def identity_distance_figure(
    distances: Mapping[str, np.ndarray], references: Collection[str] = ()
) -> Figure:
    """Draws distributions of identity distances (Bodur et al., Fig. 4).

    Args:
        distances: By label, L2 distances of unit embeddings: [n] of 0 to 2, lower is better.
        references: As ``distribution_figure`` takes them: true pictures, different people.

    Raises:
        ValueError: A value is not from 0 to 2, there is no label, or a reference is none.
    """
    title = "Distance to the person in the input"
    xlabel = "L2 distance of unit embeddings"
    return distribution_figure(distances, xlabel, title, DISTANCES, references)


def distribution_figure(
    values: Mapping[str, np.ndarray],
    xlabel: str,
    title: str = "",
    limits: tuple[float, float] | None = None,
    references: Collection[str] = (),
) -> Figure:
    """Draws the distributions of one metric over the pictures of several models.

    Args:
        values: By label, [n]. Those that are not finite are left out.
        xlabel: What the values are, with their unit.
        title: Title of the plot.
        limits: The lowest and the highest value there can be, which the curves do not cross; those
            of the values if not given.
        references: Labels that are no models, drawn grey and filled.

    Raises:
        ValueError: A value is outside ``limits``, there is no label, or a reference is none.
    """
    if not values:
        raise ValueError("there is no label to draw")
    unknown = sorted(set(references) - set(values))
    if unknown:
        raise ValueError(f"references that have no values: {', '.join(unknown)}")
    known = {label: finite(series) for label, series in values.items()}
    known = {label: series[~np.isnan(series)] for label, series in known.items()}
    everything = np.concatenate(list(known.values()))
    low, high = limits or _span(everything)
    # Rounding takes distances of unit vectors a little beyond 2.
    slack = 1e-3 * (high - low)
    for label, series in known.items():
        if series.size and not low - slack <= series.min() <= series.max() <= high + slack:
            raise ValueError(f"{label}: values must be from {low:g} to {high:g}")

    figure = new_figure(7.2, 3.6 + 0.16 * len(known))
    axes = figure.add_subplot()
    style_axes(axes, title, xlabel, "density")
    axes.set_xlim(low, high)
    handles, labels, peaks, models, others = [], [], [], 0, 0
    for label, series in known.items():
        line_style = style(models)
        if label in references:
            line_style = dict(_REFERENCE_STYLES[others % len(_REFERENCE_STYLES)])
            others += 1
        else:
            models += 1
        filled = line_style.pop("facecolor", None)
        grid, density = _density(np.clip(series, low, high), low, high)
        peaks += [density.max()] if series.size else []
        (line,) = axes.plot(grid, density, linewidth=1.8, **line_style)
        if filled:
            axes.fill_between(grid, density, color=filled, linewidth=0)
        handles.append(line)
        summary = "no values"
        if series.size:
            summary = f"median {np.median(series):#.3g}, n = {series.size:,}"
        labels.append(f"{shortened(label, 60)}: {summary}")
    if peaks:
        axes.set_ylim(0, 1.05 * min(max(peaks), _STEEPEST * min(peaks)))
    else:
        mark_empty(axes)
    write_legend(figure, handles, labels, loc="outside lower center", ncols=1)
    return figure


def _span(values: np.ndarray) -> tuple[float, float]:
    """The range of values with a little room, also where there is one value or none."""
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 0.05 * max(abs(low), 1.0)
    return low - room, high + room


def _density(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian estimate of density, [n] to places and densities, its tails folded back inside.

    The width is Silverman's rule of thumb, and at least 1/200 of the range, which equal values
    would make zero.
    """
    if not values.size:
        return np.zeros(0), np.zeros(0)
    counts, edges = np.histogram(values, _BINS, (low, high))
    step = (high - low) / _BINS
    places = (edges[:-1] + edges[1:]) / 2
    quartiles = np.subtract(*np.percentile(values, [75, 25])) / 1.34
    spread = min(np.std(values), quartiles) or np.std(values)
    width = max(0.9 * spread * values.size**-0.2, (high - low) / 200)
    reach = min(int(4 * width / step) + 1, _BINS)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(counts / (values.size * step), reach, mode="symmetric")
    return places, np.convolve(padded, kernel, mode="valid")
