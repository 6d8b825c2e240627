"""The whole way: pictures and landmarks in, a folder of aligned faces out."""

from __future__ import annotations

import csv
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from legan_tf import optional
from legan_tf.data.align import landmarks
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.align.dataset import Source, align_pictures
from legan_tf.data.align.landmarks import POINT_COLUMNS, from_ibug
from legan_tf.data.manifest import read_manifest
from legan_tf.errors import UserError

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "prepare.py"
COPIES = 5  # 4 people x 2 lights x 5 places.


def bar(label):
    return lambda done, total: None


def quiet_options(**changes):
    return AlignOptions(**{"max_yaw": 90.0, **changes})


def tree(folder):
    """All files below a folder by path, with their content."""
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def table(file):
    with open(file, encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def source(tmp_path_factory, faces, scene):
    """A manifest of 40 pictures in two folders, a CSV and .pts files of their true landmarks."""
    folder = tmp_path_factory.mktemp("source")
    pictures, points = faces
    lines, marks = ["path,identity,expression,lighting,split,rating_mean,rating_std"], []
    marks.append(",".join(["path", *POINT_COLUMNS, "yaw"]))
    for person in range(4):
        for light in range(2):
            for copy in range(COPIES):
                degrees, scale = 8 * copy - 16, 1 - 0.1 * copy
                picture, truth = scene(pictures[person, light], points[person], degrees, scale)
                path = f"light{light}/p{person}.{copy}.jpg"
                (folder / path).parent.mkdir(exist_ok=True)
                Image.fromarray(picture).save(folder / path, quality=95)
                split = "train" if person else "test"
                lines.append(f"{path},p{person},e{person % 2},light{light},{split},7.25,1.5")
                face = from_ibug(truth)
                numbers = np.concatenate([face.left_eye, face.right_eye, face.mouth])
                marks.append(",".join([path, *(f"{n:.2f}" for n in numbers), f"{4 * copy}"]))
                target = folder / "marks" / path.replace(".jpg", ".pts")
                target.parent.mkdir(parents=True, exist_ok=True)
                rows = "\n".join(f"{x:.3f} {y:.3f}" for x, y in truth + 1)
                target.write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    (folder / "marks.csv").write_text("\n".join(marks) + "\n")
    return folder


def run(source, output, workers=1, size=64, **changes):
    options = quiet_options(**{"landmarks": str(source / "marks.csv"), **changes})
    manifest = str(source / "manifest.csv")
    return align_pictures(Source(manifest), str(output), size, options, workers, bar)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "out"
    run(source, output)
    return output


def test_faces_stand_alike_and_keep_their_labels(source, whole, faces):
    before, after = (read_manifest(str(f / "manifest.csv")) for f in (source, whole))
    assert len(after.rows) == 40
    for old, new in zip(before.rows, after.rows):
        assert new.path == f"images/{old.path[:-4]}.png"
        for name in ("identity", "expression", "lighting", "split", "rating_mean", "rating_std"):
            assert getattr(new, name) == getattr(old, name)
    # A person's five pictures, turned and scaled, show the same face in the same place.
    stacks = np.stack([np.asarray(Image.open(row.file)) for row in after.rows]).astype(float)
    stacks = stacks.reshape(4, 2, COPIES, 64, 64, 3)[:, :, :, 14:52, 14:50]
    among_copies = np.abs(stacks - stacks[:, :, :1]).mean()
    among_people = np.abs(stacks - stacks[[1, 2, 3, 0]]).mean()
    assert among_copies < 4 < among_people / 2
    assert np.asarray(Image.open(whole / "sheet.png")).std() > 20


def test_processes_and_stops_do_not_show_in_the_result(source, whole, tmp_path):
    output = tmp_path / "out"
    run(source, output)
    records = (output / "align.jsonl").read_bytes().splitlines(keepends=True)
    assert len(records) == 40
    # As a program leaves it that was killed: some pictures done, the next line half written.
    (output / "align.jsonl").write_bytes(b"".join(records[:16]) + records[16][:50])
    for name in ("manifest.csv", "sheet.png", "faces.csv", "skipped.csv"):
        os.remove(output / name)
    for row in read_manifest(str(whole / "manifest.csv")).rows[20:]:
        os.remove(output / row.path)
    (output / "images" / ".p0.png.0123.part").write_bytes(b"half")
    kept = os.stat(output / "images/light0/p0.0.png").st_mtime_ns
    run(source, output, workers=2)
    assert tree(output) == tree(whole)
    assert os.stat(output / "images/light0/p0.0.png").st_mtime_ns == kept
    # And when nothing is missing but one picture.
    os.remove(output / "images/light1/p3.4.png")
    run(source, output)
    assert tree(output) == tree(whole)


def test_other_options_or_pictures_are_refused(source, whole):
    before = tree(whole)
    for changes, complaint in (
        ({"size": 32}, "begun with image_size 64, now it is 32"),
        ({"min_face": 20.0}, "begun with min_face 16.0, now it is 20.0"),
    ):
        with pytest.raises(UserError, match=complaint):
            run(source, whole, **changes)
    with pytest.raises(UserError, match="holds other files already"):
        run(source, source)
    manifest, marks = ((source / name).read_text() for name in ("manifest.csv", "marks.csv"))
    (source / "fewer.csv").write_text(manifest[: manifest.rindex("\nlight1")])
    (source / "moved.csv").write_text(marks.replace("light0/p0.0.jpg,", "light0/p0.0.jpg,1"))
    other_list = Source(str(source / "fewer.csv"))
    other_place = Source(str(source / "manifest.csv"), data_dir=str(source / "light0"))
    for given, file, complaint in (
        (other_list, "marks.csv", "begun with another list of pictures or labels; repeat"),
        (other_place, "marks.csv", "begun with other pictures; repeat"),
        (Source(str(source / "manifest.csv")), "moved.csv", "begun with other landmarks; repeat"),
        (Source(str(source / "manifest.csv")), "marks", "begun with other landmarks; repeat"),
    ):
        options = quiet_options(landmarks=str(source / file))
        with pytest.raises(UserError, match=complaint):
            align_pictures(given, str(whole), 64, options, 1, bar)
    assert tree(whole) == before


@pytest.fixture
def few(source, tmp_path):
    """Copies of four pictures and their .pts files: (folder, function that aligns them)."""
    folder = tmp_path / "few"
    names = ["light0/p0.0", "light0/p1.0", "light1/p2.0", "light1/p3.0"]
    for name in names:
        for file in (f"{name}.jpg", f"marks/{name}.pts"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / file, folder / file)
    (folder / "some.csv").write_text("path\n" + "".join(f"{name}.jpg\n" for name in names))

    def align(output, **changes):
        told = []
        options = quiet_options(landmarks=str(folder / "marks"), **changes)
        source = Source(str(folder / "some.csv"))
        align_pictures(source, str(output), 32, options, 1, lambda _: lambda *n: told.append(n))
        return told

    return folder, align


def test_what_changed_or_could_not_be_read_is_done_again(few, tmp_path):
    folder, align = few
    picture, marks = folder / "light0/p0.0.jpg", folder / "marks/light0/p1.0.pts"
    good_picture, good_marks = picture.read_bytes(), marks.read_bytes()
    assert align(tmp_path / "good") == [(done, 4) for done in range(5)]
    assert align(tmp_path / "good") == [(4, 4)]
    picture.write_bytes(b"damaged")
    marks.write_text("damaged")
    output = tmp_path / "out"
    align(output)
    reasons = {row["path"]: row["reason"] for row in table(output / "skipped.csv")}
    assert reasons == {
        "light0/p0.0.jpg": "the picture cannot be read",
        "light0/p1.0.jpg": "its landmarks cannot be read",
    }
    # What could not be read may have had other causes than the file.
    assert align(output) == [(2, 4), (3, 4), (4, 4)]
    picture.write_bytes(good_picture)
    marks.write_bytes(good_marks)
    align(output)
    assert tree(output / "images") == tree(tmp_path / "good" / "images")
    # Another picture under the same name; then none.
    shutil.copy(folder / "light1/p2.0.jpg", picture)
    shutil.copy(folder / "marks/light1/p2.0.pts", folder / "marks/light0/p0.0.pts")
    align(output)
    made = tree(output / "images")
    assert made["light0/p0.0.png"] == made["light1/p2.0.png"]
    os.remove(picture)
    align(output)
    assert sorted(tree(output / "images")) == sorted(set(made) - {"light0/p0.0.png"})


def test_landmarks_that_are_no_face_cost_their_picture_only(few, tmp_path):
    folder, align = few

    def write(name, points):
        rows = "\n".join(f"{x} {y}" for x, y in points + 1)
        (folder / f"marks/{name}.pts").write_text(f"{{\n{rows}\n}}\n")

    text = (folder / "marks/light0/p0.0.pts").read_text()
    points = np.array(text.partition("{")[2].strip("}\n").split(), float).reshape(-1, 2) - 1
    line = points.copy()
    line[:27] = np.stack([np.arange(27), np.arange(27)], -1) + 100  # Jaw and eyebrows.
    write("light0/p0.0", line)
    write("light0/p1.0", points * 1e30)
    write("light1/p2.0", points + 801)  # The picture is 400 wide.
    align(tmp_path / "out", hull_mask=True, min_face=0.0)
    outcomes = {row["path"]: row for row in table(tmp_path / "out" / "skipped.csv")}
    assert {row["reason"] for row in outcomes.values()} == {"its landmarks are not those of a face"}
    assert {path: row["detail"] for path, row in outcomes.items()} == {
        "light0/p0.0.jpg": "The outline of a face must enclose something.",
        "light0/p1.0.jpg": "they are outside the picture",
        "light1/p2.0.jpg": "they are outside the picture",
    }


def test_a_damaged_log_costs_time_or_is_told(few, tmp_path):
    _, align = few
    output = tmp_path / "out"
    align(output)
    before = tree(output)
    for damage in (
        b"[0, \xff\xfe]\n",
        b"{}\n",
        b"[0, 1]\n",
        b"7\n",
        b'["a", "b", {}]\n',
        b"\x00\x00\n",
    ):
        with open(output / "align.jsonl", "r+b") as file:
            file.write(damage)
        assert align(output) == [(done, 4) for done in range(5)]
        assert tree(output) == before
    (output / "align.jsonl").write_bytes(before["align.jsonl"][:-2])
    assert align(output) == [(3, 4), (4, 4)]
    assert tree(output) == before
    for damage in ("{", "[]", "\udcff"):
        (output / "align.json").write_bytes(damage.encode(errors="surrogateescape"))
        with pytest.raises(UserError, match=r"align\.json: is damaged; remove it"):
            align(output)


def test_landmarks_lie_where_the_aligned_pictures_do(few, tmp_path):
    folder, align = few
    # Suffixes that are none, full paths and landmarks in the folder of the output.
    os.rename(folder / "light0/p0.0.jpg", folder / "light0/subject01.happy")
    os.rename(folder / "light0/p1.0.jpg", folder / "light0/subject01.sad")
    marks = folder / "marks" / "light0"
    os.rename(marks / "p0.0.pts", marks / "subject01.happy.pts")
    os.rename(marks / "p1.0.pts", marks / "subject01.sad.pts")
    names = [
        "light0/subject01.happy",
        f"{folder}/light0/subject01.sad",
        "light0/../light1/p2.0.jpg",
    ]
    (folder / "some.csv").write_text("\n".join(["path", *names]) + "\n")
    for _ in range(2):
        align(folder / "marks" / "out")
        assert sorted(tree(folder / "marks" / "out" / "images")) == [
            "light0/subject01.happy.png",
            "light0/subject01.sad.png",
            "light1/p2.0.png",
        ]


def test_faces_turned_by_90_degrees_are_kept_if_all_are(source, tmp_path):
    marks = (source / "marks.csv").read_text().splitlines()
    for number, line in enumerate(marks[1:], start=1):
        marks[number] = f"{line.rpartition(',')[0]},{90 - 180 * (number % 2)}"
    (tmp_path / "flat.csv").write_text("\n".join(marks) + "\n")
    run(source, tmp_path / "out", size=16, landmarks=str(tmp_path / "flat.csv"))
    assert len(tree(tmp_path / "out" / "images")) == 40


def test_lists_in_a_folder_are_no_pictures(few, tmp_path):
    folder, _ = few
    for name in ("notes.txt", "labels.JSON"):
        (folder / name).write_text("")
    os.rename(folder / "light0/p0.0.jpg", folder / "light0/subject01.happy")
    options = quiet_options(landmarks=str(folder / "marks"))
    report = align_pictures(Source(folder=str(folder)), str(tmp_path / "out"), 32, options, 1, bar)
    assert "dropped 7: not a picture; e.g. labels.JSON" in report
    assert {row["path"]: row["reason"] for row in table(tmp_path / "out" / "skipped.csv")} == {
        "light0/subject01.happy": "no landmarks are given for it"
    }


def test_the_landmarks_that_were_used_can_be_given_again(source, whole, tmp_path):
    run(source, tmp_path / "again", landmarks=str(whole / "faces.csv"))
    assert tree(tmp_path / "again" / "images") == tree(whole / "images")


def test_a_bad_picture_costs_itself_and_all_that_is_skipped_is_listed(source, tmp_path):
    lines = (source / "manifest.csv").read_text().splitlines()[:17]
    damaged = (source / "light0/p0.0.jpg").read_bytes()[:2000]
    (source / "damaged.jpg").write_bytes(damaged)
    lines += ["damaged.jpg,p0,e0,light0,test,,", "missing.jpg,p0,e0,light0,test,,"]
    blurred = Image.open(source / "light0/p0.0.jpg").resize((12, 9)).resize((400, 300))
    blurred.save(source / "blurred.png")
    dark = Image.open(source / "light0/p0.0.jpg").point(lambda value: value // 20)
    dark.save(source / "dark.png")
    lines += [f"{name}.png,p0,e0,light0,test,," for name in ("blurred", "dark")]
    (source / "some.csv").write_text("\n".join(lines) + "\n")
    marks = (source / "marks.csv").read_text().splitlines()
    first = marks[1].split(",", 1)[1]
    marks += [f"{name},{first}" for name in ("blurred.png", "dark.png", "damaged.jpg")]
    marks = [line for line in marks if not line.startswith("light0/p1.2")]
    (source / "some_marks.csv").write_text("\n".join(marks) + "\n")
    options = AlignOptions(landmarks=str(source / "some_marks.csv"), max_yaw=15, min_face=34)
    report = align_pictures(
        Source(str(source / "some.csv")), str(tmp_path / "out"), 64, options, 1, bar
    )
    skipped = {
        row["path"]: (row["reason"], row["detail"]) for row in table(tmp_path / "out/skipped.csv")
    }
    assert skipped["damaged.jpg"][0] == "the picture cannot be read"
    assert "no such file" in skipped["missing.jpg"][1]
    assert skipped["light0/p1.2.jpg"] == ("no landmarks are given for it", "")
    assert skipped["light0/p0.4.jpg"] == ("turned by --max_yaw=15 or more", "16 degrees")
    assert skipped["light1/p0.4.jpg"][0] == "turned by --max_yaw=15 or more"
    assert skipped["blurred.png"][0] == "less sharp than --min_sharpness=0.02"
    assert skipped["dark.png"][0] == "less contrast than --min_contrast=5"
    made = tree(tmp_path / "out/images")
    assert len(made) + len(skipped) == 20 and len(
        read_manifest(str(tmp_path / "out/manifest.csv")).rows
    ) == len(made)
    assert "dropped 3: turned by --max_yaw=15 or more; e.g. light0/p0.4.jpg" in report
    assert f"{len(made)} of 20 pictures aligned" in report


def test_the_mask_blacks_out_what_is_outside_and_nothing_else(source, whole, tmp_path):
    output = tmp_path / "masked"
    marks = str(source / "marks")
    run(source, tmp_path / "plain", landmarks=marks)
    run(source, output, landmarks=marks, hull_mask=True)
    for name in tree(output / "images"):
        masked, plain = (
            np.asarray(Image.open(f / "images" / name)) for f in (output, tmp_path / "plain")
        )
        inside = masked.any(-1)
        assert 0.35 < inside.mean() < 0.65
        np.testing.assert_array_equal(masked[inside], plain[inside])
        assert not inside[:8].any() and inside[32, 32]


def test_a_picture_does_not_depend_on_its_batch(source, whole, tmp_path):
    lines = (source / "manifest.csv").read_text().splitlines()
    (source / "one.csv").write_text("\n".join([lines[0], lines[5], lines[22]]) + "\n")
    options = quiet_options(landmarks=str(source / "marks.csv"))
    align_pictures(Source(str(source / "one.csv")), str(tmp_path), 64, options, 1, bar)
    made, all_made = tree(tmp_path / "images"), tree(whole / "images")
    assert len(made) == 2 and all(all_made[name] == made[name] for name in made)


def test_the_command_finds_faces_in_a_folder_and_goes_on_where_it_was_killed(source, tmp_path):
    def command():
        flags = [f"--input={source / 'light0'}", f"--output={tmp_path / 'a'}", "--max_yaw=90"]
        return [sys.executable, str(SCRIPT), "align", *flags, "--workers=1"]

    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}  # The tests' own lets more through.
    killed = subprocess.Popen(command(), stderr=subprocess.PIPE, text=True, env=environment)
    log = tmp_path / "a" / "align.jsonl"
    while not log.exists() or b"\n" not in log.read_bytes():
        assert killed.poll() is None, killed.stderr.read()
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert len(tree(tmp_path / "a" / "images")) >= 1
    done = subprocess.run(command(), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "20 of 20 pictures aligned" in done.stdout
    # TensorFlow 2.21 writes notes of its own when it is imported.
    notes = ("WARNING: All log messages before", "I0000 ")
    told = [line for line in done.stderr.splitlines() if not line.startswith(notes)]
    assert all(line.startswith(("looking through folders ", "aligning ")) for line in told), told
    folder = Source(folder=str(source / "light0"))
    align_pictures(folder, str(tmp_path / "b"), None, quiet_options(), 1, bar)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert {row["faces"] for row in table(tmp_path / "a" / "faces.csv")} == {"1"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"source": Source()}, "give either --manifest=FILE or --input=FOLDER"),
        ({"source": Source(folder="a", data_dir="b")}, "--data_dir belongs to --manifest"),
        ({"output": ""}, "--output=: name the folder"),
        ({"output": "a.csv"}, "--output=a.csv: name the folder"),
        ({"size": 8}, "--image_size=8: must be 16 to 2048"),
        ({"source": Source("faces.csv", seed=-1)}, "--seed=-1: must be 0 or more"),
        ({"workers": -1}, "--workers=-1"),
        ({"options": AlignOptions(landmarks="no.csv")}, "--landmarks=no.csv: there is no"),
        ({"options": AlignOptions(finder="dlib")}, "--finder=dlib: choose from tflite, mediapipe"),
        ({"options": AlignOptions(max_yaw=0)}, "--max_yaw=0: must be above 0"),
        ({"options": AlignOptions(min_face=-1)}, "--min_face=-1"),
        ({"options": AlignOptions(convention="dlib")}, "--convention=dlib: choose from lightcnn"),
    ],
)
def test_wrong_flags_are_told_by_name(tmp_path, changes, complaint):
    given = {
        "source": Source("faces.csv"),
        "output": str(tmp_path / "out"),
        "size": None,
        "options": AlignOptions(),
        "workers": 0,
        **changes,
    }
    with pytest.raises(UserError, match=complaint):
        align_pictures(bar=bar, **given)
    assert not os.path.exists(tmp_path / "out")


