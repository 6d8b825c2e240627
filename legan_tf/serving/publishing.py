"""The folders of served models: adding a version, taking it back, removing and checking versions.

``<serving_root>/<name>/<integer>/`` is a version. Servers look at integers alone, so whatever is
not to be served has another name: ``.unfinished-…`` while it is written, ``.withdrawn-<integer>``
once it was rolled back, ``.removed-…`` while it is deleted. Free of TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator

from legan_tf.errors import UserError
from legan_tf.files import sha256_of

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
        UserError: It cannot be that of a folder in the root.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name a served model: use letters, digits, '_', '-' and '.'."
        )


def begun(serving_root: str) -> list[str]:
    """Returns the names of the models that have anything of a version, sorted.

    Raises:
        UserError: There is no such folder.
    """
    return sorted(
        name
        for name in _listed(serving_root)
        if _NAME.fullmatch(name)
        and os.path.isdir(os.path.join(serving_root, name))
        and describe(os.path.join(serving_root, name))
    )


def models(serving_root: str) -> list[str]:
    """Returns the names of the models that have a complete version, sorted.

    Raises:
        UserError: There is no such folder.
    """
    names = begun(serving_root)
    return [name for name in names if versions(os.path.join(serving_root, name))]


def versions(model_folder: str) -> list[int]:
    """Returns the complete versions in the folder of a served model, oldest first.

    Raises:
        UserError: There is no such folder.
    """
    return [
        number
        for number in _numbers(_listed(model_folder))
        if os.path.isfile(os.path.join(model_folder, str(number), _MODEL_FILE))
    ]


def begin(model_folder: str) -> str:
    """Makes and returns the folder in which the next version is to be written.

    Raises:
        UserError: It cannot be made.
    """
    aside = os.path.join(model_folder, f"{_UNFINISHED}{uuid.uuid4().hex}")
    try:
        os.makedirs(aside)
    except OSError as error:
        raise UserError(f"{model_folder}: cannot be written ({error.strerror}).") from error
    return aside


def publish(aside: str, model_folder: str) -> str:
    """Renames what was written to the next number, which no version ever had, and returns it.

    Args:
        aside: What ``begin`` returned, filled.
        model_folder: The same as for ``begin``.

    Raises:
        UserError: It cannot be renamed.
    """
    # No roll-back in between: the number that it takes away must be seen here.
    with _alone(model_folder):
        while True:
            entries = _listed(model_folder)
            # Also beyond numbered folders that hold no model and versions that were taken back: a
            # server may have seen them.
            withdrawn = [name[len(_WITHDRAWN) :] for name in entries if name.startswith(_WITHDRAWN)]
            number = max(_numbers(entries + withdrawn), default=0) + 1
            target = os.path.join(model_folder, str(number))
            try:
                os.rename(aside, target)
                return target
            except OSError as error:
                if not os.path.exists(target):
                    raise UserError(f"{target}: cannot be made ({error.strerror}).") from error
                # Storage without locks: another export took the number; the next one is free.


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
    with _alone(model_folder):
        # What an earlier removal did not finish.
        for name in _listed(model_folder):
            if name.startswith(_REMOVED):
                _delete(os.path.join(model_folder, name))
        old = versions(model_folder)[:-1]
        for number in old[: max(0, len(old) - keep)]:
            version = os.path.join(model_folder, str(number))
            aside = os.path.join(model_folder, f"{_REMOVED}{number}-{uuid.uuid4().hex}")
            # Under another name first: a server must not find half of a version.
            try:
                os.rename(version, aside)
            except OSError as error:
                raise UserError(f"{version}: cannot be removed ({error.strerror}).") from error
            _delete(aside)
            removed.append(version)
    return removed


def _delete(folder: str) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be removed ({error.strerror}).") from error


@dataclasses.dataclass(frozen=True)
class RolledBack:
    """What became of a roll-back.

    Attributes:
        withdrawn: Where the version that was the newest now lies.
        newest: The version that is the newest now.
    """

    withdrawn: str
    newest: str


def roll_back(model_folder: str) -> RolledBack:
    """Takes the newest version away from servers, which then fall back to the one before.

    It stays in the folder under another name, and its number is not used again.

    Raises:
        UserError: There is no version before it, or it cannot be renamed.
    """
    with _alone(model_folder):
        there = versions(model_folder)
        if len(there) < 2:
            only = f"version {there[0]} is the only one" if there else "it holds no version"
            raise UserError(f"{model_folder}: {only}, so there is none to roll back to.")
        version = os.path.join(model_folder, str(there[-1]))
        withdrawn = os.path.join(model_folder, f"{_WITHDRAWN}{there[-1]}")
        try:
            os.rename(version, withdrawn)
        except OSError as error:
            raise UserError(f"{version}: cannot be renamed ({error.strerror}).") from error
    return RolledBack(withdrawn, os.path.join(model_folder, str(there[-2])))


def describe(model_folder: str) -> list[tuple[str, str]]:
    """Returns every version in the folder of a served model with its state, oldest first.

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
    for name in sorted(entries, key=_natural):
        described += [(name, state) for begins, state in _STATES.items() if name.startswith(begins)]
    return described


def write_sums(version: str) -> None:
    """Writes the checksums of a version's files, in the format of ``sha256sum``.

    ``sha256sum -c assets.extra/sha256sums.txt`` in the version's folder compares them.
    """
    lines = [f"{_sha256(os.path.join(version, name))}  {name}\n" for name in _files(version)]
    with open(os.path.join(version, SUMS_FILE), "w", encoding="utf-8") as file:
        file.writelines(lines)


def verify(version: str) -> list[str]:
    """Compares the files of a version with its checksums.

    Returns:
        A sentence for each file that is missing, changed or not among them; none if all is well.

    Raises:
        UserError: There are no checksums, they are damaged, or a file cannot be read.
    """
    path = os.path.join(version, SUMS_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            lines = [_SUM_LINE.fullmatch(line) for line in file.read().splitlines()]
    except FileNotFoundError as error:
        raise UserError(f"{version}: has no checksums ({SUMS_FILE}); export it anew.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read.") from error
    if not lines or not all(lines):
        raise UserError(f"{path}: is damaged; it must hold lines as sha256sum writes them.")
    wanted = {line[2]: line[1] for line in lines}
    there = _files(version)
    problems = [f"{version}: {name} is missing." for name in sorted(wanted.keys() - set(there))]
    for name in there:
        if name not in wanted:
            problems.append(f"{version}: {name} is not among its checksums.")
        elif _sha256(os.path.join(version, name)) != wanted[name]:
            problems.append(f"{version}: {name} has changed since it was published.")
    return problems


def _files(version: str) -> list[str]:
    """The files of a version but its checksums, relative to it, sorted."""
    paths = [os.path.join(folder, n) for folder, _, names in os.walk(version) for n in names]
    return sorted({os.path.relpath(path, version) for path in paths} - {SUMS_FILE})


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return sha256_of(file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error


def _numbers(names: list[str]) -> list[int]:
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 10 after 2."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read as a folder ({error.strerror}).") from error


@contextlib.contextmanager
def _alone(model_folder: str) -> Iterator[None]:
    """Keeps others from removing and taking back versions meanwhile, lest none be left."""
    try:
        folder = os.open(model_folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{model_folder}: cannot be read ({error.strerror}).") from error
    try:
        # Some network storage has no locks; the renames are whole without one, too.
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
