"""Colour: sRGB and linear light."""

from __future__ import annotations

import numpy as np

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Shares of linear red, green and blue in luminance (ITU-R BT.709)."""

_LEVELS = 1 << 16


def _decode(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _encode(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)


# Tables: powers of every pixel take most of the time of an edit.
_LINEAR = _decode(np.arange(256) / 255).astype(np.float32)
_FINE = _decode(np.arange(_LEVELS) / (_LEVELS - 1)).astype(np.float32)
_SRGB_OF_ROOT = (255 * _encode((np.arange(_LEVELS) / (_LEVELS - 1)) ** 2)).astype(np.float32)


def to_linear(image: np.ndarray) -> np.ndarray:
    """Returns sRGB, uint8 or float [0, 255], as linear light, float32 [0, 1]."""
    if image.dtype == np.uint8:
        return _LINEAR[image]
    return _FINE[np.clip(image * ((_LEVELS - 1) / 255) + 0.5, 0, _LEVELS - 1).astype(np.uint16)]


def to_srgb(light: np.ndarray) -> np.ndarray:
    """Returns linear light, float, as sRGB, float32 [0, 255]; what is beyond [0, 1] is cut."""
    # The square root spreads the dark levels, where sRGB is steep.
    level = np.sqrt(np.clip(light, 0, 1)) * (_LEVELS - 1)
    return _SRGB_OF_ROOT[(level + 0.5).astype(np.uint16)]


def luminance(light: np.ndarray) -> np.ndarray:
    """Returns the luminance [...] of linear light [..., 3]."""
    return light @ LUMINANCE
