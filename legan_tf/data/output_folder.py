"""Output folders of ``prepare.py`` and the like: flags, names of files, manifest rows, results."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pathlib
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from legan_tf.data import csv_text, storage
from legan_tf.data.drop_report import DropReport
from legan_tf.data.file_tree import PICTURES, suffix
from legan_tf.data.manifest import ManifestError, Problem, Row, read_manifest
from legan_tf.data.resumable import checksum
from legan_tf.errors import UserError
from legan_tf.optional import UnavailableError

_MIN_SIZE = 16  # Of the pictures to make, in pixels.


def folder_problem(output: str) -> str:
    """Returns why ``--output`` cannot be an output folder; empty if it can."""
    if not output or output.lower().endswith(".csv"):
        return f"--output={output}: name the folder to write"
    if "://" in output:
        return f"--output={output}: must be a folder on this machine"
    if os.path.exists(output) and not os.path.isdir(output):
        return f"--output={output}: is a file; name a folder"
    return ""


def flag_problem(output: str, size: int | None, max_size: int, seed: int, workers: int) -> str:
    """Returns the problem of the flags that preparations share; empty if there is none."""
    problem = folder_problem(output)
    if not problem and size is not None and not _MIN_SIZE <= size <= max_size:
        problem = f"--image_size={size}: must be {_MIN_SIZE} to {max_size}"
    for name, value in (("seed", seed), ("workers", workers)):
        if not problem and value < 0:
            problem = f"--{name}={value}: must be 0 or more"
    return problem


def manifest_rows(
    file: str, data_dir: str, seed: int, dropped: DropReport, maps_note: str, required: str = ""
) -> list[Row]:
    """Reads the rows of a manifest whose pictures are to be prepared.

    Args:
        file: The manifest.
        data_dir: Folder that its paths start from; empty for its own.
        seed: Seed of the splits where it has none.
        dropped: The report to add the manifest's notes to and, where rows name maps, another.
        maps_note: The rest of that note after "N lines name depth or normal maps".
        required: A column that must not be empty.

    Raises:
        ManifestError: The manifest has problems; too few people to split is none.
    """
    manifest = read_manifest(file, data_dir or None, seed)
    problems = [problem for problem in manifest.problems if problem.line]
    problems += [
        Problem(file, f"names no {required}; fill the column '{required}' or remove the line.", n)
        for n in (row.line for row in manifest.rows if required and not getattr(row, required))
    ]
    if problems:
        raise ManifestError(problems)
    for note in manifest.notes:
        dropped.note(note)
    maps = sum(bool(row.depth or row.normal) for row in manifest.rows)
    if maps:
        dropped.note(f"{maps} lines name depth or normal maps{maps_note}")
    return list(manifest.rows)


def job_settings(
    options: Any, size: int | None, kind: str, base: str, rows: Sequence[Row]
) -> dict[str, Any]:
    """Returns the settings that a preparation depends on besides the content of its input files.

    Args:
        options: A dataclass of flags.
        size: Height and width of the pictures to make, in pixels.
        kind: Name of the setting for the input files.
        base: The folder where they are.
        rows: Their labels, without full paths.
    """
    return {
        **dataclasses.asdict(options),
        "image_size": size,
        kind: checksum(canonical_path(base)),
        "labels": checksum([_cells(row) for row in rows]),
    }


def _cells(row: Row) -> list[Any]:
    """Returns the values of a row in a form that JSON can hold."""
    cells: list[Any] = []
    for value in vars(row).values():
        cells += sorted(value.items()) if isinstance(value, Mapping) else [value]
    return cells


def canonical_path(path: str) -> str:
    """Returns the path of a file or folder without links; a URL stays as it is."""
    return path if "://" in path else os.path.realpath(path)


def target_names(
    files: Sequence[str], base: str, suffixes: Collection[str] = PICTURES
) -> list[str]:
    """Returns names for pictures made from others, unique for each original.

    Args:
        files: Full paths or URLs of the originals.
        base: The folder where they are.
        suffixes: Suffixes that the originals usually have.

    Returns:
        For each, its path from ``base``, or from the folder that all share where some are
        elsewhere, with ``.png`` for one of ``suffixes``; wherever two would be called alike,
        or a file like a folder, ``.png`` is added to all names instead.
    """
    base, *full = map(_absolute, (base, *files))
    shared = base if all(file.startswith(posixpath.join(base, "")) for file in full) else None
    shared = shared or posixpath.commonpath([posixpath.dirname(file) for file in full])
    inside = [posixpath.relpath(file, shared) for file in full]
    short = [posixpath.splitext(name)[0] if suffix(name) in suffixes else name for name in inside]
    # With one more underscore each time, until no folder is called like a file.
    longer = ([name + "_" * count for name in inside] for count in itertools.count())
    originals = [os.path.realpath(file) for file in full]
    candidates = ([f"{name}.png" for name in names] for names in itertools.chain([short], longer))
    return next(targets for targets in candidates if not _collide(targets, originals))


def _absolute(path: str) -> str:
    """Returns a path from the root; URLs, too, as if their schemes were folders."""
    return posixpath.normpath(f"/{path}") if "://" in path else os.path.abspath(path)


def _collide(targets: Sequence[str], originals: Sequence[str]) -> bool:
    """Returns whether two pictures have one target, or one's is the folder of another's."""
    folders = {str(folder) for file in targets for folder in pathlib.PurePosixPath(file).parents}
    # A picture that is listed twice, also through a link, is one.
    return len(set(zip(targets, originals))) > len(set(targets)) or not folders.isdisjoint(targets)


def write_tables(output: str, tables: Mapping[str, tuple[Sequence[str], Sequence]]) -> None:
    """Writes CSV files: for each name of a file, its columns and its rows."""
    for name, (header, rows) in tables.items():
        storage.write_bytes(os.path.join(output, name), csv_text.to_bytes(header, rows))


def write_or_remove(output: str, name: str, content: bytes | None) -> None:
    """Writes a file of an output folder; None removes what an earlier run left."""
    file = os.path.join(output, name)
    if content is not None:
        storage.write_bytes(file, content)
    elif os.path.exists(file):
        os.remove(file)


def refuse_empty(kept: Sequence, summary: str, table: str, dropped: DropReport) -> None:
    """Refuses a preparation of which no item is left; ``table`` is the file with the reasons.

    Raises:
        UserError: Nothing was kept.
    """
    if not kept:
        raise UserError("\n".join([f"{summary}; {table} gives the reasons.", *dropped.lines()]))


class Rejected(Exception):
    """An item of a preparation has no result, for a reason that its table of rejections gives."""

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keeps the reason, the same words for all such items, and the detail of this one."""
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@contextlib.contextmanager
def rejected_if_unreadable(reason: str, file: str) -> Iterator[None]:
    """Turns the ``UserError`` of a file that cannot be read into ``Rejected``.

    Raises:
        Rejected: For ``reason``; its detail is the error's message without the path.
        UnavailableError: Reading needs a package that does not work here.
    """
    try:
        yield
    except UnavailableError:
        raise
    except UserError as error:
        raise Rejected(reason, str(error).removeprefix(f"{file}: ")) from error


def evenly_spaced(items: Sequence[Any], count: int) -> list[Any]:
    """Returns up to ``count`` items, evenly spaced."""
    count = min(count, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]
