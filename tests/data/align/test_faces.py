from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.align import faces as faces_module
from legan_tf.data.align import position


def rotation(axis: int, degrees: float) -> np.ndarray:
    a, b = [i for i in range(3) if i != axis]
    angle = np.deg2rad(degrees)
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


@pytest.mark.parametrize("turned", [-60, -15, 0, 14.9, 40])
@pytest.mark.parametrize(("nod", "tilt"), [(0, 0), (25, 0), (0, 30), (-20, -45)])
def test_yaw_is_the_turn_of_a_head_of_any_shape_however_it_nods_and_tilts(turned, nod, tilt):
    generator = np.random.default_rng(3)
    right = generator.uniform((0.1, -1, -1), (1, 1, 0), (9, 3)) * 100
    left = right * (-1, 1, 1)
    # The head nods in its own frame, then turns, then the picture is tilted. Depth grows away
    # from the viewer, so that looking to the right moves the right half away.
    pose = rotation(2, tilt) @ rotation(1, turned) @ rotation(0, nod)
    shift = (320, 200, 5)
    measured = faces_module.yaw_from_pairs(left @ pose.T + shift, right @ pose.T + shift)
    assert measured == pytest.approx(turned, abs=1e-9)


def test_ibug_points_give_centres_and_outline(faces):
    _, points = faces
    face = faces_module.from_ibug(points[0])
    np.testing.assert_allclose(face.left_eye, points[0, 36:42].mean(0))
    np.testing.assert_allclose(face.right_eye, points[0, 42:48].mean(0))
    np.testing.assert_allclose(face.mouth, (points[0, 48] + points[0, 54]) / 2)
    assert face.left_eye[0] < face.mouth[0] < face.right_eye[0] and np.isnan(face.yaw)


def test_the_mask_is_the_hull_of_all_68_points_and_lies_as_in_the_perceptual_set(faces):
    _, points = faces
    boxes, shares = [], []
    for of_face in points[[0, 3]]:  # Neutral ones: the published tiles are.
        face = faces_module.from_ibug(of_face)
        transform = position.similarity_from_points(face.left_eye, face.right_eye, face.mouth, 128)
        mask = faces_module.hull_mask(face.outline, transform, 128)
        np.testing.assert_array_equal(mask, faces_module.hull_mask(of_face, transform, 128))
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
        faces_module.hull_mask(np.array(points, float), np.array([1.0, 0, 0, 0, 1, 0]), 64)


def test_a_pixel_is_inside_the_mask_where_its_centre_is():
    square = np.array([[9.6, 19.6], [30.4, 19.6], [30.4, 40.4], [9.6, 40.4], [20, 30]])
    expected = np.zeros((64, 64), bool)
    expected[20:41, 10:31] = True
    identity = np.array([1.0, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(faces_module.hull_mask(square, identity, 64), expected)
    # From (2 x + 4, 2 y - 6) of the original.
    half = faces_module.hull_mask(square, np.array([2.0, 0, 4, 0, 2, -6]), 64)
    expected = np.zeros((64, 64), bool)
    expected[13:24, 3:14] = True
    np.testing.assert_array_equal(half, expected)
