from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from legan_tf.evaluation.metrics.psnr import mean_absolute_error, psnr
from legan_tf.evaluation.metrics.ssim import ssim


def pictures(count: int, seed: int = 0, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def smooth(count: int, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    values = [127 + 100 * np.sin(x / (9 + i) + y / 15) for i in range(count)]
    return np.stack([np.stack([v, v[::-1], v / 3 + 160], axis=-1) for v in values]).astype(np.uint8)


def flat(*levels: int) -> np.ndarray:
    return np.stack([np.full((13, 21, 3), level, np.uint8) for level in levels])


def speckled(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).integers(-2, 3, images.shape)
    return np.clip(images.astype(int) + noise, 0, 255).astype(np.uint8)


PAIRS = {
    "noise": (pictures(3, 1, 32), pictures(3, 2, 32)),
    "smooth": (smooth(3, 24, 24), speckled(smooth(3, 24, 24))),
    "bright": (smooth(3, 24, 24) // 16 + 235, speckled(smooth(3, 24, 24) // 16 + 235)),
    "flat": (flat(0, 0, 100, 254), flat(255, 1, 150, 255)),
    "not square": (pictures(2, 3, 40)[:, :11], speckled(pictures(2, 3, 40)[:, :11])),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_ssim_is_that_of_scikit_image(pair):
    wanted = [
        structural_similarity(
            *(first, second),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        )
        for first, second in zip(*pair, strict=True)
    ]
    np.testing.assert_allclose(ssim(*pair), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_psnr_is_that_of_scikit_image(pair):
    wanted = [
        peak_signal_noise_ratio(first, second, data_range=255)
        for first, second in zip(*pair, strict=True)
    ]
    np.testing.assert_allclose(psnr(*pair), wanted, rtol=1e-12, atol=1e-12)


def test_equal_pictures_have_a_perfect_likeness():
    for images in (pictures(2), smooth(2, 16, 24), flat(0, 7, 255)):
        perfect = np.ones(len(images))
        np.testing.assert_array_equal(ssim(images, images.copy()), perfect)
        np.testing.assert_array_equal(psnr(images, images.copy()), np.inf * perfect)


def test_likeness_falls_with_noise():
    images = np.full((2, 16, 16, 3), 100, np.uint8)
    images[:, :8] = 180
    noise = np.random.default_rng(0)
    noisy = images + noise.integers(0, 40, images.shape, np.uint8)
    noisier = images + noise.integers(0, 70, images.shape, np.uint8)
    some, less = ssim(images, noisy), ssim(images, noisier)
    assert some.shape == (2,)
    assert np.all(some < 0.9) and np.all(less < some - 0.05)
    assert np.all(psnr(images, noisier) < psnr(images, noisy) - 2)


def test_ssim_of_flat_pictures_is_the_luminance_term():
    c1 = (0.01 * 255) ** 2
    wanted = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    np.testing.assert_allclose(ssim(flat(100), flat(150)), [wanted], rtol=1e-12)


def test_psnr_is_0_for_black_and_white_and_counts_all_channels():
    second = flat(0)
    second[0, :, :, 1] = 51  # a fifth of the range in one of three channels
    expected = [0.0, 10 * np.log10(25 * 3)]
    white = np.concatenate([flat(255), second])
    np.testing.assert_allclose(psnr(flat(0, 0), white), expected, atol=1e-12)


@pytest.mark.parametrize("metric", [ssim, psnr, mean_absolute_error])
def test_a_pair_has_the_same_likeness_alone_as_in_a_batch_and_either_way_round(metric):
    first, second = PAIRS["smooth"]
    together = metric(first, second)
    alone = [metric(first[i : i + 1], second[i : i + 1]) for i in range(len(first))]
    np.testing.assert_array_equal(np.concatenate(alone), together)
    np.testing.assert_array_equal(metric(second, first), together)
    assert metric(first[:0], second[:0]).shape == (0,)
    assert together.dtype == np.float64


def test_pictures_smaller_than_the_window_have_no_ssim():
    small = pictures(1)[:, :10]
    with pytest.raises(ValueError, match="at least 11 x 11 pixels, not 10 x 16"):
        ssim(small, small)
    with pytest.raises(ValueError, match="not 16 x 10"):
        ssim(small.swapaxes(1, 2), small.swapaxes(1, 2))
    assert psnr(small, small) == [np.inf]


def test_mean_absolute_error_is_a_share_of_the_range():
    first = np.zeros((2, 1, 1, 3), np.uint8)
    second = np.array([[255, 255, 255], [51, 0, 0]], np.uint8).reshape(2, 1, 1, 3)
    # 51 / 255 in one of three channels; the order of the two must not matter for uint8.
    np.testing.assert_allclose(mean_absolute_error(first, second), [1.0, 0.2 / 3])
    np.testing.assert_allclose(mean_absolute_error(second, first), [1.0, 0.2 / 3])


@pytest.mark.parametrize("metric", [ssim, psnr, mean_absolute_error])
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
