from __future__ import annotations

import csv
import io
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from legan_tf.data.check import plots
from legan_tf.data.check.anomalies import anomalies, combinations
from legan_tf.data.check.report import check_dataset
from legan_tf.data.check.statistics import ImageStatistics
from legan_tf.data.check.validation import check_manifest, picture_problems
from legan_tf.data.manifest import ManifestError, read_manifest
from legan_tf.errors import UserError
from legan_tf.plotting.drawing import as_png

from .conftest import EXPRESSIONS, SIZE, brighter, jpeg

PICTURES = {
    "brightness.png",
    "class_balance.png",
    "combinations.png",
    "contact_sheet.png",
    "near_duplicates.png",
    "sizes.png",
}
FILES = {*PICTURES, "check.md", "near_duplicates.csv", "pictures.csv"}
LIGHTS = ("left", "right")


def quiet(label):
    return lambda done, total: None


def png(picture):
    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="PNG")
    return content.getvalue()


class Folder:
    """A manifest of rendered faces that grows line by line."""

    def __init__(self, path):
        self.path = path
        self.lines = ["path,identity,expression,lighting,rating_mean,rating_std,split"]

    def add(self, name, content, labels):
        (self.path / name).write_bytes(content if isinstance(content, bytes) else png(content))
        self.lines.append(f"{name},{labels}")

    @property
    def file(self):
        file = self.path / "faces.csv"
        file.write_text("\n".join([*self.lines, ""]), encoding="utf-8")
        return str(file)

    def check(self, model="", image_size=SIZE, seed=0, write=True):
        output = str(self.path / "check") if write else ""
        return check_dataset(self.file, None, output, model, None, image_size, seed, quiet, NEEDS)

    def written(self):
        return {path.name: path.read_bytes() for path in (self.path / "check").iterdir()}

    def anomalies(self, image_size=SIZE, pairs=()):
        manifest = read_manifest(self.file)
        stats = ImageStatistics(len(manifest.rows), None)
        picture_problems(manifest, on_picture=stats.add)
        return anomalies(manifest, stats, pairs, image_size)


NEEDS = {
    "legan": {"": ("expression", "lighting")},
    "stargan": {"": ("expression",), "--conditions=attributes": ("attributes",)},
    "classifier": {"": ("expression",)},
    "identity": {"": ("identity",)},
    "quality": {"": ("rating",)},
    "depth": {"": ("expression",)},
}


@pytest.fixture
def folder(tmp_path, faces):
    """Four people, the last two held out, under three expressions and two lights."""
    made = Folder(tmp_path)
    for person, split in enumerate(("train", "train", "val", "test")):
        for e, expression in enumerate(EXPRESSIONS):
            for light, shot in zip(LIGHTS, (3, 10)):
                labels = f"p{person},{expression},{light},,,{split}"
                made.add(f"{person}{expression}{light}.png", faces[person, e, shot], labels)
    return made


def test_a_good_manifest_passes_and_nothing_is_found(folder):
    found = folder.check()
    assert found.error is None
    assert [line for line in found.text.splitlines() if line.startswith("- ")] == []
    for model in ("legan", "stargan", "classifier", "identity"):
        assert f"\n{model}: the labels suffice\n" in found.text
    assert "\nquality: no, no line of split 'train' has a rating_mean, and this" in found.text
    written = folder.written()
    assert set(written) == FILES
    report = written["check.md"].decode()
    for name in PICTURES:
        assert f"({name})" in report
        Image.open(io.BytesIO(written[name])).verify()
    assert written["near_duplicates.csv"].count(b"\n") == 1
    lines = list(csv.DictReader(io.StringIO(written["pictures.csv"].decode())))
    assert len(lines) == 24
    assert (lines[0]["path"], lines[0]["width"], lines[0]["side"]) == (
        "0neutralleft.png",
        str(SIZE),
        f"{SIZE:.1f}",
    )


def test_the_same_files_give_the_same_bytes_and_another_seed_other_samples(folder):
    # More pictures than the sheet shows of a person, so that the lot decides.
    for i in range(6):
        folder.add(f"extra{i}.png", png(np.full((9, 9, 3), 40 * i, np.uint8)), "p0,,,,,train")
    first_text, first = folder.check().text, folder.written()
    assert folder.check().text == first_text
    assert folder.written() == first
    folder.check(seed=1)
    changed = {name for name, content in folder.written().items() if content != first[name]}
    assert changed == {"contact_sheet.png"}


