"""Files and folders of photographs, in process and by ``scripts/edit.py``."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from legan_tf.errors import UserError
from legan_tf.uses.photographs import edit_files, photograph_editor
from legan_tf.uses.photographs.photograph_editor import PhotographEditor, Target

ROOT = pathlib.Path(__file__).parents[3]
SMILE = Target("smile")


def read(path: pathlib.Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def open_editor():
    return photograph_editor.opener()


@pytest.fixture(scope="module")
def folder(faces, tmp_path_factory) -> pathlib.Path:
    """Two faces, one of them twice under one name, a wall, a damaged file and a text."""
    folder = tmp_path_factory.mktemp("in")
    Image.fromarray(faces[0]).save(folder / "a.png")
    Image.fromarray(faces[1]).save(folder / "a.gif")
    Image.fromarray(faces[1]).save(folder / "b.JPG", quality=90)
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / "wall.png")
    (folder / "cut.jpg").write_bytes((folder / "b.JPG").read_bytes()[:3000])
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_is_edited_like_one_file(open_editor, folder, faces, tmp_path, capsys):
    output, masks = tmp_path / "out", tmp_path / "masks"
    report = edit_files.edit_files(open_editor, SMILE, str(folder), str(output), str(masks))
    assert sorted(os.listdir(output)) == ["a.gif.png", "a.png.png", "b.JPG"]
    assert sorted(os.listdir(masks)) == ["a.gif.png", "a.png.png", "b.png"]
    assert len(report.written) == len(report.maps) == 3
    assert [message.split(":")[0] for message in report.skipped] == [
        str(folder / "cut.jpg"),
        str(folder / "wall.png"),
    ]
    assert "is damaged or cut short" in report.skipped[0]
    assert "no face was found" in report.skipped[1]
    assert "edited 5/5 (100%)" in capsys.readouterr().err
    mask = np.asarray(Image.open(masks / "a.png.png"))
    assert mask.shape == (256, 256) and mask.any()
    after = read(output / "a.png.png")
    np.testing.assert_array_equal(after[mask == 0], faces[0][mask == 0])
    np.testing.assert_array_equal(after, PhotographEditor(faces[0]).edit_to(SMILE).image)
    assert Image.open(output / "b.JPG").format == "JPEG"


def test_unusable_paths_are_told_before_anything_is_written(open_editor, folder, tmp_path):
    picture = str(folder / "a.png")
    for source, output, masks, sentence in (
        (tmp_path / "absent", tmp_path / "b.png", "", "no such file or folder"),
        (picture, tmp_path / "b.bmp", "", "must end in one of .png, .jpg"),
        (picture, picture, "", "is the input itself"),
        (picture, tmp_path / "b.png", tmp_path / "m.jpg", "must end in one of .png, .bmp"),
        (picture, tmp_path / "b.png", tmp_path / "b.png", "is where the edits go"),
        (folder, folder, "", "is the input folder itself"),
    ):
        with pytest.raises(UserError, match=sentence):
            edit_files.edit_files(open_editor, SMILE, str(source), str(output), str(masks))
    assert os.listdir(tmp_path) == []


def test_one_file_goes_into_a_folder_under_its_name(open_editor, folder, tmp_path):
    report = edit_files.edit_files(open_editor, SMILE, str(folder / "b.JPG"), f"{tmp_path}/x/")
    assert report.written == (f"{tmp_path}/x/b.JPG",)


def test_a_sheet_shows_every_expression_and_light(faces, points, tmp_path):
    def opened(photograph):
        return PhotographEditor(photograph, points=points[0])

    Image.fromarray(faces[0]).save(tmp_path / "a.png")
    report = edit_files.draw_grids(opened, str(tmp_path / "a.png"), str(tmp_path / "sheet.png"))
    assert report.written == (str(tmp_path / "sheet.png"),)
    sheet = read(tmp_path / "sheet.png")
    cells = 1 + len(edit_files.PRESETS) + len(edit_files.NAMED_LIGHTS)
    rows = -(-cells // 6)
    height = sheet.shape[0] // rows
    width = height - 14
    assert sheet.shape[1] >= 6 * width
    left = sheet.shape[1] - 6 * width
    shown = [
        sheet[row * height : row * height + width, left + column * width :][:, :width]
        for row in range(rows)
        for column in range(6)
    ][:cells]
    differences = [np.abs(cell.astype(int) - shown[0]).max() for cell in shown]
    assert differences[0] == 0 and sorted(differences)[2] > 20  # Neutral may change little.


def test_points_come_from_a_table(folder, faces, points, tmp_path):
    columns = [f"{axis}_{number}" for axis in "xy" for number in range(468)]
    row = [f"{value:.4f}" for value in points[0][:468, :2].T.ravel()]
    table = tmp_path / "points.csv"
    table.write_text(f"path,{','.join(columns)}\na.png,{','.join(row)}\n")
    opened = photograph_editor.opener(landmarks_file=str(table))
    report = edit_files.edit_files(opened, SMILE, str(folder), str(tmp_path / "out"))
    assert report.written == (f"{tmp_path}/out/a.png.png",)
    assert f"{folder}/b.JPG: has no points in {table}." in report.skipped
    expected = PhotographEditor(faces[0], points=points[0][:468, :2].round(4)).edit_to(SMILE)
    np.testing.assert_array_equal(read(tmp_path / "out" / "a.png.png"), expected.image)


def script(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts" / "edit.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_command_edits_a_photograph(faces, tmp_path):
    Image.fromarray(faces[0]).save(tmp_path / "a.png")
    paths = (f"--input={tmp_path}/a.png", f"--output={tmp_path}/b.png", f"--mask={tmp_path}/m.png")
    done = script(*paths, "--expression=smile", "--lighting=left", "--strength=1.2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{tmp_path}/b.png", f"{tmp_path}/m.png"]
    expected = PhotographEditor(faces[0]).edit("smile", "left", strength=1.2)
    np.testing.assert_array_equal(read(tmp_path / "b.png"), expected.image)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "m.png")), expected.mask)


def test_the_command_tells_what_failed_at_the_end(folder, tmp_path):
    done = script(f"--input={folder}/wall.png", f"--output={tmp_path}/b.png", "--lighting=soft")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Skipped {folder}/wall.png: no face was found")
    assert done.stderr.count("\n") == 1


PATHS = ("--input=a.png", "--output=b.png")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Say what to edit: --expression, --action_units, --lighting, or --grid."),
        (("--grid", "--lighting=left"), "Give either --grid or"),
        (("--grid", "--mask=m.png"), "--mask is for edits"),
        (("--expression=smile", "--depth=d.png"), "--depth needs --model; scripts/prepare.py"),
        (("--expression=smlie",), "'smlie' is no expression that is known"),
        (("--lighting=lfet",), "is no light that is known"),
        (("--action_units=AU12=x",), "'x' is no number"),
        (("--expression=smile", "--strength=3"), "strength 3 is not within 0 to 2"),
        (("--expression=smile", "--face=left"), "--face=left: say largest, all, or a number"),
        (("--expression=smile", "--finder=eyes"), "--finder=eyes: choose from tflite, mediapipe"),
        (("--expression=smile", "--head=nowhere"), "nowhere"),
        (("--expression=smile", "--landmarks=no.csv"), "no.csv: no such file"),
        (("--expression=smile", "--landmarks=a", "--face=all"), "--landmarks tells the face"),
        (("--expression=smile", "--model=m", "--face=all"), "--face is for edits without --model"),
        (("--expression=smile", "--model=m", "--strength=1"), "--strength is for edits without"),
    ],
)
def test_wrong_flags_are_told_in_a_sentence(arguments, sentence):
    done = script(*PATHS, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr and done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
