"""Archives of arrays: NumPy's .npz, written to the same bytes every time and read with a limit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

_EPOCH = (1980, 1, 1, 0, 0, 0)


def encode(arrays: Mapping[str, Any]) -> bytes:
    """Returns the content of an archive: the same bytes for the same arrays and scalars."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(array), (1, 0), allow_pickle=False)
            # A fixed time of change: the same arrays are the same file.
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return content.getvalue()


def decode(path: str, most_bytes: int) -> dict[str, np.ndarray]:
    """Returns the arrays of an archive by name.

    Raises:
        ValueError: It unpacks to more than ``most_bytes``, or holds what is no array.
        OSError: It cannot be read; damaged archives fail in other ways, too.
    """
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > most_bytes:
            raise ValueError(f"more than {most_bytes >> 20} MB")
        for member in members:
            content = io.BytesIO(archive.read(member))
            array = np.lib.format.read_array(content, allow_pickle=False)
            arrays[member.filename[: -len(".npy")]] = array
    return arrays