def test_a_re_encoded_copy_in_another_split_is_named(folder, faces):
    copy = jpeg(brighter(faces[1, 2, 10], 0.9))
    folder.add("copy.jpg", copy, "p3,surprise,right,,,test")
    found = folder.check()
    assert found.error is None
    (told,) = (line for line in found.text.splitlines() if "different splits" in line)
    assert told.startswith("- 1 pair of nearly the same picture")
    assert told.endswith("1surpriseright.png (train) and copy.jpg (test).")
    (line,) = csv.DictReader(io.StringIO(folder.written()["near_duplicates.csv"].decode()))
    assert line["across_splits"] == "1" and line["kind"] == "near"
    assert (line["split"], line["path"]) == ("train", "1surpriseright.png")
    assert (line["other_split"], line["other_path"]) == ("test", "copy.jpg")
    shown = np.asarray(Image.open(io.BytesIO(folder.written()["near_duplicates.png"])))
    pair = shown[-128:, -256:]
    np.testing.assert_allclose(pair[:, :128].mean() * 0.9, pair[:, 128:].mean(), atol=2)


def test_pairs_within_a_split_are_counted(folder, faces):
    folder.add("same.png", faces[0, 0, 3], "p0,neutral,left,,,train")
    folder.add("mirrored.png", faces[1, 0, 3][:, ::-1], "p1,neutral,right,,,train")
    text = folder.check(write=False).text
    assert "2 pairs of nearly the same picture within a split; of all pairs, 1 identical" in text
    assert "1 identical, 1 mirrored." in text and "different splits" not in text


def test_a_bad_manifest_still_gives_all_pictures_and_then_what_training_says(folder, faces):
    folder.add("cut.png", png(faces[0, 0, 0])[:500], "p0,smile,left,,,train")
    folder.add("both.png", faces[3, 0, 0], "p0,smile,left,,,val")
    folder.lines += ["gone.png,p1,smile,left,,,train", "0smileleft.png,p0,smile,left,12,,train"]
    found = folder.check(model="legan")
    with pytest.raises(ManifestError) as trained:
        check_manifest(read_manifest(folder.file), ("expression", "lighting"))
    assert str(found.error) == str(trained.value)
    assert len(found.error.problems) == 4
    written = folder.written()
    assert set(written) == FILES
    for problem in found.error.problems:
        assert str(problem) in written["check.md"].decode()
    # What can be read is counted all the same: 24 faces, both.png and the line that repeats one.
    assert written["pictures.csv"].count(b"\n") == 1 + 26


def test_a_model_that_the_labels_do_not_suffice_for_is_refused_as_in_training(folder):
    found = folder.check(model="quality", write=False)
    assert "rating_mean, and this training needs them" in str(found.error)
    assert "legan" not in found.text
    assert folder.check(model="identity", write=False).error is None
    with pytest.raises(UserError, match="^--model=gan: choose from legan, stargan, classifier, "):
        folder.check(model="gan")


def test_labels_may_suffice_for_a_model_with_other_flags(tmp_path, faces):
    folder = Folder(tmp_path)
    folder.lines = ["path,split,attribute:Smiling"]
    for i in range(4):
        Image.fromarray(faces[0, i % 2, i]).save(tmp_path / f"{i}.png")
        folder.lines.append(f"{i}.png,train,{i % 2}")
    found = folder.check(model="stargan", write=False)
    assert found.error is None
    assert "\nstargan: no, " in found.text
    assert "\nstargan --conditions=attributes: the labels suffice" in found.text
    refused = folder.check(model="classifier", write=False).error
    assert "column 'expression' has no class in split 'train'" in str(refused)


def test_labels_that_suffice_for_nothing_are_an_error_that_names_them_all(tmp_path, faces):
    folder = Folder(tmp_path)
    for i in range(3):
        folder.add(f"{i}.png", faces[i, 0, 0], ",smile,,,,train")
    messages = [problem.message for problem in folder.check(write=False).error.problems]
    assert {message.split(" has ")[0] for message in messages[:4]} == {
        "column 'expression'",
        "column 'lighting'",
        "column 'attribute:NAME'",
        "column 'identity'",
    }
    assert messages[4].startswith("no line of split 'train' has a rating_mean")


