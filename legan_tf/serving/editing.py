"""Editing picture files or making their maps, one or a folder, and drawing the grid of targets."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from legan_tf.cli import Progress
from legan_tf.data import images as pictures
from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.serving.loading import DepthEstimator, Editor, Scorer

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff") + (
    ".pgm",
    ".ppm",
    ".pnm",
)
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
_EXACT = (".png", ".bmp")
"""Suffixes of what keeps every value; others would fill the empty parts of a map with noise."""
_LEAST_CELL = 96
_MARGIN = 8
_INK = (32, 32, 32)
_PAPER = (255, 255, 255)


Make = Callable[[np.ndarray], np.ndarray]
"""From a picture uint8 [H, W, 3] to the one to write; a map of depth is grey, [H, W]."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of a job.

    Attributes:
        written: Paths of the edits written.
        skipped: One sentence for each picture that could not be used.
        maps: Paths of the maps written.
    """

    written: tuple[str, ...]
    skipped: tuple[str, ...]
    maps: tuple[str, ...] = ()

    def lines(self, output: str, map_output: str = "") -> list[str]:
        """Returns what to tell of the edits and of the maps: a path, or how many are where.

        Args:
            output: Where the edits went; the maps of a depth network, too.
            map_output: Where the maps of edits went, if there are any.
        """
        written = ("pictures", self.written, output), ("maps", self.maps, map_output or output)
        return [
            paths[0] if len(paths) == 1 else f"{len(paths)} {what} in {folder}"
            for what, paths, folder in written
            if paths
        ]


def use_model(
    model: Editor | Scorer | DepthEstimator,
    source: str,
    output: str,
    targets: dict[str, str | None],
    grid: bool = False,
    map_output: str = "",
) -> Report:
    """Does with picture files what ``scripts/edit.py`` is asked for.

    Args:
        model: An editor, or a depth network, which makes maps and takes nothing of what follows
            ``output``.
        source: See ``edit_files``.
        output: See ``edit_files``.
        targets: The ``expression`` and the ``lighting`` asked for, by name or nothing.
        grid: Whether to draw every target on one sheet instead.
        map_output: Where to write the maps of the edits, if they are wanted.

    Raises:
        UserError: The model cannot do what is asked for; or see ``edit_files``.
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
    if grid:
        return edit_files(functools.partial(draw_grid, model), source, output)
    edit = functools.partial(model, **targets)
    if not map_output:
        return edit_files(edit, source, output)
    if not model.geometry:
        raise UserError(
            f"--model={model.path} has no depth network, which --depth needs; the folder of a run "
            "with --depth_weight above 0 holds one, and so does its export."
        )
    return edit_files(edit, source, output, model.depth, map_output)


def edit_files(
    edit: Make, source: str, output: str, estimate: Make | None = None, map_output: str = ""
) -> Report:
    """Edits one picture file, or every picture in a folder; makes maps of the edits, if wanted.

    Each result is written aside and renamed. A picture that cannot be read is skipped and
    reported; other files in a folder are passed over. A folder shows its progress on stderr.

    Args:
        edit: Edits a picture.
        source: A picture file, or a folder of them (its subfolders are not searched).
        output: For one picture a file (its suffix is the format) or a folder; for a folder a
            folder, where ``NAME.png`` is made of each picture. Missing folders are made; results
            of an earlier job are replaced.
        estimate: Makes the map of an edit.
        map_output: Where the maps go, likewise; a file is PNG or BMP, which keep every value.

    Raises:
        UserError: There is no picture at ``source``, or an output is not usable, would replace the
            input, or holds both the edits and the maps.
    """
    jobs = _jobs(source, output)
    map_jobs = _jobs(source, map_output, _EXACT) if estimate else []
    places = {os.path.abspath(target) for _, target in jobs}
    for _, target in map_jobs:
        if os.path.abspath(target) in places:
            raise UserError(f"{map_output}: is where the edits go; put their maps elsewhere.")
    written, skipped, maps = [], [], []
    for row, image in _read(jobs, "edited", skipped):
        edited = edit(image)
        save(jobs[row][1], edited)
        written.append(jobs[row][1])
        if estimate:
            save(map_jobs[row][1], estimate(edited))
            maps.append(map_jobs[row][1])
    return Report(tuple(written), tuple(skipped), tuple(maps))


def map_files(estimate: Make, source: str, output: str) -> Report:
    """Makes the map of one picture file, or of every picture in a folder.

    Args:
        estimate: Makes the map of a picture.
        source: See ``edit_files``.
        output: See ``edit_files``; a file is PNG or BMP.

    Raises:
        UserError: See ``edit_files``.
    """
    jobs = _jobs(source, output, _EXACT)
    skipped, maps = [], []
    for row, image in _read(jobs, "mapped", skipped):
        save(jobs[row][1], estimate(image))
        maps.append(jobs[row][1])
    return Report((), tuple(skipped), tuple(maps))


def _read(
    jobs: list[tuple[str, str]], done_word: str, skipped: list[str]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each picture with its place; adds to ``skipped`` what cannot be read."""
    progress = Progress(len(jobs), done_word) if len(jobs) > 1 else None
    for row, (path, _) in enumerate(jobs):
        try:
            image = pictures.decode(path)
        except UserError as error:
            skipped.append(str(error))
        else:
            yield row, image
        if progress:
            progress.update(row + 1)


def save(path: str, image: np.ndarray) -> None:
    """Writes a picture whole or not at all, in the format of the path's suffix.

    Args:
        path: File ending in .png, .jpg, .jpeg, .webp or .bmp.
        image: uint8 [H, W, 3], or [H, W] if grey.

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


def _format(path: str, suffixes: Sequence[str] = tuple(_FORMATS)) -> str:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in suffixes:
        what = "map" if suffixes == _EXACT else "picture"
        raise UserError(f"{path}: the {what} to write must end in one of {', '.join(suffixes)}.")
    return _FORMATS[suffix]


def _jobs(
    source: str, output: str, suffixes: Sequence[str] = tuple(_FORMATS)
) -> list[tuple[str, str]]:
    """Returns each picture to read with the file to write, whose suffix is one of ``suffixes``."""
    if os.path.isdir(source):
        jobs = _folder_jobs(source, output)
    elif os.path.exists(source):
        name = f"{_stem(os.path.basename(source))}.png"
        into_folder = os.path.isdir(output) or output.endswith(os.sep)
        jobs = [(source, os.path.join(output, name) if into_folder else output)]
    else:
        raise UserError(f"{source}: no such file or folder.")
    for path, target in jobs:
        _format(target, suffixes)
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
