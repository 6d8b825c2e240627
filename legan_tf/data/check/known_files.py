"""Pictures and maps that an earlier check found whole, known by size and modification time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Sequence
from typing import Any

import PIL

from legan_tf.data import storage
from legan_tf.data.resumable import file_version

_FORM = ["legan_tf checked files", 2, PIL.__version__]
_PLAIN_FORMS = (b"\x08\x00\x00\x00\x00", b"\x08\x02\x00\x00\x00")
_PLAIN_CHUNKS = (b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tIME")
_DIGEST = re.compile("[0-9a-f]{32}|")


@dataclasses.dataclass(frozen=True)
class Known:
    """What a check found in a file.

    Attributes:
        digest: Of its content, as hexadecimal digits; empty for maps.
        height: In pixels.
        width: In pixels.
        plain: Whether it is a PNG that every decoder decodes to the same pixels; see ``is_plain``.
    """

    digest: str
    height: int
    width: int
    plain: bool = False


def is_plain(content: bytes) -> bool:
    """Returns whether a file is a PNG of 8-bit grey or RGB with nothing that changes its pixels.

    No palette, transparency, colour profile, rotation or text that may hold one.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n" or content[24:29] not in _PLAIN_FORMS:
        return False
    at = 8
    while at + 12 <= len(content):
        if content[at + 4 : at + 8] not in _PLAIN_CHUNKS:
            return False
        at += 12 + int.from_bytes(content[at : at + 4], "big")
    return True


class KnownFiles:
    """Files that were found whole, kept in a small file beside the manifest or in the user's cache.

    A file counts as never checked if its size or time has changed since, if its entry has not the
    form that this class writes, or if it is not on this machine.
    """

    def __init__(self, manifest: str, again: bool = False) -> None:
        """Reads what is known.

        Args:
            manifest: The manifest that names the files.
            again: Whether to begin with nothing.
        """
        path = os.path.realpath(manifest)
        folder, name = os.path.split(path)
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        digest = hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:32]
        self._places = [os.path.join(cache, "legan_tf", f"checked-{digest}.json")]
        if "://" not in manifest:
            self._places.insert(0, os.path.join(folder, f".{name}.checked.json"))
        self._entries: dict[str, Any] = {}
        self._changed = False
        if not again:
            self._entries = next(filter(None, map(_read, self._places)), {})

    def version(self, file: str) -> list[int] | None:
        """Returns size and time of a file for ``add``, to be asked for before it is read."""
        version = file_version(file)
        return list(version) if isinstance(version, tuple) else None

    def get(self, file: str, kind: str = "") -> Known | None:
        """Returns what was found in a file if it is still the same.

        Args:
            file: Its path; of a record, with its offset.
            kind: ``depth`` or ``normal`` where it was read as such a map.
        """
        entry = self._entries.get(f"{kind}:{file}")
        if not isinstance(entry, list) or entry[:2] != self.version(file):
            return None
        return Known(*entry[2:]) if _is_known(entry[2:]) else None

    def add(self, file: str, version: list[int] | None, found: Known, kind: str = "") -> None:
        """Keeps what was found in a file that is whole; arguments as for ``get``."""
        if version is not None:
            self._entries[f"{kind}:{file}"] = [*version, *dataclasses.astuple(found)]
            self._changed = True

    def write(self) -> None:
        """Writes what is known, where that is possible and anything is new."""
        if not self._changed:
            return
        content = json.dumps({"form": _FORM, "files": self._entries}).encode()
        for place in self._places:
            with contextlib.suppress(storage.StorageError):
                storage.write_bytes(place, content)
                return


def _read(path: str) -> dict[str, Any]:
    """Returns the entries of a file; none where it has another form."""
    try:
        # No pipe, and nothing that would fill the memory.
        if not os.path.isfile(path) or os.path.getsize(path) > 1 << 30:
            return {}
        known = json.loads(storage.read_bytes(path))
        files = known["files"] if known["form"] == _FORM else {}
    except (storage.StorageError, OSError, LookupError, TypeError, ValueError, RecursionError):
        return {}
    return files if isinstance(files, dict) else {}


def _is_known(values: Sequence[Any]) -> bool:
    """Returns whether values from a file, which anybody may have written, are a ``Known``."""
    kinds = [type(value) for value in values]
    if kinds != [str, int, int, bool]:
        return False
    digest, height, width, _ = values
    return min(height, width) > 0 and _DIGEST.fullmatch(digest) is not None
