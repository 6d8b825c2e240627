"""Search of a folder tree for image files, one at a time: there may be millions."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from legan_tf.data.file_tree import PICTURES, suffix
from legan_tf.errors import UserError

_MISSING = (errno.ENOENT, errno.ELOOP)


class ImageFile(NamedTuple):
    """A file with the suffix of an image.

    Attributes:
        path: Path relative to the folder, with ``/`` as separator.
        size: Size in bytes.
        time: Modification time in nanoseconds.
    """

    path: str
    size: int
    time: int


def find_images(folder: str, excluded: str = "") -> Iterator[ImageFile]:
    """Yields the image files of a folder and its subfolders, in no particular order.

    Follows links to folders, but not in circles. Skips hidden files, files without the suffix of
    an image, broken links and files that disappear meanwhile. A file that cannot be examined for
    another reason is yielded with 0 bytes, so that reading it reports the reason.

    Args:
        folder: The folder to search.
        excluded: Real path of a folder that must not be reached, if any.

    Raises:
        UserError: The folder cannot be listed, or ``excluded`` was reached; the message starts
            with the path.
    """
    # Folders to search, each with the real paths of the folders above it.
    pending = [("", (os.path.realpath(folder),))]
    while pending:
        inside, parents = pending.pop()
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
                    if real == excluded:
                        raise UserError(
                            f"{entry.path}: leads to --keep_dir, whose copies would be rated "
                            "themselves; name another folder for them."
                        )
                    if real not in parents:
                        pending.append((path, (*parents, real)))
                elif suffix(entry.name) in PICTURES and entry.is_file():
                    status = entry.stat()
                    found = ImageFile(path, status.st_size, status.st_mtime_ns)
            except OSError as error:
                if not path:
                    raise UserError(f"{folder}: cannot be listed ({error.strerror}).") from error
                if error.errno not in _MISSING:
                    found = ImageFile(path, 0, 0)
            if found:
                yield found


def _entries(folder: str) -> Iterator[os.DirEntry]:
    with os.scandir(folder) as entries:
        yield from entries
