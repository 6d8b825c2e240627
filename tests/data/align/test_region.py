from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.align.region import Pyramid, Region


def spots(size, places):
    """A dark picture with a soft spot at each place (x, y)."""
    y, x = np.mgrid[: size[0], : size[1]]
    picture = np.zeros(size, np.float64)
    for place in places:
        picture += 255 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 50)
    return np.repeat(np.round(picture.clip(0, 255)).astype(np.uint8)[..., None], 3, axis=-1)


@pytest.mark.parametrize("side", [90.0, 300.0, 1000.0])
@pytest.mark.parametrize("degrees", [0, 30, -120])
def test_points_of_a_cut_out_are_where_they_were(side, degrees):
    place = np.array([613.0, 389.0])
    region = Region(place[0] + 0.11 * side, place[1] - 0.07 * side, side, np.deg2rad(degrees))
    cut = Pyramid(spots((901, 1203), [place])).cut(region, 64)[..., 0].astype(float)
    y, x = np.mgrid[:64, :64] + 0.5
    centre = np.array([(cut * x).sum(), (cut * y).sum()]) / cut.sum()
    found = region.to_picture(np.array([[*centre / 64, 0.5]]))[0]
    np.testing.assert_allclose(found[:2], place, atol=side / 64 * 0.15)
    assert found[2] == 0.5 * side


def test_beyond_the_picture_it_is_black():
    cut = Pyramid(np.full((40, 60, 3), 200, np.uint8)).cut(Region(0, 19.5, 40), 40)
    assert cut[:, :19].max() == 0 and cut[:, 21:].min() == 200


def test_fine_stripes_are_averaged():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    cut = Pyramid(stripes).cut(Region(255.5, 255.5, 450, 0.1), 100)
    assert np.abs(cut.astype(float) - 127.5).max() < 20


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 700, 3), (700, 1, 3)])
def test_a_picture_of_one_row_or_pixel_can_be_cut(shape):
    picture = Pyramid(np.full(shape, 90, np.uint8))
    cut = picture.cut(Region((shape[1] - 1) / 2, (shape[0] - 1) / 2, max(shape)), 32)
    assert cut.shape == (32, 32, 3) and cut.max() <= 90
