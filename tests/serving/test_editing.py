from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import legan_tf
from legan_tf.errors import UserError
from legan_tf.serving import editing, picture_files

ROOT = pathlib.Path(__file__).parents[2]


def flip(image: np.ndarray) -> np.ndarray:
    return image[::-1]


def read(path: pathlib.Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_one_picture(tmp_path, blobs):
    image = blobs(12, 9)[0]
    Image.fromarray(image).save(tmp_path / "a.png")
    report = editing.edit_files(flip, str(tmp_path / "a.png"), str(tmp_path / "new" / "b.png"))
    assert report == editing.Report((str(tmp_path / "new" / "b.png"),), ())
    np.testing.assert_array_equal(read(tmp_path / "new" / "b.png"), image[::-1])
    assert os.listdir(tmp_path / "new") == ["b.png"]
    editing.edit_files(flip, str(tmp_path / "a.png"), str(tmp_path / "new"))
    assert sorted(os.listdir(tmp_path / "new")) == ["a.png", "b.png"]


def test_a_folder_keeps_names_apart_and_skips_what_is_damaged(tmp_path, blobs, capsys):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "deeper").mkdir()
    image = blobs(12, 9)[0]
    for name, form in (
        ("a.png", "PNG"),
        ("a.jpg", "JPEG"),
        ("b.bmp", "BMP"),
        ("c.happy", "GIF"),
    ):
        Image.fromarray(image).save(folder / name, form)
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    report = editing.edit_files(flip, str(folder), str(output))
    assert sorted(os.listdir(output)) == ["a.jpg.png", "a.png.png", "b.png", "c.happy.png"]
    np.testing.assert_array_equal(read(output / "a.png.png"), image[::-1])
    assert len(report.written) == 4
    assert len(report.skipped) == 1 and report.skipped[0].startswith(str(folder / "cut.png"))
    assert "edited 5/5" in capsys.readouterr().err


def test_unusable_paths_are_told_before_anything_is_written(tmp_path, blobs):
    folder = tmp_path / "in"
    (folder / "none").mkdir(parents=True)
    picture = folder / "a.png"
    Image.fromarray(blobs(8, 8)[0]).save(picture)
    before = picture.read_bytes()
    for source, output, sentence in (
        (tmp_path / "absent", tmp_path / "b.png", "no such file or folder"),
        (folder / "none", tmp_path / "out", "holds no pictures"),
        (picture, tmp_path / "b.xyz", "must end in one of .png"),
        (picture, picture, "is the input itself"),
        (picture, folder, "is the input itself"),
        (folder, folder, "is the input folder itself"),
        (folder, picture, "must be a folder"),
    ):
        with pytest.raises(UserError, match=sentence):
            editing.edit_files(flip, str(source), str(output))
    assert picture.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_the_suffix_is_the_format(tmp_path, blobs):
    image = blobs(64, 64)[0]
    picture_files.save(str(tmp_path / "a.JPG"), image)
    assert Image.open(tmp_path / "a.JPG").format == "JPEG"
    assert np.abs(read(tmp_path / "a.JPG").astype(int) - image).mean() < 4


def level(image: np.ndarray) -> np.ndarray:
    """A grey map, in which a difference of one channel shows."""
    return image[..., 1]


def test_maps_of_a_folder_and_of_one_picture(tmp_path, blobs, capsys):
    folder, output = tmp_path / "in", tmp_path / "maps"
    folder.mkdir()
    image = blobs(12, 9)[0]
    for name in ("a.png", "b.bmp"):
        Image.fromarray(image).save(folder / name)
    (folder / "c.png").write_bytes(b"damaged")
    report = editing.edit_files(None, str(folder), str(output), level)
    assert report.maps == (str(output / "a.png"), str(output / "b.png"))
    assert report.written == () and len(report.skipped) == 1
    assert "mapped 3/3" in capsys.readouterr().err
    for name in ("a.png", "b.png"):
        assert Image.open(output / name).mode == "L"
        np.testing.assert_array_equal(read(output / name), image[..., 1])
    editing.edit_files(None, str(folder / "a.png"), str(tmp_path / "one.BMP"), flip)
    np.testing.assert_array_equal(read(tmp_path / "one.BMP"), image[::-1])


