"""Makes the manifest of a published data set from the folder that its authors give."""

from __future__ import annotations

import collections
import os
import statistics
from collections.abc import Callable
from typing import Any

from legan_tf.data import storage
from legan_tf.data.conditions import ATTRIBUTES
from legan_tf.data.drop_report import DropReport, printable
from legan_tf.data.file_tree import Tree, scan
from legan_tf.data.manifest import COLUMNS, Row, counts_table, read_manifest, to_csv
from legan_tf.data.parallel import OnProgress
from legan_tf.data.readers.registry import Job, ReaderOptions, readers
from legan_tf.errors import UserError

_TEXT_COLUMNS = [name for name in COLUMNS if not name.startswith("rating_")]


def make_manifest(
    data_dir: str, output: str, options: ReaderOptions, seed: int, bar: Callable[[str], OnProgress]
) -> str:
    """Reads a data set's files and lists, decodes no picture, and writes its manifest.

    The same files, options and seed give the same manifest, byte for byte.

    Args:
        data_dir: Folder of the data set.
        output: The manifest, ``.csv``.
        options: The flags of ``prepare.py manifest``.
        seed: Seed of every split that the data set does not define, 0 or more.
        bar: Maps the label of a progress bar to its function of (done, total).

    Returns:
        A report: pictures per split, class and person; what was dropped and why.

    Raises:
        UserError: The options, the folder or a list in it cannot be used, or no picture is left.
    """
    options.check()
    problem = ""
    if not data_dir:
        problem = f"--data_dir is missing: name the folder of {options.source}"
    elif not output.lower().endswith(".csv"):
        problem = f"--output={output}: name the manifest to write, FILE.csv"
    elif seed < 0:
        problem = f"--seed={seed}: must be 0 or more"
    if problem:
        raise UserError(f"{problem}.")
    reader, report = readers()[options.source], DropReport()
    progress = bar("looking through folders")
    tree = scan(data_dir, "data_dir", report, progress, reader.skip, output)
    rows = _writable(reader.read(Job(tree, options, seed, report, bar)), report)
    if not rows:
        raise UserError(_nothing(tree, options.source, report))
    base = data_dir if options.paths_from == "data_dir" else os.path.dirname(output)
    storage.write_bytes(output, _csv(rows, data_dir, base))
    start = data_dir if options.paths_from == "data_dir" else None
    return _summary(output, start, report)


def _writable(rows: list[Row], report: DropReport) -> list[Row]:
    """Sorts the rows by path; leaves out those whose names a manifest cannot hold."""
    kept = []
    for row in sorted(rows, key=lambda row: row.path):
        texts = [getattr(row, name) for name in _TEXT_COLUMNS]
        try:
            "".join(texts).encode()
            fits = all(text == text.strip() and "\0" not in text for text in texts)
        except UnicodeEncodeError:  # Of bytes that are no UTF-8, Python makes lone surrogates.
            fits = False
        if fits:
            kept.append(row)
        else:
            report.drop("name begins or ends with a space, or is no UTF-8", f"'{row.path}'")
    return kept


def _csv(rows: list[Row], data_dir: str, base: str) -> bytes:
    # Links are resolved: the parent of a linked folder is not what the path says.
    prefix = os.path.relpath(os.path.realpath(data_dir), os.path.realpath(base or "."))

    def place(path: str) -> str:
        if not path:
            return ""
        if os.path.isabs(path):
            return os.path.relpath(os.path.realpath(path), os.path.realpath(base or "."))
        return os.path.normpath(os.path.join(prefix, path))

    def line(row: Row) -> dict[str, Any]:
        values = {name: getattr(row, name) for name in (*COLUMNS, ATTRIBUTES)}
        values.update({column: place(values[column]) for column in ("path", "depth", "normal")})
        for column in ("rating_mean", "rating_std"):
            values[column] = float(f"{values[column]:.6g}")
        return values

    return to_csv(map(line, rows))


def _nothing(tree: Tree, source: str, report: DropReport) -> str:
    """Returns the message for a tree in which a reader found nothing."""
    known = readers()
    reasons = "; ".join(f"{count} {reason}" for reason, count in report.counts().items())
    others = [
        f"--source={name}"
        for name, reader in known.items()
        if name != source and reader.recognises and any(map(reader.recognises, tree.files))
    ]
    hint = f" It looks like {' or '.join(others)}." if others else ""
    return (
        f"--data_dir={tree.folder}: no picture in it can be used as --source={source}, which is "
        f"expected as {known[source].layout}. There are {len(tree.files)} files, the first is "
        f"{printable(tree.files[0])}{f' (dropped: {reasons})' if reasons else ''}.{hint}"
    )


def _summary(output: str, data_dir: str | None, report: DropReport) -> str:
    manifest = read_manifest(output, data_dir)
    people = collections.Counter(row.identity for row in manifest.rows if row.identity)
    lines = [counts_table(manifest)]
    if people:
        counts = people.values()
        lines.append(
            f"pictures per person: {min(counts)} to {max(counts)}, median "
            f"{statistics.median(counts):g}"
        )
    maps = collections.Counter(
        kind for row in manifest.rows for kind in ("depth", "normal") if getattr(row, kind)
    )
    lines += [f"{kind} maps: {count}" for kind, count in sorted(maps.items())]
    lines += report.lines()
    lines.append(f"{output}: {len(manifest.rows)} pictures")
    return "\n".join(lines)
