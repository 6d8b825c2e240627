"""Cache of results under a hash of everything that they depend on."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from legan_tf.files import make_writable, write_atomically

FORMAT = 1
"""Version of the results; raised when the same inputs give others."""


class Cache:
    """Folder of arrays that evaluations have computed."""

    def __init__(self, folder: str) -> None:
        """Creates the folder.

        Args:
            folder: May be shared by evaluations.

        Raises:
            UserError: It cannot be written to; the message names ``--cache``.
        """
        self.folder = folder
        make_writable("cache", folder)

    def arrays(
        self, key: dict[str, Any], compute: Callable[[], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Returns arrays by name, computed only the first time.

        Args:
            key: Everything that they depend on, as JSON values.
            compute: Computes them.
        """
        text = json.dumps({"format": FORMAT, **key}, sort_keys=True)
        path = os.path.join(self.folder, hashlib.sha256(text.encode()).hexdigest()[:40] + ".npz")
        try:
            with np.load(path) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            pass  # Missing or damaged.
        arrays = compute()
        content = io.BytesIO()
        np.savez(content, **arrays)
        write_atomically(path, content.getvalue())
        return arrays


def array_sha256(array: np.ndarray) -> str:
    """Returns the sha256 of an array, its type and its shape."""
    digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
