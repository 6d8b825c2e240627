"""Sky light: what reaches a surface from a soft light in front of it, with what hides it."""

from __future__ import annotations

import functools

import numpy as np

from legan_tf.head.ray_casting import Scene

_ABOVE = 0.25  # The sky is a little above the viewer.
_HORIZON = 0.3  # Its brightness at the rim, beside 1.3 in the middle.
_OFF_SURFACE = 0.004  # Of the eyes' distance: rays begin there, or the surface hides itself.
_FACING = 0.02


def sky_light(
    scene: Scene, places: np.ndarray, normals: np.ndarray, scale: float, directions: int = 40
) -> np.ndarray:
    """Returns the light of a soft frontal sky.

    Args:
        scene: What may hide it.
        places: float [n, 3], x right, y down, z to the viewer.
        normals: float [n, 3] of length 1, y up.
        scale: Eyes' distance, in the unit of the places.
        directions: How many parts the sky has.

    Returns:
        float32 [n], about 1 where the whole sky is seen from the front.
    """
    light = np.zeros(len(places), np.float32)
    down = normals * (1, -1, 1)
    start = (places + _OFF_SURFACE * scale * down).astype(np.float32)
    ways, shares = _sky(directions)
    for way, share, facing in zip(ways, shares, ways @ normals.T):
        lit = np.flatnonzero(facing > _FACING)
        if len(lit):
            towards = way * (1, -1, 1)
            off = (_OFF_SURFACE * scale * towards).astype(np.float32)
            free = ~scene.occluded(start.take(lit, 0) + off, towards)
            light[lit] += share * facing[lit] * free
    return light


@functools.lru_cache(maxsize=4)
def _sky(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns directions, y up, on a spiral over a hemisphere, and their shares of the light."""
    index = np.arange(count) + 0.5
    turn, height = np.pi * (1 + 5**0.5) * index, 1 - index / count
    flat = np.sqrt(1 - height**2)
    ways = np.stack([flat * np.cos(turn), flat * np.sin(turn) + _ABOVE, height], -1)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    shares = _HORIZON + height
    return ways, shares / (0.6 * shares.sum())