@pytest.mark.skipif(bool(importlib.util.find_spec("mediapipe")), reason="mediapipe is installed")
def test_where_mediapipe_is_missing_a_sentence_says_so(source, tmp_path):
    with pytest.raises(
        optional.UnavailableError, match="--finder=mediapipe needs mediapipe, .*pip"
    ):
        run(source, tmp_path / "out", landmarks="", finder="mediapipe")
    assert not os.path.exists(tmp_path / "out")


def test_a_mask_needs_an_outline(source, tmp_path):
    with pytest.raises(UserError, match="--hull_mask needs jaw .* give a CSV of 68 or 468 points"):
        run(source, tmp_path / "out", hull_mask=True)
    assert not os.path.exists(tmp_path / "out")


def test_a_csv_of_68_points_gives_what_their_pts_files_give(few, source, tmp_path):
    folder, align = few
    align(tmp_path / "pts", hull_mask=True)
    names = [f"{axis}_{number}" for number in range(68) for axis in "xy"]
    lines = [",".join(["path", *names])]
    for picture in ("light0/p0.0", "light0/p1.0", "light1/p2.0", "light1/p3.0"):
        points = landmarks.read_points(str(folder / f"marks/{picture}.pts"))
        lines.append(",".join([f"{picture}.jpg", *(repr(float(n)) for n in points.reshape(-1))]))
    (tmp_path / "points.csv").write_text("\n".join(lines) + "\n")
    options = quiet_options(landmarks=str(tmp_path / "points.csv"), hull_mask=True)
    output = str(tmp_path / "csv")
    align_pictures(Source(str(folder / "some.csv")), output, 32, options, 1, bar)
    assert tree(tmp_path / "csv" / "images") == tree(tmp_path / "pts" / "images")
