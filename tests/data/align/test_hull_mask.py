from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.align import alignment
from legan_tf.data.align.hull_mask import hull_mask
from legan_tf.data.align.landmarks import from_ibug


def test_the_mask_is_the_hull_of_all_68_points_and_lies_as_in_the_perceptual_set(faces):
    _, points = faces
    boxes, shares = [], []
    for of_face in points[[0, 3]]:  # Neutral ones: the published tiles are.
        face = from_ibug(of_face)
        transform = alignment.similarity_from_points(face.left_eye, face.right_eye, face.mouth, 128)
        mask = hull_mask(face.outline, transform, 128)
        np.testing.assert_array_equal(mask, hull_mask(of_face, transform, 128))
        rows, columns = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
        boxes.append([rows[0], rows[-1], columns[0], columns[-1]])
        shares.append(mask.mean())
        assert mask[int(rows.mean()), int(columns.mean())]
    # Top, chin, left, right of 128, and the share of the picture, as measured on LEGAN's figure.
    np.testing.assert_allclose(np.mean(boxes, 0), [26, 116, 17, 112], atol=8)
    assert 0.4 < np.mean(shares) < 0.6


@pytest.mark.parametrize("points", [[[5, 5]] * 27, [[i, 2 * i] for i in range(27)], [[1, 2]]])
def test_an_outline_that_encloses_nothing_is_refused(points):
    with pytest.raises(ValueError, match="must enclose something"):
        hull_mask(np.array(points, float), np.array([1.0, 0, 0, 0, 1, 0]), 64)


def test_a_pixel_is_inside_the_mask_where_its_centre_is():
    square = np.array([[9.6, 19.6], [30.4, 19.6], [30.4, 40.4], [9.6, 40.4], [20, 30]])
    expected = np.zeros((64, 64), bool)
    expected[20:41, 10:31] = True
    identity = np.array([1.0, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(hull_mask(square, identity, 64), expected)
    # From (2 x + 4, 2 y - 6) of the original.
    half = hull_mask(square, np.array([2.0, 0, 4, 0, 2, -6]), 64)
    expected = np.zeros((64, 64), bool)
    expected[13:24, 3:14] = True
    np.testing.assert_array_equal(half, expected)
