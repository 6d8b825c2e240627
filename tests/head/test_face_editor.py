from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from skimage.metrics import structural_similarity

from legan_tf.errors import UserError
from legan_tf.head import face_mesh
from legan_tf.head.face_editor import FaceEditor
from legan_tf.head.fit import FitError
from legan_tf.head.head_file import load_head
from legan_tf.head.light import Light

drawn = runpy.run_path(str(pathlib.Path(__file__).parent / "drawn_faces.py"))
SIZE = 224
LAMP = Light(azimuth=-50, elevation=20, ambient=0.2)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    return structural_similarity(one, other, channel_axis=-1, gaussian_weights=True, sigma=1.5)


def face_part(points: np.ndarray) -> tuple[slice, slice]:
    low, high = points.min(0).astype(int), np.ceil(points.max(0)).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def pale(image: np.ndarray) -> float:
    """Returns the share of pixels without the red of skin and lips: teeth."""
    return float(((image[..., 2] > 0.75 * image[..., 0]) & (image[..., 2] > 60)).mean())


@pytest.fixture(scope="module")
def neutral():
    face = drawn["draw"](drawn["random_identity"](3), size=SIZE)
    return face, FaceEditor(face.image, face.points)


@pytest.mark.parametrize(
    ("units", "gain"),
    [
        ({"jawOpen": 0.35}, 0.05),
        ({"mouthSmile": 0.6}, 0.02),
        ({"browInnerUp": 0.7, "browOuterUp": 0.7}, 0.02),
        ({"mouthPucker": 0.6}, 0.01),
    ],
)
def test_an_edit_is_closer_to_the_true_drawing_than_the_photograph_is(neutral, units, gain):
    face, editor = neutral
    truth = drawn["draw"](face.identity, load_head().expression_vector(units), size=SIZE)
    edited = editor.edit(units=units).image
    part = face_part(truth.points)
    copied = similarity(face.image[part], truth.image[part])
    assert similarity(edited[part], truth.image[part]) > max(copied + gain, 0.9)


def test_strength_0_and_no_target_change_nothing(neutral):
    face, editor = neutral
    for edited in (editor.edit("surprise", 0), editor.edit(), editor.edit(light=LAMP, strength=0)):
        np.testing.assert_array_equal(edited.image, face.image)
        assert not edited.mask.any()


@pytest.mark.parametrize("target", [{"expression": "scream"}, {"light": LAMP}])
def test_no_pixel_changes_where_the_mask_is_0(neutral, target):
    face, editor = neutral
    edited = editor.edit(**target)
    assert 0.02 < (edited.mask == 255).mean() < 0.99
    assert set(np.unique(edited.mask)) == {0, 255}
    np.testing.assert_array_equal(edited.image[edited.mask == 0], face.image[edited.mask == 0])


def test_what_was_forgotten_is_worked_out_again(neutral):
    _, editor = neutral
    before = editor.edit("smile", light=LAMP)
    editor.forget()
    again = editor.edit("smile", light=LAMP)
    np.testing.assert_array_equal(again.image, before.image)
    np.testing.assert_array_equal(again.mask, before.mask)


def test_strength_grows_the_change(neutral):
    face, editor = neutral
    changes = [
        np.abs(editor.edit("smile", strength).image.astype(float) - face.image).mean()
        for strength in (0.1, 0.5, 1.0, 1.6)
    ]
    assert changes == sorted(changes)
    assert changes[0] < 0.4 * changes[2]


def test_a_turned_picture_is_edited_as_the_upright_one_is(neutral):
    face, editor = neutral
    turned = drawn["draw"](face.identity, roll=20, size=SIZE)
    edited = FaceEditor(turned.image, turned.points).edit("smile").image
    upright = editor.edit("smile").image
    middle, angle = (SIZE - 1) / 2, np.radians(20)
    y, x = np.mgrid[:SIZE, :SIZE] - middle
    from_ = np.stack([np.cos(angle) * y + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * y])
    back = np.stack(
        [map_coordinates(edited[..., c].astype(float), from_ + middle, order=3) for c in range(3)],
        -1,
    )
    part = face_part(face.points)
    back = np.clip(back, 0, 255).astype(np.uint8)
    assert similarity(back[part], upright[part]) > 0.97


