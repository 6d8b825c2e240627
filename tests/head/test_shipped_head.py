"""The head that comes with the package: its shapes move what their names say."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from legan_tf.head import head_file
from legan_tf.head.action_units import SHAPES
from legan_tf.head.morphable_head import PARTS
from legan_tf.head.ray_casting import Scene

CHIN, NOSE_TIP, NOSE_WINGS = 8, 30, (31, 35)
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
CORNERS, UPPER_LIP, LOWER_LIP = (48, 54), (50, 51, 52), (56, 57, 58)
INNER_UPPER, INNER_LOWER = 62, 66
MIRRORED = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
MIRRORED += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48]
MIRRORED += [59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]


@pytest.fixture(scope="module")
def head():
    return head_file.load_head()


def moves(head, **units):
    """Displacements of the landmarks in cm, [68, 3]."""
    shape = head.shape(np.zeros(len(head.identity)), head.expression_vector(units))
    return (shape - head.neutral)[head.landmark_vertices]


def test_it_is_small_and_quick_to_load():
    assert os.path.getsize(head_file.ASSET) <= 2_000_000
    start = time.perf_counter()
    cage = head_file.read(head_file.ASSET)
    cage.expand()
    assert time.perf_counter() - start < 5  # 0.2 s on a free core.


def test_it_has_every_part_and_every_shape_of_the_action_units(head):
    assert set(head.vertex_part) == set(head.triangle_part) == set(range(len(PARTS)))
    assert head.name == "makehuman"
    assert len(head.identity) == 60
    assert len(head.teeth_sets) == 4
    known = {name.removesuffix("_L").removesuffix("_R") for name in head.expression_names}
    assert {name for shapes in SHAPES.values() for name in shapes} <= known
    assert set(head.vertex_part[head.lips]) == {PARTS.index("face")}


def test_it_stands_where_heads_stand(head):
    eyes = [head.neutral[head.vertices_of(part)].mean(0) for part in ("left_eye", "right_eye")]
    np.testing.assert_allclose(eyes[0] - eyes[1], [5.54, 0, 0], atol=0.01)
    np.testing.assert_allclose((eyes[0] + eyes[1]) / 2, [0, 3.57, 8.04], atol=0.01)


def test_its_surface_faces_outwards(head):
    shown = head.triangles[head.triangles_of("face")]
    corners = head.neutral[shown]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    front = corners[:, :, 2].mean(1) > 9.5
    area = np.linalg.norm(normal, axis=1)
    assert (area * (normal[:, 2] > 0))[front].sum() > 0.93 * area[front].sum()
    for part in ("left_eye", "right_eye"):
        corners = head.neutral[head.triangles[head.triangles_of(part)]]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        outwards = (normal * (corners.mean(1) - corners.mean((0, 1)))).sum(1)
        assert (outwards[np.linalg.norm(normal, axis=1) > 1e-6] > 0).all()


def test_landmarks_are_symmetric_and_in_the_order_of_the_face(head):
    places = head.neutral[head.landmark_vertices]
    np.testing.assert_allclose(places[MIRRORED] * [-1, 1, 1], places, atol=0.03)
    assert len(set(head.landmark_vertices)) == 68
    # The picture's left is the person's right, of negative x.
    assert places[0, 0] < -6 < 6 < places[16, 0]
    assert (np.diff(places[17:27, 0]) > 0).all()
    heights = places[[19, 37, 30, 51, 62, 57, 8], 1]
    assert (np.diff(heights) < 0).all()


def test_modes_of_identity_are_of_unit_variance_and_fall_off(head):
    size = np.sqrt((head.identity[:, head.vertices_of("face")] ** 2).sum(2).mean(1))
    assert size[:10].mean() > 3 * size[-10:].mean()
    assert 0.05 < np.sqrt((size**2).sum()) < 1


@pytest.mark.parametrize("unit", ["browInnerUp", "browOuterUp"])
def test_brows_rise_whole(head, unit):
    rise = moves(head, **{unit: 1})[:, 1]
    assert (rise[RIGHT_BROW] > 0).all() and (rise[LEFT_BROW] > 0).all()
    assert np.abs(rise[RIGHT_EYE]).max() < 0.05
    inner, outer = rise[[21, 22]].mean(), rise[[17, 26]].mean()
    assert (inner > 0.35 > outer) if unit == "browInnerUp" else (outer > 0.4 > inner)


def test_brows_go_down(head):
    fall = moves(head, browDown=1)[:, 1]
    assert fall[RIGHT_BROW].max() < 0 and fall[LEFT_BROW].max() < 0


def gaps(head, **units):
    """Heights of the eyes' openings between the lids in the middle, in cm."""
    shape = head.shape(np.zeros(len(head.identity)), head.expression_vector(units))
    at = shape[head.landmark_vertices, 1]
    return (at[[37, 38, 43, 44]] - at[[41, 40, 47, 46]]).round(3)


