"""Long work on many files, part by part, that goes on where it was stopped."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from legan_tf.data import parallel, storage
from legan_tf.data.file_tree import PICTURES, OnProgress, suffix
from legan_tf.errors import UserError

Outcomes = list[dict[str, Any]]
"""What became of the items of a part, in values that JSON can hold."""

_PER_PART = 16
_LEAST_SIZE = 16  # Of the pictures to make, in pixels.


class Journal:
    """The outcomes of all items, part by part: each a line, added when the part is finished.

    Attributes:
        done: What the parts that are finished were made of, and their outcomes, by the part's
            number.
    """

    def __init__(
        self, folder: str, name: str, settings: dict[str, Any], told: Mapping[str, str]
    ) -> None:
        """Reads what is done in a folder, and writes nothing yet.

        Args:
            folder: A folder on this machine.
            name: What the journal's two files there are called, but for ``.json`` and ``.jsonl``.
            settings: All that the result depends on; values that JSON can hold.
            told: What to say where settings differ whose values are checksums: "other pictures".

        Raises:
            UserError: The folder holds other things, was made with other settings, or does not
                tell with which.
        """
        self._folder = folder
        self._records = os.path.join(folder, f"{name}.jsonl")
        self.done: dict[int, tuple[str, Outcomes]] = {}
        self._settings = json.loads(json.dumps(settings))
        self._file = file = os.path.join(folder, f"{name}.json")
        if os.path.exists(file):
            _compare(folder, _read(file), self._settings, told)
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
        """Makes the folder ready for more parts.

        Raises:
            UserError: It cannot be written.
        """
        if not os.path.exists(self._file):
            content = json.dumps(self._settings, indent=1, ensure_ascii=False) + "\n"
            try:
                storage.write_bytes(self._file, content.encode())
            except storage.StorageError as error:
                raise UserError(
                    f"--output={self._folder}: cannot be written; name another folder ({error})"
                ) from error
        if os.path.exists(self._records):
            os.truncate(self._records, self._whole)

    def add(self, part: int, inputs: str, outcomes: Outcomes) -> None:
        """Remembers, beyond the end of the program, that a part is finished.

        Args:
            part: Its number.
            inputs: What it was made of, in a form that differs where that does.
            outcomes: What became of its items.

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


def work_through(
    journal: Journal,
    parts: Sequence[Any],
    inputs: Sequence[str],
    finished: Callable[[Outcomes, Any], bool],
    prepare: Callable[[list[Any]], None],
    work: Callable[[Any], Outcomes],
    workers: int,
    on_progress: OnProgress,
) -> Outcomes:
    """Does what is missing yet.

    Args:
        journal: What is done.
        parts: Sequences of items.
        inputs: For each part, what shows that its files have changed.
        finished: Whether what is written down of a part whose inputs are the same is all there is.
        prepare: Called once, with the parts that are missing, before any work; not without any.
        work: As in ``parallel.each``, on a part.
        workers: Processes; 0 for one per processor.
        on_progress: Told how many items are done.

    Returns:
        The outcomes of all items, in order.

    Raises:
        StorageError: Something cannot be written.
        UserError: A process died.
    """
    missing = []
    for number, part in enumerate(parts):
        made_of, outcomes = journal.done.get(number, ("", []))
        if number not in journal.done or made_of != inputs[number] or not finished(outcomes, part):
            missing.append(number)
    if missing:
        prepare([parts[number] for number in missing])
        journal.begin()
    total = sum(map(len, parts))
    done = total - sum(len(parts[number]) for number in missing)
    on_progress(done, total)  # Before the first item, networks may be loaded.
    results = parallel.each(work, [parts[number] for number in missing], workers)
    for number, outcomes in zip(missing, results):
        journal.add(number, inputs[number], outcomes)
        done += len(parts[number])
        on_progress(done, total)
    journal.close()
    return [outcome for number in range(len(parts)) for outcome in journal.done[number][1]]


def folder_problem(output: str) -> str:
    """Returns why a folder of results cannot be called so; nothing if it can."""
    if not output or output.lower().endswith(".csv"):
        return f"--output={output}: name the folder to write"
    if "://" in output:
        return f"--output={output}: must be a folder on this machine"
    if os.path.exists(output) and not os.path.isdir(output):
        return f"--output={output}: is a file; name a folder"
    return ""


