"""Results kept under a hash of everything that they depend on."""

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
"""To be raised when what is computed from the same inputs changes."""


class Cache:
    """A folder of arrays that an evaluation has computed already."""

    def __init__(self, folder: str) -> None:
        """Makes the folder.

        Args:
            folder: Where the files are; evaluations may share it.

        Raises:
            UserError: It cannot be written to; the message names ``--cache``.
        """
        self.folder = folder
        make_writable("cache", folder)

    def arrays(
        self, key: dict[str, Any], compute: Callable[[], dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Returns arrays by name, computed at the first time only.

        Args:
            key: Everything that they depend on, as JSON values.
            compute: Gives them.
        """
        text = json.dumps({"format": FORMAT, **key}, sort_keys=True)
        path = os.path.join(self.folder, hashlib.sha256(text.encode()).hexdigest()[:40] + ".npz")
        try:
            with np.load(path) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            pass  # Not there yet, or spoilt since.
        arrays = compute()
        content = io.BytesIO()
        np.savez(content, **arrays)
        write_atomically(path, content.getvalue())
        return arrays
