from __future__ import annotations

import numpy as np
import pytest

from legan_tf.evaluation.metrics.lpips import lpips_from_taps

CHANNELS = (4, 7)


def taps(seed: int, count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    sides = [(5, 6), (2, 3)]
    shapes = [(count, *side, c) for side, c in zip(sides, CHANNELS)]
    return [np.maximum(rng.normal(size=shape), 0).astype(np.float32) for shape in shapes]


def weights() -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    return [rng.uniform(0, 1, c).astype(np.float32) for c in CHANNELS]


def test_distance_by_hand():
    # One tap of one place: (3, 4) and (0, 2) become (0.6, 0.8) and (0, 1).
    one, two = (np.array(v, np.float32).reshape(1, 1, 1, 2) for v in ([3, 4], [0, 2]))
    weight = np.array([0.5, 2.0], np.float32)
    wanted = 0.5 * 0.36 + 2.0 * 0.04
    np.testing.assert_allclose(lpips_from_taps([one], [two], [weight]), [wanted], rtol=1e-6)
    # A second place that is equal halves the mean; a second tap is added.
    wide = [np.concatenate([tap, one], axis=2) for tap in (one, two)]
    both = lpips_from_taps([one, wide[0]], [two, wide[1]], [weight, weight])
    np.testing.assert_allclose(both, [1.5 * wanted], rtol=1e-6)


def test_distance_is_that_of_a_loop_over_places():
    first, second, counts = taps(0), taps(1), weights()
    wanted = np.zeros(3)
    for one, two, weight in zip(first, second, counts):
        _, height, width, _ = one.shape
        for n, y, x in np.ndindex(one.shape[:3]):
            a, b = one[n, y, x].astype(np.float64), two[n, y, x].astype(np.float64)
            a, b = (v / (np.sqrt((v * v).sum()) + 1e-10) for v in (a, b))
            wanted[n] += (weight * (a - b) ** 2).sum() / (height * width)
    got = np.asarray(lpips_from_taps(first, second, counts))
    assert got.dtype == np.float32 and (got > 0.1).all()
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    np.testing.assert_allclose(lpips_from_taps(second, first, counts), wanted, rtol=1e-5)


def test_only_the_direction_of_a_feature_counts_and_none_at_all_is_a_zero_vector():
    first = taps(0)
    scaled = [7.0 * tap for tap in first]
    np.testing.assert_allclose(lpips_from_taps(first, scaled, weights()), np.zeros(3), atol=1e-6)
    dark = [0.0 * tap for tap in first]
    np.testing.assert_array_equal(lpips_from_taps(dark, dark, weights()), np.zeros(3))
    ones = [np.ones(c, np.float32) for c in CHANNELS]
    seen = sum((tap.max(-1) > 0).mean((1, 2)) for tap in first)
    np.testing.assert_allclose(lpips_from_taps(first, dark, ones), seen, rtol=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "counts", "told"),
    [
        ([], [], [], "0 and 0 taps do not go with 0 weights"),
        (taps(0), taps(1)[:1], weights(), "2 and 1 taps"),
        (taps(0), taps(1), weights()[::-1], "do not belong together"),
        (taps(0), taps(1)[::-1], weights(), "do not belong together"),
        (taps(0), taps(1, count=2), weights(), "do not belong together"),
    ],
)
def test_taps_that_do_not_fit_are_refused(first, second, counts, told):
    with pytest.raises(ValueError, match=told):
        lpips_from_taps(first, second, counts)
