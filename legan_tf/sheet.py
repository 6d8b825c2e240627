"""A sheet of pictures in rows and columns, each column under its name."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LEAST_SIDE = 128
_HEADER = 20
_FONT_SIZE = 13
_CAPTION = 14
_CAPTION_SIZE = 10
_INK = (32, 32, 32)


def sheet(columns: dict[str, np.ndarray], names: Sequence[str]) -> bytes:
    """Draws pictures side by side.

    Args:
        columns: By heading, uint8 [n,S,S,3]; shorter ones leave their last places empty.
        names: What to write at the left of the n rows; a line break is allowed.

    Returns:
        A PNG.
    """
    size = next(iter(columns.values())).shape[1]
    side = size * -(-_LEAST_SIDE // size)
    font = ImageFont.load_default(_FONT_SIZE)
    left = 8 + max(int(font.getlength(line)) for name in names for line in name.split("\n"))
    canvas = Image.new("RGB", (left + side * len(columns), _HEADER + side * len(names)), "white")
    draw = ImageDraw.Draw(canvas)
    for row, name in enumerate(names):
        draw.text((2, _HEADER + (row + 0.5) * side), name, _INK, font, anchor="lm")
    for column, (heading, pictures) in enumerate(columns.items()):
        x = left + column * side
        text = _fitted(heading, font, side - 4)
        draw.text((x + side / 2, _HEADER / 2), text, _INK, font, anchor="mm")
        for row, picture in enumerate(pictures):
            cell = Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)
            canvas.paste(cell, (x, _HEADER + row * side))
    content = io.BytesIO()
    canvas.save(content, format="PNG")
    return content.getvalue()


def captioned_sheet(rows: Sequence[tuple[str, Sequence[tuple[np.ndarray, str]]]]) -> bytes:
    """Draws pictures in rows, each with its own words below.

    Args:
        rows: One or more, each with its name (a line break is allowed) and its pictures: uint8
            [S,S,3], all of one size, with their captions, whose middle is left out where it does
            not fit.

    Returns:
        A PNG.
    """
    size = next((len(picture) for _, cells in rows for picture, _ in cells), _LEAST_SIDE)
    font = ImageFont.load_default(_FONT_SIZE)
    small = ImageFont.load_default(_CAPTION_SIZE)
    left = 8 + max(int(font.getlength(line)) for name, _ in rows for line in name.split("\n"))
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
    content = io.BytesIO()
    canvas.save(content, format="PNG")
    return content.getvalue()


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """Returns a text in one line with as much of its middle left out as it takes to fit."""
    text = " ".join(text.split())
    kept = len(text)
    shown = text
    while font.getlength(shown) > room and kept > 1:
        kept -= 1
        shown = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shown
