"""Depth and normal maps as networks see them, whatever the file: uint8, as large as the picture.

Depth is one grey value in three equal channels: 0 where nothing is, else 1 to 255 from the farthest
to the nearest point of the picture, as the maps of Bodur et al.'s data are. Normals are
(n + 1) * 127.5 with x to the right, y up and z to the viewer; black, which no unit normal gives,
where nothing is.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from legan_tf.data import exr, images, storage

KINDS = ("depth", "normal")
"""The kinds of maps, called as the columns of a manifest."""

FEATURES = {"depth": "depth/encoded", "normal": "normal/encoded"}
"""Features of a record that hold its maps, as PNG."""

EMPTY = np.nan
"""Depth where nothing is."""

LEVELS = {8: 255, 16: 65535}
"""The grey value of the nearest point, by bits."""

# Vectors shorter than 0.5 or longer than 1.5 are no normals: they are black, or the middle grey
# that some tools put where nothing is.
_LEAST_LENGTH, _MOST_LENGTH = 0.5, 1.5
_NORMAL_STEPS = 127.5


def depth_to_grey(depth: np.ndarray, bits: int = 8) -> np.ndarray:
    """Stores depth as grey values that use the whole range.

    Args:
        depth: float [H, W], any unit, larger is nearer; not finite where nothing is.
        bits: 8 or 16.

    Returns:
        uint8 or uint16 [H, W]: 0 where nothing is, else 1 to 255 or 65535, from the farthest to
        the nearest; all the nearest where all are equally far.
    """
    inside = np.isfinite(depth)
    grey = np.zeros(depth.shape, np.uint8 if bits == 8 else np.uint16)
    if inside.any():
        found = depth[inside].astype(np.float64)
        far, span = found.min(), np.ptp(found)
        share = (found - far) / span if span else np.ones_like(found)
        grey[inside] = np.round(1 + share * (LEVELS[bits] - 1))
    return grey


def depth_to_map(depth: np.ndarray) -> np.ndarray:
    """Returns ``depth_to_grey`` of depth in three equal channels, uint8 [H, W, 3]."""
    return np.repeat(depth_to_grey(depth)[..., None], 3, axis=-1)


def normals_to_map(normals: np.ndarray) -> np.ndarray:
    """Returns the map, uint8 [..., 3], of normals, float [..., 3].

    They are of length 1; not finite or (0, 0, 0) where nothing is.
    """
    inside = _are_normals(normals)
    image = np.zeros(normals.shape, np.uint8)
    image[inside] = np.round((normals[inside] + 1) * _NORMAL_STEPS)
    return image


def map_to_normals(image: np.ndarray) -> np.ndarray:
    """Returns the normals of a map, uint8 [..., 3], as float32 [..., 3] of length 1.

    They are (0, 0, 0) where nothing is.
    """
    return _unit(image.astype(np.float32) / np.float32(_NORMAL_STEPS) - 1)


def read_map(path: str, kind: str, size: int, crop: images.Crop | None = None) -> np.ndarray:
    """Reads a depth or normal map and makes it square, as ``images.to_square`` does the picture.

    Depth may be grey of 8 or 16 bits (0 where nothing is), or float as OpenEXR or NPY (0 or not
    finite where nothing is); larger must be nearer. Normals may be RGB of 8 bits, or float in
    [-1, 1] as OpenEXR or NPY. Empty pixels stay empty and are not averaged with their
    neighbours: a resized pixel is the mean of the part of its area that is not empty, and is empty
    itself if that part is less than half.

    Args:
        path: Local path or URL; EXR and NPY are known by their suffixes. With
            ``FILE.tfrecord#OFFSET``, the map in the record that begins there.
        kind: One of ``KINDS``.
        size: Height and width of the result, in pixels.
        crop: Part to cut out first; default is all of it.

    Returns:
        uint8 [size, size, 3] as this module's maps are. Depth uses the whole range again, also
        where the crop leaves out its nearest or its farthest point.

    Raises:
        ImageError: The file is damaged or not such a map.
        StorageError: The file cannot be read.
    """
    return to_map(decode(path, kind), kind, size, crop)


def to_map(values: np.ndarray, kind: str, size: int, crop: images.Crop | None = None) -> np.ndarray:
    """Returns the square map of values as ``decode`` returns them; see ``read_map``."""
    if kind == "depth":
        depth = np.where(np.isfinite(values), values, 0)[..., 0]
        square = _to_square(depth[..., None], depth != 0, size, crop)
        return depth_to_map(square[..., 0])
    normals = _unit(values)
    return normals_to_map(_unit(_to_square(normals, normals.any(-1), size, crop)))


def read_content(path: str, kind: str) -> bytes:
    """Returns the content of a map's file, also where that is within a record."""
    if storage.record_place(path):
        return storage.read_feature(path, FEATURES[kind])
    return storage.read_bytes(path)


