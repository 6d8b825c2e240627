"""Shaping functions of arrays: Gaussians, smoothstep, smooth maximum, antialiasing, waves."""

from __future__ import annotations

from typing import Union

import numpy as np

Values = Union[np.ndarray, float]


def gaussian(x: np.ndarray, y: Values, width: Values, height: Values) -> np.ndarray:
    """Returns a Gaussian of height 1 around (0, 0)."""
    return np.exp(-0.5 * (np.square(x / width) + np.square(y / height)))


def ridge(d: np.ndarray, width: Values) -> np.ndarray:
    """Returns a Gaussian of height 1 along the line d = 0."""
    return np.exp(-0.5 * np.square(d / width))


def power(x: np.ndarray, exponent: Values) -> np.ndarray:
    """Returns powers of x ≥ 0; several times faster than ``**`` on float32."""
    return np.exp(exponent * np.log(np.maximum(x, 1e-7)))


def smoothstep(x: np.ndarray, low: Values, high: Values) -> np.ndarray:
    """Returns 0 below ``low``, 1 above ``high`` (or the other way round), smooth between them."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def antialias(distance: np.ndarray, pixel: float, softness: float = 0.0) -> np.ndarray:
    """Returns the share of a pixel that is inside, for a distance that is positive inside."""
    return smoothstep(distance / (pixel + softness), -0.7, 0.7)


def smooth_max(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Returns the larger of two heights, with a rounded crease."""
    h = np.clip(0.5 + 0.5 * (a - b) / blend, 0, 1)
    return b + (a - b) * h + blend * h * (1 - h)


def smooth_sign(x: np.ndarray) -> np.ndarray:
    """Returns the sign of x, smooth around 0."""
    return x / np.sqrt(np.square(x) + 0.05**2)


def band_limit(frequency: float, pixel: float) -> float:
    """Returns the amplitude of a pattern that pixels resolve without aliasing, 0 to 1."""
    return float(np.exp(-0.35 * np.square(frequency * pixel)))


def sine_waves(q: np.ndarray, r: np.ndarray, waves: np.ndarray, pixel: float) -> np.ndarray:
    """Returns a sum of sine waves of two coordinates, as far as pixels resolve them."""
    total = np.zeros(np.broadcast_shapes(q.shape, r.shape), np.float32)
    for k in range(waves.shape[3]):
        fx, fy, phase = waves[..., k, 0], waves[..., k, 1], waves[..., k, 2]
        visible = np.exp(-0.35 * np.square(pixel) * (fx * fx + fy * fy))
        total += visible * np.sin(fx * q + fy * r + phase)
    return total / float(np.sqrt(waves.shape[3]))
