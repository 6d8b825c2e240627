"""Versions of served models: publishing, rolling back, removing and verifying them.

A version is a folder ``<serving_root>/<name>/<integer>/``. Servers load integers only. Other
folders are ``.unfinished-…`` while a version is written, ``.withdrawn-<integer>`` after a roll-back
and ``.removed-…`` while it is deleted. Free of TensorFlow.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from typing import NamedTuple

from legan_tf.data import storage
from legan_tf.errors import UserError

EXTRA = "assets.extra"
"""Folder of a version that TensorFlow leaves to the user."""
LABELS_FILE = os.path.join(EXTRA, "labels.json")
CARD_FILE = os.path.join(EXTRA, "model_card.md")
SUMS_FILE = os.path.join(EXTRA, "sha256sums.txt")
WARMUP_FILE = os.path.join(EXTRA, "tf_serving_warmup_requests")

_MODEL_FILE = "saved_model.pb"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_UNFINISHED, _WITHDRAWN, _REMOVED = ".unfinished-", ".withdrawn-", ".removed-"
_STATES = {_UNFINISHED: "unfinished", _WITHDRAWN: "withdrawn", _REMOVED: "being removed"}
_SUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def check_name(name: str) -> None:
    """Checks the name of a served model.

    Raises:
        UserError: It cannot be the name of a folder in the root.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name a served model: use letters, digits, '_', '-' and '.'."
        )


def models(serving_root: str, incomplete: bool = False) -> list[str]:
    """Returns the names of the models that have a complete version, sorted.

    Args:
        serving_root: Folder of the served models.
        incomplete: Whether to include models that have only unfinished or withdrawn versions.

    Raises:
        UserError: There is no such folder.
    """
    return sorted(
        name
        for name in _listed(serving_root)
        if _NAME.fullmatch(name)
        and os.path.isdir(folder := os.path.join(serving_root, name))
        and (describe(folder) if incomplete else versions(folder))
    )


def versions(model_folder: str) -> list[int]:
    """Returns the complete versions of a served model, oldest first.

    Raises:
        UserError: There is no such folder.
    """
    return [
        number
        for number in _numbers(_listed(model_folder))
        if os.path.isfile(os.path.join(model_folder, str(number), _MODEL_FILE))
    ]


def begin(model_folder: str) -> str:
    """Creates and returns a temporary folder to write the next version to.

    Raises:
        UserError: It cannot be created.
    """
    temporary = os.path.join(model_folder, f"{_UNFINISHED}{uuid.uuid4().hex}")
    with _os_errors(model_folder, "cannot be written"):
        os.makedirs(temporary)
    return temporary


def publish(temporary: str, model_folder: str) -> str:
    """Renames a version to the next number, which no version ever had.

    Args:
        temporary: The folder that ``begin`` returned, filled.
        model_folder: The same as for ``begin``.

    Returns:
        The folder of the version.

    Raises:
        UserError: It cannot be renamed.
    """
    # Locked: the number of a version that is rolled back meanwhile must not be used again.
    with _locked(model_folder):
        while True:
            entries = _listed(model_folder)
            # A server may have seen the numbers of withdrawn and of incomplete versions, too.
            withdrawn = [name[len(_WITHDRAWN) :] for name in entries if name.startswith(_WITHDRAWN)]
            number = max(_numbers(entries + withdrawn), default=0) + 1
            target = os.path.join(model_folder, str(number))
            try:
                os.rename(temporary, target)
                return target
            except OSError as error:
                if not os.path.exists(target):
                    raise UserError(f"{target}: cannot be made ({error.strerror}).") from error
                # On storage without locks another export took the number; the next one is free.


def remove_old(model_folder: str, keep: int) -> list[str]:
    """Removes old versions, oldest first, and what an earlier removal could not finish.

    Only complete versions are counted and removed, and never the newest one.

    Args:
        model_folder: Folder of a served model.
        keep: How many to keep beside the newest.

    Returns:
        The folders that were removed.

    Raises:
        UserError: One cannot be removed.
    """
    removed = []
    with _locked(model_folder):
        for name in _listed(model_folder):
            if name.startswith(_REMOVED):
                _delete(os.path.join(model_folder, name))
        old = versions(model_folder)[:-1]
        for number in old[: max(0, len(old) - keep)]:
            version = os.path.join(model_folder, str(number))
            renamed = os.path.join(model_folder, f"{_REMOVED}{number}-{uuid.uuid4().hex}")
            # Renamed first: a server must not find half of a version.
            with _os_errors(version, "cannot be removed"):
                os.rename(version, renamed)
            _delete(renamed)
            removed.append(version)
    return removed


