"""Shading: pictures of faces under lights, 8-bit sRGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from legan_tf.data.rendered import lights
from legan_tf.data.rendered.surface import Geometry, geometry
from legan_tf.head.color import to_srgb

_WRAP = np.array([0.16, 0.11, 0.08], np.float32)
"""How far red, green and blue light reach round the skin, which they enter and leave elsewhere."""
_ON_WALL = 0.28  # Share of a flash that reaches the wall.
_OPEN = 0.35  # Share of a flash that does not depend on how open the surface is.
_SOFT_POWER, _SHARP_POWER = 14, 500  # Exponents of the highlights of skin and of wet eyes.
_GRAZING = 4.0  # How much stronger a highlight is at a grazing angle (Fresnel).
_CODES = 4096
_BRIGHTEST = 1.5  # Linear light of the last code.


def _encoding() -> np.ndarray:
    """Returns the table from linear light to sRGB bytes, with a soft shoulder."""
    light = np.linspace(0, _BRIGHTEST, _CODES)
    light = np.where(light < 0.7, light, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3))
    return np.round(to_srgb(light)).astype(np.uint8)


_SRGB = _encoding()


def shade(faces: Geometry, lightings: Sequence[str | lights.Light]) -> np.ndarray:
    """Renders N faces under L lights as uint8 [N, L, S, S, 3].

    Args:
        faces: The faces.
        lightings: Names of Multi-PIE shots, or lights.

    Raises:
        ValueError: A name is no Multi-PIE shot.
    """
    chosen = [lights.light(each) if isinstance(each, str) else each for each in lightings]
    size = faces.depth.shape[1]
    pictures = np.empty((len(faces), len(chosen), size, size, 3), np.uint8)
    for number in range(len(faces)):
        face = _Lit(faces, number)
        done: dict[lights.Light, int] = {}
        for place, light in enumerate(chosen):
            if light in done:
                pictures[number, place] = pictures[number, done[light]]
                continue
            done[light] = place
            face.shade(light, pictures[number, place])
    return pictures


def render(
    persons: Sequence[int], expressions: Sequence[str], lightings: Sequence[str], size: int
) -> np.ndarray:
    """Renders a picture for each of N (person, expression, light), uint8 [N, size, size, 3].

    Raises:
        ValueError: An expression or a light is not known.
    """
    names = list(dict.fromkeys(lightings))
    pictures = shade(geometry(persons, expressions, size), names)
    return pictures[np.arange(len(pictures)), [names.index(name) for name in lightings]]


class _Lit:
    """One face, ready for lights; planes of one colour are fast, pixels are not."""

    def __init__(self, faces: Geometry, number: int) -> None:
        size = faces.depth.shape[1]
        # Light is counted in entries of the table.
        unit = np.float32((_CODES - 1) / _BRIGHTEST)
        self._normals = np.ascontiguousarray(faces.normals[number].transpose(2, 0, 1))
        self._horizons = faces.horizons[number]
        sky = self._horizons.sky.transpose(2, 0, 1)
        open_to = np.maximum((sky * self._normals).sum(0), 0.02)
        self._open = np.float32(_OPEN) + np.float32(1 - _OPEN) * np.minimum(open_to, 1)
        self._room = open_to * (0.86 + 0.14 * self._normals[1])
        cover = faces.coverage[number] * unit
        self._head = np.moveaxis(faces.albedo[number], -1, 0) * cover
        self._wall = np.moveaxis(faces.background[number], -1, 0) * (unit - cover)
        self._gloss, self._wet = faces.gloss[number] * unit, faces.wet[number] * unit
        at = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
        self._right, self._up = at, -at[:, None]
        self._vignette = np.float32(1.05) - 0.10 * np.square(at) - 0.10 * np.square(at[:, None])

    def shade(self, light: lights.Light, out: np.ndarray) -> None:
        """Writes the face under a light, uint8 [S, S, 3]."""
        on_wall = self._vignette * np.float32(light.ambient)
        ambient = self._room * np.float32(light.ambient)
        flash = highlight = facing = None
        if light.flash:
            x, y, z = (float(v) for v in light.direction)
            lit = self._horizons.lit_share(light.direction)
            flash = lit * self._open * np.float32(light.flash)
            nx, ny, nz = self._normals
            facing = nx * np.float32(x) + ny * np.float32(y) + nz * np.float32(z)
            across = 1 + np.float32(x) * self._right + np.float32(0.5 * y) * self._up
            on_wall = on_wall + self._vignette * across * np.float32(_ON_WALL * light.flash)
            between = np.array([x, y, z + 1])
            length = float(np.linalg.norm(between))
            if length > 0.1:
                hx, hy, hz = (np.float32(v / length) for v in between)
                peak = np.maximum(nx * hx + ny * hy + nz * hz, 0)
                grazing = np.float32(1 + _GRAZING * (1 - length / 2) ** 2)
                highlight = peak**_SOFT_POWER * self._gloss * grazing
                highlight += peak**_SHARP_POWER * self._wet
                highlight *= flash
        for channel in range(3):
            level = self._head[channel] * ambient
            if flash is not None:
                wrap = _WRAP[channel]
                reached = np.maximum(facing + wrap, 0) * flash * np.float32(1 / (1 + wrap))
                level += self._head[channel] * reached
            level += self._wall[channel] * on_wall
            if highlight is not None:
                level += highlight
            np.clip(level, 0, _CODES - 1, out=level)
            out[..., channel] = _SRGB[level.astype(np.intp)]