def test_edits_and_their_maps(tmp_path, blobs):
    folder, edits, maps = tmp_path / "in", tmp_path / "edits", tmp_path / "maps"
    folder.mkdir()
    images = blobs(12, 9, count=2)
    for name, image in zip("ab", images):
        Image.fromarray(image).save(folder / f"{name}.png")
    (folder / "bad.png").write_bytes(b"damaged")
    report = editing.edit_files(flip, str(folder), str(edits), level, str(maps))
    assert report.written == (str(edits / "a.png"), str(edits / "b.png"))
    assert report.maps == (str(maps / "a.png"), str(maps / "b.png"))
    assert len(report.skipped) == 1
    for name, image in zip("ab", images):
        np.testing.assert_array_equal(read(edits / f"{name}.png"), image[::-1])
        np.testing.assert_array_equal(read(maps / f"{name}.png"), image[::-1, :, 1])


def test_outputs_that_would_spoil_maps_are_told_before_anything_is_written(tmp_path, blobs):
    folder = tmp_path / "in"
    folder.mkdir()
    picture = folder / "a.png"
    Image.fromarray(blobs(8, 8)[0]).save(picture)
    lossy = "the map to write must end in one of .png, .bmp"
    with pytest.raises(UserError, match=lossy):
        editing.edit_files(None, str(picture), str(tmp_path / "a.jpg"), level)
    for output, map_output, sentence in (
        (tmp_path / "b.jpg", tmp_path / "c.webp", lossy),
        (tmp_path / "b.png", f"{tmp_path}/x/../b.png", "is where the edits go"),
        (tmp_path / "b.png", picture, "is the input itself"),
    ):
        with pytest.raises(UserError, match=sentence):
            editing.edit_files(flip, str(picture), str(output), level, str(map_output))
    with pytest.raises(UserError, match="is where the edits go"):
        editing.edit_files(flip, str(folder), str(tmp_path / "o"), level, str(tmp_path / "o"))
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_the_drawn_grid_shows_every_edit_and_its_names(serving_root, blobs):
    editor = legan_tf.load(serving_root / "legan")
    image = blobs(40, 40)[0]
    sheet = editing.draw_grid(editor, image)
    side = 96
    assert sheet.shape == (4 * side + 8, 3 * side + 8, 3)
    enlarged = editor.grid(image).repeat(6, axis=2).repeat(6, axis=3)
    for row in range(3):
        for column in range(2):
            top, left = (row + 1) * side + 8, (column + 1) * side + 8
            cell = sheet[top : top + side, left : left + side]
            np.testing.assert_array_equal(cell, enlarged[row, column])
    assert (sheet[side + 8 :, :side] < 128).any()
    assert (sheet[:side, side + 8 :] < 128).any()
    assert (sheet[:side, side + 8 :] == 255).mean() > 0.9