class RolledBack(NamedTuple):
    """Folders after a roll-back: of the version that was the newest, and of the one that is now."""

    withdrawn: str
    newest: str


def roll_back(model_folder: str) -> RolledBack:
    """Withdraws the newest version; servers then fall back to the one before.

    It stays in the folder under another name, and its number is not used again.

    Raises:
        UserError: There is no version before it, or it cannot be renamed.
    """
    with _locked(model_folder):
        numbers = versions(model_folder)
        if len(numbers) < 2:
            only = f"version {numbers[0]} is the only one" if numbers else "it holds no version"
            raise UserError(f"{model_folder}: {only}, so there is none to roll back to.")
        version = os.path.join(model_folder, str(numbers[-1]))
        withdrawn = os.path.join(model_folder, f"{_WITHDRAWN}{numbers[-1]}")
        with _os_errors(version, "cannot be renamed"):
            os.rename(version, withdrawn)
    return RolledBack(withdrawn, os.path.join(model_folder, str(numbers[-2])))


def describe(model_folder: str) -> list[tuple[str, str]]:
    """Returns every version of a served model with its state, oldest first.

    Returns:
        Folder names; and ``newest``, ``older``, ``incomplete``, ``withdrawn``, ``unfinished`` or
        ``being removed``.

    Raises:
        UserError: There is no such folder.
    """
    entries = _listed(model_folder)
    complete = versions(model_folder)
    described = []
    for number in _numbers(entries):
        state = "older" if number in complete else "incomplete"
        described.append((str(number), "newest" if complete[-1:] == [number] else state))
    # 10 after 2.
    for name in sorted(entries, key=lambda name: (name.rstrip("0123456789"), len(name), name)):
        described += [(name, state) for prefix, state in _STATES.items() if name.startswith(prefix)]
    return described


def write_sums(version: str) -> None:
    """Writes the checksums of a version's files, in the format of ``sha256sum``.

    ``sha256sum -c assets.extra/sha256sums.txt`` in the version's folder compares them.
    """
    lines = [f"{storage.sha256(os.path.join(version, name))}  {name}\n" for name in _files(version)]
    with open(os.path.join(version, SUMS_FILE), "w", encoding="utf-8") as file:
        file.writelines(lines)


def verify(version: str) -> list[str]:
    """Compares the files of a version with its checksums.

    Returns:
        A message for each file that is missing, changed or without checksum.

    Raises:
        UserError: There are no checksums, they are damaged, or a file cannot be read.
    """
    path = os.path.join(version, SUMS_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError as error:
        raise UserError(f"{version}: has no checksums ({SUMS_FILE}); export it anew.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read.") from error
    found = [match for line in lines if (match := _SUM_LINE.fullmatch(line))]
    if not lines or len(found) < len(lines):
        raise UserError(f"{path}: is damaged; it must hold lines as sha256sum writes them.")
    expected = {match[2]: match[1] for match in found}
    files = _files(version)
    problems = [f"{version}: {name} is missing." for name in sorted(expected.keys() - set(files))]
    for name in files:
        if name not in expected:
            problems.append(f"{version}: {name} is not among its checksums.")
        elif storage.sha256(os.path.join(version, name)) != expected[name]:
            problems.append(f"{version}: {name} has changed since it was published.")
    return problems


def _files(version: str) -> list[str]:
    """Returns the files of a version without its checksums, relative to it, sorted."""
    paths = [os.path.join(folder, n) for folder, _, names in os.walk(version) for n in names]
    return sorted({os.path.relpath(path, version) for path in paths} - {SUMS_FILE})


def _delete(folder: str) -> None:
    with _os_errors(folder, "cannot be removed"):
        shutil.rmtree(folder)


def _numbers(names: list[str]) -> list[int]:
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _listed(folder: str) -> list[str]:
    with _os_errors(folder, "cannot be read as a folder"):
        return os.listdir(folder)


@contextlib.contextmanager
def _locked(model_folder: str) -> Iterator[None]:
    """Keeps other processes from publishing, removing or rolling back versions meanwhile."""
    with _os_errors(model_folder, "cannot be read"):
        folder = os.open(model_folder, os.O_RDONLY)
    try:
        # Some network storage has no locks; each rename is atomic without them.
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextlib.contextmanager
def _os_errors(path: str, problem: str) -> Iterator[None]:
    """Turns ``OSError`` into ``UserError`` with the path, the problem and the reason."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: {problem} ({error.strerror}).") from error