def test_a_mirrored_picture_is_edited_as_in_a_mirror(neutral):
    face, editor = neutral
    mean = editor.fitted.face_points.mean_face
    twin = np.linalg.norm(mean[:, None] - mean[None] * (-1, 1), axis=-1).argmin(1)
    points = (face.points * (-1, 1) + (SIZE - 1, 0))[twin]
    mirrored = FaceEditor(np.ascontiguousarray(face.image[:, ::-1]), points).edit("surprise").image
    part = face_part(face.points)
    upright = editor.edit("surprise").image
    assert similarity(mirrored[:, ::-1][part], upright[part]) > 0.97


def test_a_light_is_that_of_the_true_drawing(neutral):
    face, editor = neutral
    truth = drawn["draw"](face.identity, light=LAMP, size=SIZE).image
    lit = editor.edit(light=LAMP).image
    skin = ~np.isnan(face.depth)
    inside = np.zeros_like(skin)
    inside[face_part(face.points[[70, 300, 152, 234, 454]])] = True
    skin &= inside

    def change(image: np.ndarray) -> np.ndarray:
        levels = (image.astype(float).sum(-1) + 3) / (face.image.astype(float).sum(-1) + 3)
        return np.log(levels)[skin]

    assert np.corrcoef(change(lit), change(truth))[0, 1] > 0.8
    left, right = lit[:, : SIZE // 2], lit[:, SIZE // 2 :]
    assert left[skin[:, : SIZE // 2]].mean() > 1.3 * right[skin[:, SIZE // 2 :]].mean()


def test_closed_eyes_show_skin(neutral):
    face, editor = neutral
    closed = editor.edit("eyes_closed").image.astype(float)
    cheek = face.image[tuple(np.round(face.points[205]).astype(int)[::-1])].astype(float)
    for eye in (face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE):
        x, y = np.round(face.points[list(eye)].mean(0)).astype(int)
        opened = face.image[y - 2 : y + 2, x - 2 : x + 2].astype(float).mean((0, 1))
        lid = closed[y - 2 : y + 2, x - 2 : x + 2].mean((0, 1))
        assert np.abs(lid - cheek).max() < 45
        assert np.abs(opened - cheek).max() > 60


def test_one_eye_closes_alone(neutral):
    face, editor = neutral
    winked = editor.edit(units={"eyeBlink_L": 1.0}).image.astype(float)
    changes = []
    for eye in (face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE):
        part = face_part(face.points[list(eye)])
        changes.append(np.abs(winked[part] - face.image[part]).mean())
    # The person's left eye is at the right of the picture.
    assert changes[1] > 5 * max(changes[0], 1)


def test_own_teeth_stay_where_the_mouth_is_left_alone():
    head = load_head()
    vector = head.expression_vector({"mouthSmile": 0.6, "mouthUpperUp": 0.5, "mouthLowerDown": 0.5})
    face = drawn["draw"](drawn["random_identity"](4), vector, size=SIZE)
    editor = FaceEditor(face.image, face.points)
    closed = editor.edit("eyes_closed")
    mouth = face_part(face.points[list(face_mesh.LIPS)])
    changed = np.abs(closed.image[mouth].astype(float) - face.image[mouth]).max(-1)
    assert (changed > 12).mean() < 0.05
    # Taken away, the smile leaves a closed mouth: no tooth is seen.
    before, after = pale(face.image[mouth]), pale(editor.edit("neutral").image[mouth])
    assert before > 0.02
    assert after < 0.3 * before


def test_ibug_points_do_instead_of_the_finder_s(neutral):
    face, editor = neutral
    few = FaceEditor(face.image, face.points[list(face_mesh.IBUG)])
    away = np.linalg.norm(few.fitted.points - face.points, axis=1) / editor.fitted.scale
    assert np.median(away[editor.fitted.face_points.numbers]) < 0.02
    part = face_part(face.points)
    assert similarity(few.edit("smile").image[part], editor.edit("smile").image[part]) > 0.9


def test_what_cannot_be_edited_is_refused(neutral):
    face, editor = neutral
    with pytest.raises(UserError, match="'grin' is no expression that is known"):
        editor.edit("grin")
    with pytest.raises(UserError, match="--strength=3 is not within 0 to 2"):
        editor.edit("smile", 3)
    with pytest.raises(FitError, match="does not follow|is turned"):
        FaceEditor(face.image, np.random.default_rng(0).uniform(0, SIZE, (468, 2)))