def flag_problem(output: str, size: int | None, most_size: int, seed: int, workers: int) -> str:
    """Returns what is wrong with the flags that such work has in common; nothing if all are right.

    Args:
        output: The folder of results.
        size: Height and width of the pictures to make, in pixels; none where it is not given.
        most_size: The largest ``size``; the smallest is 16.
        seed: Decides the splits where a manifest has none; 0 or more.
        workers: Processes, 0 for one per processor; not negative.
    """
    problem = folder_problem(output)
    if problem:
        return problem
    if size is not None and not _LEAST_SIZE <= size <= most_size:
        return f"--image_size={size}: must be {_LEAST_SIZE} to {most_size}"
    for name, value in (("seed", seed), ("workers", workers)):
        if value < 0:
            return f"--{name}={value}: must be 0 or more"
    return ""


def in_parts(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Cuts items into parts that are worked on, and after a stop repeated, together."""
    return [items[i : i + _PER_PART] for i in range(0, len(items), _PER_PART)]


def target_names(
    files: Sequence[str], base: str, suffixes: Collection[str] = PICTURES
) -> list[str]:
    """Names the pictures that are made after the originals.

    Args:
        files: Full paths or URLs of the originals.
        base: The folder where they are.
        suffixes: Suffixes that the originals usually have.

    Returns:
        For each, its path from ``base``, or from the folder that all share where some are
        elsewhere, with ``.png`` for one of ``suffixes``; wherever two would be called alike,
        or a file like a folder, ``.png`` is added to all names instead.
    """
    base, *full = map(_place, (base, *files))
    shared = base if all(file.startswith(posixpath.join(base, "")) for file in full) else None
    shared = shared or posixpath.commonpath([posixpath.dirname(file) for file in full])
    inside = [posixpath.relpath(file, shared) for file in full]
    short = [posixpath.splitext(name)[0] if suffix(name) in suffixes else name for name in inside]
    # With one more underscore each time, until no folder is called like a file.
    longer = ([name + "_" * count for name in inside] for count in itertools.count())
    originals = [os.path.realpath(file) for file in full]
    candidates = ([f"{name}.png" for name in names] for names in itertools.chain([short], longer))
    return next(targets for targets in candidates if not _meet(targets, originals))


def _place(path: str) -> str:
    """Returns a path from the root; URLs, too, as if their schemes were folders."""
    return posixpath.normpath(f"/{path}") if "://" in path else os.path.abspath(path)


def _meet(targets: Sequence[str], originals: Sequence[str]) -> bool:
    """Returns whether two pictures have one target, or one's is the folder of another's."""
    folders = {posixpath.dirname(target) for target in targets}
    for folder in list(folders):
        while folder:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    # A picture that is listed twice, also through a link, is one.
    return len(set(zip(targets, originals))) > len(set(targets)) or not folders.isdisjoint(targets)


def remove_leftovers(output: str, targets: Iterable[str]) -> None:
    """Removes half-written files of a program that was killed, and those that are made again.

    Args:
        output: A folder; in it and below, what ``storage.write_bytes`` writes aside is removed.
        targets: Files to remove, too, where they are.
    """
    for folder, _, names in os.walk(output):
        for name in names:
            if name.startswith(".") and name.endswith(".part"):
                os.remove(os.path.join(folder, name))
    for target in targets:
        if os.path.exists(target):
            os.remove(target)


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Chooses up to so many items, evenly spaced."""
    count = min(count, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def stamp(file: str) -> Any:
    """Returns size and time of a file on this machine, which is much quicker than its content."""
    shard, _ = storage.record_place(file) or (file, 0)
    try:
        status = os.stat(shard)
    except OSError:
        return file if "://" in file else None
    return status.st_size, status.st_mtime_ns


def real(path: str) -> str:
    """Returns the one path of a file or folder; a URL stays as it is."""
    return path if "://" in path else os.path.realpath(path)


def digest(values: Any) -> str:
    """Returns a checksum of values that JSON can hold."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _read(file: str) -> dict[str, Any]:
    try:
        settings = json.loads(storage.read_bytes(file))
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise UserError(f"{file}: is damaged; remove it with its folder, or name a new folder.")
    return settings


def _compare(
    folder: str, before: dict[str, Any], now: dict[str, Any], told: Mapping[str, str]
) -> None:
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        name = changed[0]
        if name in told:
            raise UserError(
                f"--output={folder}: was begun with {told[name]}; repeat the flags of "
                "then, or name a new folder."
            )
        raise UserError(
            f"--output={folder}: was begun with {name} {before.get(name)!r}, now it is "
            f"{now.get(name)!r}; repeat the flags of then, or name a new folder."
        )
