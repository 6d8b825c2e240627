"""Files on local paths, without TensorFlow, for clients; ``storage`` knows all other places."""

from __future__ import annotations

import contextlib
import os
import uuid

from legan_tf.errors import UserError


class StorageError(UserError):
    """A file cannot be read or written; the message starts with its path."""


def is_local(path: str) -> bool:
    """Returns whether a path is of a plain file: no URL, and no record within a file."""
    return "://" not in path and ".tfrecord#" not in path


def read_bytes(path: str) -> bytes:
    """Returns the content of a file.

    Raises:
        StorageError: It is missing or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise _error(path, error) from error


def write_bytes(path: str, content: bytes, aside_in: str = "") -> None:
    """Writes a file whole or not at all: aside, then renamed. Makes missing folders.

    Args:
        path: Where it goes.
        content: All of it.
        aside_in: Folder of the other name, on the same disk; default is that of ``path``.

    Raises:
        StorageError: The file cannot be written.
    """
    folder = os.path.dirname(path)
    # Without the file's own name, which may be as long as names can be.
    aside = os.path.join(aside_in or folder, f".{uuid.uuid4().hex}.part")
    try:
        for needed in filter(None, (folder, aside_in)):
            os.makedirs(needed, exist_ok=True)
        with open(aside, "wb") as file:
            file.write(content)
        os.replace(aside, path)
    except BaseException as error:
        with contextlib.suppress(OSError, ValueError):
            os.remove(aside)
        if isinstance(error, (OSError, ValueError)):
            raise _error(path, error) from error
        raise


def _error(path: str, error: Exception) -> StorageError:
    if isinstance(error, FileNotFoundError):
        return StorageError(f"{path}: no such file.")
    reason = getattr(error, "strerror", None) or str(error)
    return StorageError(f"{path}: cannot be read or written ({reason}).")
