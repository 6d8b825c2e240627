"""The whole way without meshes: pictures in, a folder of depth and normal maps out."""

from __future__ import annotations

import csv
import os
import pathlib
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from legan_tf.data import images
from legan_tf.data.check.validation import check_manifest
from legan_tf.data.depth.config import DepthMapOptions
from legan_tf.data.depth.dataset import Source, make_depth
from legan_tf.data.depth.quality_gate import MEASURES
from legan_tf.data.manifest import ManifestError, read_manifest
from legan_tf.errors import UserError
from legan_tf.head.action_units import MEASURED
from legan_tf.head.head_file import ASSET, load_head

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "prepare.py"
drawn = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "head" / "drawn_faces.py"))
SIZE = 128
FACES = (
    ("a/neutral.png", "neutral", {}, 0),
    ("a/smile.png", "smile", {"mouthSmile": 0.8, "mouthUpperUp": 0.4}, 10),
    ("b/turned.png", "neutral", {}, -20),
)


def bar(label):
    return lambda done, total: None


def tree(folder):
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def table(file):
    with open(file, encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def run(pictures, output, workers=1, size=None, **changes):
    source = Source(pictures=str(pictures))
    return make_depth(source, str(output), size, DepthMapOptions(**changes), workers, bar)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Drawn faces, a wall and a file that is no picture, with a manifest of all but the last."""
    folder = tmp_path_factory.mktemp("faces")
    head = load_head()
    lines = ["path,identity,expression,mesh,depth,split"]
    for number, (path, expression, units, yaw) in enumerate(FACES):
        os.makedirs(folder / os.path.dirname(path), exist_ok=True)
        identity = drawn["random_identity"](number // 2)
        face = drawn["draw"](identity, head.expression_vector(units), yaw, size=SIZE)
        images.save_png(str(folder / path), face.image)
        lines.append(f"{path},p{number // 2},{expression},absent.obj,old.png,train")
    images.save_png(str(folder / "b/wall.png"), np.full((SIZE, SIZE, 3), 90, np.uint8))
    lines.append("b/wall.png,p1,neutral,,,train")
    (folder / "notes.txt").write_text("no picture")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def whole(faces, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "out"
    report = run(faces / "manifest.csv", output)
    assert report.endswith("3 of 4 pictures became maps")
    return output


def test_pictures_get_maps_and_a_manifest(faces, whole):
    manifest = read_manifest(str(whole / "manifest.csv"))
    check_manifest(manifest, needs=())
    assert [row.expression for row in manifest.rows] == ["neutral", "smile", "neutral"]
    assert [row.identity for row in manifest.rows] == ["p0", "p0", "p1"]
    for row, (path, *_) in zip(manifest.rows, FACES):
        assert os.path.samefile(row.file, faces / path)
        assert row.depth.endswith(os.path.join("depth", path))
        grey = np.asarray(Image.open(row.depth))
        assert grey.shape == (SIZE, SIZE)
        assert grey[grey > 0].min() == 1
        assert 0.15 < (grey > 0).mean() < 0.6
        normals = np.asarray(Image.open(row.normal)).astype(float) / 127.5 - 1
        np.testing.assert_allclose(np.linalg.norm(normals[grey > 0], axis=-1), 1, atol=0.02)
        assert normals[grey > 0][:, 2].mean() > 0.5
    assert np.asarray(Image.open(whole / "sheet.png")).std() > 20
    assert np.asarray(Image.open(whole / "rejected.png")).std() > 5


def test_tables_tell_the_measures_and_the_action_units(whole):
    found = table(whole / "faces.csv")
    assert list(found[0]) == ["picture", "depth", "normal", *MEASURES]
    assert [bool(row["depth"]) for row in found] == [True, True, True, False]
    for row in found[:3]:
        assert 0 < float(row["landmark_error"]) < 0.03
        assert float(row["bulge"]) > 0.3
        assert float(row["near"]) > float(row["far"])
    units = table(whole / "action_units.csv")
    assert list(units[0]) == ["path", *(f"AU{number}" for number in MEASURED)]
    assert [row["path"] for row in units] == [row["path"] for row in table(whole / "manifest.csv")]
    smile = [float(row["AU12"]) for row in units]
    assert smile[1] > 0.15
    assert smile[1] > 2 * max(smile[0], smile[2])
    assert all(0 <= float(row[f"AU{number}"]) <= 1.2 for row in units for number in MEASURED)
    (rejected,) = table(whole / "rejected.csv")
    assert rejected["picture"].endswith("wall.png")
    assert rejected["reason"] == "no face is found"
    assert not (whole / "meshes.csv").exists()
    counts = {row["expression"]: row["kept"] for row in table(whole / "counts.csv")}
    assert counts == {"neutral": "2", "smile": "1", "total": "3"}


def test_a_stopped_job_goes_on(faces, whole, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(faces, tmp_path / "faces")
    run(tmp_path / "faces/manifest.csv", output, workers=2)
    maps = {name: content for name, content in tree(whole).items() if name.endswith(".png")}
    assert {name: tree(output)[name] for name in maps} == maps
    before = tree(output)
    os.remove(output / "normal/a/smile.png")
    os.remove(output / "action_units.csv")
    run(tmp_path / "faces/manifest.csv", output)
    assert tree(output) == before
    # What could not be read is tried again.
    (tmp_path / "faces/b/turned.png").write_bytes(b"no picture")
    assert "2 of 4 pictures" in run(tmp_path / "faces/manifest.csv", output)
    reasons = [row["reason"] for row in table(output / "rejected.csv")]
    assert sorted(reasons) == ["no face is found", "the picture cannot be read"]


def test_a_folder_of_pictures_and_another_head(faces, whole, tmp_path):
    shutil.copy(ASSET, tmp_path / "other.npz")
    report = run(faces / "a", tmp_path / "out", head=str(tmp_path / "other.npz"))
    assert report.endswith("2 of 2 pictures became maps")
    for name in ("smile", "neutral"):
        same = (whole / f"depth/a/{name}.png").read_bytes()
        assert (tmp_path / f"out/depth/{name}.png").read_bytes() == same
    with pytest.raises(UserError, match="0 of 2 pictures became maps"):
        run(faces / "b", tmp_path / "strict", max_landmark_error=1e-4)
    reasons = {row["reason"] for row in table(tmp_path / "strict/rejected.csv")}
    assert "landmarks farther away than --max_landmark_error=0.0001" in reasons


def test_what_cannot_be_done_is_told(faces, tmp_path):
    manifest = faces / "manifest.csv"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("no picture")
    (tmp_path / "twice.csv").write_text(f"path\n{faces}/b/wall.png\n{faces}/b/wall.png\n")
    for pictures, changes, told in (
        ("", {}, "give --meshes=FOLDER, .*; or --pictures=FOLDER"),
        (tmp_path / "absent", {}, "--pictures=.*absent: there is no such folder"),
        (tmp_path / "empty", {}, "there is no picture in it"),
        (manifest, {"size": 64}, "--image_size belongs to --meshes"),
        (manifest, {"camera": "frame"}, "--camera belongs to --meshes"),
        (manifest, {"head": "/absent"}, "--head=/absent"),
        (manifest, {"finder": "dlib"}, "--finder=dlib: choose from tflite, mediapipe"),
    ):
        with pytest.raises(UserError, match=told):
            run(pictures, tmp_path / "out", **changes)
    with pytest.raises(ManifestError, match="is listed in line 2 already; remove one"):
        run(tmp_path / "twice.csv", tmp_path / "out")
    both = Source(meshes=str(manifest), pictures=str(manifest))
    with pytest.raises(UserError, match="give --meshes=FOLDER"):
        make_depth(both, str(tmp_path / "out"), None, DepthMapOptions(), 1, bar)
    with pytest.raises(UserError, match="--head belongs to --pictures"):
        options = DepthMapOptions(head=ASSET)
        make_depth(Source(meshes=str(manifest)), str(tmp_path / "out"), None, options, 1, bar)


def test_the_command(faces, whole, tmp_path):
    command = [sys.executable, str(SCRIPT), "depth", f"--pictures={faces}/manifest.csv"]
    done = subprocess.run(
        [*command, f"--output={tmp_path}/out", "--workers=1", "--finder=tflite"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "3 of 4 pictures became maps" in done.stdout
    assert "making maps 4/4 (100%)" in done.stderr
    maps = {name: content for name, content in tree(whole).items() if name.startswith("depth/")}
    assert {name: tree(tmp_path / "out")[name] for name in maps} == maps
