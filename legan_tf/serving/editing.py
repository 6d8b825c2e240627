"""Editing or mapping picture files, one or a folder, and drawing the grid of all targets."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from legan_tf.command_line.cli import Progress
from legan_tf.data import images
from legan_tf.data.align import face_lines
from legan_tf.data.align.face_lines import Lines
from legan_tf.errors import UserError
from legan_tf.serving import picture_files
from legan_tf.serving.loading import DepthEstimator, Editor, Scorer
from legan_tf.serving.picture_files import Report

_LEAST_CELL = 96
_MARGIN = 8
_INK = (32, 32, 32)
_PAPER = (255, 255, 255)


Jobs = Sequence[tuple[str, str]]
"""Each picture to read with the file to write."""
PictureFunction = Callable[[np.ndarray], np.ndarray]
"""From a picture uint8 [H, W, 3] to the one to write; a map of depth is grey, [H, W]."""


def use_model(
    model: Editor | Scorer | DepthEstimator,
    source: str,
    output: str,
    targets: dict[str, str | None],
    grid: bool = False,
    map_output: str = "",
) -> Report:
    """Edits or maps picture files, as ``scripts/edit.py`` does.

    Args:
        model: An editor; or a depth network, which takes no targets, grid or map output.
        source: A picture file or a folder; see ``edit_files``.
        output: Where the edits or maps go; see ``edit_files``.
        targets: Target ``expression`` and ``lighting``, by name or nothing.
        grid: Whether to draw every target on one sheet instead.
        map_output: Where to write the maps of the edits, or nothing.

    Raises:
        UserError: The model cannot do it; or see ``edit_files``.
    """
    named = any(targets.values())
    if isinstance(model, DepthEstimator):
        if named or grid or map_output:
            raise UserError(
                f"--model={model.path} maps pictures and cannot edit them: give only --input and "
                "--output."
            )
        return map_files(model, source, output)
    if not isinstance(model, Editor):
        raise UserError(f"--model={model.path} rates pictures and cannot edit them.")
    if grid == named:
        raise UserError("Give either --grid or --expression and/or --lighting.")
    note = functools.partial(_position_note, model.face_lines) if model.face_lines else None
    if grid:
        return edit_files(functools.partial(draw_grid, model), source, output, note=note)
    edit = functools.partial(model, **targets)
    if not map_output:
        return edit_files(edit, source, output, note=note)
    if not model.geometry:
        raise UserError(
            f"--model={model.path} has no depth network, which --depth needs; the folder of a run "
            "with --depth_weight above 0 holds one, and so does its export."
        )
    return edit_files(edit, source, output, model.depth, map_output, note)


def _position_note(lines: Lines, path: str, image: np.ndarray) -> str:
    """Returns a sentence where a face is not in the position of those that a model learned from."""
    found = face_lines.misplaced(image, lines)
    if found is None:
        return ""
    here, there = ("eyes at {:.0%} and mouth at {:.0%}".format(*each) for each in (found, lines))
    folder = os.path.dirname(path) or "."
    return (
        f"{path}: the face has {here} of the height, those that the model was trained on {there}; "
        f"python scripts/prepare.py align --input={folder} --output=aligned aligns it."
    )


def edit_files(
    edit: PictureFunction,
    source: str,
    output: str,
    estimate: PictureFunction | None = None,
    map_output: str = "",
    note: Callable[[str, np.ndarray], str] | None = None,
) -> Report:
    """Edits one picture file, or every picture in a folder; also maps the edits if asked to.

    Each result is written atomically. A picture that cannot be read is skipped and reported; other
    files in a folder are ignored. A folder shows its progress on stderr.

    Args:
        edit: Edits a picture.
        source: A picture file, or a folder of them (its subfolders are not searched).
        output: For one picture a file (its suffix is the format) or a folder; for a folder a
            folder, where ``NAME.png`` is made of each picture. Missing folders are made; results
            of an earlier job are replaced.
        estimate: Maps an edit.
        map_output: Where the maps go, likewise; a file is PNG or BMP, which are lossless.
        note: Returns a sentence on a picture's path and pixels; empty for none.

    Raises:
        UserError: There is no picture at ``source``, or an output is not usable, would replace the
            input, or holds both the edits and the maps.
    """
    jobs = picture_files.jobs(source, output)
    map_jobs = picture_files.map_jobs(source, map_output, jobs) if estimate else []
    return _run(jobs, edit, map_jobs, estimate, note)


def map_files(estimate: PictureFunction, source: str, output: str) -> Report:
    """Maps one picture file, or every picture in a folder, as ``edit_files`` does; PNG or BMP."""
    return _run([], None, picture_files.map_jobs(source, output), estimate)


def _run(
    edit_jobs: Jobs,
    edit: PictureFunction | None,
    map_jobs: Jobs,
    estimate: PictureFunction | None,
    note: Callable[[str, np.ndarray], str] | None = None,
) -> Report:
    """Edits each picture if there is ``edit``, and maps the result if there is ``estimate``."""
    written, skipped, maps, notes = [], [], [], []
    jobs = edit_jobs or map_jobs
    progress = Progress(len(jobs), "edited" if edit else "mapped") if len(jobs) > 1 else None
    for row, (path, _) in enumerate(jobs):
        try:
            image = images.decode(path)
        except UserError as error:
            skipped.append(str(error))
        else:
            notes += filter(None, [note(path, image)] if note else [])
            if edit:
                image = edit(image)
                written.append(edit_jobs[row][1])
                picture_files.save(written[-1], image)
            if estimate:
                maps.append(map_jobs[row][1])
                picture_files.save(maps[-1], estimate(image))
        if progress:
            progress.update(row + 1)
    return Report(tuple(written), tuple(skipped), tuple(maps), notes=tuple(notes))


def draw_grid(editor: Editor, image: np.ndarray) -> np.ndarray:
    """Draws one picture edited to every target: rows are expressions, columns are lightings.

    The input is in the top left corner.

    Args:
        editor: The model.
        image: uint8 [H, W, 3].

    Returns:
        uint8 [H', W', 3], with the names of the targets along the top and the left.
    """
    cells = editor.grid(image)
    zoom = -(-_LEAST_CELL // editor.image_size)
    side = zoom * editor.image_size
    font = _font(editor.expressions + editor.lightings, side - _MARGIN)
    row_names = editor.expressions or ("",)
    column_names = editor.lightings or ("",)
    left, top = side + _MARGIN, side + _MARGIN
    sheet = Image.new("RGB", (left + side * len(column_names), top + side * len(row_names)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    original = images.to_square(image, side)
    sheet.paste(Image.fromarray(original), (0, 0))
    for row, name in enumerate(row_names):
        draw.text((side / 2, top + (row + 0.5) * side), name, _INK, font, anchor="mm")
    for column, name in enumerate(column_names):
        draw.text((left + (column + 0.5) * side, top - _MARGIN), name, _INK, font, anchor="mb")
    for row, column in np.ndindex(*cells.shape[:2]):
        cell = Image.fromarray(cells[row, column]).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(cell, (left + column * side, top + row * side))
    return np.asarray(sheet)


def _font(names: Sequence[str], width: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Returns the largest font in which every name fits ``width``."""
    for size in range(20, 8, -1):
        font = ImageFont.load_default(size)
        if all(font.getlength(name) <= width for name in names):
            break
    return font
