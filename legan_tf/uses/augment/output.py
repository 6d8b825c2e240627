"""What an augmentation leaves besides the pictures: lists, a sheet, the manifest and a report."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Sequence

import numpy as np

from legan_tf.data import csv_text, images, storage
from legan_tf.data.journal import spread
from legan_tf.data.manifest import SPLITS, Manifest, Row, to_csv
from legan_tf.sheet import captioned_sheet
from legan_tf.uses.augment.policies import Edit, Want

IMAGES = "images"
"""Folder of the edits, in that of the output."""
ORIGINALS = "originals"
"""Folder of the real pictures where they are cropped, likewise."""
MANIFEST = "manifest.csv"

_SYNTHETIC_COLUMNS = ("path", "source", "expression", "lighting", "rating")
_SHEET_COLUMNS, _SHEET_CLASSES = 8, 8
_LEAST_SHOWN = 96
_PER_FOLDER = 1000


@dataclasses.dataclass(frozen=True)
class Made:
    """A synthetic picture.

    Attributes:
        path: Of its file, from the folder of the output.
        edit: What it was made of and what was asked for.
        rating: What Q says, 1 to 10; none if it was not asked.
    """

    path: str
    edit: Edit
    rating: float | None


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Returns a picture with each pixel repeated until it is large enough to look at."""
    times = -(-_LEAST_SHOWN // len(picture))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def numbered(number: int) -> str:
    """Returns the path of a picture, in folders of a thousand."""
    return f"{number // _PER_FOLDER:03d}/{number:06d}.png"


def is_numbered(path: str) -> bool:
    """Returns whether ``numbered`` gives such a path."""
    name = os.path.splitext(os.path.basename(path))[0]
    return name.isdecimal() and path == numbered(int(name))


def conclude(
    manifest: Manifest,
    wants: Sequence[Want],
    made: Sequence[Sequence[Made]],
    rejected: Sequence[int],
    notes: Sequence[str],
    output: str,
    picture: Callable[[int], np.ndarray],
    crop: str,
) -> str:
    """Writes the list of edits and the sheet, and last the manifest.

    Args:
        manifest: Of the real pictures.
        wants: What was wanted.
        made: For each, what was made.
        rejected: For each, how many edits Q rated too low.
        notes: What else there is to say.
        output: The folder to write.
        picture: Gives the picture of a row by its number, uint8 [S,S,3].
        crop: If not empty, the real pictures are in ``ORIGINALS``, cropped.

    Returns:
        A report.
    """
    real = _real_lines(manifest.rows, output, bool(crop))
    edits = [edit for of_want in made for edit in of_want]
    table = [
        [
            edit.path,
            real[edit.edit.source]["path"],
            edit.edit.expression or "",
            edit.edit.lighting or "",
            math.nan if edit.rating is None else edit.rating,
        ]
        for edit in edits
    ]
    synthetic = [_synthetic_line(edit, manifest.rows[edit.edit.source]) for edit in edits]
    files = {"synthetic.csv": csv_text.to_bytes(_SYNTHETIC_COLUMNS, table)}
    if edits:
        files["sheet.png"] = _sheet(manifest, edits, output, picture)
    files[MANIFEST] = to_csv([*real, *synthetic])
    for name, content in files.items():
        storage.write_bytes(os.path.join(output, name), content)
    lines = _counts(manifest, synthetic)
    if sum(rejected):
        told = f"{sum(rejected)} edits were rated too low and rejected"
        of_class = [
            f"{want.name} {count}" for want, count in zip(wants, rejected) if want.name and count
        ]
        lines.append(f"{told}{': ' if of_class else ''}{', '.join(of_class)}.")
    lines += lacking(wants, made)
    if any(line.get("depth") or line.get("normal") for line in real):
        lines.append("Edits have no depth or normal maps: a training that needs them refuses them.")
    summary = f"{output}: {len(synthetic)} synthetic pictures beside {len(real)} real ones"
    return "\n".join([*lines, *notes, summary])


def _real_lines(rows: Sequence[Row], output: str, cropped: bool) -> list[dict[str, str | float]]:
    """The rows of the manifest, with paths that lead there from the output."""
    base = os.path.realpath(output)

    def listed(file: str) -> str:
        if not file or "://" in file:
            return file
        return os.path.relpath(os.path.realpath(file), base)

    if cropped:
        # The maps are of the pictures as they were.
        return [
            {**_labels(row), "path": f"{ORIGINALS}/{numbered(place)}"}
            for place, row in enumerate(rows)
        ]
    return [
        {
            **_labels(row),
            "path": listed(row.file),
            "depth": listed(row.depth),
            "normal": listed(row.normal),
        }
        for row in rows
    ]


def _labels(row: Row) -> dict[str, str | float]:
    kept = ("identity", "expression", "lighting", "rating_mean", "rating_std", "split")
    return {name: getattr(row, name) for name in kept}


def _synthetic_line(made: Made, source: Row) -> dict[str, str | float]:
    return {
        "path": made.path,
        "identity": source.identity,
        "expression": made.edit.expression or source.expression,
        "lighting": made.edit.lighting or source.lighting,
        "split": SPLITS[0],
    }


def _counts(manifest: Manifest, synthetic: Sequence[dict[str, str | float]]) -> list[str]:
    """Pictures of train per expression, real and synthetic."""
    names = list(manifest.expressions)
    names += sorted({line["expression"] for line in synthetic} - {*names, ""})
    train = manifest.split(SPLITS[0])
    rows = []
    for name in (*names, ""):
        real = sum(row.expression == name for row in train)
        added = sum(line["expression"] == name for line in synthetic)
        if name or real or added:
            rows.append((name or "(unknown)", real, added, real + added))
    rows.append(("all", len(train), len(synthetic), len(train) + len(synthetic)))
    width = max(len(name) for name, *_ in rows)
    heading = f"{'train':<{width}} {'real':>9} {'synthetic':>9} {'together':>9}"
    return [heading, *(f"{n:<{width}} {r:>9} {a:>9} {t:>9}" for n, r, a, t in rows)]


def lacking(wants: Sequence[Want], made: Sequence[Sequence[Made]]) -> list[str]:
    """Says where there are fewer edits than wanted.

    Args:
        wants: What was wanted.
        made: For each, what was made.

    Returns:
        Sentences.
    """
    lines = []
    without = 0
    for want, edits in zip(wants, made):
        if len(edits) == want.count:
            continue
        if not want.name:
            without += 1
            continue
        lines.append(
            f"{want.name!r} could not be filled: {len(edits)} of {want.count} edits were found in "
            f"{len(want.candidates)}."
        )
    if without:
        lines.append(f"{without} pictures have no edit that is rated high enough.")
    return lines


def _sheet(
    manifest: Manifest, edits: Sequence[Made], output: str, picture: Callable[[int], np.ndarray]
) -> bytes:
    """Draws for each class a row of sources and, below, a row of what was made of them."""
    of_class: dict[str, list[Made]] = {}
    for made in edits:
        of_class.setdefault(made.edit.expression or made.edit.lighting or "", []).append(made)
    rows = []
    for name in spread(sorted(of_class), _SHEET_CLASSES):
        chosen = spread(of_class[name], _SHEET_COLUMNS)
        sources, results = [], []
        for made in chosen:
            row = manifest.rows[made.edit.source]
            sources.append((enlarged(picture(made.edit.source)), _told(row)))
            result = enlarged(images.decode(os.path.join(output, made.path)))
            told = made.edit.lighting or ""
            if made.rating is not None:
                told = f"{told} Q {made.rating:.1f}"
            results.append((result, told))
        rows += [("source", sources), (f"to {name}", results)]
    return captioned_sheet(rows)


def _told(row: Row) -> str:
    return " ".join(filter(None, (row.expression, row.lighting)))