def decode(path: str, kind: str) -> np.ndarray:
    """Reads the values of a map's file as they are; ``path`` and ``kind`` as for ``read_map``.

    Returns:
        float32 [H, W, 1] of depth, [H, W, 3] of normals, of any length and range.

    Raises:
        ImageError: The file is damaged or not such a map.
        StorageError: The file cannot be read.
    """
    ending = path.lower().rpartition(".")[2]
    if ending == "exr":
        values = exr.read_exr(path)
    elif ending == "npy":
        content = io.BytesIO(storage.read_bytes(path))
        try:
            values = np.load(content, allow_pickle=False).astype(np.float32)
        except Exception as error:  # NumPy raises whatever a damaged or false header causes.
            raise images.ImageError(f"{path}: is not a whole NPY file of numbers.") from error
    else:
        values = decode_levels(read_content(path, kind), kind, path)
    if values.ndim == 2:
        values = values[..., None]
    channels = {"depth": 1, "normal": 3}[kind]
    if values.ndim != 3 or not values.size or values.shape[2] < channels:
        raise images.ImageError(f"{path}: has the shape {values.shape}, which is no {kind} map.")
    return values[..., :channels].astype(np.float32)


def decode_levels(content: bytes, kind: str, name: str = "map") -> np.ndarray:
    """Reads the values of a map that is stored as a picture, by its content; see ``decode``."""
    if kind == "normal":
        levels = images.decode(content, name, colours=False)
        return levels.astype(np.float32) / np.float32(_NORMAL_STEPS) - 1
    return images.decode_grey(content, name).astype(np.float32)[..., None]


def _to_square(
    values: np.ndarray, inside: np.ndarray, size: int, crop: images.Crop | None
) -> np.ndarray:
    """Resizes float32 [H, W, n] by means over the pixels inside; NaN where less than half are."""

    def resized(channel: np.ndarray) -> np.ndarray:
        # No filter with negative weights: near an edge, they would add what they should leave out.
        return images.square_of(
            Image.fromarray(np.ascontiguousarray(channel, np.float32)),
            size,
            crop,
            Image.Resampling.BILINEAR,
        )

    share = resized(inside)
    means = np.stack([resized(channel * inside) for channel in np.moveaxis(values, -1, 0)], -1)
    return np.where((share >= 0.5)[..., None], means / np.maximum(share, 0.5)[..., None], EMPTY)


def _are_normals(values: np.ndarray) -> np.ndarray:
    square = np.einsum("...i,...i", values, values)  # NaN is neither above nor below anything.
    return (square >= _LEAST_LENGTH**2) & (square <= _MOST_LENGTH**2)


def _unit(values: np.ndarray) -> np.ndarray:
    """Returns normals of length 1, and zeros for vectors that are no normals."""
    inside = _are_normals(values)
    values = np.where(inside[..., None], values, 0)
    return values / np.where(inside, np.linalg.norm(values, axis=-1), 1)[..., None]
