from __future__ import annotations

import numpy as np
import pytest

from legan_tf.head import face_mesh
from legan_tf.head.face_points import (
    eyes_distance,
    lip_rim,
    normalized,
    parted_lips,
    symmetric,
    upright_axes,
    with_mean_face,
)
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.head_file import load_head

LEFT, RIGHT = 33, 263


@pytest.fixture(scope="module")
def face_points():
    return load_statistics(load_head()).face_points


@pytest.fixture(scope="module")
def found(face_points):
    return with_mean_face(load_head(), face_points.mean_face)


def test_places_are_on_the_triangles(face_points):
    head = load_head()
    places = face_points.places(head.neutral)
    assert places.shape == (len(face_points.numbers), 3)
    np.testing.assert_allclose(face_points.weights.sum(1), 1, atol=1e-5)
    assert face_points.weights.min() > -1e-4
    skin = head.vertices_of("face")
    assert np.isin(face_points.vertices, skin).all()
    first = head.neutral[face_points.vertices[7]].T @ face_points.weights[7]
    np.testing.assert_allclose(places[7], first, atol=1e-5)
    # Of many shapes at once, and of any number of coordinates.
    several = face_points.places(head.expressions[:3])
    np.testing.assert_allclose(several[2], face_points.places(head.expressions[2]), atol=1e-5)
    np.testing.assert_allclose(face_points.places(head.neutral[:, :2]), places[:, :2], atol=1e-5)


def test_rows_are_those_of_the_numbers(face_points):
    assert list(face_points.numbers) == sorted(set(face_points.numbers))
    row = face_points.rows_of((RIGHT, LEFT))
    assert list(face_points.numbers[row]) == [RIGHT, LEFT]
    assert len(face_points.rows_of((LEFT, 10_000))) == 1
    for needed in (face_mesh.LIPS, face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE, face_mesh.CHIN):
        assert len(face_points.rows_of(needed)) == len(needed)


def test_distance_and_axes_of_the_eyes(face_points):
    face = face_points.mean_face
    assert eyes_distance(face) == pytest.approx(1, abs=1e-3)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    seen = 40 * face @ turn.T + (70, 90)
    assert eyes_distance(seen) == pytest.approx(40 * eyes_distance(face))
    np.testing.assert_allclose(upright_axes(seen), turn, atol=1e-3)
    np.testing.assert_allclose(normalized(seen), normalized(face), atol=1e-9)
    np.testing.assert_allclose(normalized(face)[[LEFT, RIGHT]].mean(0), 0, atol=1e-9)


def test_a_symmetric_face_is_its_mirror_image(face_points):
    face = face_points.mean_face
    np.testing.assert_allclose(symmetric(face), face, atol=2e-3)
    bent = symmetric(face + (0.004, 0) * (face[:, :1] > 0))
    mirrored = np.linalg.norm(bent[:, None] - bent[None] * (-1, 1), axis=-1)
    assert mirrored.min(1).mean() < 5e-4
    assert np.abs(bent - face).max() < 0.005


def test_the_rims_of_the_lips(face_points):
    head = load_head()
    upper, lower = lip_rim(head, "upper"), lip_rim(head, "lower")
    edges = head.triangles[head.triangles_of("face")]
    edges = {(a, b) for t in edges for a, b in zip(t, np.roll(t, 1))}
    for rim in (upper, lower):
        assert (rim[0], rim[-1]) == tuple(head.landmark_vertices[[60, 64]])
        assert all((a, b) in edges or (b, a) in edges for a, b in zip(rim, rim[1:]))
        assert np.all(np.diff(head.neutral[rim, 0]) > -0.01)  # From the left to the right.
    assert not set(upper[1:-1]) & set(lower[1:-1])
    parted = parted_lips(head)
    upper_middle, lower_middle = (parted[rim[len(rim) // 2], 1] for rim in (upper, lower))
    assert upper_middle > lower_middle + 0.5
    # Both lie on one another while the mouth is closed.
    gap = head.neutral[head.landmark_vertices[62], 1] - head.neutral[head.landmark_vertices[66], 1]
    assert abs(gap) < 0.3
    inner = face_points.vertices[face_points.rows_of(face_mesh.UPPER_INNER_LIP)]
    assert np.isin(inner, upper).all()
    inner = face_points.vertices[face_points.rows_of(face_mesh.LOWER_INNER_LIP)]
    assert np.isin(inner, lower).all()


def test_points_found_on_the_head_are_where_the_mean_face_has_them(face_points, found):
    assert len(found.numbers) > 400
    both = np.intersect1d(found.numbers, face_points.numbers)
    assert len(both) > 0.97 * len(face_points.numbers)
    head = load_head()
    places = [
        points.places(head.neutral)[np.searchsorted(points.numbers, both)]
        for points in (found, face_points)
    ]
    assert np.median(np.linalg.norm(places[0] - places[1], axis=1)) < 0.05  # cm
    np.testing.assert_allclose(found.identity, face_points.identity, atol=0.05)
    assert np.median(np.linalg.norm(found.residual, axis=1)) < 0.03


def test_points_found_are_symmetric(found):
    head = load_head()
    places = found.places(head.neutral)
    mirrored = np.linalg.norm(places[:, None] - places[None] * (-1, 1, 1), axis=-1)
    assert np.median(mirrored.min(1)) < 0.05  # cm
    eyes = places[found.rows_of((LEFT, RIGHT))]
    np.testing.assert_allclose(eyes[0], eyes[1] * (-1, 1, 1), atol=0.05)
    assert eyes[0, 0] < 0  # The picture's left is the person's right.
