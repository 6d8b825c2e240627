from __future__ import annotations

import dataclasses
import pathlib
import runpy

import numpy as np
import pytest

from legan_tf.data.align.landmark_finder import FINDERS
from legan_tf.data.depth.fitted_face import (
    NO_FACE,
    NOT_FOLLOWED,
    face_mesh,
    fit_face,
    fitted_to,
)
from legan_tf.data.output_folder import Rejected
from legan_tf.errors import UserError
from legan_tf.head.action_units import MEASURED
from legan_tf.head.camera_fit import closest_camera
from legan_tf.head.head_file import load_head
from legan_tf.head.mesh import Mesh
from legan_tf.head.ray_casting import cast_rays
from legan_tf.head.surface import MOUTH

drawn = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "head" / "drawn_faces.py"))
SIZE = 128
FINDER = FINDERS[0]
POSES = (
    ({}, 0, 0, 0),
    ({"mouthSmile": 0.6, "jawOpen": 0.1}, 20, 0, 10),
    ({"jawOpen": 0.5, "browInnerUp": 1}, -10, 10, 0),
    ({"browDown": 1, "mouthFrown": 0.5}, -25, 0, 20),
)


def head_in(seed, units, yaw, pitch, roll):
    """The vertices of a random person in a picture."""
    head = load_head()
    camera = drawn["camera_of"](yaw, pitch, roll, SIZE)
    shape = head.shape(drawn["random_identity"](seed), head.expression_vector(units))
    return camera.project(shape.astype(np.float64))


def seen(vertices):
    """The visible surface of face, eyes and mouth."""
    head = load_head()
    chosen = head.triangles_of("face", "left_eye", "right_eye", *MOUTH)
    return cast_rays(Mesh(vertices, head.triangles[chosen].astype(np.int64)), SIZE, SIZE)


def misses(view, truth):
    """How far depth is off, as a share of its range, and normals, in degrees, in the mean."""
    both = view.hit & truth.hit
    depth, exact = view.depth[both], truth.depth[both]
    off = np.abs((depth - depth.mean()) - (exact - exact.mean())).mean() / np.ptp(exact)
    cosine = np.sum(view.normals[both] * truth.normals[both], -1)
    return off, np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()


def mean_head(fitted):
    """The mean head in the pose of a fit."""
    points, head = fitted.face_points, fitted.head
    places = points.places(head.neutral.astype(np.float64))
    aim = fitted.points[points.numbers] - fitted.scale * points.residual @ fitted.upright.T
    return dataclasses.replace(
        fitted,
        camera=closest_camera(places, aim, np.ones(len(places))),
        identity=np.zeros_like(fitted.identity),
        expression=np.zeros_like(fitted.expression),
    )


def test_depth_and_normals_of_exact_landmarks():
    found, mean = [], []
    for seed, pose in enumerate(POSES):
        vertices = head_in(seed, *pose)
        truth = seen(vertices)
        fitted = fitted_to(drawn["landmarks"](vertices))
        view = cast_rays(face_mesh(fitted), SIZE, SIZE)
        assert (view.hit & truth.hit).sum() > 0.95 * (view.hit | truth.hit).sum()
        found.append(misses(view, truth))
        mean.append(misses(cast_rays(face_mesh(mean_head(fitted)), SIZE, SIZE), truth))
    depth, angle = np.mean(found, 0)
    assert depth < 0.025
    assert angle < 5
    assert depth < 0.6 * np.mean(mean, 0)[0]
    assert angle < 0.6 * np.mean(mean, 0)[1]


def test_eyes_and_mouth_are_no_holes_and_no_back_is_seen():
    for seed, pose in enumerate(POSES):
        view = cast_rays(face_mesh(fitted_to(drawn["landmarks"](head_in(seed, *pose)))), SIZE, SIZE)
        rows = np.flatnonzero(view.hit.any(1))
        middle = view.hit[rows[len(rows) // 4] : rows[-len(rows) // 4]]
        gaps = sum(np.count_nonzero(~row[np.argmax(row) : -np.argmax(row[::-1])]) for row in middle)
        assert gaps < 0.01 * view.hit.sum()
        assert view.back == 0
        assert view.normals[view.hit][:, 2].mean() > 0.5


def test_the_face_of_a_picture():
    face = drawn["draw"](drawn["random_identity"](1), yaw=10, size=SIZE)
    fitted = fit_face(face.image, FINDER, "")
    assert fitted.faces == 1
    assert 0 < fitted.error < 0.03
    assert tuple(fitted.action_units) == MEASURED
    truth = seen(face.vertices)
    depth, angle = misses(cast_rays(fitted.mesh, SIZE, SIZE), truth)
    assert depth < 0.1
    assert angle < 20
    # The larger of two faces, which is at the right.
    small = drawn["draw"](size=SIZE // 2).image
    both = np.zeros((SIZE, SIZE * 3 // 2, 3), np.uint8)
    both[:, SIZE // 2 :] = face.image
    both[: SIZE // 2, : SIZE // 2] = small
    fitted = fit_face(both, FINDER, "")
    assert fitted.faces == 2
    assert fitted.mesh.used[:, 0].min() > SIZE // 2


def test_what_has_no_mesh_is_rejected():
    with pytest.raises(Rejected) as told:
        fit_face(np.full((64, 64, 3), 128, np.uint8), FINDER, "")
    assert told.value.reason == NO_FACE
    turned = drawn["draw"](yaw=75, size=SIZE)
    with pytest.raises(Rejected) as told:
        fit_face(turned.image, FINDER, "")
    assert told.value.reason in (NO_FACE, NOT_FOLLOWED)
    assert told.value.reason == NO_FACE or told.value.detail.endswith(".")
    with pytest.raises(UserError, match="--head=/absent"):
        fitted_to(turned.points, "/absent")