def test_without_an_output_nothing_is_written(folder):
    before = sorted(folder.path.iterdir())
    assert folder.check(write=False).error is None
    assert sorted(folder.path.iterdir()) == sorted([*before, folder.path / "faces.csv"])


@pytest.mark.parametrize(
    ("given", "message"),
    [({"image_size": 0}, "--image_size=0: must"), ({"seed": -1}, "--seed=-1: must")],
)
def test_wrong_numbers_are_refused(folder, given, message):
    with pytest.raises(UserError, match=message):
        folder.check(**given)


def test_a_folder_of_other_files_is_refused_and_nothing_is_overwritten(folder):
    output = folder.path / "check"
    output.mkdir()
    theirs = output / "pictures.csv"
    theirs.write_bytes(pathlib.Path(folder.file).read_bytes())
    before = theirs.read_bytes()
    with pytest.raises(UserError, match="--output=.*check: is a file or holds other files already"):
        check_dataset(str(theirs), None, str(output), "", None, SIZE, 0, quiet, NEEDS)
    # Nor does the report of an earlier check make a manifest or a picture the doctor's own.
    (output / "check.md").write_text("earlier")
    with pytest.raises(UserError, match=r"--output=.*: holds .*pictures.csv, which is to be"):
        check_dataset(str(theirs), None, str(output), "", None, SIZE, 0, quiet, NEEDS)
    (output / "sizes.png").write_bytes((folder.path / "0smileleft.png").read_bytes())
    folder.lines.append("check/sizes.png,p0,smile,left,,,train")
    with pytest.raises(UserError, match=r"--output=.*: holds .*sizes.png, which is to be checked"):
        folder.check()
    assert theirs.read_bytes() == before and len(list(output.iterdir())) == 3


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("faces.csv", "is a file or .*; name a new folder"),
        ("faces.csv/check", "cannot be written .*; name"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_before_the_work(folder, place, told):
    def bar(label):
        raise AssertionError("work has begun")

    with pytest.raises(UserError, match=f"--output=.*{place}: {told}"):
        check_dataset(folder.file, None, str(folder.path / place), "", None, SIZE, 0, bar, NEEDS)


def test_a_check_that_was_stopped_can_be_repeated(folder):
    def bar(label):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_dataset(folder.file, None, str(folder.path / "check"), "", None, SIZE, 0, bar, NEEDS)
    assert b"has not come to its end" in folder.written()["check.md"]
    folder.check()
    assert set(folder.written()) == FILES
    assert b"has not come to its end" not in folder.written()["check.md"]


def test_strange_pixels_and_sizes_are_told_with_the_first_paths(folder):
    ramp = np.tile(np.linspace(0, 40, 32, dtype=np.uint8)[:, None, None], (1, 64, 3))
    folder.add("dark.png", ramp, "p0,smile,left,,,train")
    folder.add("bright.png", 255 - ramp, "p0,smile,left,,,train")
    for i in range(5):
        folder.add(f"flat{i}.png", np.full((64, 64, 3), 90 + i, np.uint8), "p0,smile,left,,,train")
    told = "\n".join(folder.anomalies(image_size=64))
    assert "1 picture very dark, with a mean luma below 30 of 255: dark.png." in told
    assert "1 picture very bright, with a mean luma above 225 of 255: bright.png." in told
    assert "5 pictures flat, with a contrast below 8 of 255: flat0.png; " in told
    assert "flat1.png; flat2.png and 2 more." in told
    assert "2 pictures smaller than --image_size=64 after the crop" in told
    assert "the smallest from 32 pixels: dark.png; bright.png." in told
    assert "Width to height goes from 1.00 to 2.00" in told
    assert "squares" not in told  # Twice the size, and no more.


def test_labels_that_leave_gaps_are_told(folder, faces):
    for i in range(18):
        folder.add(f"more{i}.png", faces[0, 1, i], "p0,smile,left,,,train")
    folder.lines = [line for line in folder.lines if "surpriseright" not in line]
    folder.lines[1] = folder.lines[1].replace("p0,neutral,left", "p9,neutral,")
    told = folder.anomalies()
    assert told == [
        "expression is not balanced in train: 'smile' has 22 pictures, 'surprise' 2.",
        "lighting is unknown in 1 of 38 lines.",
        "1 of 3 people of train have one picture: p9.",
        "1 of 6 combinations of expression and lighting have no picture in train, so that an "
        "editor of both cannot tell the two apart there: surprise under right.",
    ]
    np.testing.assert_array_equal(
        combinations(read_manifest(folder.file)), [[1, 2], [20, 2], [2, 0]]
    )


def test_labels_that_do_not_vary_are_told(tmp_path, faces):
    folder = Folder(tmp_path)
    for i in range(4):
        folder.add(f"{i}.png", faces[i, 0, 0], f",smile,,{5 + i / 10},0,{'test' if i > 2 else ''}")
    assert folder.anomalies() == [
        "expression is 'smile' wherever train has one.",
        "The ratings of train hardly differ: rating_mean 5 to 5.2, standard deviation 0.082.",
        "rating_std is 0 wherever train has one.",
    ]


def test_attributes_are_told_counted_and_shown(tmp_path, faces):
    folder = Folder(tmp_path)
    folder.lines[0] += ",attribute:Smiling,attribute:Young"
    for i, picture in enumerate(faces.reshape(-1, *faces.shape[3:])[:14]):
        split, young = ("test" if i > 11 else "train"), ("" if i == 5 else 1)
        folder.add(f"{i}.png", picture, f",,,,,{split},{int(i == 3)},{young}")
    assert folder.anomalies() == [
        "attribute:Smiling is not balanced in train: '0' has 11 pictures, '1' 1.",
        "attribute:Young is unknown in 1 of 14 lines.",
        "attribute:Young is '1' wherever train has one.",
    ]
    manifest = read_manifest(folder.file)
    asked = []
    plots.contact_sheet(manifest, np.ones(14, bool), lambda row: asked.append(row.path), seed=0)
    # One smiles, eight of those that are young.
    assert asked[0] == "3.png" and len(asked) == 1 + 8 and "5.png" not in asked
    (axes,) = plots.balance_figure(manifest).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Smiling", "Young"]
    assert [text.get_text() for text in axes.texts] == [" 1 / 0 / 0", " 11 / 0 / 2"]


def heights(axes):
    """The tops of a stacked histogram's bars, by the left edge."""
    tops = {}
    for bar in axes.patches:
        if bar.get_height():
            tops[bar.get_x()] = tops.get(bar.get_x(), 0) + bar.get_height()
    return tops


def test_histograms_count_every_picture_where_it_belongs(folder):
    for i, luma in enumerate((3, 3, 252)):
        folder.add(f"{i}.png", np.full((32, 40, 3), luma, np.uint8), "p0,,,,,train")
    folder.add("damaged.png", b"no picture", "p0,,,,,train")
    manifest = read_manifest(folder.file)
    stats = ImageStatistics(len(manifest.rows), (0.0, 0.0, 0.5, 1.0))
    picture_problems(manifest, on_picture=stats.add)
    luma, contrast = plots.brightness_figure(manifest, stats).axes
    assert sum(heights(luma).values()) == sum(heights(contrast).values()) == 27
    tops = sorted(heights(luma).items())
    assert tops[0] == (0, 2) and tops[-1] == (250, 1)
    assert heights(contrast)[0] == 3
    sizes, shapes = plots.sizes_figure(manifest, stats, 64).axes
    # Half of the width is the side: 20 of three, 32 of the faces.
    assert [count for _, count in sorted(heights(sizes).items())] == [3, 24]
    assert [count for _, count in sorted(heights(shapes).items())] == [24, 3]
    (wide,) = (x for x, count in heights(shapes).items() if count == 3)
    assert 1.15 < wide <= 1.25


def test_the_balance_shows_classes_people_and_ratings_by_split(folder, faces):
    folder.add("rated.png", faces[0, 0, 0], "p0,,,9.9,1,train")
    figure = plots.balance_figure(read_manifest(folder.file))
    expression, lighting, people, ratings = figure.axes
    assert [label.get_text() for label in expression.get_yticklabels()] == [
        *("neutral", "smile", "surprise"),
        "(unknown)",
    ]
    assert [text.get_text().strip() for text in expression.texts] == [
        *["4 / 2 / 2"] * 3,
        "1 / 0 / 0",
    ]
    assert [text.get_text().strip() for text in lighting.texts][:2] == ["6 / 3 / 3"] * 2
    assert heights(people) == {5.5: 3, 6.5: 1}
    assert heights(ratings) == {9.75: 1}


def test_one_picture_of_each_person_is_a_bar_and_not_a_block(tmp_path, faces, recwarn):
    folder = Folder(tmp_path)
    for i in range(3):
        folder.add(f"{i}.png", faces[i, 0, 0], f"p{i},笑顔,,,,train")
    figure = plots.balance_figure(read_manifest(folder.file))
    expression, people = figure.axes
    assert heights(people) == {0.5: 3} and people.get_xlim() == (0.5, 5.5)
    for axes in (expression, people):
        assert all(tick == round(tick) for tick in axes.get_xticks())
    # No word about letters that the font lacks.
    assert as_png(figure) and not recwarn.list


def test_a_line_break_in_a_path_does_not_break_the_report(tmp_path, faces):
    folder = Folder(tmp_path)
    dark = png(np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "a\nb.png").write_bytes(dark)
    folder.lines.append('"a\nb.png",p0,smile,,,,train')
    assert any(told.endswith(": a b.png.") for told in folder.anomalies())


def test_the_contact_sheet_shows_each_class_as_training_sees_it(folder):
    manifest = read_manifest(folder.file)
    asked = []

    def show(row):
        asked.append(row)
        return None if row.path == "0smileleft.png" else np.full((8, 8, 3), 7, np.uint8)

    seen = np.ones(len(manifest.rows), bool)
    seen[0] = False
    content = plots.contact_sheet(manifest, seen, show, seed=0)
    # Three expressions and two lights of eight or more pictures, four people of six.
    assert len(asked) == 7 + 2 * 8 + 2 * 8 + 5 + 3 * 6
    first = asked[:7]
    assert {row.expression for row in first} == {"neutral"} and manifest.rows[0] not in asked
    assert [row.line for row in first] == sorted(row.line for row in first)
    missing = sum(row.path == "0smileleft.png" for row in asked)
    drawn = np.asarray(Image.open(io.BytesIO(content)))
    assert (drawn == 7).all(axis=2).sum() == 64 * (len(asked) - missing)


def test_many_classes_and_long_names_fit(tmp_path, faces):
    folder = Folder(tmp_path)
    shown = faces.reshape(-1, *faces.shape[3:])
    for i in range(140):
        name = f"an expression with quite a long name, number {i % 70:02d}"
        folder.add(f"{i}.png", shown[i], f'p{i},"{name}",{i % 2},,,train')
    assert folder.check(model="legan").error is None
    written = folder.written()
    size = {name: Image.open(io.BytesIO(written[name])).size for name in PICTURES}
    # 60 of 70 expressions, two lights, 12 of 140 people.
    assert size["contact_sheet.png"][1] == 74 * (128 + 14)
    assert max(size["class_balance.png"]) < 3000 and max(size["combinations.png"]) < 3000


def test_two_pictures_of_which_one_is_damaged_and_no_label(tmp_path, faces):
    folder = Folder(tmp_path)
    folder.add("a.png", faces[0, 0, 0], ",,,,,train")
    folder.add("b.png", b"", ",,,,,test")
    assert "b.png: is empty (0 bytes)" in str(folder.check().error)
    assert set(folder.written()) == FILES
    folder.lines = [folder.lines[0], folder.lines[2]]
    assert "b.png: is empty (0 bytes)" in str(folder.check().error)
    assert set(folder.written()) == FILES


def test_a_manifest_without_a_usable_line_suffices_for_nothing(tmp_path):
    folder = Folder(tmp_path)
    folder.lines.append("a.png,too,few")
    found = folder.check()
    assert "\nlegan: no, no picture is in a split\n" in found.text
    assert "has 3 cells where the first line has 7" in str(found.error)
    assert set(folder.written()) == FILES


def test_the_command_prints_the_findings_and_ends_as_training_would(folder):
    script = pathlib.Path(__file__).parents[3] / "scripts" / "prepare.py"
    folder.add("dark.png", np.zeros((64, 64, 3), np.uint8), "p0,smile,left,,,train")
    folder.lines.append("gone.png,p0,smile,left,,,train")
    output = folder.path / "check"
    given = (f"--manifest={folder.file}", f"--output={output}", "--crop=0.1,0.1,0.9,0.9")
    done = subprocess.run(
        [sys.executable, str(script), "check", *given, "--image_size=32", "--model=stargan"],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "stargan: the labels suffice" in done.stdout
    assert "- 1 picture very dark, with a mean luma below 30 of 255: dark.png." in done.stdout
    assert "faces.csv has 1 problem to solve first:" in done.stderr
    assert "gone.png: no such file." in done.stderr
    assert set(folder.written()) == FILES
