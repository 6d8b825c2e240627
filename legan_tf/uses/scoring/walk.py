"""The pictures below a folder, one after the other: there may be millions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from legan_tf.data.manifest import OnProgress
from legan_tf.data.readers.tree import PICTURES, suffix
from legan_tf.errors import UserError

_UNITS = 100  # Folders, at the first level that has as many, are what progress counts.


class Found(NamedTuple):
    """A file that is named like a picture.

    Attributes:
        path: From the folder, with ``/`` between the parts.
        size: In bytes.
        time: When it was changed, in nanoseconds.
    """

    path: str
    size: int
    time: int


def walk(folder: str, on_progress: OnProgress | None = None) -> Iterator[Found]:
    """Yields the pictures of a folder and its subfolders, in no particular order.

    Links to folders are followed, though not in circles; what is hidden is passed over, and so is
    what is not named like a picture.

    Args:
        folder: Where to begin.
        on_progress: Told how many parts of the tree are done.

    Raises:
        UserError: A folder cannot be listed; the message starts with its path.
    """
    # Each with the real folders on the way there.
    level = [("", (os.path.realpath(folder),))]
    while level and len(level) < _UNITS:
        deeper: list[tuple[str, tuple[str, ...]]] = []
        for inside, way in level:
            yield from _pictures_in(folder, inside, way, deeper)
        level = deeper
    for done, unit in enumerate(level, start=1):
        pending = [unit]
        while pending:
            yield from _pictures_in(folder, *pending.pop(), pending)
        if on_progress:
            on_progress(done, len(level))


def _pictures_in(
    folder: str, inside: str, way: tuple[str, ...], deeper: list[tuple[str, tuple[str, ...]]]
) -> Iterator[Found]:
    """Yields the pictures of one folder and adds its folders to ``deeper``."""
    full = os.path.join(folder, inside)
    try:
        with os.scandir(full) as entries:
            for entry in entries:
                path = f"{inside}/{entry.name}" if inside else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    real = os.path.realpath(entry.path)
                    if real not in way:
                        deeper.append((path, (*way, real)))
                elif suffix(entry.name) in PICTURES and entry.is_file():
                    status = entry.stat()
                    yield Found(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{full}: cannot be listed ({error.strerror}).") from error
