"""Plots and sheets of the report on a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Optional

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from legan_tf.data.check.anomalies import BRIGHT, DARK, LOW_CONTRAST, across_splits, combinations
from legan_tf.data.check.near_duplicates import Pair
from legan_tf.data.check.statistics import ImageStatistics
from legan_tf.data.conditions import UNKNOWN
from legan_tf.data.manifest import RATING_RANGE, Manifest, Row, class_counts
from legan_tf.data.splits import SPLITS
from legan_tf.plotting.drawing import (
    COLOURS,
    PANEL,
    SMALL,
    mark_empty,
    new_figure,
    panels,
    shortened,
    style_axes,
    write_shared_legend,
)
from legan_tf.plotting.sheet import captioned_sheet, sheet

Show = Callable[[Row], Optional[np.ndarray]]
"""Returns a row's picture as training sees it, uint8 [S,S,3], or nothing where it is damaged."""

_SHEET_COLUMNS = 8
_SHEET_ROWS, _SHEET_PEOPLE = 60, 12
_SHOWN_PAIRS = 24
_BARS = 60
_CELLS = 40
_BAR, _CELL = 0.2, 0.42  # Inches.
_LETTER = 0.075
_NAME = 24
_PATH = 60
_BINS = 50
_LEAST_BINS = 5
_LIMIT: dict[str, Any] = {"color": "#555555", "linestyle": ":", "linewidth": 1.2}


def contact_sheet(manifest: Manifest, seen: np.ndarray, show: Show, seed: int) -> bytes:
    """Draws eight pictures of every class, which makes wrong labels and crops visible, as a PNG.

    Rows are the expressions, the lightings, then people; of more than 60 classes or 12 people, as
    many at random by ``seed``. Without any of these labels, rows are ratings or splits. ``seen``,
    bool [n], says which rows of the manifest have a picture.
    """
    draw = np.random.default_rng(seed)
    rows = []
    for name, places in _groups(manifest, np.flatnonzero(seen), draw):
        chosen = [manifest.rows[i] for i in np.sort(draw.permutation(places)[:_SHEET_COLUMNS])]
        shown = [(show(row), f"{row.split} {row.path}") for row in chosen]
        rows.append((name, [(picture, text) for picture, text in shown if picture is not None]))
    return captioned_sheet(rows or [("no picture can be read", [])])


def pairs_sheet(manifest: Manifest, pairs: Sequence[Pair], show: Show) -> bytes:
    """Draws up to 24 pairs, with their splits and paths, as a PNG; those across splits first."""
    leaks = set(across_splits(pairs, manifest))
    first, second, names = [], [], []
    # False comes before True.
    for pair in sorted(pairs, key=lambda pair: pair not in leaks)[:_SHOWN_PAIRS]:
        rows = [manifest.rows[place] for place in (pair.first, pair.second)]
        one, other = map(show, rows)
        if one is not None and other is not None:
            first.append(one)
            second.append(other)
            lines = [f"{row.split}: {shortened(' '.join(row.path.split()), _PATH)}" for row in rows]
            names.append("\n".join([*lines, f"{pair.kind}, difference {pair.difference:.3f}"]))
    if not names:
        return captioned_sheet([("no two pictures are nearly the same", [])])
    return sheet({"one": np.stack(first), "other": np.stack(second)}, names)