def seen_of_eyes(head, **units):
    """Share of the places within the open eyes where the eyeballs are seen from the front."""
    vertices = head.shape(np.zeros(len(head.identity)), head.expression_vector(units))
    lids = head.neutral[head.landmark_vertices[36:48]]
    low, high = lids.min(0), lids.max(0)
    x, y = np.meshgrid(np.arange(low[0], high[0], 0.02), np.arange(low[1], high[1], 0.02))
    drawn = head.triangles_of("face", "side", "eye_socket", "left_eye", "right_eye")
    first = Scene(vertices, head.triangles[drawn]).first_triangles(x.ravel(), y.ravel())
    return np.isin(drawn[first], head.triangles_of("left_eye", "right_eye")).mean()


def test_lids_of_a_blink_just_meet(head):
    assert gaps(head).min() > 0.65
    assert gaps(head, eyeBlink=0.5).min() > 0.3
    np.testing.assert_allclose(gaps(head, eyeBlink=1), 0, atol=0.08)
    np.testing.assert_allclose(gaps(head, eyeBlink_L=1)[:2], gaps(head)[:2], atol=0.005)
    seen = seen_of_eyes(head)
    assert seen_of_eyes(head, eyeBlink=0.5) == pytest.approx(0.5 * seen, rel=0.2)
    assert seen_of_eyes(head, eyeBlink=0.9) > 0.005 * seen
    assert seen_of_eyes(head, eyeBlink=1) < 0.003 * seen


def test_a_blink_does_not_cut_into_the_eyes(head):
    for weight in (0.3, 0.6, 1.0):
        shape = head.shape(np.zeros(60), head.expression_vector({"eyeBlink": weight}))
        for part, lids in (("left_eye", LEFT_EYE), ("right_eye", RIGHT_EYE)):
            ball = shape[head.vertices_of(part)]
            centre = ball.mean(0)
            radius = np.linalg.norm(ball - centre, axis=1).mean()
            away = np.linalg.norm(shape[head.landmark_vertices[lids]] - centre, axis=1)
            assert away.min() > radius


def test_eyes_open_and_narrow(head):
    assert (gaps(head, eyeWide=1) > gaps(head) + 0.2).all()
    assert (gaps(head, eyeSquint=1) < gaps(head) - 0.15).all()


def test_the_nose_is_wrinkled(head):
    move = moves(head, noseSneer=1)
    assert move[NOSE_WINGS, 1].min() > 0.15
    assert move[UPPER_LIP, 1].min() > 0.1
    assert np.abs(move[LOWER_LIP, 1]).max() < 0.05
    assert move[[21, 22], 1].max() < -0.05


def test_corners_of_the_mouth_follow_their_muscles(head):
    smile, frown = moves(head, mouthSmile=1), moves(head, mouthFrown=1)
    assert smile[CORNERS, 1].min() > 0.5
    assert smile[54, 0] > 0.4 and smile[48, 0] < -0.4
    assert frown[CORNERS, 1].max() < -0.3
    dimple = moves(head, mouthDimple=1)
    assert dimple[54, 0] > 0.3 and dimple[48, 0] < -0.3
    assert dimple[CORNERS, 2].max() < -0.2


