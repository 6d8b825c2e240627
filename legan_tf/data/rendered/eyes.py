"""Eyes: iris, pupil and white of the eyeballs, and where they look."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from legan_tf.data.rendered.people import Traits
from legan_tf.head.head_file import load_head

_EYES = 7104
_DARK = np.array([[0.045, 0.022, 0.010], [0.075, 0.036, 0.014], [0.11, 0.058, 0.022]])
_LIGHT = np.array(
    [[0.12, 0.095, 0.04], [0.09, 0.11, 0.075], [0.085, 0.13, 0.19], [0.12, 0.15, 0.17]]
)
_WHITE = np.array([0.36, 0.325, 0.31], np.float32)
_IRIS, _PUPIL = 0.425, 0.155  # Radians seen from the eye's centre.
_GAZE = 0.035  # Deviation of the way that eyes look, radians.
_WET = 0.9


@dataclasses.dataclass(frozen=True, eq=False)
class Painted:
    """The surface of an eye at n places.

    Attributes:
        albedo: float32 [n, 3], linear RGB.
        normals: float32 [n, 3] in head space.
        wet: float32 [n], strength of the sharp highlight.
    """

    albedo: np.ndarray
    normals: np.ndarray
    wet: np.ndarray


def painted(traits: Traits, eye: str, places: np.ndarray, vertices: np.ndarray) -> Painted:
    """Returns how an eye looks.

    Args:
        traits: Whose eye it is.
        eye: ``left_eye`` or ``right_eye``.
        places: float32 [n, 3] on the eyeball, in head space.
        vertices: float32 [V, 3] of the head there.
    """
    color, fibres, gaze, size = _iris(traits)
    ball = vertices[load_head().vertices_of(eye)]
    centre = (ball.min(0) + ball.max(0)) / 2
    way = places - centre
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    look = np.array([gaze[0], gaze[1], 1.0])
    look /= np.linalg.norm(look)
    cosine = way @ look.astype(np.float32)
    angle = np.arccos(np.clip(cosine, -1, 1)) / size
    around = np.arctan2(way[:, 1] - gaze[1], way[:, 0] - gaze[0])
    strands = np.interp(around, np.linspace(-np.pi, np.pi, len(fibres)), fibres)
    radius = angle / _IRIS
    ring = 1.3 - 0.45 * _step(0.35, 0.6, radius) - 0.6 * _step(0.8, 1.0, radius)
    iris = color * ((1 + 0.22 * strands) * ring)[:, None]
    iris *= 1 - _step(_PUPIL + 0.03, _PUPIL - 0.02, angle)[:, None] * 0.97
    # The white is pinker and darker to the corners.
    white = (
        _WHITE
        * (1 - 0.3 * traits.tone)
        * (1 - _step(1.2, 2.6, radius)[:, None] * np.array([0.14, 0.32, 0.34]))
    )
    albedo = iris + (white - iris) * _step(0.95, 1.06, radius)[:, None]
    # The upper lid and its lashes shade what is under them.
    albedo *= 1 - 0.45 * _step(0.05, 0.42, way[:, 1])[:, None]
    return Painted(
        albedo=albedo.astype(np.float32),
        normals=way.astype(np.float32),
        wet=np.full(len(way), _WET, np.float32),
    )


@functools.lru_cache(maxsize=256)
def _iris(traits: Traits) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Returns colour, strength of the fibres by angle, gaze, and size of a person's irises."""
    rng = np.random.default_rng([_EYES, traits.number])
    dark = rng.random() > 0.72 - 1.2 * traits.tone
    palette = _DARK if dark else _LIGHT
    color = palette[rng.integers(len(palette))] * rng.uniform(0.75, 1.3)
    fibres = rng.normal(size=64)
    fibres[-1] = fibres[0]
    return color, fibres, rng.normal(0, _GAZE, 2), rng.uniform(0.96, 1.05)


def _step(low: float, high: float, value: np.ndarray) -> np.ndarray:
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
