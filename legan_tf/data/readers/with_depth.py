"""AffectNet-D and RaFD-D: AffectNet and RaFD with the depth map of every face.

How their authors lay them out is not published. Read are a list, or pictures and maps that have
the same name in folders side by side.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from legan_tf.data.readers import rafd, tables
from legan_tf.data.readers.emotions import emotion
from legan_tf.data.readers.entries import (
    NINE_TO_ONE,
    Entry,
    Job,
    hold_out_val,
    split_groups,
    split_of_folders,
)
from legan_tf.data.readers.tree import MAPS, PICTURES, Names, stem, suffix
from legan_tf.errors import UserError

LAYOUT = "images/happy/x.jpg and depth/happy/x.png, or a CSV with columns rgb,depth,normal,label"

_FOLDERS = {
    **dict.fromkeys(("depth", "depths", "depth_map", "depth_maps", "depthmaps"), "depth"),
    **dict.fromkeys(("normal", "normals", "normal_map", "normal_maps"), "normal"),
    **dict.fromkeys(("rgb", "image", "images", "color", "colour", "faces"), "rgb"),
}
_ENDING = re.compile(r"[ _.-](depth|normal|rgb)s?$", re.IGNORECASE)

_COLUMNS = {
    "rgb": ("rgb", "image", "path", "file", "subdirectory_filepath"),
    "depth": ("depth", "depth_map"),
    "normal": ("normal", "normals", "normal_map"),
}
_LABEL = ("label", "expression", "emotion", "class")
_PERSON = ("identity", "subject", "person")
_SPLIT = ("split", "set")

Labelled = Callable[[Entry, Job], "Entry | str"]
"""Completes an entry, or returns why it is left out."""


def read_affectnet_d(job: Job) -> list[Entry]:
    """Reads pictures and maps; the label is a list's, else the folder's that is named after one.

    Where neither folders nor list name splits, a tenth of the pictures is the test set.
    """
    entries = _read(job, _by_folder)
    if not any(entry.split for entry in entries):
        entries = split_groups(entries, NINE_TO_ONE, job.seed)
    elif not any(entry.split == "test" for entry in entries):
        entries = [e._replace(split="test") if e.split == "val" else e for e in entries]
    return hold_out_val(entries, job.options.val_share, job.seed)


def read_rafd_d(job: Job) -> list[Entry]:
    """Reads pictures and maps; the label is what RaFD's own name of the picture says."""
    return rafd.split_people(_read(job, _by_name), job)


def _by_folder(entry: Entry, job: Job) -> Entry | str:
    *folders, _ = entry.path.split("/")
    words = [emotion(folder) for folder in reversed(folders) if emotion(folder)]
    expression = entry.expression or (words[0] if words else "")
    if not expression:
        return "in no folder of an emotion (0 to 7, or its name), and no list has a label"
    return entry._replace(expression=expression, split=entry.split or split_of_folders(folders))


def _by_name(entry: Entry, job: Job) -> Entry | str:
    match = rafd.NAME.match(stem(entry.path))
    reason = rafd.why_not(match, job)
    if reason:
        return reason
    told = rafd.entry_of(entry.path, match)
    return entry._replace(identity=told.identity, expression=told.expression)


def _read(job: Job, label: Labelled) -> list[Entry]:
    lists = [rows for rows in (_table(job, path) for path in job.tree.files) if rows]
    pairs = _from_tables(job, lists) if lists else _from_folders(job)
    entries = []
    for entry in pairs:
        labelled = label(entry, job)
        if isinstance(labelled, str):
            job.ledger.drop(labelled, entry.path)
        elif not (entry.depth or entry.normal):
            job.ledger.drop("without a depth or normal map", entry.path)
        else:
            entries.append(labelled)
    return entries


