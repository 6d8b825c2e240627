"""A camera: what it does to a picture between the light and the file."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from legan_tf.head.color import to_linear, to_srgb

_GREY_SHARE = 0.1
_EXPOSURE, _BALANCE = 0.30, 0.07  # Deviations of the logarithm of gains.
_NOISE = 0.02  # Most, of the whole range, where the picture is bright.
_BLUR = 0.006  # Most, of the picture's width.


def photographed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture as a camera takes it: exposure, white balance, blur, noise, JPEG, or grey.

    Args:
        picture: uint8 [S, S, 3].
        rng: What chance has.

    Returns:
        uint8 [S, S, 3].
    """
    light = to_linear(picture)
    light = light * np.exp(rng.normal(0, _EXPOSURE) + rng.normal(0, _BALANCE, 3)).astype(np.float32)
    sigma = rng.uniform(0, _BLUR) * len(picture)
    light = gaussian_filter(light, (sigma, sigma, 0))
    noise = rng.normal(size=light.shape) * rng.uniform(0, _NOISE)
    # Photons: the noise of light grows with its root.
    light = light + noise * np.sqrt(np.maximum(light, 0) + 0.01)
    if rng.random() < _GREY_SHARE:
        light = np.repeat((light @ (0.2126, 0.7152, 0.0722))[..., None], 3, -1)
    taken = np.round(to_srgb(light)).astype(np.uint8)
    quality = int(rng.integers(45, 98))
    file = io.BytesIO()
    Image.fromarray(taken).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))
