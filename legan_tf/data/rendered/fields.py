"""Small functions of arrays from which faces are put together: bumps, ramps, masks, waves."""

from __future__ import annotations

import numpy as np


def bump(x: np.ndarray, y: np.ndarray, width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """A Gaussian of height 1 around (0, 0)."""
    return np.exp(-0.5 * (np.square(x / width) + np.square(y / height)))


def ridge(d: np.ndarray, width: np.ndarray) -> np.ndarray:
    """A Gaussian of height 1 along d = 0."""
    return np.exp(-0.5 * np.square(d / width))


def power(x: np.ndarray, exponent: np.ndarray | float) -> np.ndarray:
    """Powers of x ≥ 0; several times faster than ``**`` on float32."""
    return np.exp(exponent * np.log(np.maximum(x, 1e-7)))


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high`` (or the other way round), smooth between them."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def inside(distance: np.ndarray, pixel: float, softness: float = 0.0) -> np.ndarray:
    """Share of a pixel that is inside, for a distance that is positive inside."""
    return ramp(distance / (pixel + softness), -0.7, 0.7)


def upper(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """The larger of two heights, with a rounded crease."""
    h = np.clip(0.5 + 0.5 * (a - b) / blend, 0, 1)
    return b + (a - b) * h + blend * h * (1 - h)


def side(x: np.ndarray) -> np.ndarray:
    """-1 left, 1 right, smooth in the middle."""
    return x / np.sqrt(np.square(x) + 0.05**2)


def visible(frequency: float, pixel: float) -> float:
    """How much of a pattern pixels can resolve; the rest is left out, so that none aliases."""
    return float(np.exp(-0.35 * np.square(frequency * pixel)))


def waves(q: np.ndarray, r: np.ndarray, waves: np.ndarray, pixel: float) -> np.ndarray:
    """A sum of waves of two coordinates, as far as pixels can resolve them."""
    total = np.zeros(np.broadcast_shapes(q.shape, r.shape), np.float32)
    for k in range(waves.shape[3]):
        fx, fy, phase = waves[..., k, 0], waves[..., k, 1], waves[..., k, 2]
        visible = np.exp(-0.35 * np.square(pixel) * (fx * fx + fy * fy))
        total += visible * np.sin(fx * q + fy * r + phase)
    return total / float(np.sqrt(waves.shape[3]))
