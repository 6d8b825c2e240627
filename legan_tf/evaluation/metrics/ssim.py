"""SSIM, the structural similarity of two pictures."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

from legan_tf.evaluation.metrics.registry import register

_SIGMA = 1.5
_RADIUS = 5
_WINDOW = 2 * _RADIUS + 1


def _gaussian() -> np.ndarray:
    """Weights of the window along one axis, [11], which sum to 1."""
    weights = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    return weights / weights.sum()


_WEIGHTS = _gaussian()


def check_images(first: np.ndarray, second: np.ndarray) -> None:
    """Raises ValueError unless both are uint8 [n,H,W,3] of one shape."""
    for images in (first, second):
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"images must be uint8 [n, height, width, 3], not {images.dtype} {images.shape}"
            )
    if first.shape != second.shape:
        raise ValueError(f"the images differ in shape: {first.shape} and {second.shape}")


def _smoothed(maps: np.ndarray) -> np.ndarray:
    """Weighted means of maps [k,H,W,c] wherever the whole window fits, [k,H-10,W-10,c]."""
    inside = slice(_RADIUS, -_RADIUS)
    rows = correlate1d(maps, _WEIGHTS, axis=1)[:, inside]
    return correlate1d(rows, _WEIGHTS, axis=2)[:, :, inside]


def _ssim_of_pair(first: np.ndarray, second: np.ndarray) -> float:
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y, squares, product = _smoothed(np.stack([x, y, x * x + y * y, x * y]))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    means, mean_squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    luminance = (2 * means + c1) / (mean_squares + c1)
    structure = (2 * (product - means) + c2) / (squares - mean_squares + c2)
    return float(np.mean(luminance * structure))


@register("ssim", "SSIM", "higher", "image true_image", order=(40, 30), source="Wang et al. 2004")
@register("cycle_ssim", "SSIM of the cycle", "higher", "cycle_image source_image",
          order=(170, None), source="Bodur et al.")  # fmt: skip
def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity, higher is better (Wang et al., TIP 2004).

    The Gaussian window has 11 pixels and σ = 1.5, K₁ = 0.01, K₂ = 0.03, variances are those of the
    population, and only places where the whole window fits count. Computed in float64, it is within
    1e-10 of ``skimage.metrics.structural_similarity`` with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=255, channel_axis=-1``. ``tf.image.ssim``, the same in
    float32, is off by more than 1e-4 on flat pictures.

    Args:
        first: uint8 [n,H,W,3], at least 11 pixels high and wide.
        second: The same shape.

    Returns:
        float64 [n], -1 to 1, the mean over RGB; exactly 1 for equal pictures. The same to the bit
        whatever the other pictures of the batch.

    Raises:
        ValueError: The images are not of that form, too small, or differ in shape.
    """
    check_images(first, second)
    height, width = first.shape[1:3]
    if min(height, width) < _WINDOW:
        raise ValueError(
            f"SSIM needs pictures of at least {_WINDOW} x {_WINDOW} pixels, not {height} x {width}"
        )
    # One pair at a time stays in the processor's cache.
    return np.array([_ssim_of_pair(x, y) for x, y in zip(first, second)], np.float64)
