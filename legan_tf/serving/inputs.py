"""Arrays from the pictures that callers give. Free of TensorFlow, for clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from legan_tf.data import images as pictures
from legan_tf.errors import UserError

_RANGE_SLACK = 1e-3


def as_list(images: Any) -> tuple[list[np.ndarray], bool]:
    """Returns uint8 pictures [H, W, 3], and whether a single one was given.

    Args:
        images: A path, a PIL image, or an array [H, W, 3] for one picture; a list of these or an
            array [B, H, W, 3] for several. Arrays are uint8, or float in [-1, 1], which is rounded
            to eight bits.

    Raises:
        UserError: A picture cannot be read or has a wrong shape or range.
    """
    given, one = one_by_one(images)
    return [read(picture) for picture in given], one


def one_by_one(images: Any) -> tuple[list[Any], bool]:
    """Returns the pictures of ``as_list``, each as given, and whether a single one was given.

    Raises:
        UserError: There is no picture, or an array has a wrong shape.
    """
    if isinstance(images, (str, os.PathLike, Image.Image)):
        return [images], True
    if isinstance(images, (list, tuple)):
        if not images:
            raise UserError("The list of pictures is empty.")
        batch = []
        for image in images:
            given, one = one_by_one(image)
            if not one:
                raise UserError("A list of pictures must hold one picture per entry.")
            batch += given
        return batch, False
    array = np.asarray(images)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise UserError(f"Pictures must be uint8, or float in [-1, 1], not {array.dtype}.")
    if array.ndim not in (3, 4) or array.shape[-1] != 3 or 0 in array.shape:
        raise UserError(
            "Pictures must be arrays [height, width, 3] or [batch, height, width, 3], not "
            f"{list(array.shape)}."
        )
    return ([array], True) if array.ndim == 3 else (list(array), False)


def read(picture: Any) -> np.ndarray:
    """Returns uint8 [H, W, 3] of one picture that ``one_by_one`` returned.

    Raises:
        UserError: It cannot be read or has a wrong range.
    """
    if isinstance(picture, (str, os.PathLike)):
        return pictures.decode(os.fspath(picture))
    if isinstance(picture, Image.Image):
        return pictures.to_rgb(picture)
    return _as_uint8(picture)


def _as_uint8(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min()), float(array.max())
    if not (-1 - _RANGE_SLACK <= low and high <= 1 + _RANGE_SLACK):
        raise UserError(
            f"Float pictures must lie in [-1, 1]; these go from {low:g} to {high:g}. Give "
            "uint8 for values of 0 to 255."
        )
    return np.clip(np.round((array + 1.0) * 127.5), 0, 255).astype(np.uint8)


def same_size(batch: list[np.ndarray]) -> Iterator[tuple[list[int], np.ndarray]]:
    """Yields stacks of the pictures of each size, with their places in the batch."""
    rows_of: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(batch):
        rows_of.setdefault(image.shape, []).append(row)
    for rows in rows_of.values():
        yield rows, np.stack([batch[row] for row in rows])
