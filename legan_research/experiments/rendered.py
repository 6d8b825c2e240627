"""Rendered pictures of chosen people, expressions and lights, in memory and as a training set."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from legan_tf.data import images, storage
from legan_tf.data.manifest import OnProgress, to_csv
from legan_tf.data.rendered import geometry, shade
from legan_tf.data.rendered.facesets import in_parallel, name_of

MANIFEST = "manifest.csv"


class Portrait(NamedTuple):
    """What a rendered picture shows."""

    person: int
    expression: str
    lighting: str


def render_portraits(
    portraits: Sequence[Portrait], size: int, on_progress: OnProgress | None = None
) -> np.ndarray:
    """Renders pictures, on all cores.

    Args:
        portraits: What they show; names are those of rendered faces.
        size: Height and width, in pixels.
        on_progress: Told how many are done.

    Returns:
        uint8 [n,S,S,3].
    """
    pictures = np.empty((len(portraits), size, size, 3), np.uint8)
    # What is costly is the same under every light.
    shown = collections.defaultdict(list)
    for row, portrait in enumerate(portraits):
        shown[portrait.person, portrait.expression].append(row)

    def task(person: int, expression: str, rows: Sequence[int]) -> Callable[[], int]:
        def run() -> int:
            lights = [portraits[row].lighting for row in rows]
            pictures[rows] = shade(geometry([person], [expression], size), lights)[0]
            return len(rows)

        return run

    tasks = [task(*key, rows) for key, rows in shown.items()]
    in_parallel(tasks, len(portraits), on_progress)
    return pictures


def write_portraits(
    folder: str, portraits: Sequence[Portrait], size: int, on_progress: OnProgress | None = None
) -> str:
    """Renders pictures into a folder with a manifest of them, but those that are there already.

    Args:
        folder: It gets ``0000.png`` and so on, and last the manifest, all in split train.
        portraits: What they show.
        size: Height and width, in pixels.
        on_progress: Told how many are rendered.

    Returns:
        The path of the manifest.
    """
    manifest = os.path.join(folder, MANIFEST)
    content = to_csv(
        [
            {
                "path": file_of(row),
                "identity": name_of(portrait.person),
                "expression": portrait.expression,
                "lighting": portrait.lighting,
                "split": "train",
            }
            for row, portrait in enumerate(portraits)
        ]
    )
    listed = os.path.exists(manifest) and storage.read_bytes(manifest) == content
    files = [os.path.join(folder, file_of(row)) for row in range(len(portraits))]
    missing = [row for row, file in enumerate(files) if not (listed and os.path.exists(file))]
    if missing:
        pictures = render_portraits([portraits[row] for row in missing], size, on_progress)
        for row, picture in zip(missing, pictures):
            storage.write_bytes(files[row], images.to_png(picture))
    if not listed:
        storage.write_bytes(manifest, content)
    return manifest


def file_of(row: int) -> str:
    """Returns the name of a picture that ``write_portraits`` writes."""
    return f"{row:05d}.png"