def script(name: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts" / name), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def test_scripts_end_to_end(tmp_path, depth_run, blobs):
    models, folder, maps = tmp_path / "models", tmp_path / "in", tmp_path / "maps"
    done = script("export.py", f"--workdir={depth_run}", f"--serving_root={models}", "--name=m")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(models / "m" / "1")

    folder.mkdir()
    for name, seed in (("a.png", 0), ("c.png", 1)):
        Image.fromarray(blobs(30, 40, seed=seed)[0]).save(folder / name)
    (folder / "b.png").write_bytes(b"damaged")
    edit = (f"--model={models / 'm'}", f"--output={tmp_path / 'out'}", f"--input={folder}")
    done = script("edit.py", *edit, "--expression=smile", "--lighting=right", f"--depth={maps}")
    assert done.returncode == 1, done.stderr
    assert f"Skipped {folder / 'b.png'}" in done.stderr and "Traceback" not in done.stderr
    told = [f"2 pictures in {tmp_path / 'out'}", f"2 maps in {maps}"]
    assert done.stdout.splitlines() == told
    editor = legan_tf.load(depth_run)
    for name in ("a.png", "c.png"):
        edited = editor(folder / name, expression="smile", lighting="right")
        np.testing.assert_allclose(read(tmp_path / "out" / name), edited, rtol=0, atol=1)
        np.testing.assert_allclose(read(maps / name), editor.depth(edited), rtol=0, atol=1)


def test_a_depth_network_maps(tmp_path, serving_root, blobs):
    picture, output = tmp_path / "a.png", str(tmp_path / "map.png")
    Image.fromarray(blobs(30, 40)[0]).save(picture)
    estimate = legan_tf.load(serving_root / "depth")
    report = editing.use_model(estimate, str(picture), output, {})
    assert report == editing.Report((), (), (output,))
    assert report.lines(output) == [output]
    np.testing.assert_array_equal(read(output), estimate(picture))


def test_an_editor_of_expressions_alone_edits_files_and_draws_grids(tmp_path, serving_root, blobs):
    picture, output, sheet = (str(tmp_path / f"{name}.png") for name in "abc")
    Image.fromarray(blobs(30, 40)[0]).save(picture)
    editor, surface = legan_tf.load(serving_root / "unlit_depth"), str(tmp_path / "d.png")
    named = {"expression": "smile"}
    report = editing.use_model(editor, picture, output, named, map_output=surface)
    assert report.lines(output, surface) == [output, surface]
    np.testing.assert_array_equal(read(output), editor(picture, expression="smile"))
    np.testing.assert_array_equal(read(surface), editor.depth(output))
    editing.use_model(editor, picture, sheet, {}, grid=True)
    drawn = read(sheet)
    assert drawn.shape == (4 * 96 + 8, 2 * 96 + 8, 3)
    cells = editor.grid(picture)[:, 0].repeat(6, axis=1).repeat(6, axis=2)
    np.testing.assert_array_equal(drawn[-3 * 96 :, -96:], cells.reshape(3 * 96, 96, 3))


@pytest.fixture(scope="module")
def loaded(serving_root):
    return {name: legan_tf.load(serving_root / name) for name in ("legan", "depth", "quality")}


@pytest.mark.parametrize(
    ("name", "asked", "sentence"),
    [
        ("legan", {}, "Give either --grid or targets"),
        ("legan", {"grid": True, "expression": "smile"}, "Give either --grid or targets"),
        ("legan", {"lighting": "left", "map_output": "m.png"}, "no depth network, which --depth"),
        ("depth", {"expression": "smile"}, "depth maps pictures and cannot edit them: give only"),
        ("depth", {"grid": True}, "maps pictures and cannot edit them"),
        ("depth", {"map_output": "m.png"}, "maps pictures and cannot edit them"),
        ("quality", {"expression": "smile"}, "rates pictures and cannot edit them"),
    ],
)
def test_what_a_model_cannot_do_is_told(tmp_path, loaded, blobs, name, asked, sentence):
    Image.fromarray(blobs(8, 8)[0]).save(tmp_path / "a.png")
    model = loaded[name]
    options = {name: asked[name] for name in ("grid", "map_output") if name in asked}
    targets = {name: target for name, target in asked.items() if name not in options}
    with pytest.raises(UserError, match=sentence):
        editing.use_model(
            model, str(tmp_path / "a.png"), str(tmp_path / "b.png"), targets, **options
        )
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("--model=a", "--input=a", "--output=b", "--face=all"), "--face is for edits without"),
        (("--model=a", "--input=a", "--output=b", "--grid", "--lighting=x"), "Give either"),
        (
            ("--model=a", "--input=a", "--output=b", "--grid", "--depth=c"),
            "--depth is for the maps",
        ),
        (("--model=a", "--inptu=a"), "Did you mean: input"),
    ],
)
def test_wrong_flags_are_told_at_once(arguments, sentence):
    done = script("edit.py", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr and "Traceback" not in done.stderr


def test_a_face_out_of_the_position_that_a_model_knows_is_told(tmp_path, serving_root):
    editor = legan_tf.load(serving_root / "legan")
    assert editor.face_lines == ()
    editor.face_lines = (0.31, 0.67)  # As a run on rendered faces records them.
    faces = ROOT / "serving" / "demo" / "faces"
    face = np.asarray(Image.open(faces / "1.jpg").convert("RGB"))
    low = np.full((400, 400, 3), 120, np.uint8)
    low[140:396, 70:326] = face
    for name, image in (("fits.png", face), ("low.png", low)):
        Image.fromarray(image).save(tmp_path / name)
    targets = {"expression": "smile"}
    report = editing.use_model(editor, str(tmp_path), str(tmp_path / "out"), targets)
    (note,) = report.notes
    assert note.startswith(f"{tmp_path}/low.png: the face has eyes at 5")
    assert f"prepare.py align --input={tmp_path} --output=aligned" in note
    assert len(report.written) == 2
