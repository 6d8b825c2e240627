"""OpenEXR pictures, the usual form of float depth and normals."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import OpenEXR

from legan_tf.data import storage

_MAGIC = b"\x76\x2f\x31\x01"
_DEEP_OR_MULTI_PART = 0x1800


def read_exr(path: str) -> np.ndarray:
    """Reads an OpenEXR picture of one part, float32 [H, W, channels], values as stored.

    The channels are in the order R, G, B, A where they have these names, else as in the file.

    Raises:
        StorageError: The file cannot be read or is not OpenEXR.
    """
    content = storage.read_bytes(path)
    if content[:4] != _MAGIC:
        raise storage.StorageError(f"{path}: is not an OpenEXR picture.")
    if int.from_bytes(content[4:8], "little") & _DEEP_OR_MULTI_PART:
        raise storage.StorageError(
            f"{path}: is a deep or multi-part OpenEXR picture; save it in one part."
        )
    try:
        channels = OpenEXR.File(io.BytesIO(content), separate_channels=True).channels()
        names = sorted(channels, key="RGBA".find)
        return np.stack([channels[name].pixels.astype(np.float32) for name in names], axis=-1)
    except (RuntimeError, ValueError) as error:
        raise storage.StorageError(f"{path}: is a damaged or cut short OpenEXR picture.") from error


def to_exr(channels: Mapping[str, np.ndarray]) -> bytes:
    """Returns an uncompressed OpenEXR file of channels by name, float [H, W], stored as float32."""
    header = {"compression": OpenEXR.NO_COMPRESSION, "type": OpenEXR.scanlineimage}
    pixels = {name: np.ascontiguousarray(values, "<f4") for name, values in channels.items()}
    content = io.BytesIO()
    OpenEXR.File(header, pixels).write(content)
    return content.getvalue()
