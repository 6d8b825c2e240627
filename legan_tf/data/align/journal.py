"""What is done already in an output folder, so that a stopped alignment goes on where it was."""

from __future__ import annotations

import json
import os
from typing import Any

from legan_tf.data import storage
from legan_tf.errors import UserError

SETTINGS = "align.json"
_RECORDS = "align.jsonl"


# Settings that are told in words, since their values are checksums.
_OTHER = {
    "landmarks": "other landmarks",
    "pictures": "other pictures",
    "labels": "another list of pictures or labels",
}


class Journal:
    """The outcomes of all pictures, part by part: each a line, added when the part is finished.

    Attributes:
        done: What the parts that are finished were made of, and their outcomes, by the part's
            number.
    """

    def __init__(self, folder: str, settings: dict[str, Any]) -> None:
        """Reads what is done in a folder, and writes nothing yet.

        Args:
            folder: A folder on this machine.
            settings: All that the result depends on; values that JSON can hold.

        Raises:
            UserError: The folder holds other things, was made with other settings, or does not
                tell with which.
        """
        self._records = os.path.join(folder, _RECORDS)
        self.done: dict[int, tuple[str, list[dict[str, Any]]]] = {}
        self._settings = json.loads(json.dumps(settings))
        self._file = file = os.path.join(folder, SETTINGS)
        if os.path.exists(file):
            _compare(folder, _read(file), self._settings)
        elif os.path.isdir(folder) and os.listdir(folder):
            raise UserError(f"--output={folder}: holds other files already; name a new folder.")
        self._whole = 0
        if os.path.exists(self._records):
            for line in storage.read_bytes(self._records).splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break  # The program was killed while it wrote this one.
                try:
                    part, inputs, outcomes = json.loads(line)
                    self.done[part] = inputs, outcomes
                except (ValueError, TypeError):
                    break  # Damaged: it and what follows is done again.
                self._whole += len(line)

    def begin(self) -> None:
        """Makes the folder ready for more parts."""
        if not os.path.exists(self._file):
            content = json.dumps(self._settings, indent=1, ensure_ascii=False) + "\n"
            storage.write_bytes(self._file, content.encode())
        if os.path.exists(self._records):
            os.truncate(self._records, self._whole)

    def add(self, part: int, inputs: str, outcomes: list[dict[str, Any]]) -> None:
        """Remembers, beyond the end of the program, that a part is finished.

        Args:
            part: Its number.
            inputs: What it was made of, in a form that differs where that does.
            outcomes: What became of its pictures.

        Raises:
            StorageError: It cannot be written down.
        """
        self.done[part] = inputs, outcomes
        try:
            with open(self._records, "ab") as file:
                file.write(self._line(part))
        except OSError as error:
            raise storage.StorageError(
                f"{self._records}: cannot be written ({error.strerror})."
            ) from error

    def close(self) -> None:
        """Puts the lines in order, so that it does not show when and how often it was stopped."""
        lines = b"".join(map(self._line, sorted(self.done)))
        if lines != storage.read_bytes(self._records):
            storage.write_bytes(self._records, lines)

    def _line(self, part: int) -> bytes:
        return json.dumps([part, *self.done[part]], ensure_ascii=False).encode() + b"\n"


def _read(file: str) -> dict[str, Any]:
    try:
        settings = json.loads(storage.read_bytes(file))
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise UserError(f"{file}: is damaged; remove it with its folder, or name a new folder.")
    return settings


def _compare(folder: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        name = changed[0]
        if name in _OTHER:
            raise UserError(
                f"--output={folder}: was begun with {_OTHER[name]}; repeat the flags of "
                "then, or name a new folder."
            )
        raise UserError(
            f"--output={folder}: was begun with {name} {before.get(name)!r}, now it is "
            f"{now.get(name)!r}; repeat the flags of then, or name a new folder."
        )
