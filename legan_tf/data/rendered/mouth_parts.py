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
_FRONT, _FADES = 0.6, 1.8  # cm behind the lips from where light fades, and to a third.
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
    inside = _light_inside(places, vertices)
    color = np.array(_COLORS[part], np.float32)
    if part.endswith("teeth"):
        rng = np.random.default_rng([_TEETH, traits.number])
        color = color * rng.uniform(0.85, 1.1) * (1, 1, 1 - 0.25 * rng.random() * traits.age)
    albedo = (color * inside[:, None]).astype(np.float32)
    return albedo, _WET.get(part, 0.0) * inside


def _light_inside(places: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Returns how much light there is at places behind the lips, float32 [n] in [0, 1].

    The farther the lips are apart, the more gets in; the deeper, the less is left.
    """
    marks = load_head().landmark_vertices
    upper, lower = vertices[marks[list(_UPPER_LIP)]], vertices[marks[list(_LOWER_LIP)]]
    entering = np.clip((upper - lower)[:, 1].mean() / _WIDE, _DARKEST, 1)
    deep = np.clip((upper[:, 2].mean() + lower[:, 2].mean()) / 2 - places[:, 2] - _FRONT, 0, None)
    return (entering * np.exp(-deep / _FADES)).astype(np.float32)
