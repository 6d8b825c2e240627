from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest

from legan_tf.head import face_mesh, fit
from legan_tf.head.action_units import MEASURED, SHAPES, action_units_of
from legan_tf.head.face_points import eyes_distance
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.fit import FitError, fit_head, lips_apart
from legan_tf.head.head_file import load_head
from legan_tf.head.morphable_head import without_side
from legan_tf.head.residual_field import ResidualField

drawn = runpy.run_path(str(pathlib.Path(__file__).parent / "drawn_faces.py"))
SIZE = 192
FREE = fit._FREE
FREE_UNITS = [number for number in MEASURED if set(SHAPES[number]) <= set(FREE)]


@pytest.fixture(scope="module")
def fitted_to():
    head = load_head()
    face_points = load_statistics(head).face_points
    field = ResidualField(head, face_points)

    def fitted(points, expressive=True):
        return fit_head(head, face_points, field, points, expressive)

    return fitted


def points_of(identity=None, units=None, yaw=0.0, pitch=0.0, roll=0.0):
    """The finder's points of a head, without an error."""
    head = load_head()
    identity = load_statistics(head).face_points.identity if identity is None else identity
    expression = head.expression_vector(units or {})
    camera = drawn["camera_of"](yaw, pitch, roll, SIZE)
    return drawn["landmarks"](camera.project(head.shape(identity, expression).astype(np.float64)))


def units_of(fitted):
    found = action_units_of(fitted.expression, fitted.head.expression_names)
    return np.array([found[number] for number in FREE_UNITS])


@pytest.fixture(scope="module")
def people(fitted_to):
    """Heads of random people with random expressions and poses: truth, points and fit."""
    random = np.random.default_rng(0)
    made = []
    for seed in range(25):
        shapes = random.choice(FREE, random.integers(0, 5), replace=False)
        units = {str(shape): random.uniform(0.2, 1) for shape in shapes}
        yaw, pitch, roll = random.uniform(-30, 30), random.uniform(-15, 15), random.uniform(-25, 25)
        points = points_of(drawn["random_identity"](seed), units, yaw, pitch, roll)
        made.append((units, yaw, points, fitted_to(points)))
    return made


def test_landmarks_are_met(people):
    for _, _, points, fitted in people:
        numbers = fitted.face_points.numbers
        away = np.linalg.norm(fitted.places(fitted.vertices()) - points[numbers], axis=1)
        away /= eyes_distance(points)
        assert away.mean() < 0.005
        assert np.quantile(away, 0.99) < 0.01
        assert fitted.error < 0.015
        # The head alone is near, too; the residual is what it leaves.
        shown = fitted.places(fitted.vertices(residual=np.zeros_like(fitted.residual)))
        moved = shown + fitted.scale * fitted.residual
        np.testing.assert_allclose(moved, points[numbers], atol=1e-3)


def test_action_units_are_told(people):
    head = load_head()
    truth, told = [], []
    for units, _, _, fitted in people:
        exact = action_units_of(head.expression_vector(units), head.expression_names)
        truth.append([exact[number] for number in FREE_UNITS])
        told.append(units_of(fitted))
    truth, told = np.array(truth), np.array(told)
    misses = np.abs(truth - told)
    assert misses.mean() < 0.1
    assert misses[truth > 0].mean() < 0.25
    assert misses[truth == 0].mean() < 0.05
    assert np.corrcoef(truth.ravel(), told.ravel())[0, 1] > 0.7


def test_identity_is_not_taken_for_an_expression(fitted_to):
    for seed in range(5):
        fitted = fitted_to(points_of(drawn["random_identity"](100 + seed)))
        assert units_of(fitted).max() < 0.25
        known = fitted_to(points_of(drawn["random_identity"](100 + seed)), expressive=False)
        assert known.expression.sum() < 0.5 * max(fitted.expression.sum(), 0.02)


def test_the_pose_is_told(people, fitted_to):
    for _, yaw, _, fitted in people:
        assert fitted.yaw == pytest.approx(yaw, abs=4)
    assert fitted_to(points_of(yaw=25)).yaw == pytest.approx(25, abs=2)
    assert fitted_to(points_of(yaw=-25, roll=100)).yaw == pytest.approx(-25, abs=2)


def test_a_turned_picture_has_the_same_fit(fitted_to):
    identity, units = drawn["random_identity"](3), {"mouthSmile": 0.6, "browInnerUp": 0.5}
    upright = fitted_to(points_of(identity, units, yaw=15))
    turned = fitted_to(2 * points_of(identity, units, yaw=15, roll=70) + (30, -8))
    np.testing.assert_allclose(turned.identity, upright.identity, atol=1e-3)
    np.testing.assert_allclose(turned.expression, upright.expression, atol=1e-3)
    assert turned.scale == pytest.approx(2 * upright.scale, rel=1e-3)
    across = turned.upright[:, 0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(70, abs=1)
    away = (turned.residual @ turned.upright) - upright.residual @ upright.upright
    assert np.abs(away).max() < 1e-3


def test_one_half_of_an_expression(fitted_to):
    head = load_head()
    fitted = fitted_to(points_of(units={"mouthSmile_L": 0.8, "eyeBlink_R": 0.8}))
    weight = dict(zip(head.expression_names, fitted.expression))
    assert weight["mouthSmile_L"] > 0.4
    assert weight["mouthSmile_L"] > 2 * weight["mouthSmile_R"]
    assert weight["eyeBlink_R"] > 0.4
    assert weight["eyeBlink_R"] > 2 * weight["eyeBlink_L"]


def test_only_the_shapes_that_a_fit_may_use(people):
    names = np.array([without_side(name) for name in load_head().expression_names])
    for _, _, _, fitted in people:
        assert set(names[fitted.expression > 0]) <= set(FREE)
        assert fitted.expression.min() >= 0
        assert fitted.expression.max() <= 1.2
        assert np.abs(fitted.identity).max() <= 3


def test_other_expressions_and_residuals_move_the_vertices(fitted_to):
    head = load_head()
    fitted = fitted_to(points_of())
    opened = fitted.vertices(head.expression_vector({"jawOpen": 0.5}))
    closed = fitted.vertices()
    assert lips_apart(fitted.points) < 0.02
    places = dict(zip(fitted.face_points.numbers, fitted.places(opened)))
    assert places[14][1] - places[13][1] > 0.1 * fitted.scale
    eyes = head.vertices_of("left_eye", "right_eye")
    np.testing.assert_allclose(opened[eyes], closed[eyes], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_points_of_no_face_are_refused(fitted_to, seed):
    points = np.random.default_rng(seed).uniform(0, SIZE, (face_mesh.POINTS, 2))
    with pytest.raises(FitError, match="does not follow the face|turned by"):
        fitted_to(points)


def test_what_cannot_be_fitted_is_refused(fitted_to):
    with pytest.raises(FitError, match="turned by 7. degrees to the side; up to 60 can"):
        fitted_to(points_of(yaw=75))
    broken = points_of()
    broken[100] = np.nan
    with pytest.raises(FitError, match="not those of a face"):
        fitted_to(broken)
    with pytest.raises(FitError, match="not those of a face"):
        fitted_to(np.zeros((face_mesh.POINTS, 2)))
