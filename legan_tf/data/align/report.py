"""Results of an alignment besides the pictures: tables, a sheet, the manifest and a report."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from legan_tf.data import images
from legan_tf.data.align import alignment, landmarks
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.drop_report import DropReport
from legan_tf.data.manifest import Row, counts_table, read_manifest, to_csv
from legan_tf.data.output_folder import evenly_spaced, refuse_empty, write_or_remove, write_tables
from legan_tf.data.resumable import MANIFEST
from legan_tf.plotting.sheet import captioned_sheet

IMAGES = "images"
"""Folder of the aligned pictures, in that of the output."""

_MEASURES = ("yaw", "faces", "pixels", "contrast", "sharpness")
_SHEET_COLUMNS, _SHEET_PICTURES = 8, 64
_EYE_INK, _MOUTH_INK = (0, 200, 255), (255, 160, 0)
_PRIME = 7


def write_results(
    rows: Sequence[Row],
    targets: Sequence[str],
    outcomes: Sequence[dict[str, Any]],
    output: str,
    size: int,
    options: AlignOptions,
    dropped: DropReport,
) -> str:
    """Writes the tables and the sheet, and last the manifest; returns a report.

    For each original in ``rows``, ``targets`` has the path of its aligned picture below ``IMAGES``,
    and ``outcomes`` what ``align_picture`` returned.

    Raises:
        UserError: No picture is left.
    """
    found, skipped, kept, several, unknown = [], [], [], [], 0
    for row, target, outcome in zip(rows, targets, outcomes):
        if outcome["points"]:
            found.append([row.path, *outcome["points"], *(outcome[name] for name in _MEASURES)])
        if outcome["reason"]:
            dropped.drop(outcome["reason"], row.path)
            skipped.append([row.path, outcome["reason"], outcome["detail"]])
            continue
        kept.append(dataclasses.replace(row, path=f"{IMAGES}/{target}"))
        if outcome["faces"] > 1:
            several.append(row.path)
        unknown += np.isnan(outcome["yaw"])
    if several:
        dropped.note(
            f"{len(several)} pictures show several faces, of which the largest was taken: "
            f"{', '.join(several[:3])}{' ...' if len(several) > 3 else ''}"
        )
    if unknown and options.max_yaw < 90:
        dropped.note(f"{unknown} faces were kept though it is not known how far they are turned.")
    tables = {
        "faces.csv": (["path", *landmarks.POINT_COLUMNS, *_MEASURES], found),
        "skipped.csv": (["path", "reason", "detail"], skipped),
    }
    write_tables(output, tables)
    summary = f"{output}: {len(kept)} of {len(rows)} pictures aligned"
    refuse_empty(kept, summary, f"{output}/skipped.csv", dropped)
    lines = alignment.CONVENTIONS[options.convention].lines(size)
    write_or_remove(output, "sheet.png", _sheet(kept, output, lines))
    write_or_remove(output, MANIFEST, to_csv(map(vars, kept)))
    labelled = any(row.identity or row.expression or row.lighting or row.attributes for row in kept)
    table = [counts_table(read_manifest(os.path.join(output, MANIFEST)))] if labelled else []
    return "\n".join([*table, *dropped.lines(), summary])


def _sheet(rows: Sequence[Row], output: str, lines: tuple[float, float]) -> bytes:
    """Draws faces of as many people as there is room for, with lines at eyes and mouth."""
    chosen = _spread_over_people(rows, _SHEET_PICTURES)
    cells = [
        (_marked(images.decode(os.path.join(output, row.path)), lines), row.identity or row.path)
        for row in chosen
    ]
    starts = range(0, len(chosen), _SHEET_COLUMNS)
    return captioned_sheet([("", cells[start : start + _SHEET_COLUMNS]) for start in starts])


def _spread_over_people(rows: Sequence[Row], count: int) -> list[Row]:
    """Chooses rows so that people are shown equally often, each by pictures far apart."""
    of_person = collections.defaultdict(list)
    for row in rows:
        of_person[row.identity].append(row)
    people = evenly_spaced(sorted(of_person), count)
    share = max(1, count // len(people))
    chosen = []
    for turn, person in enumerate(people):
        pictures = of_person[person]
        # Where all have the same pictures in the same order, not the same one of each is shown.
        start = turn * _PRIME % len(pictures)
        chosen += evenly_spaced(pictures[start:] + pictures[:start], share)
    return chosen


def _marked(face: np.ndarray, lines: tuple[float, float]) -> np.ndarray:
    canvas = Image.fromarray(face)
    draw = ImageDraw.Draw(canvas)
    for height, ink in zip(lines, (_EYE_INK, _MOUTH_INK)):
        draw.line([(0, round(height)), (face.shape[1], round(height))], ink, 1)
    return np.asarray(canvas)
