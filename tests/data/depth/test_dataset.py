"""The whole way: meshes and pictures in, a folder of depth and normal maps out."""

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

from legan_tf.data import exr, maps
from legan_tf.data.check.validation import check_manifest
from legan_tf.data.depth.config import DepthMapOptions
from legan_tf.data.depth.dataset import Source, make_depth
from legan_tf.data.manifest import ManifestError, read_manifest
from legan_tf.data.rendered import surface
from legan_tf.errors import UserError

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "prepare.py"
made = runpy.run_path(str(pathlib.Path(__file__).parent / "mesh_files.py"))
SIZE = made["SIZE"]
in_pixels, obj_text = made["in_pixels"], made["obj_text"]
EXPRESSIONS = ("neutral", "smile", "surprise", "disgust")


def bar(label):
    return lambda done, total: None


def tree(folder):
    """All files below a folder by path, with their content."""
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def table(file):
    with open(file, encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def run(meshes, output, workers=1, size=None, **changes):
    options = DepthMapOptions(**changes)
    return make_depth(Source(str(meshes)), str(output), size, options, workers, bar)


@pytest.fixture(scope="module")
def whole(fitted, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "out"
    run(fitted / "manifest.csv", output)
    return output


def test_maps_are_those_of_the_faces_and_the_manifest_names_them(fitted, whole):
    manifest = read_manifest(str(whole / "manifest.csv"))
    check_manifest(manifest, needs=())  # Pictures and maps are where it says.
    before = read_manifest(str(fitted / "manifest.csv"))
    assert len(manifest.rows) == 20
    for number, (old, row) in enumerate(zip(before.rows, manifest.rows)):
        assert os.path.samefile(row.file, old.file)
        assert (row.identity, row.expression) == (old.identity, old.expression)
        face = surface.geometry([number], [row.expression], SIZE)
        grey = maps.read_map(row.depth, "depth", SIZE)[..., 0]
        inside = face.face_mask[0] & (grey > 0)
        assert inside.sum() > 0.95 * face.face_mask[0].sum()
        # All grey values belong to one straight line, but for the map's and the mesh's steps.
        line = np.polyfit(face.depth[0][inside], grey[inside], 1)
        misses = np.abs(np.polyval(line, face.depth[0][inside]) - grey[inside])
        assert np.median(misses) < 0.005 * 255
        normals = maps.map_to_normals(maps.read_map(row.normal, "normal", SIZE))
        cosine = np.clip(np.sum(normals * face.normals[0], -1), -1, 1)
        assert np.median(np.degrees(np.arccos(cosine))[inside]) < 2
    assert Image.open(manifest.rows[0].depth).mode == "L"
    assert np.asarray(Image.open(whole / "sheet.png")).std() > 20
    assert not (whole / "rejected.png").exists()
    assert table(whole / "counts.csv") == [
        {"expression": name, "found": str(5 * n), "rejected": "0", "kept": str(5 * n)}
        for name, n in (*((name, 1) for name in sorted(EXPRESSIONS)), ("total", 4))
    ]


def test_measures_tell_what_the_map_says(whole):
    for row, listed in zip(table(whole / "meshes.csv"), table(whole / "manifest.csv")):
        assert (row["depth"], row["normal"]) == (listed["depth"], listed["normal"])
        grey = np.asarray(Image.open(whole / row["depth"]))
        assert float(row["coverage"]) == pytest.approx((grey > 0).mean(), abs=1e-5)
        assert grey[grey > 0].min() == 1
        assert grey.max() == 255
        number = int(pathlib.Path(row["mesh"]).stem)
        mesh = surface.mesh(number, EXPRESSIONS[number % 4])
        z = in_pixels(mesh.vertices, SIZE)[:, 2]
        assert z.min() - 1e-3 <= float(row["far"]) < float(row["near"]) <= z.max() + 1e-3
        assert float(row["near"]) > z.max() - 1
        assert row["landmark_error"] == ""


def test_processes_and_stops_do_not_show_in_the_result(fitted, whole, tmp_path):
    output = tmp_path / "out"
    run(fitted / "manifest.csv", output)
    assert {"manifest.csv", "meshes.csv"} < set(tree(output))
    records = (output / "depth.jsonl").read_bytes().splitlines(keepends=True)
    assert len(records) == 20
    # As a program leaves it that was killed: some meshes done, the next line half written.
    (output / "depth.jsonl").write_bytes(b"".join(records[:16]) + records[16][:50])
    for name in ("manifest.csv", "sheet.png", "meshes.csv", "counts.csv"):
        os.remove(output / name)
    os.remove(output / "depth/pictures/17.png")
    (output / "normal/pictures/.0123.part").write_bytes(b"half")
    kept = os.stat(output / "depth/pictures/3.png").st_mtime_ns
    run(fitted / "manifest.csv", output, workers=2)
    again = tree(output)
    assert {name for name in again if ".part" in name} == set()
    assert {n: c for n, c in again.items() if n.endswith(".png")} == {
        n: c for n, c in tree(whole).items() if n.endswith(".png")
    }
    first = tmp_path / "first"
    run(fitted / "manifest.csv", first)
    assert tree(first) == again
    assert os.stat(output / "depth/pictures/3.png").st_mtime_ns == kept
    # And when nothing is missing but one map.
    os.remove(output / "normal/pictures/8.png")
    run(fitted / "manifest.csv", output)
    assert tree(output) == again


@pytest.fixture
def few(fitted, tmp_path):
    """The first six of the faces, to be spoilt."""
    shutil.copytree(fitted, tmp_path / "few")
    lines = (fitted / "manifest.csv").read_text().splitlines()[:7]
    (tmp_path / "few/manifest.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "few"


def test_a_broken_mesh_costs_that_mesh_only(few, whole, tmp_path):
    (few / "meshes/1.obj").write_bytes(b"\x00\x01 nothing")
    (few / "pictures/2.png").write_bytes(b"no picture")
    (few / "meshes/3.pts").write_text("{ 1 2 }")
    os.remove(few / "meshes/4.obj")
    output = tmp_path / "out"
    report = run(few / "manifest.csv", output)
    assert "2 of 6 meshes became maps" in report
    rejected = {pathlib.Path(row["mesh"]).stem: row for row in table(output / "rejected.csv")}
    assert {number: row["reason"] for number, row in rejected.items()} == {
        "1": "the mesh cannot be read",
        "2": "the picture cannot be read",
        "3": "no landmarks can be read",
        "4": "the mesh cannot be read",
    }
    assert rejected["1"]["detail"] == "has no triangles."
    assert rejected["4"]["detail"] == "no such file."
    assert sorted(os.listdir(output / "depth/pictures")) == ["0.png", "5.png"]
    assert (output / "rejected.png").exists()
    # What can be read in the end is made.
    shutil.copy(few.parent / "few/meshes/0.obj", few / "meshes/4.obj")
    assert "3 of 6 meshes" in run(few / "manifest.csv", output)
    same = ["depth/pictures/0.png", "normal/pictures/5.png"]
    assert [tree(output)[name] for name in same] == [tree(whole)[name] for name in same]


def shifted(file, vertices):
    mesh = obj_text(vertices, [])
    faces = "".join(
        line for line in file.read_text().splitlines(keepends=True) if line.startswith("f ")
    )
    file.write_text(mesh + faces)


def test_every_gate_rejects_what_it_is_for(few, tmp_path):
    def vertices(number):
        made = surface.mesh(number, EXPRESSIONS[number % 4])
        return in_pixels(made.vertices, SIZE)

    shifted(few / "meshes/0.obj", vertices(0) * 0.2)
    shifted(few / "meshes/1.obj", vertices(1) * 4 - 96)
    shifted(few / "meshes/2.obj", vertices(2) + (500, 0, 0))
    # From behind it would show what is inside the mouth.
    skin = surface.mesh(5, EXPRESSIONS[1])
    bowl = obj_text(vertices(5) * (1, 1, -1), skin.triangles[skin.parts == 0])
    (few / "meshes/5.obj").write_text(bowl)
    with open(few / "meshes/3.obj", "a", encoding="utf-8") as file:
        file.write("f 1 1 2\n" * 800)
    lines = (few / "meshes/4.obj").read_text().splitlines(keepends=True)
    points = vertices(4)
    middle = np.hypot(*(points[:, :2] - 47).T) < 20
    gone = {str(number + 1) for number in np.nonzero(middle)[0]}
    kept = [line for line in lines if line[0] == "v" or not gone & set(line.split())]
    (few / "meshes/4.obj").write_text("".join(kept))
    output = tmp_path / "out"
    with pytest.raises(UserError, match="0 of 6 meshes became maps"):
        run(few / "manifest.csv", output)
    told = {
        int(pathlib.Path(row["mesh"]).stem): (row["reason"], float(row["detail"]))
        for row in table(output / "rejected.csv")
    }
    assert {number: reason for number, (reason, _) in told.items()} == {
        0: "covers less than --min_coverage=0.05",
        1: "covers more than --max_coverage=0.9",
        2: "covers less than --min_coverage=0.05",
        3: "triangles without area: more than --max_degenerate=0.01",
        4: "more holes than --max_hole_share=0.15",
        5: "a bowl, as with the wrong --flip_z: bulges less than --min_bulge=0",
    }
    assert told[2][1] == 0
    assert told[1][1] > 0.9
    assert 0.15 < told[4][1] < 0.4
    assert [row["rejected"] for row in table(output / "counts.csv")] == ["1", "2", "2", "1", "6"]
    # Each is a flag; only what is not in the picture at all is never taken.
    open_gates = {"min_coverage": 0.0, "max_coverage": 1.0, "max_degenerate": 1.0}
    open_gates |= {"max_hole_share": 1.0, "min_bulge": -1.0}
    run(few / "manifest.csv", tmp_path / "open", **open_gates)
    assert [row["reason"] for row in table(tmp_path / "open/rejected.csv")] == [
        "it is not in the picture"
    ]


def test_a_mesh_riddled_with_small_holes_is_rejected(few, tmp_path):
    lines = (few / "meshes/0.obj").read_text().splitlines(keepends=True)
    faces = [number for number, line in enumerate(lines) if line[0] == "f"]
    gone = set(np.random.default_rng(0).permutation(faces)[: int(0.3 * len(faces))].tolist())
    kept = [line for number, line in enumerate(lines) if number not in gone]
    (few / "meshes/0.obj").write_text("".join(kept))
    run(few / "manifest.csv", tmp_path / "out")
    (row,) = table(tmp_path / "out/rejected.csv")
    assert row["reason"] == "more holes than --max_hole_share=0.15"
    assert 0.15 < float(row["detail"]) < 0.35
    first = table(tmp_path / "out/meshes.csv")[0]
    assert float(first["filled"]) == 0
    # Where that is wanted, they are filled, and the measures tell how much.
    run(few / "manifest.csv", tmp_path / "wanted", max_hole_share=0.4, fill_holes=0.01)
    first = table(tmp_path / "wanted/meshes.csv")[0]
    assert 0.1 < float(first["filled"]) <= float(first["hole_share"])
    assert float(first["hole_share"]) == float(row["detail"])


def test_meshes_that_are_no_faces_cost_themselves_only(few, landmark_vertices, tmp_path):
    flat = "".join(f"v {number} {number % 7}\n" for number in range(80)) + "f 1 2 3\n"
    (few / "meshes/0.obj").write_text(flat)
    huge = "".join(f"v {number}e300 {number % 7}e307 {number % 5}e306\n" for number in range(80))
    (few / "meshes/1.obj").write_text(huge + "f 1 2 3\n")
    for number in range(2, 6):
        vertices, triangles, _ = with_landmarks(number, EXPRESSIONS[number % 4])
        (few / f"meshes/{number}.obj").write_text(obj_text(vertices * (1, -1, 1), triangles))
    flags = {"camera": "fit", "landmark_vertices": str(landmark_vertices)}
    assert "4 of 6 meshes became maps" in run(few / "manifest.csv", tmp_path / "out", **flags)
    rejected = table(tmp_path / "out/rejected.csv")
    assert [row["detail"] for row in rejected][0] == "has vertices without three coordinates."


def test_what_a_repeat_does_not_make_is_removed(few, tmp_path):
    (few / "meshes/1.obj").write_bytes(b"nothing")
    output = tmp_path / "out"
    run(few / "manifest.csv", output)
    assert {"manifest.csv", "sheet.png", "rejected.png"} < set(os.listdir(output))
    shutil.copy(few / "meshes/0.obj", few / "meshes/1.obj")
    run(few / "manifest.csv", output)
    assert not (output / "rejected.png").exists()
    for number in range(6):
        (few / f"meshes/{number}.obj").write_bytes(b"nothing")
    with pytest.raises(UserError, match="0 of 6 meshes became maps"):
        run(few / "manifest.csv", output)
    assert {"rejected.png", "rejected.csv"} < set(os.listdir(output))
    assert not {"manifest.csv", "sheet.png"} & set(os.listdir(output))


def test_a_mesh_without_its_picture_has_no_map_unless_its_size_is_given(fitted, tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in (0, 5):
        shutil.copy(fitted / f"meshes/{number}.obj", folder)
    shutil.copy(fitted / "pictures/5.png", folder)
    assert "1 of 2 meshes became maps" in run(folder, tmp_path / "out")
    (row,) = table(tmp_path / "out/rejected.csv")
    assert row["reason"] == "there is no picture beside it, and no --image_size"
    assert pathlib.Path(row["mesh"]).stem == "0"
    report = run(folder, tmp_path / "sized", size=SIZE)
    assert "2 of 2 meshes became maps" in report
    assert "maps of meshes without a picture, which manifest.csv does not name: 1" in report
    assert len(read_manifest(str(tmp_path / "sized/manifest.csv")).rows) == 1


@pytest.fixture(scope="module")
def landmark_vertices(tmp_path_factory):
    """The list of the landmarks of meshes of ``with_landmarks``: their first 68 vertices."""
    file = tmp_path_factory.mktemp("list") / "vertices.txt"
    file.write_text("".join(f"{number + 1} = {number}\n" for number in range(68)))
    return file


def with_landmarks(number, expression, away=0.0):
    """A face's mesh in pixels, y down, whose first 68 vertices are its landmarks."""
    mesh = surface.mesh(number, expression)
    face = surface.geometry([number], [expression], SIZE)
    points = face.landmarks[0] - 0.5
    corners = in_pixels(mesh.vertices, SIZE)
    nearest = np.linalg.norm(corners[None, :, :2] - points[:, None], axis=-1).argmin(1)
    marks = np.stack([points[:, 0] + away, points[:, 1], corners[nearest, 2]], -1)
    vertices = np.concatenate([marks, corners])
    return vertices, mesh.triangles + 68, points


def test_a_mesh_anywhere_in_space_is_fitted_by_its_landmarks(
    few, whole, landmark_vertices, tmp_path
):
    angle = np.deg2rad(40)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    for number in range(6):
        vertices, triangles, _ = with_landmarks(number, EXPRESSIONS[number % 4])
        # In the picture y is down; a mesh in space is right-handed.
        space = (vertices * (1, -1, 1)) @ turn.T * 0.013 + (7, 8, 9)
        (few / f"meshes/{number}.obj").write_text(obj_text(space, triangles))
    output = tmp_path / "out"
    run(few / "manifest.csv", output, camera="fit", landmark_vertices=str(landmark_vertices))
    rows = table(output / "meshes.csv")
    assert len(rows) == 6
    for row in rows:
        assert float(row["landmark_error"]) < 0.01
        ours = np.asarray(Image.open(output / row["depth"])).astype(int)
        theirs = np.asarray(Image.open(whole / row["depth"])).astype(int)
        both = (ours > 0) & (theirs > 0)
        assert both.sum() > 0.97 * ((ours > 0) | (theirs > 0)).sum()
        assert np.median(np.abs(ours - theirs)[both]) <= 2
        normals = [
            maps.map_to_normals(np.asarray(Image.open(folder / row["normal"])))
            for folder in (output, whole)
        ]
        cosine = np.clip(np.sum(normals[0] * normals[1], -1), -1, 1)
        assert np.median(np.degrees(np.arccos(cosine))[both]) < 2


def test_landmarks_that_are_elsewhere_reject_a_mesh(few, landmark_vertices, tmp_path):
    for number in range(6):
        away = SIZE / 4 if number == 2 else 0.0
        vertices, triangles, _ = with_landmarks(number, EXPRESSIONS[number % 4], away)
        (few / f"meshes/{number}.obj").write_text(obj_text(vertices, triangles))
    run(few / "manifest.csv", tmp_path / "out", landmark_vertices=str(landmark_vertices))
    (row,) = table(tmp_path / "out/rejected.csv")
    assert row["reason"] == "landmarks farther away than --max_landmark_error=0.08"
    assert pathlib.Path(row["mesh"]).stem == "2"
    assert 0.2 < float(row["detail"]) < 2


def test_cameras_and_formats_show_the_same_face(fitted, whole, tmp_path):
    def of(number, output):
        path = next(p for p in tree(output) if p.startswith("depth") and f"/{number}." in p)
        return maps.read_map(str(output / path), "depth", SIZE)[..., 0]

    (tmp_path / "up").mkdir()
    vertices, triangles, _ = with_landmarks(5, "smile")
    vertices[:, 1] = SIZE - vertices[:, 1]  # From the bottom, counted from 1.
    vertices[:, 0] += 1
    (tmp_path / "up/5.obj").write_text(obj_text(vertices * (1, 1, -1), triangles))
    shutil.copy(fitted / "pictures/5.png", tmp_path / "up/5.png")
    flags = {"camera": "image_y_up", "first_pixel": 1.0, "flip_z": True}
    run(tmp_path / "up", tmp_path / "out", **flags, depth_format="png16")
    assert Image.open(tmp_path / "out/depth/5.png").mode.startswith("I;16")
    expected = of(5, whole)
    np.testing.assert_allclose(of(5, tmp_path / "out").astype(int), expected, atol=1)
    rows = read_manifest(str(tmp_path / "out/manifest.csv")).rows
    assert [os.path.basename(row.file) for row in rows] == ["5.png"]


def test_exr_keeps_depth_in_pixels_and_normals_as_they_are(fitted, whole, tmp_path):
    formats = {"depth_format": "exr", "normal_format": "exr"}
    run(fitted / "manifest.csv", tmp_path / "out", **formats)
    depth = exr.read_exr(str(tmp_path / "out/depth/pictures/5.exr"))[..., 0]
    row = table(tmp_path / "out/meshes.csv")[5]
    assert depth[depth > 0].min() == 1
    assert np.ptp(depth[depth > 0]) == pytest.approx(
        float(row["near"]) - float(row["far"]), abs=1e-3
    )
    path = str(tmp_path / "out/normal/pictures/5.exr")
    lengths = np.linalg.norm(exr.read_exr(path), axis=-1)
    np.testing.assert_allclose(lengths[lengths > 0], 1, atol=1e-5)
    for kind in maps.KINDS:
        exact = maps.read_map(str(tmp_path / f"out/{kind}/pictures/5.exr"), kind, SIZE)
        coarse = maps.read_map(str(whole / f"{kind}/pictures/5.png"), kind, SIZE)
        np.testing.assert_allclose(exact.astype(int), coarse, atol=1)


def test_ply_and_matlab_give_the_maps_of_obj(fitted, whole, tmp_path):
    import trimesh

    folder = tmp_path / "faces"
    (folder / "pictures").mkdir(parents=True)
    for number in (0, 5):
        shutil.copy(fitted / f"pictures/{number}.png", folder / "pictures")
        mesh = surface.mesh(number, EXPRESSIONS[number % 4])
        vertices = in_pixels(mesh.vertices, SIZE)
        if number:
            (folder / "pictures/5.mat").write_bytes(made["mat_bytes"](vertex=vertices.T))
            triangles = made["mat_bytes"](tri=mesh.triangles.T + 1)
            (folder / "pictures/tri.mat").write_bytes(triangles)
        else:
            saved = trimesh.Trimesh(vertices, mesh.triangles, process=False)
            saved.export(str(folder / "pictures/0.ply"))
    assert "2 of 2 meshes became maps" in run(folder, tmp_path / "out")
    for number in (0, 5):
        for kind in maps.KINDS:
            path = f"{kind}/pictures/{number}.png"
            ours, theirs = (
                np.asarray(Image.open(output / path)).astype(int)
                for output in (tmp_path / "out", whole)
            )
            assert (np.abs(ours - theirs) <= 1).mean() > 0.998


def test_a_folder_of_meshes_without_pictures(fitted, tmp_path):
    folder = tmp_path / "meshes"
    (folder / "more").mkdir(parents=True)
    mesh = surface.mesh(0, "neutral")
    text = obj_text(mesh.vertices * 80 + (3, 4, 900), mesh.triangles)
    (folder / "a.obj").write_text(text)
    (folder / "more/b.obj").write_text(text)
    (folder / "tri.mat").write_bytes(b"of others")
    (folder / "notes.txt").write_text("no mesh")
    output = folder / "out"
    report = run(folder, output, size=64, camera="frame")
    assert report.endswith("2 of 2 meshes became maps; no manifest, since no mesh has a picture")
    grey = np.asarray(Image.open(output / "depth/a.png"))
    assert grey.shape == (64, 64)
    y, x = np.nonzero(grey)
    assert max(np.ptp(x), np.ptp(y)) + 1 == pytest.approx(0.62 * 64, abs=1.5)
    assert (output / "depth/more/b.png").read_bytes() == (output / "depth/a.png").read_bytes()
    assert not (output / "manifest.csv").exists()
    # The output, though it is among them, is not looked into again.
    run(folder, output, size=64, camera="frame")
    assert len(table(output / "meshes.csv")) == 2


def test_what_cannot_be_done_is_told(fitted, whole, tmp_path):
    manifest = fitted / "manifest.csv"
    (tmp_path / "no_mesh.csv").write_text("path,mesh\na.png,\n")
    twice = manifest.read_text().splitlines()[:3]
    (tmp_path / "twice.csv").write_text("\n".join([*twice, twice[-1].replace("1.obj", "2.obj")]))
    (tmp_path / "same.csv").write_text("\n".join([*twice[:2], twice[1]]))
    before = tree(whole)
    for meshes, output, changes, told in (
        ("", "out", {}, "give --meshes=FOLDER"),
        (tmp_path / "absent", "out", {}, "there is no such folder"),
        (manifest, "", {}, "--output=: name the folder"),
        (manifest, "out", {"size": 5000}, "--image_size=5000: must be 16 to 4096"),
        (manifest, "out", {"camera": "frame"}, "--camera=frame looks from the front"),
        (manifest, "out", {"camera": "fit"}, "--camera=fit needs --landmark_vertices"),
        (manifest, "out", {"camera": "perspective"}, "choose from image, image_y_up, fit, frame"),
        (manifest, "out", {"min_bulge": 2.0}, "--min_bulge=2.0: must be -1 to 1"),
        (manifest, "/proc/no/out", {}, "--output=/proc/no/out: cannot be written"),
        (manifest, "out", {"fill_holes": 2.0}, "--fill_holes=2.0: must be 0 to 1"),
        (manifest, "out", {"max_coverage": 0.01}, "is above --max_coverage"),
        (fitted / "pictures", "out", {}, "there is no mesh in it"),
        (fitted / "meshes", "out", {"camera": "frame", "flip_z": True}, "--flip_z belongs to"),
        (manifest, whole, {"depth_format": "png16"}, "begun with depth_format 'png8', now it is"),
        (fitted / "meshes", whole, {}, "begun with another list|begun with other meshes"),
        (tmp_path / "same.csv", "out", {}, r"same\.csv:3: .*is listed in line 2 already"),
        (tmp_path / "twice.csv", "out", {}, "has two meshes, .*1.obj and .*2.obj; keep one"),
    ):
        with pytest.raises(UserError, match=told):
            run(meshes, tmp_path / output if output else "", **changes)
    with pytest.raises(ManifestError, match="names no mesh; fill the column 'mesh'"):
        run(tmp_path / "no_mesh.csv", tmp_path / "out")
    with pytest.raises(UserError, match=r"0 of 20 meshes became maps; .*rejected\.csv gives"):
        run(manifest, tmp_path / "none", min_coverage=0.89)
    assert tree(whole) == before


def test_the_command(fitted, whole, tmp_path):
    output = tmp_path / "out"
    command = [sys.executable, str(SCRIPT), "depth", f"--meshes={fitted}/manifest.csv"]

    def called(*flags):
        given = [*command, f"--output={output}", *flags]
        return subprocess.run(given, capture_output=True, text=True, timeout=120)

    done = called("--workers=1")
    assert done.returncode == 0, done.stderr
    assert "20 of 20 meshes became maps" in done.stdout
    assert "making maps 20/20 (100%)" in done.stderr
    pictures = {name: content for name, content in tree(whole).items() if name.endswith(".png")}
    assert {name: tree(output)[name] for name in pictures} == pictures
    refused = called("--min_face=3")
    assert refused.returncode == 2
    assert "--min_face belongs to align, not to depth" in refused.stderr
