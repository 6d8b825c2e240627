from __future__ import annotations

import collections
import csv
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from legan_tf.data import images
from legan_tf.data.check.validation import check_manifest
from legan_tf.data.conditions import BinaryCondition, of_classes
from legan_tf.data.manifest import read_manifest
from legan_tf.errors import UserError
from legan_tf.models import LeganGenerator
from legan_tf.uses.augment.augment import Source, augment
from legan_tf.uses.augment.config import AugmentOptions

ROOT = pathlib.Path(__file__).parents[3]
SIZE = 16
COUNTS = {"happy": 20, "neutral": 6, "fear": 3}


class Editor:
    """Puts a stripe of a grey that stands for the target over a picture.

    Attributes:
        calls: Pictures of each call.
        fails_at: Number of the call that is interrupted.
    """

    kind, path, sha256, image_size = "editor", "runs/stripes", "stripes", SIZE
    conditions = of_classes(expression=("neutral", "fear", "happy"), lighting=("left", "right"))
    keeps_unnamed = True

    def __init__(self, fails_at=None):
        self.calls, self.fails_at = [], fails_at

    def __call__(self, pictures, expression, lighting):
        assert pictures.dtype == np.uint8 and pictures.shape[1:] == (SIZE, SIZE, 3)
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append(len(pictures))
        edited = pictures.copy()
        for row, target in enumerate(expression):
            edited[row, :2] = 10 * (1 + self.conditions[0].names.index(target))
        return edited


class Brightness:
    """Rates pictures by their brightness, 1 to 10."""

    kind, path, sha256 = "scorer", "runs/bright", "bright"

    def __call__(self, pictures):
        return 1 + 9 * pictures.mean(axis=(1, 2, 3)).astype(np.float32) / 255


@pytest.fixture
def faces(tmp_path):
    """A folder of 29 pictures to train on, four to look at, and their manifest."""
    folder = tmp_path / "faces"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,identity,expression,lighting,split"]
    number = 0
    for split, counts in (("train", COUNTS), ("test", {"happy": 2, "neutral": 2})):
        for expression, count in counts.items():
            for place in range(count):
                name = f"{number}.png"
                picture = np.full((20, 24, 3), rng.integers(256), np.uint8)
                picture[5:15, 5:15] = rng.integers(256, size=(10, 10, 3))
                Image.fromarray(picture).save(folder / name)
                lines.append(f"{name},{split}{place % 4},{expression},left,{split}")
                number += 1
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    return folder / "faces.csv"


def made_of(output):
    with open(output / "synthetic.csv", newline="") as file:
        return list(csv.DictReader(file))


def content_of(output):
    return {
        str(file.relative_to(output)): file.read_bytes()
        for file in output.rglob("*")
        if file.is_file()
    }


def run(faces, output, editor=None, scorer=None, crop="", **options):
    return augment(
        editor or Editor(),
        Source(str(faces), crop=crop),
        str(output),
        AugmentOptions(**{"batch_size": 8, **options}),
        scorer,
        bar=lambda label: lambda done, total: None,
    )


def test_rare_classes_are_filled_with_edits_of_the_same_people(faces, tmp_path):
    output = tmp_path / "deep" / "augmented"
    editor = Editor()
    reported = run(faces, output, editor).report
    assert editor.calls == [8, 8, 8, 7]
    manifest = read_manifest(str(output / "manifest.csv"))
    check_manifest(manifest, ("expression",))
    train = manifest.split("train")
    counts = collections.Counter(row.expression for row in train)
    assert counts == dict.fromkeys(COUNTS, 20)
    before = read_manifest(str(faces))
    assert [images.decode(row.file).tobytes() for row in manifest.rows[:33]] == [
        images.decode(row.file).tobytes() for row in before.rows
    ]
    for row, old in zip(manifest.rows, before.rows):
        assert (row.identity, row.expression, row.lighting, row.split) == (
            old.identity,
            old.expression,
            old.lighting,
            old.split,
        )
    of_file = {os.path.realpath(row.file): row for row in before.rows}
    listed = made_of(output)
    assert len(listed) == len(manifest.rows) - 33 == 31
    for line, row in zip(listed, manifest.rows[33:]):
        assert line["path"] == row.path and line["rating"] == line["lighting"] == ""
        source = of_file[os.path.realpath(output / line["source"])]
        assert source.split == row.split == "train"
        assert source.expression != line["expression"] == row.expression
        assert (source.identity, source.lighting) == (row.identity, row.lighting)
        expected = images.to_square(images.decode(source.file), SIZE).copy()
        expected[:2] = 10 * (1 + Editor.conditions[0].names.index(row.expression))
        np.testing.assert_array_equal(images.decode(row.file), expected)
    assert "neutral         6        14        20" in reported
    assert reported.endswith("31 synthetic pictures beside 33 real ones")
    assert images.decode(str(output / "sheet.png")).shape[1] > 8 * 96