def balance_figure(manifest: Manifest) -> Figure:
    """Draws pictures per class and split, and the spread of people and ratings.

    Of more than 60 classes of an attribute, the first 60 are shown.
    """
    counts = class_counts(manifest)
    people = counts.pop("identity")
    bars = {attribute: classes for attribute, classes in counts.items() if any(classes)}
    if not bars:
        bars["split"] = {
            name: {split: len(manifest.split(split)) * (split == name) for split in SPLITS}
            for name in SPLITS
        }
    histograms = []
    if manifest.identities:
        values = [np.array([n[split] for name, n in people.items() if name]) for split in SPLITS]
        most = max(_LEAST_BINS, *(count.max() for count in values))
        step = math.ceil(most / _BINS)
        edges = np.arange(0.5, most + step + 0.5, step)
        values = [count[count > 0] for count in values]
        histograms.append(("pictures of a person", "people", values, edges))
    ratings = [np.array([row.rating_mean for row in manifest.split(split)]) for split in SPLITS]
    if any(np.isfinite(values).any() for values in ratings):
        edges = np.linspace(*RATING_RANGE, 37)
        histograms.append(("mean rating", "pictures", ratings, edges))
    heights = [_BAR * (min(len(classes), _BARS) + 1) for classes in bars.values()]
    heights += [PANEL[1] - 0.9] * len(histograms)
    figure = new_figure(7.2, sum(heights) + 0.75 * len(heights) + 0.4)
    grid = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (attribute, classes) in zip(grid, bars.items()):
        _draw_bars(axes, dict(list(classes.items())[:_BARS]))
        more = f", the first {_BARS} of {len(classes)}" if len(classes) > _BARS else ""
        style_axes(axes, f"{attribute}{more}", "pictures")
    for axes, (title, counted, values, edges) in zip(grid[len(bars) :], histograms):
        _draw_histogram(axes, values, edges)
        style_axes(axes, "", title, counted)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _write_splits(figure)
    return figure


def combinations_figure(manifest: Manifest) -> Figure:
    """Draws the pictures of train by expression and lighting, empty cells in red.

    Of more than 40 classes of either, the first 40 are shown.
    """
    everything = combinations(manifest)
    counts = everything[:_CELLS, :_CELLS]
    if not counts.size:
        figure = new_figure(4.8, 1.6)
        axes = figure.add_subplot()
        style_axes(axes, "expression and lighting are not both known")
        axes.set_xticks([])
        mark_empty(axes)
        return figure
    names = [
        [shortened(name, _NAME) for name in manifest.names(condition)[:_CELLS]]
        for condition in ("expression", "lighting")
    ]
    longest = [_LETTER * max(map(len, values)) for values in names]  # Inches, about.
    figure = new_figure(
        max(_CELL * counts.shape[1] + longest[0] + 0.9, 4.8),
        _CELL * counts.shape[0] + 0.8 * longest[1] + 0.9,
    )
    axes = figure.add_subplot()
    axes.set_facecolor("#f4b8a8")
    # The darkest blue is not reached, so that black numbers stay legible.
    shades = np.ma.masked_equal(counts, 0)
    axes.imshow(shades, cmap="Blues", vmin=0, vmax=2 * max(1, counts.max()))
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names[1])), names[1], **turned, parse_math=False)
    axes.set_yticks(range(len(names[0])), names[0], parse_math=False)
    axes.tick_params(labelsize=SMALL, length=0)
    more = f", the first {_CELLS} classes" if counts.size < everything.size else ""
    axes.set_title(f"pictures in train{more}", fontsize=SMALL + 1)
    for (row, column), count in np.ndenumerate(counts):
        text = f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k"
        axes.text(column, row, text, ha="center", va="center", fontsize=SMALL - 1)
    return figure


def brightness_figure(manifest: Manifest, stats: ImageStatistics) -> Figure:
    """Draws the brightness and the contrast of the pictures, by split."""
    figure, (left, right) = panels(2)
    _draw_histogram(left, _by_split(manifest, stats, stats.brightness), np.linspace(0, 255, 52))
    _draw_histogram(right, _by_split(manifest, stats, stats.contrast), np.linspace(0, 127.5, 52))
    for axes, limit in ((left, DARK), (left, BRIGHT), (right, LOW_CONTRAST)):
        axes.axvline(limit, **_LIMIT)
    style_axes(left, "", "mean luma, 0 to 255", "pictures")
    style_axes(right, "", "standard deviation of luma", "pictures")
    _write_splits(figure)
    return figure


