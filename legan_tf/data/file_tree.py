"""The tree of files below a folder, listed without opening any."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Iterable

from legan_tf.data.drop_report import DropReport
from legan_tf.data.parallel import OnProgress
from legan_tf.errors import UserError

PICTURES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".webp")
)
"""Suffixes of pictures, in lower case."""

MAPS = PICTURES | {".exr", ".npy"}
"""Suffixes of depth and normal maps, in lower case."""

_SYSTEM = frozenset(("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"))


def suffix(path: str) -> str:
    """Returns the suffix of a file's name in lower case, with its dot."""
    return os.path.splitext(path)[1].lower()


def stem(path: str) -> str:
    """Returns a file's name without folders and suffix."""
    return os.path.splitext(path.rpartition("/")[2])[0]


@dataclasses.dataclass(frozen=True)
class Tree:
    """The files below a folder.

    Attributes:
        folder: The folder.
        files: Their paths from there, with ``/`` between the parts, sorted.
    """

    folder: str
    files: tuple[str, ...]

    def pictures(self, report: DropReport) -> list[str]:
        """Returns the files that are named like pictures; the others go into the report."""
        for path in self.files:
            if suffix(path) not in PICTURES:
                report.drop("not a picture", path)
        return [path for path in self.files if suffix(path) in PICTURES]

    def named(self, *names: str) -> list[str]:
        """Returns the files that have one of these names, in any folder and letter case."""
        return [path for path in self.files if path.rpartition("/")[2].lower() in names]

    def full(self, path: str) -> str:
        """Returns the full path of a file of the tree."""
        return os.path.join(self.folder, path)


def scan(
    folder: str,
    flag: str,
    report: DropReport,
    on_progress: OnProgress | None = None,
    skip: Callable[[str], str] | None = None,
    leave_out: str = "",
) -> Tree:
    """Lists all files below a folder; links to folders are followed, though not in circles.

    Args:
        folder: The local folder to begin with.
        flag: Name of the flag that gave it, for errors.
        report: Counts what is skipped.
        on_progress: Called with (folders looked through, folders found so far).
        skip: Given the path of a folder from ``folder``, returns the reason to leave it out, or
            nothing.
        leave_out: Path of the output, a file or a folder, which is not listed.

    Raises:
        UserError: The folder, or one in it, cannot be listed, or there is no file in it.
    """
    if "://" in folder:
        raise UserError(f"--{flag}={folder}: must be a folder on this machine; copy the data here.")
    if not os.path.isdir(folder):
        found = os.path.exists(folder)
        what = "is a file; name the folder that holds it" if found else "there is no such folder"
        raise UserError(f"--{flag}={folder}: {what}.")
    output = os.path.realpath(leave_out) if leave_out else ""
    files: list[str] = []
    folders = [""]
    followed: set[str] = set()
    for done, inside in enumerate(folders, start=1):  # It grows meanwhile.
        full = os.path.join(folder, inside)
        try:
            with os.scandir(full) as found_entries:
                entries = sorted(found_entries, key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"{full}: cannot be listed ({error.strerror}).") from error
        for entry in entries:
            path = f"{inside}/{entry.name}" if inside else entry.name
            target = os.path.realpath(entry.path) if output or entry.is_symlink() else ""
            reason = ""
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM:
                reason = "hidden, or of the operating system"
            elif entry.is_dir():
                path += "/"
                if output and target == output:
                    reason = "the output"
                elif skip:
                    reason = skip(path[:-1])
                if entry.is_symlink():
                    circle = os.path.commonpath([os.path.realpath(full), target]) == target
                    if circle or target in followed:
                        reason = reason or "link to a folder that is looked into already"
                    followed.add(target)
                if not reason:
                    folders.append(path[:-1])
            elif not entry.is_file():
                reason = "broken link, or no file"
            elif not output or target != output:
                files.append(path)
            if reason:
                report.drop(reason, path)
        if on_progress:
            on_progress(done, len(folders))
    if not files:
        raise UserError(f"--{flag}={folder}: there is no file in it, or below.")
    return Tree(folder, tuple(sorted(files)))


class Names:
    """Index of files by the names that lists give them, with other folders or none."""

    def __init__(self, paths: Iterable[str], with_stems: bool = False) -> None:
        """Indexes ``paths``, with ``/`` between the parts; on request also without suffixes."""
        self._paths: dict[str, list[str]] = collections.defaultdict(list)
        for path in paths:
            self._paths[_parts(path)[-1]].append(path)
            if with_stems:
                self._paths[stem(_parts(path)[-1])].append(path)

    def find(self, name: str, near: str = "") -> list[str]:
        """Returns the files that a name can mean: none, one, or several equally good.

        Of files with that name those count that share the most folders with what the list says,
        and of these, those that share the most folders with the list itself.

        Args:
            name: As the list has it, with or without folders; letter case does not matter.
            near: Folder of the list.
        """
        parts = _parts(name)
        found = self._paths.get(parts[-1], []) if parts else []
        for score in (
            lambda path: len(os.path.commonprefix([_parts(path)[-2::-1], parts[-2::-1]])),
            lambda path: len(os.path.commonprefix([_parts(path), _parts(near)])),
        ):
            if len(found) > 1:
                best = max(map(score, found))
                found = [path for path in found if score(path) == best]
        return found


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").lower().split("/") if part not in ("", ".")]
