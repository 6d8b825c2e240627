"""Horizons: what hides the light from the points of a height field, in every direction.

Horizon maps as in Max, "Horizon mapping: shadows for bump-mapped surfaces" (1988): one search for
all lights. Angles are above the plane of the picture, to the viewer.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

_DIRECTIONS = 16
_FINEST = 64  # Points along a side that horizons are searched at, at least.
_REACH = 0.32  # Of the picture's width: the longest shadow.
_STEPS = 11
_CLEARANCE = 0.006, 0.035  # Height of what does not hide: of the picture's width, of the distance.
_DEEPEST = -3.0  # Slope below which a horizon does not count.
_PENUMBRA = 0.07  # Radians on each side of the horizon.


@dataclasses.dataclass(frozen=True, eq=False)
class Horizons:
    """The horizons of a height field.

    Attributes:
        size: Height and width of the picture.
        angles: float32 [K, s, s], radians above the picture's plane, below 0 where the surface
            falls off, in K directions from the right by way of above.
        sky: float32 [S, S, 3], light of a uniform sky in front of the picture, as a vector: its
            product with a normal is the light that reaches the surface, 1 on an open surface that
            faces the viewer.
    """

    size: int
    angles: np.ndarray
    sky: np.ndarray

    def lit_share(self, direction: np.ndarray) -> np.ndarray:
        """Returns the share of a lamp that is seen, float32 [S, S] in [0, 1].

        Args:
            direction: float [3], unit vector to the lamp; x right, y up, z to the viewer.
        """
        count = len(self.angles)
        around = np.arctan2(direction[1], direction[0]) / (2 * np.pi) * count
        rise = np.arctan2(direction[2], np.hypot(direction[0], direction[1]))
        first = int(np.floor(around))
        share = np.float32(around - first)
        near = self.angles[first % count]
        hidden = near + share * (self.angles[(first + 1) % count] - near)
        free = np.clip((rise - hidden) / np.float32(2 * _PENUMBRA) + 0.5, 0, 1)
        return resized(free * free * (3 - 2 * free), self.size)


def _sky(angles: np.ndarray, size: int) -> np.ndarray:
    """Returns the light of a uniform sky; see ``Horizons.sky``."""
    h = np.maximum(angles, 0)  # The sky is in front of the picture.
    level = np.pi / 4 - h / 2 - np.sin(2 * h) / 4
    turn = 2 * np.pi * np.arange(len(h)) / len(h)
    ways = np.stack([np.cos(turn), np.sin(turn)]).astype(np.float32)
    across = np.tensordot(ways, level, 1) * np.float32(2 / len(h))
    towards = np.square(np.cos(h)).mean(0)
    return np.stack([resized(part, size) for part in (*across, towards)], -1)


def horizons(height: np.ndarray) -> Horizons:
    """Returns the horizons of a height field.

    Args:
        height: float32 [S, S] in pixels, larger is nearer to the viewer; finite.
    """
    size = len(height)
    coarse = max(_FINEST, size // 2)
    field = resized(height, coarse) * np.float32(coarse / size)
    reach = int(np.ceil(_REACH * coarse)) + 1
    padded = np.pad(field, reach, mode="edge")
    angles = np.empty((_DIRECTIONS, coarse, coarse), np.float32)
    distances = _REACH * coarse * (np.arange(1, _STEPS + 1) / _STEPS) ** 1.7
    distances = np.maximum(distances, np.arange(1, _STEPS + 1))
    scratch = np.empty_like(field)
    for index in range(_DIRECTIONS):
        turn = 2 * np.pi * index / _DIRECTIONS
        steepest = np.full_like(field, _DEEPEST)
        for distance in np.minimum(distances, reach - 1):
            right = int(round(np.cos(turn) * distance))
            down = -int(round(np.sin(turn) * distance))
            there = padded[reach + down : reach + down + coarse, reach + right :][:, :coarse]
            np.subtract(there, field, out=scratch)
            long = float(np.hypot(right, down))
            scratch -= _CLEARANCE[0] * coarse + _CLEARANCE[1] * long
            scratch *= 1 / long
            np.maximum(steepest, scratch, out=steepest)
        np.arctan(steepest, out=angles[index])
    return Horizons(size, angles, _sky(angles, size))


def resized(field: np.ndarray, size: int) -> np.ndarray:
    """Returns a field, float32 [s, s], with ``size`` points along each side, linear."""
    if len(field) == size:
        return field
    picture = Image.fromarray(np.ascontiguousarray(field, np.float32))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
