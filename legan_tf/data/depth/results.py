"""What making depth maps leaves besides the maps: lists, counts, sheets, the manifest, a report."""

from __future__ import annotations

import collections
import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from legan_tf.data import csv_text, maps, storage
from legan_tf.data.depth.config import DepthOptions
from legan_tf.data.depth.work import Fit, look
from legan_tf.data.drop_report import DropReport
from legan_tf.data.journal import spread
from legan_tf.data.manifest import Row, to_csv
from legan_tf.errors import UserError
from legan_tf.sheet import sheet

MANIFEST = "manifest.csv"
"""Name of the manifest in the folder of the maps."""

_MEASURES = (
    "coverage",
    "hole_share",
    "filled",
    "degenerate",
    "bulge",
    "back",
    "landmark_error",
    "far",
    "near",
)
_SHEET_ROWS, _SHEET_SIZE = 16, 128
_NAME_LETTERS = 28
_UNKNOWN = "(unknown)"
_TOTAL = "total"


def conclude(
    rows: Sequence[Row],
    fits: Sequence[Fit],
    outcomes: Sequence[dict[str, Any]],
    output: str,
    size: int | None,
    options: DepthOptions,
    ledger: DropReport,
) -> str:
    """Writes the lists and the sheets, and last the manifest.

    Args:
        rows: What is known of each picture; ``path`` is empty where there is no picture.
        fits: For each, the mesh and the files of its maps.
        outcomes: For each, what became of it, as ``work.make_maps`` returns it.
        output: The folder to write.
        size: Height and width of the maps of meshes that have no picture; none to reject them.
        options: What was asked for.
        ledger: What there was to say before.

    Returns:
        A report.

    Raises:
        UserError: No mesh is left.
    """
    base = os.path.realpath(output)

    def listed(file: str) -> str:
        return os.path.relpath(os.path.abspath(file), base) if file and "://" not in file else file

    def written(file: str) -> str:
        return os.path.relpath(file, output)

    found, rejected, lines, taken, refused = [], [], [], [], []
    for row, fit, outcome in zip(rows, fits, outcomes):
        mesh = listed(fit.mesh)
        depth, normal = written(fit.depth), written(fit.normal)
        measures = [outcome[name] for name in _MEASURES]
        if outcome["reason"]:
            ledger.drop(outcome["reason"], fit.mesh)
            found.append([mesh, listed(fit.picture), "", "", *measures])
            rejected.append([mesh, listed(fit.picture), outcome["reason"], outcome["detail"]])
            refused.append((row, fit, outcome["reason"]))
            continue
        found.append([mesh, listed(fit.picture), depth, normal, *measures])
        taken.append((row, fit, ""))
        if fit.picture:
            known = {name: getattr(row, name) for name in ("identity", "expression", "lighting")}
            ratings = {name: getattr(row, name) for name in ("rating_mean", "rating_std")}
            path = listed(fit.picture)
            lines.append(
                {**known, **ratings, "path": path, "depth": depth, "normal": normal}
                | {"split": row.split}
            )

    def write(name: str, content: bytes) -> None:
        storage.write_bytes(os.path.join(output, name), content)

    def remove(name: str) -> None:
        """Removes what an earlier time left, when there was some."""
        if os.path.exists(os.path.join(output, name)):
            os.remove(os.path.join(output, name))

    header = ["mesh", "picture", "depth", "normal", *_MEASURES]
    write("meshes.csv", csv_text.to_bytes(header, found))
    header = ["mesh", "picture", "reason", "detail"]
    write("rejected.csv", csv_text.to_bytes(header, rejected))
    counts = _counts(rows, outcomes)
    write("counts.csv", csv_text.to_bytes(["expression", "found", "rejected", "kept"], counts))
    for name, chosen in (("sheet.png", taken), ("rejected.png", refused)):
        if chosen:
            write(name, _sheet(chosen, size, options))
        else:
            remove(name)
    if lines:
        write(MANIFEST, to_csv(lines))
    else:
        remove(MANIFEST)
    alone = len(taken) - len(lines)
    if lines and alone:
        ledger.note(f"maps of meshes without a picture, which {MANIFEST} does not name: {alone}.")
    summary = f"{output}: {len(taken)} of {len(rows)} meshes became maps"
    if not taken:
        raise UserError(
            "\n".join([f"{summary}; {output}/rejected.csv tells why.", *ledger.lines()])
        )
    if not lines:
        summary += "; no manifest, since no mesh has a picture"
    return "\n".join([_table(counts), *ledger.lines(), summary])


def _counts(
    rows: Sequence[Row], outcomes: Sequence[dict[str, Any]]
) -> list[tuple[str, int, int, int]]:
    """Returns expression, found, rejected and kept; as the paper's Table 4 counts its sets."""
    found: collections.Counter = collections.Counter()
    rejected: collections.Counter = collections.Counter()
    for row, outcome in zip(rows, outcomes):
        name = row.expression or _UNKNOWN
        found[name] += 1
        rejected[name] += bool(outcome["reason"])
    lines = [(name, found[name], rejected[name]) for name in sorted(found)]
    lines.append((_TOTAL, sum(found.values()), sum(rejected.values())))
    return [(name, all_, out, all_ - out) for name, all_, out in lines]


def _table(counts: Sequence[tuple[str, int, int, int]]) -> str:
    rows = [("expression", "found", "rejected", "kept"), *counts]
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        f"{name:<{width}}" + "".join(f" {value:>9}" for value in values) for name, *values in rows
    )


def _sheet(
    chosen: Sequence[tuple[Row, Fit, str]], size: int | None, options: DepthOptions
) -> bytes:
    """Draws pictures beside their maps, made again, with what is said of them."""
    ordered = sorted(chosen, key=lambda item: item[0].expression)  # So that all are shown.
    shown = spread(ordered, _SHEET_ROWS)
    columns: dict[str, list[np.ndarray]] = {"picture": [], "depth": [], "normals": []}
    names = []
    for row, fit, reason in shown:
        _, view, picture = look(options, size, fit)
        cells = [picture]
        cells += [maps.depth_to_map(view.depth), maps.normals_to_map(view.normals)] if view else []
        for column, cell in zip(columns.values(), [*cells, None, None]):
            column.append(_thumbnail(cell))
        stem = os.path.splitext(os.path.basename(fit.mesh))[0]
        lines = [row.expression, stem[-_NAME_LETTERS:], *textwrap.wrap(reason, _NAME_LETTERS)]
        names.append("\n".join(filter(None, lines)))
    return sheet({name: np.stack(cells) for name, cells in columns.items()}, names)


def _thumbnail(image: np.ndarray | None) -> np.ndarray:
    """Shrinks a picture of any shape to fit a square, on black."""
    canvas = Image.new("RGB", (_SHEET_SIZE, _SHEET_SIZE))
    if image is not None:
        small = Image.fromarray(image)
        share = _SHEET_SIZE / max(small.size)
        small = small.resize([max(1, round(side * share)) for side in small.size])
        canvas.paste(small, tuple((_SHEET_SIZE - side) // 2 for side in small.size))
    return np.asarray(canvas)
