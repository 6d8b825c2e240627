"""Picture files to read and to write, one or a folder. Free of TensorFlow, for clients."""

from __future__ import annotations

import collections
import dataclasses
import io
import os
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from legan_tf.data import storage
from legan_tf.errors import UserError

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
_LOSSLESS = (".png", ".bmp")
"""Suffixes for maps; JPEG would fill their background with noise."""
_OTHERS = (".gif", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".avif", ".heic", ".heif")
_PICTURE_SUFFIXES = (*_FORMATS, *_OTHERS)


@dataclasses.dataclass(frozen=True)
class Report:
    """Result of a job on picture files.

    Attributes:
        written: Paths of the edits written.
        skipped: A message for each picture that could not be used.
        maps: Paths of the maps written.
        ratings: Path of each picture that was rated, its rating, and whether it counts as natural.
        notes: A message for each thing that an edit that was written lacks.
    """

    written: tuple[str, ...]
    skipped: tuple[str, ...]
    maps: tuple[str, ...] = ()
    ratings: tuple[tuple[str, float, bool], ...] = ()
    notes: tuple[str, ...] = ()

    def lines(self, output: str, map_output: str = "", scores: str = "") -> list[str]:
        """Returns a summary: a path, or the number of files in a folder, and the mean rating.

        Args:
            output: Where the edits went; the maps of a depth network, too.
            map_output: Where the maps of edits went, if there are any.
            scores: Where the ratings went, if there are any.
        """
        kinds = ("pictures", self.written, output), ("maps", self.maps, map_output or output)
        lines = [
            paths[0] if len(paths) == 1 else f"{len(paths)} {kind} in {folder}"
            for kind, paths, folder in kinds
            if paths
        ]
        if self.ratings:
            _, ratings, natural = zip(*self.ratings)
            lines.append(
                f"{len(ratings)} ratings in {scores}: {np.mean(ratings):.2f} on average, "
                f"{np.mean(natural):.0%} judged natural"
            )
        return lines


def save(path: str, image: np.ndarray) -> None:
    """Writes a picture atomically, in the format of the path's suffix.

    Args:
        path: File ending in .png, .jpg, .jpeg, .webp or .bmp.
        image: uint8 [H, W, 3], or [H, W] if grey.

    Raises:
        UserError: The suffix is another one, or the file cannot be written.
    """
    content = io.BytesIO()
    Image.fromarray(image).save(
        content, format=_FORMATS[_check_suffix(path, tuple(_FORMATS))], quality=95
    )
    storage.write_bytes(path, content.getvalue())


def list_pictures(source: str) -> list[str]:
    """Returns the paths of the pictures to read, sorted by name.

    Args:
        source: A picture file, or a folder of them (its subfolders are not searched).

    Raises:
        UserError: There is none.
    """
    if not os.path.isdir(source):
        if not os.path.exists(source):
            raise UserError(f"{source}: no such file or folder.")
        return [source]
    names = sorted(
        entry.name
        for entry in os.scandir(source)
        if entry.is_file() and not entry.name.startswith(".") and _is_picture(entry.path)
    )
    if not names:
        raise UserError(f"{source}: holds no pictures (its subfolders are not searched).")
    return [os.path.join(source, name) for name in names]


def jobs(
    source: str,
    output: str,
    suffixes: Sequence[str] = tuple(_FORMATS),
    suffix_of: Callable[[str], str] = lambda name: ".png",
) -> list[tuple[str, str]]:
    """Returns each picture to read with the file to write.

    Args:
        source: A picture file, or a folder of them.
        output: For one picture a file or a folder; for a folder a folder, where ``NAME.png`` is
            made of each picture.
        suffixes: Suffixes of the files that may be written.
        suffix_of: Returns the suffix, in a folder, of what is made of a picture of that name.

    Raises:
        UserError: There is no picture at ``source``, or ``output`` is not usable or would replace
            the input.
    """
    if os.path.isdir(source):
        planned = _folder_jobs(source, output, suffix_of)
    else:
        (path,) = list_pictures(source)
        name = os.path.basename(source)
        name = f"{_stem(name)}{suffix_of(name)}"
        into_folder = os.path.isdir(output) or output.endswith(os.sep)
        planned = [(path, os.path.join(output, name) if into_folder else output)]
    for path, target in planned:
        _check_suffix(target, suffixes)
        if os.path.exists(target) and os.path.samefile(path, target):
            raise UserError(f"{target}: is the input itself; choose another output.")
    return planned


def map_jobs(
    source: str, output: str, edits: Sequence[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """Returns the ``jobs`` of maps, PNG or BMP, none of them where one of the edits goes.

    Raises:
        UserError: See ``jobs``; or an output is one of the edits, too.
    """
    planned = jobs(source, output, _LOSSLESS)
    places = {os.path.abspath(target) for _, target in edits}
    if any(os.path.abspath(target) in places for _, target in planned):
        raise UserError(f"{output}: is where the edits go; put their maps elsewhere.")
    return planned


def _check_suffix(path: str, suffixes: Sequence[str]) -> str:
    """Returns the suffix of a file to write, in lower case."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in suffixes:
        what = "map" if suffixes == _LOSSLESS else "picture"
        raise UserError(f"{path}: the {what} to write must end in one of {', '.join(suffixes)}.")
    return suffix


def _folder_jobs(
    source: str, output: str, suffix_of: Callable[[str], str]
) -> list[tuple[str, str]]:
    if os.path.isfile(output):
        raise UserError(f"{output}: is a file, but the output of a folder must be a folder.")
    if not os.path.isdir(output) and output.lower().endswith(_PICTURE_SUFFIXES):
        raise UserError(
            f"{output}: is named like a picture, but the output of a folder is a folder."
        )
    if os.path.isdir(output) and os.path.samefile(source, output):
        raise UserError(f"{output}: is the input folder itself; choose another output.")
    paths = list_pictures(source)
    names = [os.path.basename(path) for path in paths]
    made = [f"{_stem(name)}{suffix_of(name)}" for name in names]
    alike = collections.Counter(made)
    # a.png and a.jpg must not become one file: they keep their suffixes.
    unique = [
        f"{name}{suffix_of(name)}" if alike[target] > 1 else target
        for name, target in zip(names, made)
    ]
    return [(path, os.path.join(output, target)) for path, target in zip(paths, unique)]


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in _PICTURE_SUFFIXES else name


def _is_picture(path: str) -> bool:
    """Returns whether a file is a picture by its suffix or its content."""
    if path.lower().endswith(_PICTURE_SUFFIXES):
        return True
    try:
        with Image.open(path):
            return True
    except Exception:  # Pillow's readers fail in many ways on what is no picture.
        return False
