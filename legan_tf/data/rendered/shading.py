"""Shading: pictures of faces under lights, 8-bit sRGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from legan_tf.data.rendered import lights
from legan_tf.data.rendered.surface import Geometry, geometry, linear_to_srgb

_REACH = 0.75  # how far a cast shadow is searched, face units
_STEPS = 9
_TERMINATOR = 0.10  # how far light wraps around the terminator
_ON_WALL = 0.28  # share of a flash that reaches the background
_CODES = 4096
_BRIGHTEST = 1.5  # linear light of the last code


def _encoding() -> np.ndarray:
    """Returns the table from linear light to sRGB bytes, with a soft shoulder."""
    light = np.linspace(0, _BRIGHTEST, _CODES)
    light = np.where(light < 0.7, light, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3))
    return np.round(255 * np.clip(linear_to_srgb(light), 0, 1)).astype(np.uint8)


_SRGB = _encoding()


def _shifted(a: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Returns ``a`` [N, S, S] sampled dx pixels to the right and dy up; edges are repeated."""
    size = a.shape[1]
    columns = np.clip(np.arange(size) + int(round(dx)), 0, size - 1)
    rows = np.clip(np.arange(size) - int(round(dy)), 0, size - 1)
    return a[:, rows][:, :, columns]


def _lit_share(height: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Returns the share of a flash that the face does not shadow, float32 [N, S, S]."""
    size = height.shape[1]
    blocked = np.zeros_like(height)
    across = np.hypot(direction[0], direction[1])
    if across < 1e-3:
        return 1 - blocked
    ux, uy, rise = direction[0] / across, direction[1] / across, direction[2] / across
    for step in range(1, _STEPS + 1):
        far = _REACH * (step / _STEPS) ** 1.5 + 0.03
        over = _shifted(height, ux * far * size / 2, uy * far * size / 2)
        over = over - height
        over -= 0.02 + far * rise
        over /= 0.05 + 0.16 * far
        np.maximum(blocked, over, out=blocked)
    np.minimum(blocked, 1, out=blocked)
    return 1 - blocked * blocked * (3 - 2 * blocked)


def shade(faces: Geometry, lightings: Sequence[str]) -> np.ndarray:
    """Renders N faces under L lights, names of Multi-PIE shots, as uint8 [N, L, S, S, 3].

    Raises:
        ValueError: A name is no Multi-PIE shot.
    """
    n, size = len(faces), faces.depth.shape[1]
    pictures = np.empty((n, len(lightings), size, size, 3), np.uint8)
    at = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
    right, up = at, -at[:, None]
    nx, ny, nz = (np.ascontiguousarray(faces.normals[..., i]) for i in range(3))
    ambient = lights.AMBIENT * faces.openness * (0.84 + 0.16 * ny)
    # Light is counted in entries of the table; planes of one colour are fast, pixels are not.
    unit = np.float32((_CODES - 1) / _BRIGHTEST)
    cover = faces.coverage * unit
    head = [faces.albedo[..., c] * cover for c in range(3)]
    wall = [faces.background[:, None, None, c] * (unit - cover) for c in range(3)]
    shine = cover * faces.gloss
    vignette = np.float32(1.05) - 0.10 * np.square(right) - 0.10 * np.square(up)
    done: dict[lights.Light, int] = {}
    for i, name in enumerate(lightings):
        light = lights.light(name)
        if light in done:
            pictures[:, i] = pictures[:, done[light]]
            continue
        done[light] = i
        on_head, on_wall, highlight = ambient, vignette * lights.AMBIENT, None
        if light.flash:
            x, y, z = (float(v) for v in light.direction)
            lit = _lit_share(faces.height, light.direction)
            lit *= light.flash * (0.35 + 0.65 * faces.openness)
            facing = nx * x + ny * y + nz * z
            on_head = ambient + np.maximum(facing + _TERMINATOR, 0) * lit / (1 + _TERMINATOR)
            on_wall = on_wall + vignette * (_ON_WALL * light.flash * (1 + x * right + 0.5 * y * up))
            between = np.asarray([x, y, z + 1]) / np.linalg.norm([x, y, z + 1])
            hx, hy, hz = (float(v) for v in between)
            peak = np.maximum(nx * hx + ny * hy + nz * hz, 0)
            # The 16th power.
            for _ in range(4):
                np.square(peak, out=peak)
            highlight = peak * lit * shine
        for c in range(3):
            level = head[c] * on_head + wall[c] * on_wall
            if highlight is not None:
                level += highlight
            np.minimum(level, _CODES - 1, out=level)
            pictures[:, i, :, :, c] = _SRGB[level.astype(np.intp)]
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
