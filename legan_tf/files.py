"""Atomic writes of files, and folders that can be written to."""

from __future__ import annotations

import os
import tempfile

from legan_tf.errors import UserError

UNFINISHED = ".writing-"
"""Prefix of the temporary name that a file has until it is complete."""


def write_atomically(path: str, data: bytes) -> None:
    """Writes a file under a temporary name in the same folder, then renames it.

    Args:
        path: The file to write or replace.
        data: Its content.
    """
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def make_writable(flag: str, folder: str) -> None:
    """Creates a folder and checks that files can be written to it, before a long computation.

    Args:
        flag: Name of the flag that gave the folder, for the error message.
        folder: The folder to create.

    Raises:
        UserError: It cannot be written to; the message names ``flag``.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"--{flag}={folder}: it cannot be written to as a folder ({error.strerror}). Name "
            "another one."
        ) from error
