"""Resumable work on many files: a log of what is finished, and a loop that does what is missing."""

from __future__ import annotations

import hashlib
import json
import operator
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from legan_tf.data import parallel, storage
from legan_tf.data.parallel import OnProgress
from legan_tf.errors import UserError

Outcomes = list[dict[str, Any]]
"""The results of several items, in values that JSON can hold."""

MANIFEST = "manifest.csv"
"""Name of the manifest in an output folder; it is written last."""


class Item(Protocol):
    """One item of work, for example a picture to align."""

    @property
    def inputs(self) -> Sequence[str]:
        """Paths and URLs of the files that decide the targets; empty where there is none."""

    @property
    def targets(self) -> Sequence[str]:
        """Full paths of the files that the work on the item writes."""


class WorkLog:
    """The log of a job in two files: its settings (JSON) and a line for each finished part (JSONL).

    Attributes:
        folder: The output folder.
        done: For the number of each finished part, the checksum of its inputs and its outcome.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        settings: dict[str, Any],
        descriptions: Mapping[str, str],
        output: str = "",
    ) -> None:
        """Reads the log of an earlier run, if there is one; writes nothing.

        Args:
            folder: The output folder, on this machine.
            name: Stem of the log's two files there, ``NAME.json`` and ``NAME.jsonl``.
            settings: Everything that the result depends on, as values that JSON can hold.
            descriptions: For each setting whose value is a checksum, the words for another value
                in error messages: "other pictures".
            output: The file that ``--output`` names, where it names one: then the folder may hold
                other files.

        Raises:
            UserError: The folder holds other files, its log was made with other settings, or the
                log's settings are damaged.
        """
        self.folder = folder
        self._output = output or folder
        self.done: dict[int, tuple[str, Any]] = {}
        self._settings = json.loads(json.dumps(settings))
        self._settings_file = os.path.join(folder, f"{name}.json")
        self._lines_file = os.path.join(folder, f"{name}.jsonl")
        if os.path.exists(self._settings_file):
            self._refuse_other_settings(descriptions)
        elif not output and not storage.is_free(folder):
            raise UserError(f"--output={folder}: holds other files already; name a new folder.")
        if os.path.exists(self._lines_file):
            for line in storage.read_bytes(self._lines_file).splitlines():
                try:
                    part, inputs, outcome = json.loads(line)
                    self.done[operator.index(part)] = inputs, outcome
                except (ValueError, TypeError):
                    break  # Cut short or damaged: it and what follows is done again.

    def begin(self) -> None:
        """Writes the settings, and the lines again without what is damaged.

        Raises:
            UserError: The folder cannot be written.
        """
        content = json.dumps(self._settings, indent=1, ensure_ascii=False) + "\n"
        try:
            storage.write_bytes(self._settings_file, content.encode())
        except storage.StorageError as error:
            raise UserError(
                f"--output={self._output}: cannot be written; name another ({error})"
            ) from error
        if os.path.exists(self._lines_file):
            self.close()

    def add(self, part: int, inputs: str, outcome: Any) -> None:
        """Appends a finished part with the checksum of its inputs and its outcome.

        Raises:
            StorageError: The log cannot be written.
        """
        self.done[part] = inputs, outcome
        try:
            with open(self._lines_file, "ab") as file:
                file.write(self._line(part))
        except OSError as error:
            raise storage.StorageError(
                f"{self._lines_file}: cannot be written ({error.strerror})."
            ) from error

    def close(self) -> None:
        """Sorts the lines, so that the file does not depend on when the job was stopped."""
        storage.write_bytes(self._lines_file, b"".join(map(self._line, sorted(self.done))))

    def _line(self, part: int) -> bytes:
        return json.dumps([part, *self.done[part]], ensure_ascii=False).encode() + b"\n"

    def _refuse_other_settings(self, descriptions: Mapping[str, str]) -> None:
        try:
            before = json.loads(storage.read_bytes(self._settings_file))
        except ValueError:
            before = None
        if not isinstance(before, dict):
            raise UserError(
                f"{self._settings_file}: is damaged; remove it with its folder, or name a new "
                "folder."
            )
        now = self._settings
        for name in sorted({*before, *now}):
            if before.get(name) == now.get(name):
                continue
            values = f"{name} {before.get(name)!r}, now it is {now.get(name)!r}"
            raise UserError(
                f"--output={self._output}: was begun with {descriptions.get(name, values)}; repeat "
                "the flags of then, or name a new one."
            )


def run(
    log: WorkLog,
    items: Sequence[Item],
    work: Callable[[Any], dict[str, Any]],
    temporary: Collection[str],
    workers: int,
    on_progress: OnProgress,
) -> Outcomes:
    """Works on all items that are not finished: new, changed, unreadable or with missing targets.

    The manifest and the targets of unfinished items are removed first, so that the manifest never
    names files that are not there.

    Args:
        log: The log of the job.
        items: All items.
        work: Writes the targets of an item and returns the outcome, whose ``reason`` is empty where
            they were written; as in ``parallel.map_in_processes``.
        temporary: Reasons for which an item is tried again in the next run.
        workers: Processes; 0 for one per processor.
        on_progress: Called with (items done, all items).

    Returns:
        The outcomes of all items, in order.

    Raises:
        StorageError: A file cannot be written.
        UserError: A process died.
    """
    inputs = [checksum([file_version(file) for file in item.inputs]) for item in items]

    def finished(number: int, item: Item) -> bool:
        known, outcome = log.done.get(number, ("", {}))
        if known != inputs[number]:
            return False
        if outcome["reason"]:
            return outcome["reason"] not in temporary
        return all(map(os.path.exists, item.targets))

    missing = [number for number, item in enumerate(items) if not finished(number, item)]
    if missing:
        targets = [file for number in missing for file in items[number].targets]
        remove_leftovers(log.folder, [os.path.join(log.folder, MANIFEST), *targets])
        log.begin()
    before = len(items) - len(missing)
    on_progress(before, len(items))  # Before the first item, networks may be loaded.
    results = parallel.map_in_processes(work, [items[number] for number in missing], workers)
    for done, (number, outcome) in enumerate(zip(missing, results), start=before + 1):
        log.add(number, inputs[number], outcome)
        on_progress(done, len(items))
    log.close()
    return [log.done[number][1] for number in range(len(items))]


def remove_leftovers(output: str, targets: Iterable[str]) -> None:
    """Removes ``targets`` where they exist, and the temporary files of ``storage.write_bytes``.

    A program that was killed may have left these in the folder ``output`` or below.
    """
    for folder, _, names in os.walk(output):
        for name in names:
            if name.startswith(".") and name.endswith(".part"):
                os.remove(os.path.join(folder, name))
    for target in targets:
        if os.path.exists(target):
            os.remove(target)


def file_version(file: str) -> tuple[int, int] | str | None:
    """Returns size and modification time of a local file, much quicker than a checksum.

    None where there is no such file; a URL is returned as it is.
    """
    shard, _ = storage.record_place(file) or (file, 0)
    try:
        status = os.stat(shard)
    except OSError:
        return file if "://" in file else None
    return status.st_size, status.st_mtime_ns


def checksum(values: Any) -> str:
    """Returns the sha256 of values that JSON can hold, as hexadecimal digits."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
