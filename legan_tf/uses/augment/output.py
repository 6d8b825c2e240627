"""Output of an augmentation besides the images: manifest, list of edits, sheet and report."""

from __future__ import annotations

import collections
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from legan_tf.data import csv_text, images, storage
from legan_tf.data.conditions import ATTRIBUTES, Condition
from legan_tf.data.manifest import CLASSES, Manifest, Row, to_csv
from legan_tf.data.output_folder import evenly_spaced
from legan_tf.data.resumable import MANIFEST
from legan_tf.data.splits import SPLITS
from legan_tf.plotting.sheet import captioned_sheet, enlarged
from legan_tf.uses.augment.policies import Quota, SyntheticImage

IMAGES = "images"
"""Folder of the edits within the output."""
ORIGINALS = "originals"
"""Folder of the cropped real images within the output, if a crop is given."""

_SHEET_COLUMNS, _SHEET_CLASSES = 8, 8
_PER_FOLDER = 1000


def numbered_path(number: int) -> str:
    """Returns the path of image ``number``, in folders of a thousand."""
    return f"{number // _PER_FOLDER:03d}/{number:06d}.png"


def is_numbered_path(path: str) -> bool:
    """Returns whether a path is of the form that ``numbered_path`` returns."""
    name = os.path.splitext(os.path.basename(path))[0]
    return name.isdecimal() and path == numbered_path(int(name))


def write_output(
    manifest: Manifest,
    conditions: Sequence[Condition],
    quotas: Sequence[Quota],
    notes: Sequence[str],
    output: str,
    load_image: Callable[[int], np.ndarray],
    cropped: bool,
) -> str:
    """Writes the list of edits and the sheet, and last the manifest.

    Args:
        manifest: Manifest of the real images.
        conditions: Those of the model.
        quotas: The edits that were to be made and those that were.
        notes: Further sentences of the report.
        output: The folder to write.
        load_image: Returns the image of a row by its index, uint8 [S, S, 3].
        cropped: Whether the real images are in ``ORIGINALS``, cropped.

    Returns:
        The report.
    """
    real = _real_rows(manifest, output, cropped)
    edits = [edit for quota in quotas for edit in quota.made]
    table = [
        [
            edit.path,
            real[edit.source]["path"],
            *(edit.targets.get(one.name, "") for one in conditions),
            math.nan if edit.rating is None else edit.rating,
        ]
        for edit in edits
    ]
    synthetic = [_synthetic_row(edit, manifest.rows[edit.source], conditions) for edit in edits]
    columns = ("path", "source", *(one.name for one in conditions), "rating")
    files = {"synthetic.csv": csv_text.to_bytes(columns, table)}
    if edits:
        files["sheet.png"] = _sheet(manifest, conditions, edits, output, load_image)
    files[MANIFEST] = to_csv([*real, *synthetic])
    for name, content in files.items():
        storage.write_bytes(os.path.join(output, name), content)
    lines = _counts(manifest, conditions[0], synthetic)
    rejected = [(quota.name, quota.tried - len(quota.made)) for quota in quotas]
    total = sum(count for _, count in rejected)
    if total:
        of_class = ", ".join(f"{name} {count}" for name, count in rejected if name and count)
        lines.append(
            f"{total} edits were rated too low and rejected{': ' if of_class else ''}{of_class}."
        )
    lines += shortages(quotas)
    if any(row.get("depth") or row.get("normal") for row in real):
        lines.append("Edits have no depth or normal maps: a training that needs them refuses them.")
    summary = f"{output}: {len(synthetic)} synthetic pictures beside {len(real)} real ones"
    return "\n".join([*lines, *notes, summary])


def shortages(quotas: Sequence[Quota]) -> list[str]:
    """Returns a sentence for each class, and one for all images, with too few edits."""
    short = [quota for quota in quotas if len(quota.made) < quota.count]
    lines = [
        f"{quota.name!r} could not be filled: {len(quota.made)} of {quota.count} edits were found "
        f"in {len(quota.candidates)}."
        for quota in short
        if quota.name
    ]
    without = len(short) - len(lines)
    if without:
        lines.append(f"{without} pictures have no edit that is rated high enough.")
    return lines


