"""Anomalies of a data set: properties that may spoil a training without stopping it."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

import numpy as np

from legan_tf.data import action_unit_files
from legan_tf.data.action_units import ACTION_UNITS
from legan_tf.data.check.near_duplicates import FLAT, NEAREST, Pair
from legan_tf.data.check.statistics import ImageStatistics
from legan_tf.data.manifest import Manifest

DARK, BRIGHT = 30, 225
"""Limits of the mean luma of a picture, 0 to 255."""
LOW_CONTRAST = 2 * FLAT
"""Lower limit of the standard deviation of the luma."""
IMBALANCE = 10
"""Largest ratio of the numbers of pictures of two classes in train."""
_SAME_ASPECT = 1.05
_SAME_SIZE = 2.0
_SAME_RATING = 0.25
_SHOWN = 3


def across_splits(pairs: Iterable[Pair], manifest: Manifest) -> list[Pair]:
    """Returns the pairs whose pictures are in different splits."""
    rows = manifest.rows
    return [pair for pair in pairs if rows[pair.first].split != rows[pair.second].split]


def combinations(manifest: Manifest) -> np.ndarray:
    """Counts the pictures of train by expression and lighting, int [expressions, lightings]."""
    expressions, lightings = (manifest.names(name) for name in ("expression", "lighting"))
    counts = np.zeros((len(expressions), len(lightings)), np.int64)
    for row in manifest.split("train"):
        if row.expression and row.lighting:
            counts[expressions.index(row.expression), lightings.index(row.lighting)] += 1
    return counts


def anomalies(
    manifest: Manifest, stats: ImageStatistics, pairs: Sequence[Pair], image_size: int
) -> list[str]:
    """Returns a sentence with numbers for each anomaly of a manifest, its pictures and their pairs.

    ``image_size`` is the height and width of the pictures in training.
    """
    found = [
        *_about_pairs(manifest, pairs),
        *_about_pixels(manifest, stats),
        *_about_sizes(manifest, stats, image_size),
        *_about_labels(manifest),
        *_about_units(manifest),
    ]
    # Paths and names may have line breaks.
    return [" ".join(sentence.split()) for sentence in found]


def _about_units(manifest: Manifest) -> list[str]:
    rows = [row for row in manifest.split("train") if row.has(ACTION_UNITS)]
    if manifest.units is None or not rows:
        return []
    return action_unit_files.remarks(manifest.units, manifest.unit_labels(rows))


def _about_pairs(manifest: Manifest, pairs: Sequence[Pair]) -> Iterable[str]:
    leaks = across_splits(pairs, manifest)
    if leaks:

        def named(pair: Pair) -> str:
            one, other = (manifest.rows[place] for place in pair[:2])
            return f"{one.path} ({one.split}) and {other.path} ({other.split})"

        yield (
            f"{_pairs(len(leaks))} of nearly the same picture in different splits: what is held "
            f"out is not unseen. {_first([named(pair) for pair in leaks])}."
        )
    within = len(pairs) - len(leaks)
    if within:
        kinds = collections.Counter(pair.kind for pair in pairs)
        listed = ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds))
        yield (
            f"{_pairs(within)} of nearly the same picture within a split; of all pairs, {listed}. "
            "near_duplicates.csv lists them."
        )
    counts = collections.Counter(
        place for pair in pairs if pair.kind != "identical" for place in pair[:2]
    )
    many = sum(count >= NEAREST for count in counts.values())
    if many:
        yield (
            f"{_pictures(many)} with {NEAREST} or more that are nearly the same: of those, the "
            f"nearest {NEAREST} or so in each split are counted and listed."
        )


def _about_pixels(manifest: Manifest, stats: ImageStatistics) -> Iterable[str]:
    for found, what in (
        (stats.brightness < DARK, f"very dark, with a mean luma below {DARK} of 255"),
        (stats.brightness > BRIGHT, f"very bright, with a mean luma above {BRIGHT} of 255"),
        (stats.contrast < LOW_CONTRAST, f"flat, with a contrast below {LOW_CONTRAST:g} of 255"),
    ):
        paths = _paths(manifest, stats.seen & found)
        if paths:
            yield f"{_pictures(len(paths))} {what}: {_first(paths)}."


def _about_sizes(manifest: Manifest, stats: ImageStatistics, image_size: int) -> Iterable[str]:
    if not stats.seen.any():
        return
    small = _paths(manifest, stats.seen & (stats.side < image_size))
    if small:
        yield (
            f"{_pictures(len(small))} smaller than --image_size={image_size} after the crop and "
            f"would be enlarged, the smallest from {stats.side[stats.seen].min():g} pixels: "
            f"{_first(small)}."
        )
    side = stats.side[stats.seen]
    if side.max() > _SAME_SIZE * side.min():
        yield (
            f"The squares that training cuts out are of {side.min():g} to {side.max():g} pixels, "
            "so some pictures show finer detail than others."
        )
    aspect = stats.width[stats.seen] / stats.height[stats.seen]
    if aspect.max() > _SAME_ASPECT * aspect.min():
        yield (
            f"Width to height goes from {aspect.min():.2f} to {aspect.max():.2f}: the longer side "
            "is cut to the square in its centre, so faces may stand differently."
        )


def _about_labels(manifest: Manifest) -> Iterable[str]:
    train = manifest.split("train")
    is_train = np.array([row.split == "train" for row in manifest.rows], bool)
    for condition, column, cells, ids in manifest.columns():
        seen, counts = np.unique(ids[is_train & (ids >= 0)], return_counts=True)
        unknown = int(np.sum(ids < 0))
        if len(seen) and unknown:
            yield f"{column} is unknown in {unknown} of {len(ids)} lines."
        if len(seen) == 1:
            yield f"{column} is {cells[seen[0]]!r} wherever train has one."
        if not len(seen) or condition == manifest.people:
            continue
        most, least = int(counts.argmax()), int(counts.argmin())
        if counts[most] >= IMBALANCE * counts[least]:
            yield (
                f"{column} is not balanced in train: {cells[seen[most]]!r} has "
                f"{_pictures(int(counts[most]))}, {cells[seen[least]]!r} {counts[least]}."
            )
    people = collections.Counter(row.identity for row in train if row.identity)
    single = sorted(name for name, count in people.items() if count == 1)
    if single and len(people) > 1:
        yield f"{len(single)} of {len(people)} people of train have one picture: {_first(single)}."
    yield from _about_combinations(manifest)
    yield from _about_ratings(manifest)


def _about_combinations(manifest: Manifest) -> Iterable[str]:
    counts = combinations(manifest)
    expressions, lightings = (np.flatnonzero(counts.sum(axis=axis)) for axis in (1, 0))
    empty = [
        f"{manifest.names('expression')[i]} under {manifest.names('lighting')[j]}"
        for i in expressions
        for j in lightings
        if not counts[i, j]
    ]
    if empty and len(expressions) > 1 and len(lightings) > 1:
        yield (
            f"{len(empty)} of {len(expressions) * len(lightings)} combinations of expression and "
            "lighting have no picture in train, so that an editor of both cannot tell the two "
            f"apart there: {_first(empty)}."
        )


def _about_ratings(manifest: Manifest) -> Iterable[str]:
    means = np.array([row.rating_mean for row in manifest.split("train")])
    means = means[~np.isnan(means)]
    if len(means) > 1 and means.std() < _SAME_RATING:
        yield (
            f"The ratings of train hardly differ: rating_mean {means.min():g} to {means.max():g}, "
            f"standard deviation {means.std():.2g}."
        )
    stds = np.array([row.rating_std for row in manifest.split("train")])
    stds = stds[~np.isnan(stds)]
    if len(stds) > 1 and np.all(stds == stds[0]):
        yield f"rating_std is {stds[0]:g} wherever train has one."


def _paths(manifest: Manifest, chosen: np.ndarray) -> list[str]:
    return [manifest.rows[place].path for place in np.flatnonzero(chosen)]


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more


def _pairs(count: int) -> str:
    return f"{count} pair{'s' * (count != 1)}"


def _pictures(count: int) -> str:
    return f"{count} picture{'s' * (count != 1)}"
