"""The pictures below a folder, one after the other: there may be millions."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from legan_tf.data.readers.tree import PICTURES, suffix
from legan_tf.errors import UserError

_NOTHING_THERE = (errno.ENOENT, errno.ELOOP)


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


def walk(folder: str, closed: str = "") -> Iterator[Found]:
    """Yields the pictures of a folder and its subfolders, in no particular order.

    Links to folders are followed, though not in circles; passed over is what is hidden, what is not
    named like a picture, and what is gone when it is looked at or links to nothing. What cannot be
    looked at for another reason counts as a picture of 0 bytes: who reads it is told the reason.

    Args:
        folder: Where to begin.
        closed: Real path of a folder that must not be met, if any.

    Raises:
        UserError: The folder cannot be listed, or the closed one was met; the message starts with
            the path.
    """
    # Each with the real folders on the way there. Only of folders names are held.
    pending = [("", (os.path.realpath(folder),))]
    while pending:
        inside, way = pending.pop()
        entries = _entries(os.path.join(folder, inside) if inside else folder)
        while True:
            path, found = inside, None
            try:
                entry = next(entries, None)
                if entry is None:
                    break
                path = f"{inside}/{entry.name}" if inside else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    real = os.path.realpath(entry.path)
                    if real == closed:
                        raise UserError(
                            f"{entry.path}: leads to --keep_dir, whose copies would be rated "
                            "themselves; name another folder for them."
                        )
                    if real not in way:
                        pending.append((path, (*way, real)))
                elif suffix(entry.name) in PICTURES and entry.is_file():
                    status = entry.stat()
                    found = Found(path, status.st_size, status.st_mtime_ns)
            except OSError as error:
                if not path:
                    raise UserError(f"{folder}: cannot be listed ({error.strerror}).") from error
                if error.errno not in _NOTHING_THERE:
                    found = Found(path, 0, 0)
            if found:
                yield found


def _entries(folder: str) -> Iterator[os.DirEntry]:
    with os.scandir(folder) as entries:
        yield from entries
