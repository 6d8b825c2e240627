import itertools

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.head.contour_search import (
    cheapest_pair,
    check_face,
    crop_face,
    smooth_offsets,
)


def test_the_cheapest_pair_is_the_best_of_all_pairs():
    cost = np.random.default_rng(3).random((4, 3, 4))
    cost[1, 0, 1] = np.inf
    stiffness = 0.1

    def price(places):
        steps = np.diff(places, axis=0)
        return sum(cost[(column, *place)] for column, place in enumerate(places)) + (
            stiffness * np.sum(steps**2)
        )

    cells = list(itertools.product(range(3), range(4)))
    best = min(itertools.product(cells, repeat=4), key=price)
    assert cheapest_pair(cost, stiffness).tolist() == [list(place) for place in best]


def test_a_path_takes_no_longer_steps_than_it_may():
    cost = np.ones((5, 9, 1))
    cost[0, 1:] = 9
    cost[1:, 8] = 0
    path = cheapest_pair(cost, 0.0, longest_step=2)[:, 0]
    assert path.tolist() == [0, 2, 4, 6, 8]


def test_a_stiff_path_stays_straight():
    cost = np.random.default_rng(0).random((20, 7, 1))
    path = cheapest_pair(cost, 100.0)[:, 0]
    assert np.ptp(path) == 0
    assert path[0] == cost.sum(0)[:, 0].argmin()


def test_offsets_that_are_sure_are_kept_and_others_follow_their_neighbours():
    sure = np.array([1.0] * 10 + [0.0] * 5 + [1.0] * 10)
    offsets = np.where(sure > 0, 0.2, 5.0)
    np.testing.assert_allclose(smooth_offsets(offsets, sure, 1.0, 1e-6), 0.2, atol=1e-3)
    np.testing.assert_allclose(smooth_offsets(offsets, sure, 0.1, 1.0)[:3], 0.1, atol=2e-3)
    np.testing.assert_allclose(smooth_offsets(offsets, 0 * sure, 1.0, 0.1), 0.0)


@pytest.mark.parametrize("distance", [100.0, 520.0])
def test_a_crop_shows_the_picture_at_its_places(distance):
    x, y = np.meshgrid(np.arange(300), np.arange(200))
    image = np.rint(np.stack([x / 2, y / 2, x * 0 + 60], axis=-1)).astype(np.uint8)
    crop = crop_face(image, np.array([[50.0, 40.0], [250.0, 160.0]]), distance)
    assert crop.pixels.shape[1] == pytest.approx(208 / max(1, distance / 260), abs=1)
    places = np.random.default_rng(0).uniform((55, 45), (245, 155), (40, 2))
    expected = np.column_stack([places / 2, np.full(40, 60)])
    np.testing.assert_allclose(crop.sample(places) * 255, expected, atol=0.8)


def test_a_crop_goes_on_beyond_the_picture():
    image = np.full((30, 20, 3), 200, np.uint8)
    places = np.array([[-90.0, -80.0], [-50.0, 500.0]])
    sampled = crop_face(image, places, 40.0).sample(places)
    np.testing.assert_allclose(sampled, 200 / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "points", "message"),
    [
        (np.zeros((9, 9), np.uint8), np.zeros((468, 2)), "uint8"),
        (np.zeros((9, 9, 3)), np.zeros((468, 2)), "uint8"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((68, 2)), "468 points"),
        (np.zeros((9, 9, 3), np.uint8), np.full((468, 2), np.nan), "finite"),
    ],
)
def test_what_is_no_face_is_refused(image, points, message):
    with pytest.raises(UserError, match=message):
        check_face(image, points)
