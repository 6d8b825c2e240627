"""Editing picture files, one or a folder of them, and drawing the grid of all targets."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from legan_tf.cli import Progress
from legan_tf.data import images as pictures
from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.serving.loading import Editor

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff") + (
    ".pgm",
    ".ppm",
    ".pnm",
)
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
_LEAST_CELL = 96
_MARGIN = 8
_INK = (32, 32, 32)
_PAPER = (255, 255, 255)


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of a job.

    Attributes:
        written: Paths of the pictures written.
        skipped: One sentence for each picture that could not be edited.
    """

    written: tuple[str, ...]
    skipped: tuple[str, ...]


def edit_files(
    edit: Callable[[np.ndarray], np.ndarray],
    source: str,
    output: str,
) -> Report:
    """Edits one picture file, or every picture in a folder.

    Each result is written aside and renamed. A picture that cannot be read is skipped and
    reported; other files in a folder are passed over. A folder shows its progress on stderr.

    Args:
        edit: Maps a picture uint8 [H, W, 3] to the picture to write.
        source: A picture file, or a folder of them (its subfolders are not searched).
        output: For one picture a file (its suffix is the format) or a folder; for a folder a
            folder, where ``NAME.png`` is made of each picture. Missing folders are made; results
            of an earlier job are replaced.

    Raises:
        UserError: There is no picture at ``source``, or ``output`` is not usable or would replace
            the input.
    """
    jobs = _jobs(source, output)
    written, skipped = [], []
    progress = Progress(len(jobs), "edited") if len(jobs) > 1 else None
    for done, (path, target) in enumerate(jobs, start=1):
        try:
            image = pictures.decode(path)
        except UserError as error:
            skipped.append(str(error))
        else:
            save(target, edit(image))
            written.append(target)
        if progress:
            progress.update(done)
    return Report(tuple(written), tuple(skipped))


def save(path: str, image: np.ndarray) -> None:
    """Writes a picture whole or not at all, in the format of the path's suffix.

    Args:
        path: File ending in .png, .jpg, .jpeg, .webp or .bmp.
        image: uint8 [H, W, 3].

    Raises:
        UserError: The suffix is another one, or the file cannot be written.
    """
    content = io.BytesIO()
    Image.fromarray(image).save(content, format=_format(path), quality=95)
    storage.write_bytes(path, content.getvalue())


def draw_grid(editor: Editor, image: np.ndarray) -> np.ndarray:
    """Draws one picture edited to every target: rows are expressions, columns are lightings.

    The input stands in the top left corner.

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
    original = pictures.to_square(image, side)
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


def _format(path: str) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _FORMATS:
        raise UserError(f"{path}: the picture to write must end in one of {', '.join(_FORMATS)}.")
    return _FORMATS[suffix]


def _jobs(source: str, output: str) -> list[tuple[str, str]]:
    if os.path.isdir(source):
        jobs = _folder_jobs(source, output)
    elif os.path.exists(source):
        name = f"{_stem(os.path.basename(source))}.png"
        into_folder = os.path.isdir(output) or output.endswith(os.sep)
        jobs = [(source, os.path.join(output, name) if into_folder else output)]
    else:
        raise UserError(f"{source}: no such file or folder.")
    for path, target in jobs:
        _format(target)
        if os.path.exists(target) and os.path.samefile(path, target):
            raise UserError(f"{target}: is the input itself; choose another output.")
    return jobs


def _folder_jobs(source: str, output: str) -> list[tuple[str, str]]:
    if os.path.isfile(output):
        raise UserError(f"{output}: is a file, but the output of a folder must be a folder.")
    if os.path.isdir(output) and os.path.samefile(source, output):
        raise UserError(f"{output}: is the input folder itself; choose another output.")
    names = [
        entry.name
        for entry in sorted(os.scandir(source), key=lambda entry: entry.name)
        if entry.is_file() and not entry.name.startswith(".") and _is_picture(entry.path)
    ]
    if not names:
        raise UserError(f"{source}: holds no pictures (its subfolders are not searched).")
    stems = [_stem(name) for name in names]
    # a.png and a.jpg must not become one file: they keep their suffixes.
    unique = [name if stems.count(stem) > 1 else stem for name, stem in zip(names, stems)]
    return [
        (os.path.join(source, name), os.path.join(output, f"{target}.png"))
        for name, target in zip(names, unique)
    ]


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in _PICTURE_SUFFIXES else name


def _is_picture(path: str) -> bool:
    """Whether a file claims to be a picture, by its suffix or its content."""
    if path.lower().endswith(_PICTURE_SUFFIXES):
        return True
    try:
        with Image.open(path):
            return True
    except Exception:  # Pillow's readers fail in many ways on what is no picture.
        return False
