from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.align import landmarks
from legan_tf.data.align.landmarks import from_ibug
from legan_tf.errors import UserError

HEADER = "path,left_eye_x,left_eye_y,right_eye_x,right_eye_y,mouth_x,mouth_y,yaw,remark\n"


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
    measured = landmarks.yaw_from_pairs(left @ pose.T + shift, right @ pose.T + shift)
    assert measured == pytest.approx(turned, abs=1e-9)


def test_ibug_points_give_centres_and_outline(faces):
    _, points = faces
    face = from_ibug(points[0])
    np.testing.assert_allclose(face.left_eye, points[0, 36:42].mean(0))
    np.testing.assert_allclose(face.right_eye, points[0, 42:48].mean(0))
    np.testing.assert_allclose(face.mouth, (points[0, 48] + points[0, 54]) / 2)
    assert face.left_eye[0] < face.mouth[0] < face.right_eye[0] and np.isnan(face.yaw)


def test_a_csv_of_points(tmp_path):
    file = tmp_path / "points.csv"
    file.write_text(HEADER + "a/b.jpg,10,20.5,30,20,20,45,-3.5,good\nc.jpg,1,2,3,2,2,5,,\n")
    faces = landmarks.read_csv(str(file))
    assert list(faces) == ["a/b.jpg", "c.jpg"]
    face = faces["a/b.jpg"]
    np.testing.assert_array_equal([face.left_eye, face.right_eye], [[10, 20.5], [30, 20]])
    np.testing.assert_array_equal(face.mouth, [20, 45])
    assert face.yaw == -3.5 and np.isnan(faces["c.jpg"].yaw) and len(face.outline) == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("path,left_eye_x\na,1\n", "no column left_eye_y, right_eye_x"),
        (HEADER + "a,1,2,3,2,2,5,,\na,1,2,3,2,2,5,,\n", ":3: a is there twice"),
        (HEADER + "a,1,2,3,2,two,5,,\n", ":2: a: not all coordinates are numbers"),
        (HEADER + "a,1,2,3,2,nan,5,,\n", ":2: a: not all"),
        (HEADER + "a,1,2\n", ":2: has 3 cells where there are 9"),
        ("", "is empty"),
        ("left_eye_x\n1\n", "no column path"),
    ],
)
def test_a_wrong_csv_is_told_with_its_line(tmp_path, text, complaint):
    file = tmp_path / "points.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=complaint):
        landmarks.read_csv(str(file))


def numbered(points, spaced=False):
    """A CSV of points [n, 2], OpenFace's way if spaced: first all x, then all y."""
    names = [f"{axis}_{number}" for axis in "xy" for number in range(len(points))]
    values = [f"{value:.3f}" for value in points.T.reshape(-1)]
    separator = ", " if spaced else ","
    return f"path{separator}{separator.join(names)}\na.jpg{separator}{separator.join(values)}\n"


@pytest.mark.parametrize(("count", "spaced"), [(68, False), (68, True), (468, False)])
def test_a_csv_of_all_points(tmp_path, count, spaced):
    points = np.random.default_rng(0).uniform(0, 300, (count, 2)).round(3)
    file = tmp_path / "points.csv"
    file.write_text(numbered(points, spaced))
    read = landmarks.read_point_csv(str(file))
    assert list(read) == ["a.jpg"] and read["a.jpg"].dtype == np.float64
    np.testing.assert_array_equal(read["a.jpg"], points)
    face = landmarks.read_csv(str(file))["a.jpg"]
    corners = points[[48, 54]] if count == 68 else points[[61, 291]]
    np.testing.assert_allclose(face.mouth, corners.mean(0))
    assert len(face.outline) > 20 and np.isnan(face.yaw)


def test_points_that_are_missing_in_a_csv_are_told(tmp_path):
    file = tmp_path / "points.csv"
    file.write_text(numbered(np.zeros((67, 2))))
    with pytest.raises(UserError, match="has no column x_67, y_67"):
        landmarks.read_point_csv(str(file))
    file.write_text(numbered(np.zeros((467, 2))))
    with pytest.raises(UserError, match="has no column x_467, y_467"):
        landmarks.read_csv(str(file))
    file.write_text(HEADER + "a,1,2,3,2,2,5,,\n")
    with pytest.raises(UserError, match="has no column x_0, y_0, x_1, y_1, x_2, y_2 and others"):
        landmarks.read_point_csv(str(file))
    file.write_text(numbered(np.full((68, 2), np.inf)))
    with pytest.raises(UserError, match=":2: a.jpg: not all coordinates are numbers"):
        landmarks.read_point_csv(str(file))


def test_a_file_of_68_points_counts_pixels_from_one(tmp_path, faces):
    _, points = faces
    lines = "\n".join(f"{x:.4f} {y:.4f}" for x, y in points[0] + 1)
    file = tmp_path / "a.pts"
    file.write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
    read, expected = from_ibug(landmarks.read_points(str(file))), from_ibug(points[0])
    for name in ("left_eye", "right_eye", "mouth", "outline"):
        np.testing.assert_allclose(getattr(read, name), getattr(expected, name), atol=1e-3)
    file.write_text("version: 1\n{\n1 2\n3 4\n}\n")
    with pytest.raises(UserError, match="not a file of 68 points"):
        landmarks.read_points(str(file))
