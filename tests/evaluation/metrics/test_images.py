from __future__ import annotations

import numpy as np
import pytest

from legan_tf.evaluation.metrics import images as metrics


def pictures(count: int, seed: int = 0, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def test_ssim_of_a_picture_with_itself_is_one_and_falls_with_noise():
    images = np.full((2, 16, 16, 3), 100, np.uint8)
    images[:, :8] = 180
    noisy = images + np.random.default_rng(0).integers(0, 40, images.shape, np.uint8)
    noisier = images + np.random.default_rng(0).integers(0, 70, images.shape, np.uint8)
    same, some, less = (metrics.ssim(images, other) for other in (images, noisy, noisier))
    assert same.shape == (2,)
    np.testing.assert_allclose(same, [1.0, 1.0], atol=1e-6)
    assert np.all(some < 0.9) and np.all(less < some - 0.05)


def test_ssim_of_flat_pictures_is_the_luminance_term():
    first, second = (np.full((1, 16, 16, 3), value, np.uint8) for value in (100, 150))
    c1 = (0.01 * 255) ** 2
    wanted = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    np.testing.assert_allclose(metrics.ssim(first, second), [wanted], atol=1e-4)


def test_mean_absolute_error_is_a_share_of_the_range():
    first = np.zeros((2, 1, 1, 3), np.uint8)
    second = np.array([[255, 255, 255], [51, 0, 0]], np.uint8).reshape(2, 1, 1, 3)
    # 51 / 255 in one of three channels; the order of the two must not matter for uint8.
    np.testing.assert_allclose(metrics.mean_absolute_error(first, second), [1.0, 0.2 / 3])
    np.testing.assert_allclose(metrics.mean_absolute_error(second, first), [1.0, 0.2 / 3])


@pytest.mark.parametrize("metric", [metrics.ssim, metrics.mean_absolute_error])
@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (pictures(2), pictures(3), "differ in shape"),
        (pictures(2).astype(np.float32), pictures(2), "float32"),
        (pictures(2)[..., :1], pictures(2)[..., :1], "uint8"),
        (pictures(1)[0], pictures(1)[0], "n, height, width, 3"),
    ],
)
def test_what_is_no_pair_of_pictures_is_refused(metric, first, second, told):
    with pytest.raises(ValueError, match=told):
        metric(first, second)
