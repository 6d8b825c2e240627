"""Contact sheets: PNGs of pictures in labelled rows and columns."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Union

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LEAST_SIDE = 128
_HEADER = 20
_FONT_SIZE = 13
_CAPTION = 14
_CAPTION_SIZE = 10
_INK = (32, 32, 32)
_Font = Union[ImageFont.FreeTypeFont, ImageFont.ImageFont]


def sheet(columns: dict[str, np.ndarray], names: Sequence[str]) -> bytes:
    """Returns a sheet of labelled columns and rows.

    Args:
        columns: By heading, uint8 [n,S,S,3]; shorter ones leave their last places empty.
        names: Labels of the n rows; line breaks are allowed.

    Returns:
        A PNG.
    """
    size = next(iter(columns.values())).shape[1]
    side = size * -(-_LEAST_SIDE // size)
    font = ImageFont.load_default(_FONT_SIZE)
    left = _label_width(names, font)
    canvas = Image.new("RGB", (left + side * len(columns), _HEADER + side * len(names)), "white")
    draw = ImageDraw.Draw(canvas)
    for row, name in enumerate(names):
        draw.text((2, _HEADER + (row + 0.5) * side), name, _INK, font, anchor="lm")
    for column, (heading, pictures) in enumerate(columns.items()):
        x = left + column * side
        text = _fitted(heading, font, side - 4)
        draw.text((x + side / 2, _HEADER / 2), text, _INK, font, anchor="mm")
        for row, picture in enumerate(pictures):
            cell = Image.fromarray(enlarged(picture, _LEAST_SIDE))
            canvas.paste(cell, (x, _HEADER + row * side))
    return _png(canvas)


def captioned_sheet(rows: Sequence[tuple[str, Sequence[tuple[np.ndarray, str]]]]) -> bytes:
    """Returns a sheet of rows of pictures, each with a caption below.

    Args:
        rows: One or more, each with its name (a line break is allowed) and its pictures: uint8
            [S,S,3], all of one size, with their captions, shortened in the middle to fit.

    Returns:
        A PNG.
    """
    size = next((len(picture) for _, cells in rows for picture, _ in cells), _LEAST_SIDE)
    font = ImageFont.load_default(_FONT_SIZE)
    small = ImageFont.load_default(_CAPTION_SIZE)
    left = _label_width((name for name, _ in rows), font)
    columns = max(len(cells) for _, cells in rows)
    height = size + _CAPTION
    canvas = Image.new("RGB", (left + size * columns, height * len(rows)), "white")
    draw = ImageDraw.Draw(canvas)
    for row, (name, cells) in enumerate(rows):
        y = row * height
        draw.text((2, y + size / 2), name, _INK, font, anchor="lm")
        for column, (picture, caption) in enumerate(cells):
            x = left + column * size
            canvas.paste(Image.fromarray(picture), (x, y))
            text = _fitted(caption, small, size - 4)
            draw.text((x + size / 2, y + size + _CAPTION / 2), text, _INK, small, anchor="mm")
    return _png(canvas)


def enlarged(picture: np.ndarray, least: int = 96) -> np.ndarray:
    """Returns a picture with its pixels repeated until it has at least ``least`` rows."""
    times = -(-least // len(picture))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def _png(canvas: Image.Image) -> bytes:
    content = io.BytesIO()
    canvas.save(content, format="PNG")
    return content.getvalue()


def _label_width(names: Iterable[str], font: _Font) -> int:
    """Returns the width in pixels of the column of row labels."""
    return 8 + max(int(font.getlength(line)) for name in names for line in name.split("\n"))


def _fitted(text: str, font: _Font, room: float) -> str:
    """Returns a text in one line, shortened in its middle to fit ``room`` pixels."""
    text = " ".join(text.split())
    kept = len(text)
    shown = text
    while font.getlength(shown) > room and kept > 1:
        kept -= 1
        shown = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shown
