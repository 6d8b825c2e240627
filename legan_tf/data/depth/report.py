"""Results of ``depth`` besides the maps: tables, counts, sheets, the manifest and a report."""

from __future__ import annotations

import collections
import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from legan_tf.data import maps
from legan_tf.data.depth.config import DepthMapOptions
from legan_tf.data.depth.mesh_maps import FittedMesh, view_mesh
from legan_tf.data.depth.quality_gate import MEASURES
from legan_tf.data.drop_report import DropReport
from legan_tf.data.file_tree import stem
from legan_tf.data.manifest import Row, to_csv
from legan_tf.data.output_folder import evenly_spaced, refuse_empty, write_or_remove, write_tables
from legan_tf.data.resumable import MANIFEST
from legan_tf.head.action_units import MEASURED
from legan_tf.plotting.sheet import sheet

_SHEET_ROWS, _SHEET_SIZE = 16, 128
_NAME_LETTERS = 28
_COUNTS_HEADER = ("expression", "found", "rejected", "kept")


def write_results(
    rows: Sequence[Row],
    meshes: Sequence[FittedMesh],
    outcomes: Sequence[dict[str, Any]],
    output: str,
    size: int | None,
    options: DepthMapOptions,
    dropped: DropReport,
) -> str:
    """Writes the tables and the sheets, and last the manifest; returns a report.

    For each row, whose ``path`` is empty where there is no picture, ``outcomes`` has what
    ``mesh_maps.make_maps`` returned.

    Raises:
        UserError: Nothing is left.
    """
    base = os.path.realpath(output)

    def relative(file: str) -> str:
        return os.path.relpath(os.path.abspath(file), base) if file and "://" not in file else file

    found, rejections, lines, units, kept, rejected = [], [], [], [], [], []
    from_meshes = any(fitted.mesh for fitted in meshes)
    for row, fitted, outcome in zip(rows, meshes, outcomes):
        picture, reason = relative(fitted.picture), outcome["reason"]
        files = [relative(fitted.mesh), picture] if from_meshes else [picture]
        measures = [outcome[name] for name in MEASURES]
        if reason:
            dropped.drop(reason, fitted.mesh or fitted.picture)
            found.append([*files, "", "", *measures])
            rejections.append([*files, reason, outcome["detail"]])
            rejected.append((row, fitted, reason))
            continue
        depth, normal = (os.path.relpath(file, output) for file in fitted.targets)
        found.append([*files, depth, normal, *measures])
        units.append([picture, *outcome["action_units"]])
        kept.append((row, fitted, ""))
        if picture:
            lines.append({**vars(row), "path": picture, "depth": depth, "normal": normal})
    counts = _counts(rows, outcomes)
    header = ["mesh", "picture"] if from_meshes else ["picture"]
    tables: dict[str, tuple[Sequence[str], Sequence]] = {
        "meshes.csv" if from_meshes else "faces.csv": (
            [*header, "depth", "normal", *MEASURES],
            found,
        ),
        "rejected.csv": ([*header, "reason", "detail"], rejections),
        "counts.csv": (_COUNTS_HEADER, counts),
    }
    if not from_meshes:
        tables["action_units.csv"] = (["path", *(f"AU{number}" for number in MEASURED)], units)
    write_tables(output, tables)
    for name, chosen in (("sheet.png", kept), ("rejected.png", rejected)):
        write_or_remove(output, name, _sheet(chosen, size, options) if chosen else None)
    write_or_remove(output, MANIFEST, to_csv(lines) if lines else None)
    without_picture = len(kept) - len(lines)
    if lines and without_picture:
        dropped.note(
            f"maps of meshes without a picture, which {MANIFEST} does not name: {without_picture}."
        )
    crowds = sum(outcome["faces"] > 1 for outcome in outcomes)
    if crowds:
        dropped.note(f"pictures of several faces, of which the largest was taken: {crowds}.")
    what = "meshes" if from_meshes else "pictures"
    summary = f"{output}: {len(kept)} of {len(rows)} {what} became maps"
    refuse_empty(kept, summary, f"{output}/rejected.csv", dropped)
    if not lines:
        summary += "; no manifest, since no mesh has a picture"
    width = max(len(str(name)) for name, *_ in counts)
    table = [
        f"{name:<{width}}" + "".join(f" {value:>9}" for value in values)
        for name, *values in (_COUNTS_HEADER, *counts)
    ]
    return "\n".join([*table, *dropped.lines(), summary])


def _counts(
    rows: Sequence[Row], outcomes: Sequence[dict[str, Any]]
) -> list[tuple[str, int, int, int]]:
    """Returns expression, found, rejected and kept; as the paper's Table 4 counts its sets."""
    found: collections.Counter[str] = collections.Counter()
    rejected: collections.Counter[str] = collections.Counter()
    for row, outcome in zip(rows, outcomes):
        for name in (row.expression or "(unknown)", "total"):
            found[name] += 1
            rejected[name] += bool(outcome["reason"])
    names = [*sorted(set(found) - {"total"}), "total"]
    return [(name, found[name], rejected[name], found[name] - rejected[name]) for name in names]


def _sheet(
    chosen: Sequence[tuple[Row, FittedMesh, str]], size: int | None, options: DepthMapOptions
) -> bytes:
    """Draws pictures beside their maps, computed again, with reasons of rejection."""
    ordered = sorted(chosen, key=lambda item: item[0].expression)  # So that all are shown.
    shown = evenly_spaced(ordered, _SHEET_ROWS)
    columns: dict[str, list[np.ndarray]] = {"picture": [], "depth": [], "normals": []}
    names = []
    for row, fitted, reason in shown:
        seen = view_mesh(options, size, fitted)
        cells, view = [seen.picture], seen.view
        cells += [maps.depth_to_map(view.depth), maps.normals_to_map(view.normals)] if view else []
        for column, cell in zip(columns.values(), [*cells, None, None]):
            column.append(_thumbnail(cell))
        name = stem(fitted.mesh or fitted.picture)
        lines = [row.expression, name[-_NAME_LETTERS:], *textwrap.wrap(reason, _NAME_LETTERS)]
        names.append("\n".join(filter(None, lines)))
    return sheet({name: np.stack(cells) for name, cells in columns.items()}, names)


def _thumbnail(image: np.ndarray | None) -> np.ndarray:
    """Shrinks a picture of any shape to fit a square, on black."""
    canvas = Image.new("RGB", (_SHEET_SIZE, _SHEET_SIZE))
    if image is not None:
        small = Image.fromarray(image)
        share = _SHEET_SIZE / max(small.size)
        width, height = (max(1, round(side * share)) for side in small.size)
        place = (_SHEET_SIZE - width) // 2, (_SHEET_SIZE - height) // 2
        canvas.paste(small.resize((width, height)), place)
    return np.asarray(canvas)
