"""Errors of maps of depth and normals against the true maps, picture by picture.

A map is uint8 [n,S,S,3]: depth is one grey value in three equal channels, nearest brightest;
normals are (n + 1) · 127.5, x right, y up, z to the viewer. Black is where nothing is.
"""

from __future__ import annotations

import numpy as np

from legan_tf.evaluation.metrics.registry import register

THRESHOLD = {"depth": 0.1, "normal": 0.25}
"""Least value inside the silhouette of a predicted map, as a share of the range: of its grey value,
or of the z of its normals, which is 0 outside the face and 0.5 or more on visible surfaces."""


def shown(true: np.ndarray) -> np.ndarray:
    """Returns the silhouettes of true maps, whatever is not black: bool [n,S,S].

    Args:
        true: uint8 [n,S,S,3].
    """
    return np.any(true > 0, axis=-1)


def silhouettes(maps: np.ndarray, kind: str) -> np.ndarray:
    """Returns the silhouettes of predicted maps, by ``THRESHOLD``.

    Args:
        maps: uint8 [n,S,S,3].
        kind: ``depth`` or ``normal``.

    Returns:
        bool [n,S,S].
    """
    value = maps[..., 2] if kind == "normal" else maps.mean(axis=-1)
    return value > 255 * THRESHOLD[kind]


@register("overlap", "overlap of silhouettes", "higher", "silhouette true_silhouette", kind="depth",
          order=(70, None))  # fmt: skip
def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of silhouettes, higher is better; exact.

    Args:
        first: bool [n,S,S].
        second: The same shape.

    Returns:
        float64 [n], 0 to 1; 1 where both are empty.

    Raises:
        ValueError: The shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"the silhouettes differ in shape: {first.shape} and {second.shape}")
    both, either = (np.sum(m, axis=(1, 2)) for m in (first & second, first | second))
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


@register("map_l1", "map error", "lower", "map true_map true_silhouette", decimals=4,
          order=(230, 130))  # fmt: skip
@register("map_l1", "L1 inside", "lower", "map true_map true_silhouette", kind="depth", decimals=4,
          order=(20, None))  # fmt: skip
def l1_inside(predicted: np.ndarray, true: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mean absolute error inside the true silhouette as a share of the range, lower is better.

    Args:
        predicted: uint8 [n,S,S,3].
        true: The same shape.
        inside: bool [n,S,S], what counts.

    Returns:
        float64 [n], 0 to 1, as a share of the range of values.

    Raises:
        ValueError: The shapes differ, or a silhouette is empty.
    """
    _check(predicted, true, inside)
    errors = np.abs(predicted.astype(np.int32) - true).mean(axis=-1)
    sums = np.sum(errors * inside, axis=(1, 2))
    return sums / (255 * np.sum(inside, axis=(1, 2)))


def correlation_sums(predicted: np.ndarray, true: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Sums that give Pearson's correlation of grey maps; those of several maps add up.

    Args:
        predicted: uint8 [n,S,S,3].
        true: The same shape.
        inside: bool [n,S,S], what counts.

    Returns:
        float64 [n,6], whole numbers: the pixels, and the sums of both maps, of their squares and
        of their product, the three channels of a map added up.

    Raises:
        ValueError: The shapes differ, or a silhouette is empty.
    """
    _check(predicted, true, inside)
    x, y = (maps.sum(axis=-1, dtype=np.float64) * inside for maps in (predicted, true))
    parts = (inside.astype(np.float64), x, y, x * x, y * y, x * y)
    return np.stack([part.sum(axis=(1, 2)) for part in parts], axis=-1)


@register("map_correlation", "map correlation", "higher", "correlation_sums", order=(240, 140))
@register("map_correlation", "correlation inside", "higher", "correlation_sums", kind="depth",
          order=(30, None))  # fmt: skip
def correlation(sums: np.ndarray) -> np.ndarray:
    """Pearson's correlation of depth inside the true silhouette, higher is better.

    Within 1e-9 of ``numpy.corrcoef``.

    Args:
        sums: float64 [...,6], of ``correlation_sums``.

    Returns:
        float64 [...], -1 to 1; 0 where one of the maps is flat.
    """
    n, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    # What rounding leaves of a flat map is far below the spread of two grey levels.
    flat = (spread_x <= 1e-12 * n * xx) | (spread_y <= 1e-12 * n * yy)
    product = np.where(flat, 1.0, spread_x * spread_y)
    return np.where(flat, 0.0, (n * xy - x * y) / np.sqrt(product))


@register("pooled_correlation", "correlation inside, of all pixels", "higher",
          "all_correlation_sums", kind="depth", order=(40, None))  # fmt: skip
def pooled_correlation(sums: np.ndarray) -> float:
    """Pearson's correlation over the pixels of all pictures, of sums [n,6], higher is better."""
    return float(correlation(sums.sum(axis=0)))


def inputs_of_maps(predicted: np.ndarray, true: np.ndarray, geometry: str) -> dict[str, np.ndarray]:
    """Returns the inputs of metrics of maps, by the names of ``registry.INPUTS``.

    Args:
        predicted: uint8 [n,S,S,3].
        true: The same shape; none is empty.
        geometry: ``depth`` or ``normal``.
    """
    silhouette = shown(true)
    inputs = {
        "map": predicted,
        "true_map": true,
        "silhouette": silhouettes(predicted, geometry),
        "true_silhouette": silhouette,
    }
    if geometry == "depth":
        return {**inputs, "correlation_sums": correlation_sums(predicted, true, silhouette)}
    # Of about unit length, never zero.
    return {
        **inputs,
        "map_normals": predicted / 127.5 - 1,
        "true_map_normals": true / 127.5 - 1,
    }


def _check(predicted: np.ndarray, true: np.ndarray, inside: np.ndarray) -> None:
    """Raises ValueError where maps and silhouettes do not belong together."""
    for name, maps in (("predicted", predicted), ("true", true)):
        if maps.dtype != np.uint8 or maps.shape != (*inside.shape, 3):
            raise ValueError(
                f"{name} maps must be uint8 {[*inside.shape, 3]}, not {maps.dtype} {maps.shape}"
            )
    empty = np.flatnonzero(~inside.any(axis=(1, 2)))
    if len(empty):
        raise ValueError(f"the silhouette of map {empty[0]} is empty")
