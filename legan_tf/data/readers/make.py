"""From the folder of a data set to its manifest, with a report of what is in it and what is not."""

from __future__ import annotations

import collections
import os
import statistics
from collections.abc import Callable
from typing import NamedTuple

from legan_tf.data import storage
from legan_tf.data.manifest import counts_table, read_manifest, to_csv
from legan_tf.data.readers import (
    affectnet,
    celeba,
    folders,
    multipie,
    perceptual,
    rafd,
    with_depth,
)
from legan_tf.data.readers.config import ReaderOptions
from legan_tf.data.readers.entries import Entry, Job
from legan_tf.data.readers.ledger import Ledger, printable
from legan_tf.data.readers.tree import OnProgress, Tree, scan
from legan_tf.errors import UserError


class _Reader(NamedTuple):
    """How one source is read.

    Attributes:
        read: Makes the entries.
        layout: Where the files of it lie and what they are called, in a few words.
        recognises: Returns whether a tree is of this source, by its names alone.
        skip: Returns why not to look into a folder, or nothing.
    """

    read: Callable[[Job], list[Entry]]
    layout: str
    recognises: Callable[[list[str]], bool] | None = None
    skip: Callable[[str], str] | None = None


_READERS = {
    "multipie": _Reader(multipie.read, multipie.LAYOUT, multipie.recognises, multipie.skip),
    "affectnet": _Reader(affectnet.read, affectnet.LAYOUT, affectnet.recognises),
    "affectnet_d": _Reader(with_depth.read_affectnet_d, with_depth.LAYOUT),
    "rafd": _Reader(rafd.read, rafd.LAYOUT, rafd.recognises),
    "rafd_d": _Reader(with_depth.read_rafd_d, with_depth.LAYOUT),
    "legan_perceptual": _Reader(perceptual.read, perceptual.LAYOUT),
    "celeba": _Reader(celeba.read, celeba.LAYOUT, celeba.recognises),
    "casia": _Reader(folders.read_casia, folders.CASIA_LAYOUT, folders.recognises_casia),
    "lfw": _Reader(folders.read_lfw, folders.LFW_LAYOUT, folders.recognises_lfw),
    "folder": _Reader(folders.read_folder, folders.LAYOUT),
}


def make_manifest(
    data_dir: str,
    output: str,
    options: ReaderOptions,
    seed: int,
    bar: Callable[[str], OnProgress],
) -> str:
    """Reads a data set's files and lists, decodes no picture, and writes its manifest.

    The same files, options and seed give the same manifest, byte for byte.

    Args:
        data_dir: Folder of the data set.
        output: The manifest, ``.csv``.
        options: What to read and how.
        seed: Decides every split that the data set does not decide, 0 or more.
        bar: Given what is counted, returns what shows how far it is.

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
    reader, ledger = _READERS[options.source], Ledger()
    tree = scan(
        data_dir, "data_dir", ledger, reader.skip, (output,), bar("looking through folders")
    )
    entries = reader.read(Job(tree, options, seed, ledger, bar))
    entries = _writable(entries, ledger)
    if not entries:
        raise UserError(_nothing(tree, options.source, ledger))
    base = data_dir if options.paths_from == "data_dir" else os.path.dirname(output)
    storage.write_bytes(output, _csv(entries, data_dir, base))
    start = data_dir if options.paths_from == "data_dir" else None
    return _report(output, start, ledger)


def _writable(entries: list[Entry], ledger: Ledger) -> list[Entry]:
    """Sorts the entries; leaves out those whose names a manifest cannot hold."""
    kept = []
    for entry in sorted(entries, key=lambda entry: entry.path):
        try:
            texts = [text for text in entry if isinstance(text, str)]
            "".join(texts).encode()
            fits = all(text == text.strip() and "\0" not in text for text in texts)
        except UnicodeEncodeError:  # Of bytes that are no UTF-8, Python makes lone surrogates.
            fits = False
        if fits:
            kept.append(entry)
        else:
            ledger.drop("name begins or ends with a space, or is no UTF-8", f"'{entry.path}'")
    return kept


def _csv(entries: list[Entry], data_dir: str, base: str) -> bytes:
    # Links are resolved: the parent of a linked folder is not what the path says.
    prefix = os.path.relpath(os.path.realpath(data_dir), os.path.realpath(base or "."))

    def place(path: str) -> str:
        if not path:
            return ""
        if os.path.isabs(path):
            return os.path.relpath(os.path.realpath(path), os.path.realpath(base or "."))
        return os.path.normpath(os.path.join(prefix, path))

    def line(entry: Entry) -> dict[str, str | float]:
        values = entry._asdict()
        values.update({column: place(values[column]) for column in ("path", "depth", "normal")})
        for column in ("rating_mean", "rating_std"):
            values[column] = float(f"{values[column]:.6g}")
        return values

    return to_csv(map(line, entries))


def _nothing(tree: Tree, source: str, ledger: Ledger) -> str:
    """Returns the sentences for a tree in which a reader found nothing."""
    reasons = "; ".join(f"{count} {reason}" for reason, count in ledger.counts().items())
    others = [
        f"--source={name}"
        for name, reader in _READERS.items()
        if name != source and reader.recognises and reader.recognises(list(tree.files))
    ]
    hint = f" It looks like {' or '.join(others)}." if others else ""
    return (
        f"--data_dir={tree.folder}: no picture in it can be used as --source={source}, which is "
        f"expected as {_READERS[source].layout}. There are {len(tree.files)} files, the first is "
        f"{printable(tree.files[0])}{f' (dropped: {reasons})' if reasons else ''}.{hint}"
    )


def _report(output: str, data_dir: str | None, ledger: Ledger) -> str:
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
    lines += ledger.lines()
    lines.append(f"{output}: {len(manifest.rows)} pictures")
    return "\n".join(lines)
