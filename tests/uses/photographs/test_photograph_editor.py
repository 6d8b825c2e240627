from __future__ import annotations

import dataclasses
import io
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import ExifTags, Image

import legan_tf
from legan_tf.errors import UserError
from legan_tf.head import face_mesh
from legan_tf.head.face_statistics import encode, load_statistics
from legan_tf.head.head_file import load_head
from legan_tf.head.light import Light
from legan_tf.uses.photographs.photograph_editor import (
    NoFaceError,
    PhotographEditor,
    Target,
    chosen_faces,
)

EDIT = str(pathlib.Path(__file__).parents[3] / "scripts" / "edit.py")


@pytest.fixture(scope="module")
def editor(faces, points) -> PhotographEditor:
    return PhotographEditor(faces[0], points=points[0])


@pytest.mark.parametrize(
    "target",
    [
        {"expression": "smile"},
        {"lighting": "left"},
        {"expression": "surprise", "lighting": "azimuth=40,elevation=20", "strength": 0.7},
        {"action_units": {12: 0.8, 6: 0.5}},
    ],
    ids=["expression", "light", "both", "units"],
)
def test_an_edit_changes_what_its_mask_says(editor, faces, target):
    edited = editor.edit(**target)
    assert edited.image.dtype == np.uint8 and edited.image.shape == faces[0].shape
    assert edited.mask.dtype == np.uint8 and edited.mask.shape == faces[0].shape[:2]
    kept = edited.mask == 0
    assert 0.005 < kept.mean() < 0.97
    np.testing.assert_array_equal(edited.image[kept], faces[0][kept])
    assert np.any(edited.image != faces[0], -1).mean() > 0.03


def test_nothing_changes_at_strength_0_and_without_a_target(editor, faces):
    for edited in (editor.edit("smile", strength=0), editor.edit()):
        np.testing.assert_array_equal(edited.image, faces[0])
        assert not edited.mask.any()


def test_an_edit_grows_with_its_strength_and_is_the_same_again(editor, faces):
    changes = [
        np.abs(editor.edit("smile", strength=s).image.astype(int) - faces[0]).sum()
        for s in (0.3, 1.0, 1.6)
    ]
    assert changes == sorted(changes)
    again = editor.edit("smile").image
    np.testing.assert_array_equal(editor.edit("smile").image, again)
    units = "AU12=.8,AU6=.5"
    np.testing.assert_array_equal(
        editor.edit(action_units=units).image, editor.edit(action_units={12: 0.8, 6: 0.5}).image
    )


def test_light_comes_from_where_it_is_said(editor, faces, points):
    left, right = points[0][[234, 454], :2]
    rows = slice(int(points[0][9, 1]), int(points[0][152, 1]))
    middle = int((left + right)[0] / 2)
    halves = slice(int(left[0]) + 8, middle), slice(middle, int(right[0]) - 8)

    def balance(image: np.ndarray) -> float:
        one, other = (image[rows, half].astype(float).mean() for half in halves)
        return one / other

    plain = balance(faces[0])
    assert balance(editor.edit(lighting="left").image) > 1.2 * plain
    assert balance(editor.edit(lighting=Light(60, 20)).image) < plain / 1.2


def test_a_saved_png_is_the_edit(editor, tmp_path, faces):
    edited = editor.edit("smile", strength=1.4)
    edited.save(str(tmp_path / "a.png"))
    saved = Image.open(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(saved), edited.image)
    kept = edited.mask == 0
    np.testing.assert_array_equal(np.asarray(saved)[kept], faces[0][kept])
    assert b"expression smile, strength 1.4<" in saved.info["xmp"]


def test_one_call_edits_a_file_that_a_camera_turned(faces, tmp_path, editor):
    content = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.rot90(faces[0])).save(content, "PNG", exif=exif)
    (tmp_path / "turned.png").write_bytes(content.getvalue())
    edited = legan_tf.edit_photograph(tmp_path / "turned.png", "smile")
    np.testing.assert_array_equal(edited.image, editor.edit("smile").image)