def test_one_half_of_a_smile_leaves_the_other(head):
    left = moves(head, mouthSmile_L=1)
    assert left[54, 1] > 0.5
    assert np.linalg.norm(left[48]) < 0.1


def test_lips_part_get_thin_and_come_forward(head):
    assert moves(head, mouthUpperUp=1)[UPPER_LIP, 1].min() > 0.35
    assert np.linalg.norm(moves(head, mouthUpperUp=1)[CHIN]) < 0.02
    assert moves(head, mouthLowerDown=1)[LOWER_LIP, 1].max() < -0.2

    pressed = head.shape(np.zeros(60), head.expression_vector({"mouthPress": 1}))
    places, before = pressed[head.landmark_vertices, 1], head.neutral[head.landmark_vertices, 1]
    assert places[51] - places[57] < 0.65 * (before[51] - before[57])
    assert abs(places[INNER_UPPER] - places[INNER_LOWER]) < 0.06

    funnel = moves(head, mouthFunnel=1)
    assert funnel[[*UPPER_LIP, *LOWER_LIP], 2].min() > 0.3
    assert funnel[54, 0] < -0.5 and funnel[48, 0] > 0.5


def test_the_jaw_opens_the_mouth_round(head):
    shape = head.shape(np.zeros(60), head.expression_vector({"jawOpen": 1}))
    at = shape[head.landmark_vertices]
    assert at[CHIN, 1] < head.neutral[head.landmark_vertices[CHIN], 1] - 2
    assert np.linalg.norm(at[NOSE_TIP] - head.neutral[head.landmark_vertices[NOSE_TIP]]) < 0.15
    # Not the trapezoid that straight lines from the corners would make: of an ellipse's width.
    opening = shape[head.lips]
    opening = opening[opening[:, 1] < at[CORNERS, 1].mean()]
    half_way = (at[CORNERS, 1].mean() + at[INNER_LOWER, 1]) / 2
    near = np.abs(opening[:, 1] - half_way) < 0.25
    inner = np.abs(opening[near, 0]).min()
    assert inner > 0.7 * np.abs(at[[60, 64], 0]).mean()


def test_lower_teeth_and_tongue_go_with_the_jaw(head):
    shape = head.shape(np.zeros(60), head.expression_vector({"jawOpen": 1})) - head.neutral
    assert not shape[head.vertices_of("upper_teeth")].any()
    assert shape[head.vertices_of("lower_teeth"), 1].max() < -1
    tongue = head.vertices_of("tongue")
    front = tongue[head.neutral[tongue, 2] > np.quantile(head.neutral[tongue, 2], 0.8)]
    assert shape[front, 1].max() < -1


def test_teeth_at_rest_are_hidden_behind_the_lips(head):
    lips = head.neutral[head.lips]
    for part in ("upper_teeth", "lower_teeth"):
        teeth = head.neutral[head.vertices_of(part)]
        assert teeth[:, 2].max() < lips[np.abs(lips[:, 0]) < 0.5, 2].max() - 0.5
    upper = head.neutral[head.vertices_of("upper_teeth")]
    lower = head.neutral[head.vertices_of("lower_teeth")]
    front = lambda teeth: teeth[np.abs(teeth[:, 0]) < 0.5]  # noqa: E731
    assert 0 < front(upper)[:, 1].min() - front(lower)[:, 1].max() < 0.3


def test_sets_of_teeth_differ_but_stay_in_the_mouth(head):
    assert not head.teeth_sets[0].any()
    for offsets in head.teeth_sets[1:]:
        length = np.linalg.norm(offsets, axis=1)
        assert 0.02 < length.mean() < length.max() < 0.9


def test_cheeks_are_blown_up(head):
    shape = head.shape(np.zeros(60), head.expression_vector({"cheekPuff": 1})) - head.neutral
    cheek = np.linalg.norm(head.neutral - [4.6, -2.6, 6.5], axis=1) < 1.2
    cheek &= head.vertex_part == PARTS.index("face")
    assert cheek.any()
    assert shape[cheek, 0].mean() > 0.3
