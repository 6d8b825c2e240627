"""AffectNet-D and RaFD-D (RGB-D): AffectNet and RaFD with the depth map of every face.

How their authors lay them out is not published. Read are a list, or pictures and maps that have
the same name in folders side by side.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence

from legan_tf.data import csv_text
from legan_tf.data.attributes import emotion
from legan_tf.data.file_tree import MAPS, PICTURES, Names, stem, suffix
from legan_tf.data.manifest import Row
from legan_tf.data.readers import rafd
from legan_tf.data.readers.registry import Job, ValShare, register
from legan_tf.data.splits import (
    NINE_TO_ONE,
    hold_out_val,
    split_groups,
    split_of_folders,
    test_from_val,
)
from legan_tf.errors import UserError

_LAYOUT = "images/happy/x.jpg and depth/happy/x.png, or a CSV with columns rgb,depth,normal,label"
_LICENCE = "their authors, Bodur et al., and those of the pictures"

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

Labelled = Callable[[Row, Job], "Row | str"]
"""Adds the labels to a row, or returns why it is left out."""


@register(
    "affectnet_d",
    title="AffectNet-D",
    licence=_LICENCE,
    layout=_LAYOUT,
    columns=("identity", "expression", "depth", "normal"),
    options=(ValShare,),
)
def read_affectnet_d(job: Job) -> list[Row]:
    """Reads pictures and maps; the label is a list's, else the folder's that is named after one.

    Where neither folders nor list name splits, a tenth of the pictures is the test set.
    """
    rows = _read(job, _by_folder)
    if not any(row.split for row in rows):
        rows = split_groups(rows, NINE_TO_ONE, job.seed)
    return hold_out_val(test_from_val(rows), job.options.val_share, job.seed)


@register(
    "rafd_d",
    title="RaFD-D",
    licence=_LICENCE,
    layout=_LAYOUT,
    columns=("identity", "expression", "depth", "normal"),
    options=(rafd.RafdOptions, ValShare),
)
def read_rafd_d(job: Job) -> list[Row]:
    """Reads pictures and maps; the label is what RaFD's own name of the picture says."""
    return rafd.split_people(_read(job, _by_name), job)


def _by_folder(row: Row, job: Job) -> Row | str:
    *folders, _ = row.path.split("/")
    words = [emotion(folder) for folder in reversed(folders) if emotion(folder)]
    expression = row.expression or (words[0] if words else "")
    if not expression:
        return "in no folder of an emotion (0 to 7, or its name), and no list has a label"
    split = row.split or split_of_folders(folders)
    return dataclasses.replace(row, expression=expression, split=split)


def _by_name(row: Row, job: Job) -> Row | str:
    named = rafd.labelled(row.path, rafd.NAME.match(stem(row.path)), job)
    if isinstance(named, str):
        return named
    return dataclasses.replace(row, identity=named.identity, expression=named.expression)


def _read(job: Job, label: Labelled) -> list[Row]:
    lists = [table for table in (_table(job, path) for path in job.tree.files) if table]
    pairs = {row.path: row for row in (_from_tables(job, lists) if lists else _from_folders(job))}

    def labelled(path: str) -> Row | str:
        row = label(pairs[path], job)
        has_map = isinstance(row, str) or row.depth or row.normal
        return row if has_map else "without a depth or normal map"

    return job.rows(labelled, pairs)


def _table(job: Job, path: str) -> csv_text.Table | None:
    """Reads a CSV that names pictures and maps; returns nothing for other files."""
    if suffix(path) != ".csv":
        return None
    file = job.tree.full(path)
    columns = {cell.lower() for _, cells in csv_text.read_lines(file)[:1] for cell in cells}
    maps = (*_COLUMNS["depth"], *_COLUMNS["normal"])
    if not columns & set(_COLUMNS["rgb"]) or not columns & set(maps):
        job.report.note(
            f"{path} lists no pairs: it needs a column {' or '.join(_COLUMNS['rgb'])}, and one "
            f"called {' or '.join(maps)}."
        )
        return None
    return csv_text.read_table(file)


def _from_tables(job: Job, lists: list[csv_text.Table]) -> list[Row]:
    files = [path for path in job.tree.files if suffix(path) in MAPS]
    names = {kind: Names(p for p in files if _kind(p)[0] == kind) for kind in _COLUMNS}
    everywhere = Names(files)
    rows: dict[str, Row] = {}
    for table in lists:
        near = os.path.relpath(os.path.dirname(table.file), job.tree.folder)
        for line, cells in table.lines:
            where = f"{table.file}:{line}"
            paths, reason = {}, ""
            for kind, columns in _COLUMNS.items():
                name = _cell(cells, columns)
                # A picture and its map may have one name: the folder decides which is meant.
                found = names[kind].find(name, near) or everywhere.find(name, near)
                if name and len(found) != 1:
                    many = "several files have the name" if found else "no such file"
                    reason = reason or f"listed, but {many}"
                paths[kind] = found[0] if found else ""
            picture, label = paths["rgb"], _cell(cells, _LABEL)
            if not reason and (not picture or picture in rows):
                reason = "listed before" if picture else "listed without a picture"
            if reason:
                job.report.drop(reason, where)
                continue
            if label and not emotion(label):
                raise UserError(
                    f"{where}: {label!r} is no emotion; labels are 0 to 7 or their names."
                )
            rows[picture] = Row(
                path=picture,
                identity=_cell(cells, _PERSON),
                expression=emotion(label),
                depth=paths["depth"],
                normal=paths["normal"],
                split=split_of_folders([_cell(cells, _SPLIT)]),
            )
    return list(rows.values())


def _cell(cells: Mapping[str, str], columns: Sequence[str]) -> str:
    """Returns the cell of the first of these columns that there is; empty if there is none."""
    return next((cells[name] for name in columns if name in cells), "")


def _from_folders(job: Job) -> list[Row]:
    kinds: dict[str, dict[tuple[str, ...], str]] = {"rgb": {}, "depth": {}, "normal": {}}
    for path in job.tree.files:
        kind, key = _kind(path)
        if suffix(path) not in (PICTURES if kind == "rgb" else MAPS):
            job.report.drop("not a picture", path)
        elif key in kinds[kind]:
            job.report.drop("same name as a file before", path)
        else:
            kinds[kind][key] = path
    for kind in ("depth", "normal"):
        for key, path in kinds[kind].items():
            if key not in kinds["rgb"]:
                job.report.drop(f"{kind} map without its picture", path)
    return [
        Row(path=path, depth=kinds["depth"].get(key, ""), normal=kinds["normal"].get(key, ""))
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
