"""Rendered images of given people, expressions and lightings, in memory and as a training set."""

from __future__ import annotations

import collections
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from legan_tf.data import images, storage
from legan_tf.data.manifest import to_csv
from legan_tf.data.parallel import OnProgress
from legan_tf.data.rendered import geometry, shade
from legan_tf.data.rendered.dataset import identity_name, run_in_threads
from legan_tf.data.resumable import MANIFEST
from legan_tf.plotting.sheet import sheet
from legan_tf.uses.augment.policies import Edit


class FaceLabels(NamedTuple):
    """Labels of a rendered image."""

    person: int
    expression: str
    lighting: str


def render_images(
    labels: Sequence[FaceLabels], size: int, on_progress: OnProgress | None = None
) -> np.ndarray:
    """Renders images on all cores.

    Args:
        labels: Labels of the images.
        size: Height and width in pixels.
        on_progress: Called with the number of images done and their total.

    Returns:
        uint8 [n,S,S,3].
    """
    pictures = np.empty((len(labels), size, size, 3), np.uint8)
    # The costly geometry is shared by all lightings.
    rows_of = collections.defaultdict(list)
    for row, face in enumerate(labels):
        rows_of[face.person, face.expression].append(row)

    def render(rows: Sequence[int]) -> int:
        face = labels[rows[0]]
        lights = [labels[row].lighting for row in rows]
        pictures[rows] = shade(geometry([face.person], [face.expression], size), lights)[0]
        return len(rows)

    run_in_threads(render, list(rows_of.values()), len(labels), on_progress)
    return pictures


def write_images(
    folder: str, labels: Sequence[FaceLabels], size: int, on_progress: OnProgress | None = None
) -> tuple[str, list[str]]:
    """Writes rendered images with a manifest, in split train; existing images are kept.

    Args:
        folder: The folder to write; images are named ``00000.png`` and so on.
        labels: Labels of the images.
        size: Height and width in pixels.
        on_progress: Called with the number of images done and their total.

    Returns:
        The paths of the manifest and of the images.
    """
    manifest = os.path.join(folder, MANIFEST)
    names = [f"{row:05d}.png" for row in range(len(labels))]
    content = to_csv(
        [
            {
                "path": name,
                "identity": identity_name(face.person),
                "expression": face.expression,
                "lighting": face.lighting,
                "split": "train",
            }
            for name, face in zip(names, labels)
        ]
    )
    listed = os.path.exists(manifest) and storage.read_bytes(manifest) == content
    files = [os.path.join(folder, name) for name in names]
    missing = [row for row, file in enumerate(files) if not (listed and os.path.exists(file))]
    if missing:
        pictures = render_images([labels[row] for row in missing], size, on_progress)
        for row, picture in zip(missing, pictures):
            storage.write_bytes(files[row], images.to_png(picture))
    if not listed:
        storage.write_bytes(manifest, content)
    return manifest, files


def labels_of_edits(labels: Sequence[FaceLabels], edits: Sequence[Edit]) -> list[FaceLabels]:
    """Returns the labels that edits of labelled images should have."""
    return [
        labels[edit.source]._replace(
            expression=edit.targets.get("expression") or labels[edit.source].expression,
            lighting=edit.targets.get("lighting") or labels[edit.source].lighting,
        )
        for edit in edits
    ]


def file_sheet(columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> bytes:
    """Draws image files in columns.

    Args:
        columns: Files of each column, by its heading.
        names: Names of the rows.

    Returns:
        A PNG.
    """
    decoded = {
        heading: np.stack([*map(images.decode, files)]) for heading, files in columns.items()
    }
    return sheet(decoded, names)
