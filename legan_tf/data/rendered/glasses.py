"""Glasses: frames before the eyes, in the view of a person."""

from __future__ import annotations

import numpy as np

from legan_tf.data.rendered.layers import Layer, View
from legan_tf.data.rendered.people import Traits

_GLASSES = 7111
_WORN_BY = 0.2  # Share of people.
_HUES = np.array(
    [
        [0.012, 0.011, 0.010],
        [0.02, 0.018, 0.017],
        [0.06, 0.03, 0.015],
        [0.2, 0.2, 0.2],
        [0.3, 0.2, 0.09],
    ]
)
_BEFORE = 1.6  # cm before the eyes' centres.


def glasses_layer(traits: Traits, view: View, eyes: np.ndarray) -> Layer | None:
    """Returns the glasses of a person who wears some, else None.

    Args:
        traits: Whose they are.
        view: The view.
        eyes: Centres of both eyes, float [2, 3] in head space.
    """
    rng = np.random.default_rng([_GLASSES, traits.number])
    if rng.random() > _WORN_BY:
        return None
    half = np.array([rng.uniform(2.0, 2.6), rng.uniform(1.5, 2.2)])
    power, thick = rng.uniform(2.2, 6.0), rng.uniform(0.10, 0.32)
    hue = _HUES[rng.integers(len(_HUES))] * rng.uniform(0.7, 1.3)
    scale = view.camera.scale
    placed = eyes + (0, -0.35, _BEFORE)
    centres = view.camera.project(placed.astype(np.float64))
    across = centres[1, :2] - centres[0, :2]
    right = across / np.linalg.norm(across)
    down = np.array([-right[1], right[0]])
    x, y = view.grid()
    frame = np.full(x.shape, np.inf)
    for centre in centres:
        away = np.stack([x - centre[0], y - centre[1]], -1) / scale
        u, v = away @ right, away @ down
        radius = (np.abs(u / half[0]) ** power + np.abs(v / half[1]) ** power) ** (1 / power)
        frame = np.minimum(frame, np.abs(radius - 1) * half.min())
    away = np.stack([x, y], -1) - centres[:, :2].mean(0)
    u, v = away @ right / scale, away @ down / scale
    span = max(float(np.linalg.norm(across)) / scale / 2 - half[0], 0.3)
    frame = np.minimum(frame, np.where(np.abs(u) < span, np.abs(v + 0.45), np.inf))
    alpha = np.clip((thick - frame) * scale * view.samples + 0.5, 0, 1).astype(np.float32)
    depth = np.where(alpha > 0, centres[:, 2].mean() + 4 * scale, -np.inf)
    normals = np.broadcast_to(np.array([0, 0, 1], np.float32), (*x.shape, 3))
    return Layer(
        depth=depth.astype(np.float32),
        normals=normals.copy(),
        albedo=np.broadcast_to(hue.astype(np.float32), (*x.shape, 3)).copy(),
        alpha=alpha,
        gloss=np.full(x.shape, 0.12, np.float32),
        shades=False,
    )