def test_where_it_was_stopped_it_goes_on_and_ends_with_the_same_bytes(faces, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    scorer = {"scorer": Brightness(), "quality_model": "runs/bright", "quality_above": 5.0}
    every = Editor()
    run(faces, whole, every, **scorer)
    with pytest.raises(KeyboardInterrupt):
        run(faces, halves, Editor(fails_at=2), **scorer)
    assert not (halves / "manifest.csv").exists()
    (halves / "images" / ".x.part").write_bytes(b"half")
    rest = Editor()
    run(faces, halves, rest, **scorer)
    assert sum(rest.calls) == sum(every.calls) - 16
    assert content_of(halves) == content_of(whole)
    nothing = Editor()
    run(faces, halves, nothing, **scorer)
    assert nothing.calls == [] and content_of(halves) == content_of(whole)


def test_only_edits_that_are_rated_high_enough_are_taken_and_the_rest_is_reported(faces, tmp_path):
    output = tmp_path / "augmented"
    options = {"scorer": Brightness(), "quality_model": "runs/bright", "quality_above": 5.0}
    editor = Editor()
    reported = run(faces, output, editor, **options).report
    listed = made_of(output)
    assert listed and all(float(line["rating"]) >= 5 for line in listed)
    for line in listed:
        picture = images.decode(str(output / line["path"]))
        assert float(line["rating"]) == pytest.approx(Brightness()(picture[None])[0], abs=6e-4)
    rejected = sum(editor.calls) - len(listed)
    assert 0 < rejected and f"{rejected} edits were rated too low and rejected" in reported
    assert len(listed) == 31 and "could not be filled" not in reported
    assert {f"{p.relative_to(output)}" for p in (output / "images").rglob("*.png")} == {
        line["path"] for line in listed
    }
    pairs = [(line["source"], line["expression"]) for line in listed]
    assert len(set(pairs)) == len(pairs)
    # Every source is tried once at most: not all classes can be filled.
    editor = Editor()
    options["quality_above"] = 7.0
    fewer = run(faces, tmp_path / "fewer", editor, **options)
    reported = fewer.report
    assert fewer.notes and set(fewer.notes) < set(reported.splitlines())
    assert all("could not be filled" in note for note in fewer.notes)
    assert sum(editor.calls) == 23 + 26
    assert (
        "'fear' could not be filled: " in reported and " of 17 edits were found in 26." in reported
    )


def test_a_picture_that_changed_after_a_stop_is_edited_again(faces, tmp_path):
    output, fresh = tmp_path / "augmented", tmp_path / "fresh"
    scorer = {"scorer": Brightness(), "quality_model": "runs/bright", "quality_above": 5.0}
    run(faces, output, **scorer)
    # Of the same form as what is written; the others are not, and stay.
    (output / "images" / "000" / "000999.png").write_bytes(b"old")
    theirs = [output / "images" / name for name in ("notes.txt", "000/1.png", "001/000002.png")]
    for file in theirs:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"mine")
    for number in range(0, 20, 2):
        Image.new("RGB", (20, 20), "white").save(faces.parent / f"{number}.png")
    run(faces, output, **scorer)
    run(faces, fresh, **scorer)
    for file in theirs:
        assert file.read_bytes() == b"mine"
        file.unlink()
    assert content_of(output) == content_of(fresh)


def test_every_picture_of_train_is_varied_once(faces, tmp_path):
    output = tmp_path / "varied"
    run(faces, output, policy="vary")
    rows = read_manifest(str(output / "manifest.csv")).rows
    real = [row for row in rows[:33] if row.split == "train"]
    assert [row.identity for row in rows[33:]] == [row.identity for row in real]
    listed = made_of(output)
    assert len({line["source"] for line in listed}) == len(listed) == 29
    assert {line["lighting"] for line in listed} == {"left", "right"}
    for line, row in zip(listed, rows[33:]):
        assert (row.expression, row.lighting) == (line["expression"], line["lighting"])


