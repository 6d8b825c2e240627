"""Registry of the readers of published data sets.

A reader is a function in a module of this package that ``register`` decorates. Every module of the
package is imported when the readers are asked for, so nothing else names them: the values of
``--source``, the flags, their help and the table in docs/data.md come from here.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from legan_tf.command_line.options import Limit, Options, option
from legan_tf.data import readers as package
from legan_tf.data.conditions import ATTRIBUTE_COLUMN
from legan_tf.data.drop_report import DropReport
from legan_tf.data.file_tree import Tree
from legan_tf.data.manifest import COLUMNS, Row
from legan_tf.data.parallel import OnProgress


@dataclasses.dataclass(frozen=True)
class Job:
    """The input of a reader.

    Attributes:
        tree: The files of the data set.
        options: The flags of ``scripts/prepare.py manifest``, those of the reader among them.
        seed: Seed of every split that the data set does not define.
        report: Counts what is left out, with the reason.
        bar: Maps the label of a progress bar to its function of (done, total).
    """

    tree: Tree
    options: Any
    seed: int
    report: DropReport
    bar: Callable[[str], OnProgress]

    def rows(
        self, label: Callable[[str], Row | str], paths: Iterable[str] | None = None
    ) -> list[Row]:
        """Returns the rows that a function makes of paths; default are those of all pictures.

        Args:
            label: Returns the row of a path, or the reason to leave it out, which is counted.
            paths: The paths.
        """
        rows = []
        for path in self.tree.pictures(self.report) if paths is None else paths:
            row = label(path)
            if isinstance(row, str):
                self.report.drop(row, path)
            else:
                rows.append(row)
        return rows


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader of one published data set.

    Attributes:
        source: Value of ``--source``.
        read: Returns the rows of the manifest; their paths start from the data set's folder or
            are full.
        title: Name of the data set.
        licence: The owner of the data and the terms.
        layout: Paths of its files, in a few words.
        columns: The columns of the manifest that it fills, besides ``path`` and ``split``.
        options: The groups of its own flags.
        recognises: Returns whether a file is named as those of this source are, given its path.
        skip: Returns the reason to leave a folder out, or nothing.
    """

    source: str
    read: Callable[[Job], list[Row]]
    title: str
    licence: str
    layout: str
    columns: Sequence[str]
    options: Sequence[type[Options]] = ()
    recognises: Callable[[str], object] | None = None
    skip: Callable[[str], str] | None = None


_READERS: dict[str, Reader] = {}
_BINARY = f"{ATTRIBUTE_COLUMN}NAME"


def register(source: str, **details: Any) -> Callable:
    """Returns a decorator that registers a function as the reader of a source.

    Args:
        source: Value of ``--source``.
        **details: The other attributes of ``Reader``, but for ``read``.

    Raises:
        ValueError: Another reader has this source, or a column is not one of a manifest.
    """

    def add(read: Callable[[Job], list[Row]]) -> Callable[[Job], list[Row]]:
        reader = Reader(source, read, **details)
        if source in _READERS or not set(reader.columns) <= {*COLUMNS, _BINARY}:
            raise ValueError(f"{source}: is registered already, or has unknown columns")
        _READERS[source] = reader
        return read

    return add


def readers() -> Mapping[str, Reader]:
    """Returns the readers of all modules of this package, by source in alphabetical order."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_READERS.items()))


@dataclasses.dataclass(frozen=True)
class ValShare(Options):
    """The option of data sets that have no validation set of their own."""

    val_share: float = option(
        0.0,
        "share of train to put into val where the data set has no val of its own; 0 to 0.5.",
        limit=Limit(lambda value: 0 <= value <= 0.5, "must be 0 to 0.5"),
    )


@dataclasses.dataclass(frozen=True)
class ReaderOptions(Options):
    """The options of ``scripts/prepare.py manifest`` that concern every reader."""

    source: str = ""
    paths_from: str = option(
        "manifest",
        "Folder that the manifest's paths start from: its own, or --data_dir, which training then "
        "needs, too.",
        ("manifest", "data_dir"),
    )

    def problems(self) -> list[str]:
        """Returns a sentence for each rule that the values break."""
        known = readers()
        problems = super().problems()
        if not self.source:
            problems.append(f"--source is missing: choose from {', '.join(known)}")
        for name, sources in _sources_of_options(known).items():
            changed = getattr(self, name) != getattr(type(self), name)
            if self.source and changed and self.source not in sources:
                owners = " or ".join(f"--source={source}" for source in sources)
                problems.append(f"--{name} belongs to {owners}, not to {self.source}")
        return problems


def reader_options() -> type[ReaderOptions]:
    """Returns the options of ``scripts/prepare.py manifest``, those of all readers among them."""
    known = readers()
    text = "Data set that --data_dir holds; see docs/data.md."
    fields: list[tuple[str, Any, Any]] = [("source", str, option("", text, ("", *known)))]
    owners = _sources_of_options(known)
    groups = tuple(dict.fromkeys(group for reader in known.values() for group in reader.options))
    for group in groups:
        kinds = typing.get_type_hints(group)
        for field in dataclasses.fields(group):
            text = f"{', '.join(owners[field.name])}: {field.metadata['help']}"
            described = dataclasses.field(
                default=field.default, metadata={**field.metadata, "help": text}
            )
            fields.append((field.name, kinds[field.name], described))
    bases: tuple[Any, ...] = (ReaderOptions, *groups)
    return dataclasses.make_dataclass("ReaderOptions", fields, bases=bases, frozen=True)


def _sources_of_options(known: Mapping[str, Reader]) -> dict[str, list[str]]:
    sources: dict[str, list[str]] = {}
    for reader in known.values():
        for group in reader.options:
            for field in dataclasses.fields(group):
                sources.setdefault(field.name, []).append(reader.source)
    return sources


def table() -> str:
    """Returns the table of all readers for docs/data.md, in Markdown."""
    lines = [
        "| `--source` | Data set | Columns | Flags | Given by, and terms |",
        "|---|---|---|---|---|",
    ]
    for reader in readers().values():
        columns = ", ".join(f"`{name}`" for name in reader.columns)
        flags = [field.name for group in reader.options for field in dataclasses.fields(group)]
        named = ", ".join(f"`--{name}`" for name in flags)
        cells = (f"`{reader.source}`", reader.title, columns, named, reader.licence)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
