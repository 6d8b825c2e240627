"""Inside of the mouth: colours of teeth, gums, tongue and what is behind them."""

from __future__ import annotations

import numpy as np

from legan_tf.data.rendered.people import Traits
from legan_tf.head.head_file import load_head

_COLORS = {
    "mouth_socket": (0.30, 0.085, 0.075),
    "gums": (0.42, 0.15, 0.14),
    "tongue": (0.46, 0.17, 0.16),
    "upper_teeth": (0.60, 0.56, 0.49),
    "lower_teeth": (0.55, 0.51, 0.44),
}
_WET = {"tongue": 0.15, "gums": 0.15, "upper_teeth": 0.35, "lower_teeth": 0.3}
_TEETH = 7105
_WIDE = 0.6  # cm between the lips from where light reaches the front of the mouth.
_DARKEST = 0.06
_UPPER_LIP, _LOWER_LIP = (61, 62, 63), (67, 66, 65)  # iBUG's inner lips.


def painted(
    traits: Traits, part: str, places: np.ndarray, vertices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns albedo, float32 [n, 3], and strength of the sharp highlight, [n], in the mouth.

    Args:
        traits: Whose mouth it is.
        part: The part of the head.
        places: float32 [n, 3] in head space.
        vertices: float32 [V, 3] of the head there.
    """
    inside = _light_inside(vertices)
    color = np.array(_COLORS[part], np.float32) * inside
    if part.endswith("teeth"):
        rng = np.random.default_rng([_TEETH, traits.number])
        color = color * rng.uniform(0.85, 1.1) * (1, 1, 1 - 0.25 * rng.random() * traits.age)
    albedo = np.broadcast_to(color, (len(places), 3)).astype(np.float32)
    return albedo, np.full(len(places), _WET.get(part, 0.0) * inside, np.float32)


def _light_inside(vertices: np.ndarray) -> np.float32:
    """Returns how much light there is behind lips that are so far apart, 0 to 1."""
    marks = load_head().landmark_vertices
    gap = (vertices[marks[list(_UPPER_LIP)]] - vertices[marks[list(_LOWER_LIP)]])[:, 1].mean()
    return np.float32(np.clip(gap / _WIDE, _DARKEST, 1))