def test_with_a_crop_the_real_pictures_are_cropped_too(faces, tmp_path):
    output = tmp_path / "augmented"
    run(faces, output, crop="0.2,0.2,0.8,0.8")
    before, after = read_manifest(str(faces)), read_manifest(str(output / "manifest.csv"))
    check_manifest(after, ("expression",))
    cropped = {}
    for old, new in zip(before.rows, after.rows):
        expected = images.to_square(images.decode(old.file), SIZE, (0.2, 0.2, 0.8, 0.8))
        np.testing.assert_array_equal(images.decode(new.file), expected)
        assert new.path.startswith("originals/") and new.split == old.split
        cropped[new.path] = expected
    for line in made_of(output):
        edit = images.decode(str(output / line["path"]))
        np.testing.assert_array_equal(edit[2:], cropped[line["source"]][2:])


class Smiler(Editor):
    """Puts a stripe of a grey for each attribute that is asked for over a picture."""

    conditions = (BinaryCondition("attributes", ("Smiling", "Young")),)

    def __call__(self, pictures, attributes):
        (condition,) = self.conditions
        edited = pictures.copy()
        for row, label in enumerate(condition.ids(attributes, len(pictures), True)):
            for place in np.flatnonzero(label >= 0):
                edited[row, place] = 100 + 100 * label[place]
        return edited


def test_attributes_are_balanced_in_the_manifest_s_columns(faces, tmp_path):
    columns = "path,identity,split,attribute:Smiling,attribute:Young,attribute:Hat"
    cells = [",1,0", "1,1,", "0,,1", *["1,0,0"] * 6]
    lines = [f"{number}.png,p{number},train,{cell}" for number, cell in enumerate(cells)]
    faces.write_text("\n".join([columns, *lines]))
    output = tmp_path / "augmented"
    reported = run(faces, output, Smiler()).report
    manifest = read_manifest(str(output / "manifest.csv"))
    assert manifest.names("attributes") == ("Smiling", "Young", "Hat")
    listed, made = made_of(output), manifest.rows[9:]
    assert [line["attributes"] for line in listed] == ["Smiling=0"] * 6 + ["Young=1"] * 4
    before = read_manifest(str(faces)).rows
    for line, row in zip(listed, made):
        source = before[int(pathlib.Path(line["source"]).stem)]
        name, value = line["attributes"].split("=")
        assert source.attributes[name] == 1 - int(value)
        assert dict(row.attributes) == {**source.attributes, name: int(value)}
        picture = images.to_square(images.decode(source.file), SIZE).copy()
        picture[("Smiling", "Young").index(name)] = 100 + 100 * int(value)
        np.testing.assert_array_equal(images.decode(row.file), picture)
    assert "Smiling=0         1         6 " in reported
    assert images.decode(str(output / "sheet.png")).shape[1] > 6 * 96


def test_what_does_not_fit_is_reported_in_one_sentence(faces, tmp_path):
    output = tmp_path / "augmented"
    for options, message in (
        ({"quality_above": 5.0}, "--quality_above=5 needs --quality_model"),
        ({"quality_model": "q", "quality_above": 11.0}, "ratings are 1 to 10"),
        ({"quality_model": "q", "quality_above": 5.0}, "--quality_model=q: load it and give it"),
        ({"tries": 0}, "--tries=0: must be more than 0"),
        ({"policy": "both"}, "--policy=both: choose from balance, vary"),
        ({"editor": Brightness()}, "--model=runs/bright: is no editor"),
        ({"scorer": Editor(), "quality_model": "q"}, "--quality_model=runs/stripes: is not Q"),
    ):
        with pytest.raises(UserError, match=message):
            run(faces, output, **options)
    with pytest.raises(UserError, match="is a file; name a folder"):
        run(faces, faces.parent / "0.png")
    assert not output.exists()
    run(faces, output)
    with pytest.raises(UserError, match="was begun with seed 0, now it is 1"):
        run(faces, output, seed=1)
    with pytest.raises(UserError, match="holds other files already"):
        run(faces, faces.parent)
    shutil.rmtree(output)
    (faces.parent / "3.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"3\.png: is damaged"):
        run(faces, output)


def test_the_script_augments_with_a_network(faces, tmp_path):
    keras.utils.set_random_seed(1)
    network = LeganGenerator(
        of_classes(expression=("neutral", "fear"), lighting=("left",)),
        image_size=SIZE,
        width=4,
        blocks=0,
        mask_channels=2,
        keeps_unnamed=True,
    )
    network.build()
    network.save(tmp_path / "model.keras")
    command = [sys.executable, str(ROOT / "scripts" / "augment.py")]
    flags = [f"--model={tmp_path / 'model.keras'}", f"--manifest={faces}"]
    done = subprocess.run(
        [*command, *flags, f"--output={tmp_path / 'out'}"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "31 synthetic pictures beside 33 real ones" in done.stdout
    assert "editing 31/31 (100%)" in done.stderr
    assert len(read_manifest(str(tmp_path / "out" / "manifest.csv")).rows) == 64