def sizes_figure(manifest: Manifest, stats: ImageStatistics, image_size: int) -> Figure:
    """Draws the size of the squares that training cuts out, and the shape of the files."""
    figure, (left, right) = panels(2)
    values = _by_split(manifest, stats, stats.side)
    ends = [image_size, *np.concatenate(values)]
    # A little beyond both ends, so that equal sizes are a bar and not an edge.
    edges = np.geomspace(max(min(ends), 1) / 1.1, max(ends) * 1.1, _BINS + 1)
    _draw_histogram(left, values, edges)
    powers = range(math.ceil(math.log2(edges[0])), math.floor(math.log2(edges[-1])) + 1)
    _scale_log(left, {2**power: str(2**power) for power in powers})
    left.axvline(image_size, **_LIMIT)
    style_axes(left, "", f"side of the square, pixels (line: {image_size})", "pictures")
    values = _by_split(manifest, stats, stats.width / np.maximum(stats.height, 1))
    reach = max([1.1, *(max(ratio, 1 / ratio) for ratio in np.concatenate(values))]) * 1.02
    _draw_histogram(right, values, np.geomspace(1 / reach, reach, _BINS + 2))  # 1 in a middle.
    known = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 4 / 3, 2, 4, 8)
    _scale_log(right, {tick: f"{tick:.3g}" for tick in known if 1 / reach <= tick <= reach})
    style_axes(right, "", "width to height of the file", "pictures")
    _write_splits(figure)
    return figure


def _scale_log(axes: Axes, ticks: Mapping[float, str]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xticks([], minor=True)


def _groups(
    manifest: Manifest, places: np.ndarray, draw: np.random.Generator
) -> Iterable[tuple[str, list[int]]]:
    """Yields the names of the rows of the contact sheet, each with its places in the manifest."""

    def grouped(name: Callable[[Row], str]) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for place in places:
            groups.setdefault(name(manifest.rows[place]), []).append(place)
        return groups

    def rating(row: Row) -> str:
        if math.isnan(row.rating_mean):
            return "not rated"
        low = min(int(row.rating_mean), int(RATING_RANGE[1]) - 1)
        return f"rated {low} to {low + 1}"

    rows = [manifest.rows[place] for place in places]
    conditions = [one for one in (*manifest.conditions, manifest.people) if one.names]
    for condition in conditions:
        labels = manifest.labels(condition, rows)
        groups = {
            name: places[condition.has(labels, place)].tolist()
            for place, name in (*enumerate(condition.names), (UNKNOWN, ""))
        }
        present = [name for name, found in groups.items() if found]
        most = _SHEET_PEOPLE if condition == manifest.people else _SHEET_ROWS
        for number in np.sort(draw.permutation(len(present))[:most]):
            name = present[number]
            yield f"{condition.name}\n{shortened(name or '(unknown)', _NAME)}", groups[name]
    if not conditions:
        groups = grouped(rating)
        if set(groups) == {"not rated"}:
            groups = grouped(lambda row: row.split)
        yield from sorted(groups.items())


def _by_split(manifest: Manifest, stats: ImageStatistics, values: np.ndarray) -> list[np.ndarray]:
    """Returns the values of the pictures that could be read, one array for each split."""
    splits = np.array([row.split for row in manifest.rows])
    return [values[stats.seen & (splits == split)] for split in SPLITS]


def _draw_bars(axes: Axes, classes: Mapping[str, Mapping[str, int]]) -> None:
    """Draws a bar of pictures for each class, the splits one after the other."""
    counts = np.array([[count[split] for split in SPLITS] for count in classes.values()])
    ends = counts.cumsum(axis=1)
    places = np.arange(len(classes))
    for count, end, colour in zip(counts.T, ends.T, COLOURS):
        axes.barh(places, count, left=end - count, color=colour, height=0.75)
    for place, count in enumerate(counts):
        numbers = " / ".join(f"{n:,}" for n in count)
        axes.text(ends[place, -1], place, f" {numbers}", va="center", fontsize=SMALL - 1)
    names = [shortened(name or "(unknown)", _NAME) for name in classes]
    axes.set_yticks(places, names, parse_math=False)
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.set_xlim(0, 1.25 * max(1, ends[:, -1].max()))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_histogram(axes: Axes, values: Sequence[np.ndarray], edges: np.ndarray) -> None:
    """Draws how often values are between edges, the splits on top of each other."""
    values = [series[np.isfinite(series)] for series in values]
    if any(map(len, values)):
        axes.hist(values, list(edges), stacked=True, color=COLOURS[: len(SPLITS)])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        mark_empty(axes)
    axes.set_xlim(edges[0], edges[-1])


def _write_splits(figure: Figure) -> None:
    patches = [Patch(color=colour) for colour in COLOURS[: len(SPLITS)]]
    write_shared_legend(figure, patches, SPLITS)