def _real_rows(manifest: Manifest, output: str, cropped: bool) -> list[dict[str, Any]]:
    """The rows of the manifest with paths relative to the output."""
    base = os.path.realpath(output)

    def relative(file: str) -> str:
        if not file or "://" in file:
            return file
        return os.path.relpath(os.path.realpath(file), base)

    kept = ("identity", *CLASSES, "rating_mean", "rating_std", "split")
    attributes = manifest.names(ATTRIBUTES)
    listed = []
    for number, row in enumerate(manifest.rows):
        if cropped:  # Without maps, which are of the whole images.
            paths = {"path": f"{ORIGINALS}/{numbered_path(number)}"}
        else:
            files = {"path": row.file, "depth": row.depth, "normal": row.normal}
            paths = {name: relative(file) for name, file in files.items()}
        # All of them by name, so that the columns keep their order.
        known = {ATTRIBUTES: {name: row.attributes.get(name, "") for name in attributes}}
        listed.append({**{name: getattr(row, name) for name in kept}, **known, **paths})
    return listed


def _synthetic_row(
    image: SyntheticImage, source: Row, conditions: Sequence[Condition]
) -> dict[str, Any]:
    values = {name: getattr(source, name) for name in ("identity", *CLASSES, ATTRIBUTES)}
    for one in conditions:
        label = one.ids(image.targets.get(one.name), 1, keeps_unnamed=True)[0]
        values[one.name] = one.edited_value(values[one.name], label)
    return {"path": image.path, **values, "split": SPLITS[0]}


def _counts(
    manifest: Manifest, condition: Condition, synthetic: Sequence[dict[str, Any]]
) -> list[str]:
    """A table of the images of train per class or attribute, real and synthetic."""
    train = [vars(row) for row in manifest.split(SPLITS[0])]
    real, added = (
        collections.Counter(
            name for row in rows for name in condition.value_texts(row[condition.name])
        )
        for rows in (train, synthetic)
    )
    found = {*real, *added} - {""}
    known = [name for name in manifest.names(condition.name) if name in found]
    rows = [(name, real[name], added[name]) for name in [*known, *sorted(found - {*known})]]
    if real[""] or added[""]:
        rows.append(("(unknown)", real[""], added[""]))
    rows.append(("all", len(train), len(synthetic)))
    width = max(len(name) for name, *_ in rows)
    heading = f"{'train':<{width}} {'real':>9} {'synthetic':>9} {'together':>9}"
    return [heading, *(f"{n:<{width}} {r:>9} {a:>9} {r + a:>9}" for n, r, a in rows)]


def _sheet(
    manifest: Manifest,
    conditions: Sequence[Condition],
    edits: Sequence[SyntheticImage],
    output: str,
    load_image: Callable[[int], np.ndarray],
) -> bytes:
    """Draws a row of sources above a row of their edits for each first target."""
    of_class: dict[str, list[SyntheticImage]] = {}
    for made in edits:
        of_class.setdefault(next(iter(made.targets.values())), []).append(made)
    rows = []
    for name in evenly_spaced(sorted(of_class), _SHEET_CLASSES):
        sources, results = [], []
        for made in evenly_spaced(of_class[name], _SHEET_COLUMNS):
            row = manifest.rows[made.source]
            texts_of = (one.value_texts(getattr(row, one.name)) for one in conditions)
            caption = " ".join(text for texts in texts_of for text in texts if text)
            sources.append((enlarged(load_image(made.source)), caption))
            caption = " ".join([*made.targets.values()][1:])
            if made.rating is not None:
                caption += f" Q {made.rating:.1f}"
            results.append((enlarged(images.decode(os.path.join(output, made.path))), caption))
        rows += [("source", sources), (f"to {name}", results)]
    return captioned_sheet(rows)
