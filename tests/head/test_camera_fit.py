from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from legan_tf.head import camera_fit

BODY = np.random.default_rng(0).normal(size=(40, 3)) * (5, 6, 3)


def test_pixels_are_taken_as_they_are_counted():
    vertices = np.array([[1.0, 1.0, 5.0], [8.0, 6.0, -2.0]])
    np.testing.assert_allclose(
        camera_fit.project_pixels(vertices, 6, False, 1.0, False), [[0, 0, 5], [7, 5, -2]]
    )
    # From the bottom, the first line is the last of the picture.
    np.testing.assert_allclose(
        camera_fit.project_pixels(vertices, 6, True, 1.0, False), [[0, 5, 5], [7, 0, -2]]
    )
    np.testing.assert_allclose(
        camera_fit.project_pixels(vertices, 6, False, 0.5, True), [[0.5, 0.5, -5], [7.5, 5.5, 2]]
    )


def test_a_framed_mesh_fills_its_square_upright():
    stray = np.concatenate([BODY, [(900.0, -900.0, 900.0)]])  # Of no triangle.
    framed = camera_fit.project_frontal(stray, 200, BODY)[:-1]
    low, high = framed.min(0), framed.max(0)
    assert max((high - low)[:2]) == pytest.approx(0.62 * 200)
    np.testing.assert_allclose((low + high)[:2] / 2, (99.5, 107.5))
    # One scale for all three, y turned, z not.
    scale = (high - low)[0] / np.ptp(BODY[:, 0])
    np.testing.assert_allclose(framed - framed[0], scale * (BODY - BODY[0]) * (1, -1, 1))


def test_the_camera_of_exact_landmarks_is_found_again():
    turn = Rotation.from_euler("xyz", (12, -35, 8), degrees=True).as_matrix()
    posed = 3.7 * BODY @ turn.T
    truth = np.stack([posed[:, 0] + 100, 80 - posed[:, 1], posed[:, 2]], -1)
    chosen = np.arange(0, 40, 3)
    found = camera_fit.fit_weak_perspective(BODY + (50, 0, 900), chosen, truth[chosen, :2])
    np.testing.assert_allclose(found[:, :2], truth[:, :2], atol=1e-5)
    # Depth is known but for a shift.
    np.testing.assert_allclose(np.ptp(found[:, 2] - truth[:, 2]), 0, atol=1e-5)


def test_the_fitted_camera_is_the_best():
    rng = np.random.default_rng(1)
    posed = 2 * BODY @ Rotation.from_euler("y", 20, degrees=True).as_matrix().T
    points = np.stack([posed[:, 0] + 60, 70 - posed[:, 1]], -1) + rng.normal(size=(40, 2))
    everything = np.arange(40)
    found = camera_fit.fit_weak_perspective(BODY, everything, points)
    best = np.square(found[:, :2] - points).sum()
    # In the picture's plane, no small turn, scale or shift does better.
    changes = [(0.01, 1, 0), (-0.01, 1, 0), (0, 1.005, 0), (0, 0.995, 0)]
    changes += [(0, 1, shift) for shift in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1))]
    for angle, scale, shift in changes:
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = found[:, :2].mean(0)
        moved = (found[:, :2] - middle) @ turn.T + middle + shift
        assert np.square(moved - points).sum() > best


def test_landmarks_that_tell_no_camera_are_refused():
    flat = BODY * (1, 1, 0)
    with pytest.raises(ValueError, match="on a plane"):
        camera_fit.fit_weak_perspective(flat, np.arange(10), BODY[:10, :2])
    with pytest.raises(ValueError, match="are one"):
        camera_fit.fit_weak_perspective(BODY, np.arange(10), np.ones((10, 2)))
