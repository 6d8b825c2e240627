"""A camera: what it does to a picture between the light and the file."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from legan_tf.head.color import luminance, to_linear, to_srgb

_GREY_SHARE = 0.1
_EXPOSURE, _BALANCE = 0.30, 0.07  # Deviations of the logarithm of gains.
_NOISE = 0.02  # Most, of the whole range, where the picture is bright.
_BLUR = 0.006  # Most, of the picture's width.


def photographed(
    picture: np.ndarray, camera: np.random.Generator, rng: np.random.Generator
) -> np.ndarray:
    """Returns a picture as a camera takes it: exposure, white balance, blur, noise, JPEG, or grey.

    Args:
        picture: uint8 [S, S, 3].
        camera: Draws what pictures of one camera have in common.
        rng: Draws what differs from picture to picture, the noise.

    Returns:
        uint8 [S, S, 3].
    """
    light = to_linear(picture)
    gains = np.exp(camera.normal(0, _EXPOSURE) + camera.normal(0, _BALANCE, 3))
    light = light * gains.astype(np.float32)
    sigma = camera.uniform(0, _BLUR) * len(picture)
    light = gaussian_filter(light, (sigma, sigma, 0))
    noise = rng.normal(size=light.shape) * camera.uniform(0, _NOISE)
    # Photons: the noise of light grows with its root.
    light = light + noise * np.sqrt(np.maximum(light, 0) + 0.01)
    if camera.random() < _GREY_SHARE:
        light = np.repeat(luminance(light)[..., None], 3, -1)
    taken = np.round(to_srgb(light)).astype(np.uint8)
    quality = int(camera.integers(45, 98))
    file = io.BytesIO()
    Image.fromarray(taken).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))