def test_faces_count_from_the_left(faces, points):
    middle = np.repeat(np.repeat(faces[1][32:224, 32:224], 2, axis=0), 2, axis=1)
    row = np.zeros((384, 256 + 384 + 256, 3), np.uint8)
    row[:256, :256], row[:, 256:640], row[:256, 640:] = faces[0], middle, faces[2]
    everybody = PhotographEditor(row, face="all")
    assert everybody.found == 3
    places = [mesh[:, 0].mean() for mesh in everybody.faces]
    assert [int(np.searchsorted((256, 640), place)) for place in places] == [0, 1, 2]
    assert 256 < PhotographEditor(row).faces[0][:, 0].mean() < 640
    third = PhotographEditor(row, face=3)
    edited = third.edit("smile")
    assert edited.mask[:, 640:].any() and not edited.mask[:, :600].any()
    changed = everybody.edit("smile").mask
    for columns in (slice(0, 256), slice(256, 640), slice(640, None)):
        assert changed[:, columns].any()
    with pytest.raises(NoFaceError, match="picture: has 3 faces; there is no --face=4"):
        PhotographEditor(row, face=4)


def test_people_side_by_side_are_lit_as_each_alone(faces):
    row = np.ascontiguousarray(np.concatenate([faces[0][:, 30:-40], faces[2][:, 40:-30]], 1))
    everybody = PhotographEditor(row, face="all")
    together = everybody.edit(lighting="left").image
    for number, mesh in enumerate(everybody.faces, 1):
        alone = PhotographEditor(row, face=number).edit(lighting="left").image
        (left, top), (right, bottom) = (f(mesh[:, :2], 0).astype(int) for f in (np.min, np.max))
        face = np.s_[top:bottom, left:right]
        assert (together[face] != alone[face]).any(-1).mean() < 0.05


def test_a_crowd_of_40(faces):
    small = [np.asarray(Image.fromarray(face).resize((128, 128))) for face in faces]
    rows = [np.concatenate([small[(r + c) % 4] for c in range(8)], 1) for r in range(5)]
    crowd = np.concatenate(rows)
    editor = PhotographEditor(crowd, face=40)
    assert editor.found == 40
    edited = editor.edit("smile")
    kept = edited.mask == 0
    np.testing.assert_array_equal(edited.image[kept], crowd[kept])
    assert edited.mask[:, 896:].any() and not edited.mask[:, :850].any()


@pytest.mark.parametrize("cut", [40, 80, 110])
def test_a_face_cut_by_the_border_is_edited_or_refused_in_a_sentence(faces, cut):
    image = np.ascontiguousarray(faces[0][:, cut:])
    try:
        edited = PhotographEditor(image).edit("smile", "left")
    except NoFaceError as error:
        assert str(error).startswith("picture: ") and str(error).endswith(".")
    else:
        kept = edited.mask == 0
        np.testing.assert_array_equal(edited.image[kept], image[kept])
        assert edited.mask.any()


@pytest.mark.parametrize(
    "shape", [(1, 1, 3), (2, 20_000, 3), (200, 300, 3)], ids=["1 pixel", "20,000 pixels", "plain"]
)
def test_no_face_is_a_sentence(shape):
    with pytest.raises(NoFaceError, match=r"^picture: no face was found; .* closer around it\.$"):
        PhotographEditor(np.full(shape, 120, np.uint8))


