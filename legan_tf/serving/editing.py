"""Editing or mapping picture files, one or a folder, and drawing the grid of all targets."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence

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


PictureFunction = Callable[[np.ndarray], np.ndarray]
"""From a picture uint8 [H, W, 3] to the one to write; a map of depth is grey, [H, W]."""


def use_model(
    model: Editor | Scorer | DepthEstimator,
    source: str,
    output: str,
    targets: Mapping[str, str],
    grid: bool = False,
    map_output: str = "",
) -> Report:
    """Edits or maps picture files, as ``scripts/edit.py`` does.

    Args:
        model: An editor; or a depth network, which takes no targets, grid or map output.
        source: A picture file or a folder; see ``edit_files``.
        output: Where the edits or maps go; see ``edit_files``.
        targets: By condition, none for maps and grids; see ``Editor.__call__``.
        grid: Whether to draw every target on one sheet instead.
        map_output: Where to write the maps of the edits, or nothing.

    Raises:
        UserError: The model cannot do it; or see ``edit_files``.
    """
    if isinstance(model, DepthEstimator):
        if targets or grid or map_output:
            raise UserError(
                f"--model={model.path} maps pictures and cannot edit them: give only --input and "
                "--output."
            )
        return edit_files(None, source, output, model)
    if not isinstance(model, Editor):
        raise UserError(f"--model={model.path} rates pictures and cannot edit them.")
    if grid == bool(targets):
        raise UserError(
            "Give either --grid or targets: --expression, --lighting, --attributes, --action_units."
        )
    if map_output and not model.geometry:
        raise UserError(
            f"--model={model.path} has no depth network, which --depth needs; the folder of a run "
            "with --depth_weight above 0 holds one, and so does its export."
        )
    edit = functools.partial(draw_grid, model) if grid else functools.partial(model, **targets)
    note = None
    if model.face_lines:
        eyes, mouth = model.face_lines
        note = functools.partial(_position_note, (eyes, mouth))
    return edit_files(edit, source, output, model.depth if map_output else None, map_output, note)


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
    edit: PictureFunction | None,
    source: str,
    output: str,
    estimate: PictureFunction | None = None,
    map_output: str = "",
    note: Callable[[str, np.ndarray], str] | None = None,
) -> Report:
    """Edits one picture file, or every picture in a folder, and maps the edits; or maps pictures.

    Each result is written atomically. A picture that cannot be read is skipped and reported; other
    files in a folder are ignored. A folder shows its progress on stderr.

    Args:
        edit: Edits a picture; None to map the pictures themselves.
        source: A picture file, or a folder of them (its subfolders are not searched).
        output: For one picture a file (its suffix is the format) or a folder; for a folder a
            folder, where ``NAME.png`` is made of each picture. Missing folders are made; results
            of an earlier job are replaced. Maps that go here are PNG or BMP, which are lossless.
        estimate: Maps an edit, or without ``edit`` a picture.
        map_output: Where the maps of edits go, likewise.
        note: Returns a sentence on a picture's path and pixels; empty for none.

    Raises:
        UserError: There is no picture at ``source``, or an output is not usable, would replace the
            input, or holds both the edits and the maps.
    """
    jobs = picture_files.jobs(source, output) if edit else picture_files.map_jobs(source, output)
    map_jobs = picture_files.map_jobs(source, map_output, jobs) if edit and estimate else jobs
    written: list[str] = []
    skipped: list[str] = []
    maps: list[str] = []
    notes: list[str] = []
    progress = Progress(len(jobs), "edited" if edit else "mapped") if len(jobs) > 1 else None
    for row, ((path, target), (_, map_target)) in enumerate(zip(jobs, map_jobs), start=1):
        try:
            image = images.decode(path)
        except UserError as error:
            skipped.append(str(error))
        else:
            notes += filter(None, [note(path, image)] if note else [])
            if edit:
                image = edit(image)
                picture_files.save(target, image)
                written.append(target)
            if estimate:
                picture_files.save(map_target, estimate(image))
                maps.append(map_target)
        if progress:
            progress.update(row)
    return Report(tuple(written), tuple(skipped), tuple(maps), notes=tuple(notes))


def draw_grid(editor: Editor, image: np.ndarray) -> np.ndarray:
    """Draws one picture edited to every target, with the input in the top left corner.

    Rows are the names of the first condition, such as expressions, columns those of the others,
    such as lightings.

    Args:
        editor: The model.
        image: uint8 [H, W, 3].

    Returns:
        uint8 [H', W', 3], with the names of the targets along the top and the left.
    """
    cells = editor.grid(image)
    zoom = -(-_LEAST_CELL // editor.image_size)
    side = zoom * editor.image_size
    first, *others = (condition.names for condition in editor.conditions)
    row_names, column_names = first, [" ".join(names) for names in itertools.product(*others)]
    cells = cells.reshape(len(row_names), -1, *cells.shape[-3:])
    font = _font([*row_names, *column_names], side - _MARGIN)
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
