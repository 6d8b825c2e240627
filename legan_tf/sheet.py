"""A sheet of pictures in rows and columns, each column under its name."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LEAST_SIDE = 128
_HEADER = 20
_FONT_SIZE = 13
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
        text = heading
        while font.getlength(text) > side - 4:
            text = text[:-2] + "…" if text.endswith("…") else text[:-1] + "…"
        draw.text((x + side / 2, _HEADER / 2), text, _INK, font, anchor="mm")
        for row, picture in enumerate(pictures):
            cell = Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)
            canvas.paste(cell, (x, _HEADER + row * side))
    content = io.BytesIO()
    canvas.save(content, format="PNG")
    return content.getvalue()
