"""Background: the wall behind a face, plain or out of focus."""

from __future__ import annotations

import numpy as np
from PIL import Image

from legan_tf.data.rendered.people import Traits

_WALL = 7107
_COARSE = 16  # Points along a side of what is out of focus.
_HUES = np.array(
    [
        [0.30, 0.31, 0.33],
        [0.24, 0.28, 0.33],
        [0.40, 0.37, 0.32],
        [0.22, 0.25, 0.21],
        [0.5, 0.5, 0.5],
    ]
)


def background(traits: Traits, size: int, busy: bool = False) -> np.ndarray:
    """Returns the colour of what is behind a person, linear RGB, float32 [S, S, 3].

    Args:
        traits: Who is in front of it.
        size: Height and width in pixels.
        busy: Whether shapes out of focus are there, as outdoors or in a room, instead of a wall.
    """
    rng = np.random.default_rng([_WALL, traits.number])
    color = _HUES[rng.integers(len(_HUES))] * rng.uniform(0.55, 1.15) * rng.uniform(0.94, 1.06, 3)
    points = np.broadcast_to(color, (_COARSE, _COARSE, 3)).copy()
    y, x = np.mgrid[-1 : 1 : _COARSE * 1j, -1 : 1 : _COARSE * 1j]
    slope = rng.normal(0, 0.08, 2)
    points *= (1 + slope[0] * x + slope[1] * y)[..., None]
    if busy:
        for _ in range(int(rng.integers(4, 10))):
            cx, cy = rng.uniform(-1.2, 1.2, 2)
            wide, high = rng.uniform(0.15, 0.9, 2)
            inside = np.maximum(np.abs(x - cx) / wide, np.abs(y - cy) / high)
            share = np.clip(1.5 - inside, 0, 1)[..., None] * rng.uniform(0.4, 1)
            hue = rng.uniform(0.03, 0.75) * rng.uniform(0.7, 1.3, 3)
            points += share * (hue - points)
    planes = [
        np.asarray(
            Image.fromarray(plane.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
        )
        for plane in np.moveaxis(points, -1, 0)
    ]
    return np.clip(np.stack(planes, -1), 0.005, 0.95).astype(np.float32)