def _table(job: Job, path: str) -> tables.Table | None:
    """Reads a CSV that names pictures and maps; other files are none of it."""
    if suffix(path) != ".csv":
        return None
    file = job.tree.full(path)
    text = tables.read_text(file)
    columns = {cell.lower() for _, row in tables.cells(file, text)[:1] for cell in row}
    maps = (*_COLUMNS["depth"], *_COLUMNS["normal"])
    if not columns & set(_COLUMNS["rgb"]) or not columns & set(maps):
        job.ledger.note(
            f"{path} lists no pairs: it needs a column {' or '.join(_COLUMNS['rgb'])}, and one "
            f"called {' or '.join(maps)}."
        )
        return None
    return tables.table(file, text)


def _from_tables(job: Job, lists: list[tables.Table]) -> list[Entry]:
    files = [path for path in job.tree.files if suffix(path) in MAPS]
    names = {kind: Names(p for p in files if _kind(p)[0] == kind) for kind in _COLUMNS}
    everywhere = Names(files)
    entries: dict[str, Entry] = {}
    for rows in lists:
        near = os.path.relpath(os.path.dirname(rows.file), job.tree.folder)
        for line, cells in rows.lines:
            where = f"{rows.file}:{line}"
            paths, reason = {}, ""
            for kind, columns in _COLUMNS.items():
                name = _cell(rows, cells, columns)
                # A picture and its map may have one name: the folder tells which is meant.
                found = names[kind].find(name, near) or everywhere.find(name, near)
                if name and len(found) != 1:
                    many = "several files have the name" if found else "no such file"
                    reason = reason or f"listed, but {many}"
                paths[kind] = found[0] if found else ""
            picture, label = paths["rgb"], _cell(rows, cells, _LABEL)
            if not reason and (not picture or picture in entries):
                reason = "listed before" if picture else "listed without a picture"
            if reason:
                job.ledger.drop(reason, where)
                continue
            if label and not emotion(label):
                raise UserError(
                    f"{where}: {label!r} is no emotion; labels are 0 to 7 or their names."
                )
            entries[picture] = Entry(
                picture,
                identity=_cell(rows, cells, _PERSON),
                expression=emotion(label),
                depth=paths["depth"],
                normal=paths["normal"],
                split=split_of_folders([_cell(rows, cells, _SPLIT)]),
            )
    return list(entries.values())


def _cell(rows: tables.Table, cells: list[str], columns: tuple[str, ...]) -> str:
    place = rows.column(*columns)
    return cells[place] if place >= 0 else ""


def _from_folders(job: Job) -> list[Entry]:
    kinds: dict[str, dict[tuple[str, ...], str]] = {"rgb": {}, "depth": {}, "normal": {}}
    for path in job.tree.files:
        kind, key = _kind(path)
        if suffix(path) not in (PICTURES if kind == "rgb" else MAPS):
            job.ledger.drop("not a picture", path)
        elif key in kinds[kind]:
            job.ledger.drop("same name as a file before", path)
        else:
            kinds[kind][key] = path
    for kind in ("depth", "normal"):
        for key, path in kinds[kind].items():
            if key not in kinds["rgb"]:
                job.ledger.drop(f"{kind} map without its picture", path)
    return [
        Entry(path, depth=kinds["depth"].get(key, ""), normal=kinds["normal"].get(key, ""))
        for key, path in kinds["rgb"].items()
    ]


def _kind(path: str) -> tuple[str, tuple[str, ...]]:
    """Returns what a file is, and what it has in common with the files that belong to it."""
    *folders, _ = path.lower().split("/")
    kinds = [_FOLDERS[folder] for folder in folders if folder in _FOLDERS]
    ending = _ENDING.search(stem(path))
    if ending:
        kinds.append(ending[1].lower())
    name = _ENDING.sub("", stem(path)).lower()
    kind = next((kind for kind in reversed(kinds) if kind != "rgb"), "rgb")
    return kind, (*(folder for folder in folders if folder not in _FOLDERS), name)
