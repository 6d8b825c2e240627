"""Editing photographs in files, one or a folder, and drawing sheets of all that they can become."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from legan_tf.command_line.cli import Progress
from legan_tf.data import images, storage
from legan_tf.errors import UserError
from legan_tf.head.expressions import PRESETS
from legan_tf.head.light import LIGHTS
from legan_tf.plotting import sheet
from legan_tf.serving import picture_files
from legan_tf.serving.picture_files import Report
from legan_tf.uses.photographs import photograph_file
from legan_tf.uses.photographs.photograph_editor import PhotographEditor, Target
from legan_tf.uses.photographs.photograph_file import FORMATS, Photograph

NAMED_LIGHTS = tuple(name for name in LIGHTS if not name.startswith("shot"))
"""Lights that are named by what is bright, not by the number of a flash."""

_CELL = 288
_CELLS_IN_A_ROW = 6
_SHOWN = 1.9  # Side of the part of a picture in a cell, in sides of the box around a face.

OpenEditor = Callable[[Photograph], PhotographEditor]
"""Finds the faces of a photograph and fits the head to them."""
_Made = tuple[Sequence[str], dict[str, bytes]]
"""Notes on what was made of a photograph, and the files to write."""


def edit_files(
    open_editor: OpenEditor, target: Target, source: str, output: str, mask_output: str = ""
) -> Report:
    """Edits one photograph, or every picture in a folder.

    Each result is written atomically. A picture that cannot be read, or has no face that can be
    edited, is skipped and reported. A folder shows its progress on stderr.

    Args:
        open_editor: Finds and fits the faces.
        target: What they are edited to.
        source: A picture file, or a folder of them (its subfolders are not searched).
        output: For one picture a file (its suffix is the format) or a folder; for a folder a
            folder. There a picture keeps its name and its format, but for formats that cannot be
            written: HEIC and AVIF become JPEG, others PNG.
        mask_output: Where to write the masks of what was changed, likewise; PNG or BMP.

    Raises:
        UserError: There is no picture at ``source``, or an output is not usable, would replace the
            input, or holds both edits and masks.
    """
    jobs = picture_files.jobs(source, output, tuple(FORMATS), suffix_of)
    masks = dict(picture_files.map_jobs(source, mask_output, jobs)) if mask_output else {}

    def edit(photograph: Photograph, path: str) -> _Made:
        edited = open_editor(photograph).edit_to(target)
        files = {path: edited.encode(os.path.splitext(path)[1])}
        if masks:
            files[masks[photograph.name]] = images.to_png(edited.mask)
        return edited.notes, files

    return _run(jobs, edit, "edited")


def draw_grids(open_editor: OpenEditor, source: str, output: str, strength: float = 1.0) -> Report:
    """Draws sheets of every expression and every named light, of one photograph or of a folder's.

    Args:
        open_editor: As for ``edit_files``; a sheet has a block for each face.
        source: As for ``edit_files``.
        output: For one picture a PNG file or a folder; for a folder a folder.
        strength: Strength of the expressions.

    Raises:
        UserError: As ``edit_files``.
    """

    def draw(photograph: Photograph, path: str) -> _Made:
        editor = open_editor(photograph)
        return editor.notes, {path: grid(editor, strength)}

    return _run(picture_files.jobs(source, output, (".png",)), draw, "drawn")


def grid(editor: PhotographEditor, strength: float = 1.0) -> bytes:
    """Returns a PNG of each face under every expression and every named light, with their names."""
    targets = [Target()]
    targets += [Target(expression=name, strength=strength) for name in PRESETS]
    targets += [Target(lighting=name) for name in NAMED_LIGHTS]
    rows: list[tuple[str, list[tuple[np.ndarray, str]]]] = []
    for number, points in enumerate(editor.faces, 1):
        image, near = _cell(editor.photograph, points)
        small = PhotographEditor(image, points=near, head=editor.head, statistics=editor.statistics)
        cells = [(small.edit_to(target).image, str(target) or "as it is") for target in targets]
        label = f"face {number}" if len(editor.faces) > 1 else ""
        rows += [
            (label, cells[start : start + _CELLS_IN_A_ROW])
            for start in range(0, len(cells), _CELLS_IN_A_ROW)
        ]
    return sheet.captioned_sheet(rows)


def _cell(photograph: Photograph, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the square around a face, uint8 [S, S, 3], black beyond the picture; its points."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    side = _SHOWN * np.max(high - low)
    left, top = (low + high - side) / 2
    corners = np.round([left, top, left + side, top + side]).astype(int)
    image = Image.fromarray(photograph.image).crop(tuple(corners))
    scale = _CELL / image.width
    small = points.astype(np.float64) * scale
    small[:, :2] = (points[:, :2] - corners[:2] + 0.5) * scale - 0.5
    return np.asarray(image.resize((_CELL, _CELL), Image.Resampling.LANCZOS)), small


def _run(
    jobs: Sequence[tuple[str, str]], make: Callable[[Photograph, str], _Made], label: str
) -> Report:
    """Makes files of each photograph, and writes them."""
    written: list[str] = []
    maps: list[str] = []
    skipped: list[str] = []
    notes: list[str] = []
    progress = Progress(len(jobs), label) if len(jobs) > 1 else None
    for done, (path, target) in enumerate(jobs, 1):
        try:
            told, files = make(photograph_file.read(path), target)
        except UserError as error:
            skipped.append(str(error))
        else:
            for file, content in files.items():
                storage.write_bytes(file, content)
                (written if file == target else maps).append(file)
            notes += told
        if progress:
            progress.update(done)
    return Report(tuple(written), tuple(skipped), tuple(maps), notes=tuple(notes))


def suffix_of(name: str) -> str:
    """Returns the suffix, in a folder, of the edit of a picture of that name."""
    suffix = os.path.splitext(name)[1]
    if suffix.lower() in FORMATS:
        return suffix
    return ".jpg" if suffix.lower() in (".heic", ".heif", ".avif") else ".png"