def test_which_face():
    boxes = [np.array([[x, 0.0], [x + 10, 10]]) for x in (50, 10, 90)]
    assert chosen_faces(boxes, "largest", "a")[0][0, 0] == 50
    assert [face[0, 0] for face in chosen_faces(boxes, "all", "a")] == [10, 50, 90]
    assert chosen_faces(boxes, "2", "a")[0][0, 0] == 50
    for wrong in ("0", "-1", "left", "1.5", ""):
        with pytest.raises(UserError, match=f"--face={wrong}: say largest, all, or a number"):
            chosen_faces(boxes, wrong, "a")
    with pytest.raises(NoFaceError, match="a: has 1 face; there is no --face=2"):
        chosen_faces(boxes[:1], 2, "a")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ({"lighting": "lfet"}, "lfet is no light that is known"),
        ({"lighting": "azimuth=north"}, "'north' is no number"),
        ({"action_units": "AU12"}, "write them as AU12=.8"),
        ({"action_units": {3: 1.0}}, "AU3 is not known"),
        ({"expression": "smile", "action_units": "AU12=1"}, "either an expression or action units"),
        ({"expression": "smile", "strength": 2.5}, "strength 2.5 is not within 0 to 2"),
        ({"expression": "smile", "strength": float("nan")}, "strength nan is not within"),
    ],
)
def test_unknown_targets_are_told(target, sentence):
    with pytest.raises(UserError, match=sentence):
        Target(**target)


def test_ibugs_points_will_do_and_others_are_refused(faces, points):
    ibug = points[0][list(face_mesh.IBUG), :2]
    edited = PhotographEditor(faces[0], points=ibug).edit("smile")
    kept = edited.mask == 0
    assert edited.mask.any()
    np.testing.assert_array_equal(edited.image[kept], faces[0][kept])
    for wrong, sentence in (
        (ibug[:5], r"landmarks are \[68, 2\] or .*, not \[5, 2\]"),
        (np.full((468, 2), np.nan), "the landmarks are not in the picture"),
        (np.zeros((468, 2)), "landmarks are not those of a face"),
        (points[0] + 10_000, "the landmarks are not in the picture"),
    ):
        with pytest.raises(UserError, match=sentence):
            PhotographEditor(faces[0], points=wrong)


def test_a_target_tells_itself():
    target = Target(None, Light(-60, 20), 1.5, {12: 0.8, 6: 0.5})
    assert (
        str(target) == "action units AU12=0.8 AU6=0.5, strength 1.5, light azimuth -60 elevation 20"
    )
    assert str(Target("smile", "above left")) == "expression smile, light above left"
    assert str(Target()) == ""


def test_given_points_need_no_tensorflow(faces, points, tmp_path):
    np.savez(tmp_path / "face.npz", image=faces[0], points=points[0])
    program = f"""
        import sys
        import numpy as np
        import legan_tf
        face = np.load({str(tmp_path / "face.npz")!r})
        edited = legan_tf.edit_photograph(face["image"], "smile", points=face["points"])
        assert edited.mask.any()
        print("tensorflow" in sys.modules, "mediapipe" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "False False\n"), done.stderr


def test_finding_faces_needs_no_tensorflow(faces, tmp_path):
    Image.fromarray(faces[0]).save(tmp_path / "face.png")
    given = [f"--input={tmp_path / 'face.png'}", "--expression=smile", "--lighting=left"]
    program = f"""
        import runpy, sys
        sys.argv = ["edit.py", *{given!r}, "--output={tmp_path / "out.png"}"]
        try:
            runpy.run_path({EDIT!r}, run_name="__main__")
        except SystemExit as end:
            assert not end.code, end.code
        print("tensorflow" in sys.modules, "mediapipe" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False False"
    assert (tmp_path / "out.png").exists()


def test_action_units_are_named_by_number_or_name():
    assert Target(action_units={"AU12": 0.5}).shapes() == Target(action_units={12: 0.5}).shapes()


def test_an_expression_that_was_learned_has_its_name(faces, points, tmp_path):
    head = load_head()
    shipped = load_statistics(head)
    learned = dataclasses.replace(shipped, expressions={"grin": shipped.expressions["smile"]})
    file = tmp_path / "statistics.npz"
    file.write_bytes(encode(learned))
    editor = PhotographEditor(faces[0], points=points[0], statistics=str(file))
    assert editor.edit("grin").mask.any()
    with pytest.raises(UserError, match="'grn' is no expression that is known"):
        editor.edit("grn")
    with pytest.raises(UserError, match="'grin' is no expression that is known"):
        PhotographEditor(faces[0], points=points[0]).edit("grin")
