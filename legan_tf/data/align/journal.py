"""What is done already in an output folder, so that a stopped alignment goes on where it was."""

from __future__ import annotations

import json
import os
from typing import Any

from legan_tf.data import storage
from legan_tf.errors import UserError

SETTINGS = "align.json"
_RECORDS = "align.jsonl"


class Journal:
    """The outcomes of all pictures, part by part: each a line, added when the part is finished.

    Attributes:
        done: The outcomes of the parts that are finished, by the part's number.
    """

    def __init__(self, folder: str, settings: dict[str, Any]) -> None:
        """Reads what is done in a folder, and writes nothing yet.

        Args:
            folder: A folder on this machine.
            settings: All that the result depends on; values that JSON can hold.

        Raises:
            UserError: The folder holds other things, or was made with other settings.
        """
        self._records = os.path.join(folder, _RECORDS)
        self.done: dict[int, Any] = {}
        self._settings = json.loads(json.dumps(settings))
        self._file = file = os.path.join(folder, SETTINGS)
        if os.path.exists(file):
            _compare(folder, json.loads(storage.read_bytes(file)), self._settings)
        elif os.path.isdir(folder) and os.listdir(folder):
            raise UserError(f"--output={folder}: holds other files already; name a new folder.")
        self._whole = 0
        if os.path.exists(self._records):
            for line in storage.read_bytes(self._records).splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break  # The program was killed while it wrote this one.
                part, outcomes = json.loads(line)
                self.done[part] = outcomes
                self._whole += len(line)

    def begin(self) -> None:
        """Makes the folder ready for more parts."""
        if not os.path.exists(self._file):
            content = json.dumps(self._settings, indent=1, ensure_ascii=False) + "\n"
            storage.write_bytes(self._file, content.encode())
        if os.path.exists(self._records):
            os.truncate(self._records, self._whole)

    def add(self, part: int, outcomes: Any) -> None:
        """Remembers, beyond the end of the program, that a part is finished."""
        self.done[part] = outcomes
        with open(self._records, "ab") as file:
            file.write(_line(part, outcomes))

    def close(self) -> None:
        """Puts the lines in order, so that it does not show when and how often it was stopped."""
        lines = b"".join(_line(part, self.done[part]) for part in sorted(self.done))
        if lines != storage.read_bytes(self._records):
            storage.write_bytes(self._records, lines)


def _line(part: int, outcomes: Any) -> bytes:
    return json.dumps([part, outcomes], ensure_ascii=False).encode() + b"\n"


def _compare(folder: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        name = changed[0]
        raise UserError(
            f"--output={folder}: was begun with {name} {before.get(name)!r}, now it is "
            f"{now.get(name)!r}; repeat the flags of then, or name a new folder."
        )
