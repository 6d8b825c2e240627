from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf.data import images, manifest, maps
from legan_tf.data.check import validation
from legan_tf.data.manifest_faces import DEFAULT_POOL_BYTES, manifest_faces

HEADER = "path,identity,expression,lighting,rating_mean,rating_std,split"


def png(seed: int, shape: tuple[int, ...] = (9, 12, 3)) -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Six pictures, a.png to f.png, each different."""
    for seed, name in enumerate("abcdef"):
        (tmp_path / f"{name}.png").write_bytes(png(seed))
    return tmp_path


GOOD = (
    "a.png,ann,neutral,left,3.5,1.5,train",
    "b.png,ann,smile,right,,,train",
    "c.png,bob,neutral,,9,0,val",
    "d.png,bob,,left,,,val",
    "e.png,cid,smile,left,,,test",
    "f.png,,smile,left,1,0.5,test",
)


def write(folder, *lines: str, header: str = HEADER) -> str:
    path = folder / "faces.csv"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return str(path)


def report(path: str, needs=("expression", "lighting"), **options) -> list[str]:
    """The lines of the report, without its summary."""
    with pytest.raises(manifest.ManifestError) as error:
        validation.check_manifest(manifest.read_manifest(path, **options), needs)
    summary, *lines = str(error.value).splitlines()
    count = len(error.value.problems)
    assert summary == f"{path} has {count} problem{'s' * (count > 1)} to solve first:"
    return lines


def changed(line: int, text: str) -> list[str]:
    """The good manifest with one line replaced; lines are counted as in the file."""
    return [text if number == line else good for number, good in enumerate(GOOD, start=2)]


def test_a_good_manifest_is_read_as_it_stands(folder):
    found = manifest.read_manifest(write(folder, *GOOD))
    done = []
    validation.check_manifest(
        found, ("expression", "lighting", "rating"), lambda *at: done.append(at)
    )
    assert done == [(n, 6) for n in range(1, 7)]
    assert found.names("expression") == ("neutral", "smile")
    assert found.names("lighting") == ("left", "right")
    assert found.identities == ("ann", "bob", "cid")
    assert found.notes == ()
    row = found.rows[0]
    assert (row.line, row.path, row.file) == (2, "a.png", str(folder / "a.png"))
    assert (row.rating_mean, row.rating_std, row.split) == (3.5, 1.5, "train")
    assert found.rows[5].identity == "" and np.isnan(found.rows[4].rating_mean)


def test_columns_may_be_absent_and_in_any_order(folder):
    path = write(folder, "ann,a.png", "bob,b.png", "cid,c.png", header="identity, path")
    found = manifest.read_manifest(path)
    validation.check_manifest(found, needs=())
    assert [row.path for row in found.rows] == ["a.png", "b.png", "c.png"]
    assert found.names("expression") == found.names("lighting") == ()


def test_data_dir_is_where_paths_start(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("lists")
    path = write(elsewhere, *GOOD)
    validation.check_manifest(manifest.read_manifest(path, data_dir=str(folder)))
    assert "no such file" in report(path)[0]


def test_byte_order_mark_blank_lines_and_quotes(folder):
    (folder / "g,h.png").write_bytes(png(7))
    path = folder / "faces.csv"
    text = 'path,split\r\n\r\n"a.png",train\r\n"g,h.png",train\r\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = manifest.read_manifest(str(path))
    validation.check_manifest(found, needs=())
    assert [(row.line, row.path) for row in found.rows] == [(3, "a.png"), (4, "g,h.png")]


@pytest.mark.parametrize(
    ("line", "text", "complaint"),
    [
        (3, "x.png,ann,smile,right,,,train", "x.png: the picture {folder}/x.png: no such file."),
        (2, "a.png,ann,neutral,left,11,1,train", "a.png: rating_mean 11 is outside 1 to 10;"),
        (2, "a.png,ann,neutral,left,0.5,1,train", "a.png: rating_mean 0.5 is outside 1 to 10;"),
        (2, "a.png,ann,neutral,left,good,1,train", "a.png: rating_mean 'good' is not a number;"),
        (2, "a.png,ann,neutral,left,nan,1,train", "a.png: rating_mean 'nan' is not a number;"),
        (2, "a.png,ann,neutral,left,5,-1,train", "a.png: rating_std -1 is negative;"),
        (2, "a.png,ann,neutral,left,,1,train", "a.png: rating_std is given without rating_mean;"),
        (5, "d.png,bob,,left,,,valid", "d.png: split 'valid' is not known; did you mean 'val'?"),
        (5, "d.png,bob,,left,,,extra", "d.png: split 'extra' is not known; splits are train, val"),
        (5, ",bob,,left,,,val", "the path is empty;"),
        (5, "d.png,bob,,left,val", "d.png: has 5 cells where the first line has 7;"),
        (
            6,
            "e.png,bob,smile,left,,,test",
            "e.png: the person 'bob' is in split 'test' here and in 'val' in line 4;",
        ),
        (
            7,
            "a.png,,smile,left,,,test",
            "a.png: the file is in split 'test' here and in 'train' in line 2;",
        ),
    ],
)
def test_each_problem_is_told_with_line_and_path(folder, line, text, complaint):
    path = write(folder, *changed(line, text))
    (told,) = report(path)
    assert told.startswith(f"{path}:{line}: {complaint.format(folder=folder)}")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"text", "no known picture format"), (png(1)[:120], "cut short")],
)
def test_damaged_pictures_are_told(folder, content, complaint):
    (folder / "d.png").write_bytes(content)
    path = write(folder, *GOOD)
    (told,) = report(path)
    assert told.startswith(f"{path}:5: d.png: the picture {folder}/d.png: ") and complaint in told


def test_missing_depth_and_normal_maps_are_told(folder):
    path = write(folder, "a.png,a.png,n.png", "b.png,d.png,", header="path,depth,normal")
    lines = [line for line in report(path, needs=()) if "map" in line]
    assert lines == [f"{path}:2: a.png: the normal map {folder}/n.png: no such file."]


def test_maps_that_are_learnt_from_are_decoded_and_compared(folder):
    # The pictures are squares.
    height, width = images.decode(str(folder / "a.png")).shape[:2]
    images.save_png(str(folder / "wide.png"), np.full((height, 2 * width, 3), 90, np.uint8))
    images.save_png(str(folder / "half.png"), np.full((height // 2, width // 2, 3), 90, np.uint8))
    (folder / "cut.png").write_bytes((folder / "wide.png").read_bytes()[:60])
    path = folder / "maps.csv"
    path.write_text("path,depth,split\na.png,wide.png,train\nb.png,half.png,train\n")
    found = manifest.read_manifest(str(path))
    validation.check_manifest(found, needs=())
    with pytest.raises(manifest.ManifestError) as raised:
        validation.check_manifest(found, needs=("depth",))
    (problem,) = raised.value.problems
    assert problem.line == 2
    assert f"is {2 * width} x {height} pixels and the picture {width} x {height}" in str(problem)
    path.write_text("path,depth,split\na.png,cut.png,train\nb.png,half.png,train\n")
    (problem,) = validation.picture_problems(manifest.read_manifest(str(path)))
    assert (problem.line, problem.path) == (2, "a.png")
    assert f"the depth map {folder / 'cut.png'}" in problem.message


def test_identical_pictures_may_not_be_in_two_splits(folder):
    (folder / "b.png").write_bytes(png(0))  # As a.png, and both in train.
    path = write(folder, *GOOD)
    validation.check_manifest(manifest.read_manifest(path))
    (folder / "e.png").write_bytes(png(0))
    (told,) = report(path)
    assert told.startswith(f"{path}:6: e.png: is byte for byte the picture of line 2 (a.png), but")


def test_all_problems_come_in_one_report(folder):
    (folder / "c.png").write_bytes(b"damaged")
    lines = changed(2, "a.png,ann,neutral,left,12,-2,train")
    lines[4] = "missing.png,ann,smile,left,,,test"
    path = write(folder, *lines)
    told = report(path)
    assert [line[len(path) : len(path) + 3] for line in told] == [":2:", ":2:", ":4:", ":6:", ":6:"]


def test_a_long_report_is_cut_and_counted(folder):
    path = write(folder, *(f"{n}.png,,smile,left,,,train" for n in range(70)))
    told = report(path, needs=())
    assert len(told) == 51 and told[-1] == "... and 20 more."


def test_training_needs_two_classes(folder):
    lines = [line.replace("right", "left") for line in GOOD]
    path = write(folder, *lines)
    (told,) = report(path)
    assert told.startswith(f"{path}: column 'lighting' has one class (left) in split 'train'")
    validation.check_manifest(manifest.read_manifest(path), needs=("expression",))
    (told,) = report(path, needs=("identity",))
    assert told.startswith(f"{path}: column 'identity' has one class (ann) in split 'train'")


def test_a_class_must_be_in_train(folder):
    lines = [
        *GOOD[:2],
        "c.png,bob,neutral,above,9,0,val",
        "d.png,bob,scream,left,,,val",
        "e.png,cid,scream,left,,,test",
        GOOD[5],
    ]
    path = write(folder, *lines)
    above, scream = (
        f"{path}:{line}: {attribute} {name!r} is in split 'val' but in no line of split 'train'"
        for line, attribute, name in (
            ("4: c.png", "lighting", "above"),
            ("5: d.png", "expression", "scream"),
        )
    )
    for needs in (("expression", "lighting"), ("expression",)):
        told = report(path, needs)
        assert len(told) == 2
        assert told[0].startswith(above) and told[1].startswith(scream)
    # Neither is a class of Q, and people are held out on purpose.
    validation.check_manifest(manifest.read_manifest(path), needs=())


def test_training_on_ratings_needs_both_parts(folder):
    path = write(folder, *changed(2, "a.png,ann,neutral,left,4,,train"))
    validation.check_manifest(manifest.read_manifest(path))
    (told,) = report(path, needs=("rating",))
    assert told.startswith(f"{path}:2: a.png: rating_mean is given without rating_std")
    (told,) = report(write(folder, *changed(2, GOOD[1])), needs=("rating",))
    assert "no line of split 'train' has a rating_mean" in told


def test_a_train_split_is_needed(folder):
    (told,) = report(write(folder, *GOOD[2:]))
    assert told.endswith("no line is in split 'train'; there is nothing to train on.")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty; its first line is path,identity"),
        (b"path,split\n", "has no lines below the column names"),
        (b"path,expresion\na.png,smile\n", "'expresion' is not known; did you mean 'expression'?"),
        (b"path,Identity\na.png,ann\n", "'Identity' is not known; did you mean 'identity'?"),
        (b"path,mood\na.png,good\n", "'mood' is not known; columns are path, identity"),
        (b"path,split,split\na.png,train,train\n", "column 'split' is there twice"),
        (b"path;split\na.png;train\n", "no column is called 'path'; the first line names"),
        (b"path,split\na.png,train\n\xe9.png,train\n", "csv:3: is not UTF-8 text"),
        ("path,split\na.png,train\n".encode("utf-16"), "csv:1: is not UTF-8 text"),
        (b'path,split\n"a.png,train\n', "csv:2: is not valid CSV"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, content, complaint):
    path = tmp_path / "faces.csv"
    path.write_bytes(content)
    with pytest.raises(manifest.ManifestError) as error:
        manifest.read_manifest(str(path))
    assert complaint in str(error.value)


def test_class_order_follows_the_data_sets(folder):
    def expressions(*names):
        path = write(folder, *(f"a.png,{name}" for name in names), header="path,expression")
        return manifest.read_manifest(path).names("expression")

    assert expressions("scream", "squint", "neutral") == ("neutral", "squint", "scream")
    assert expressions("disgust", "anger", "happy", "neutral", "surprise") == (
        "neutral",
        "happy",
        "surprise",
        "disgust",
        "anger",
    )
    assert expressions("wink", "sleepy", "neutral") == ("neutral", "sleepy", "wink")


def test_without_splits_people_are_split_the_same_way_each_time(folder):
    lines = [f"{n}{shot}.png,person{n:02d}" for n in range(20) for shot in "ab"]
    path = write(folder, *lines, header="path,identity")
    found = manifest.read_manifest(path)
    people = {
        split: {row.identity for row in found.split(split)} for split in ("train", "val", "test")
    }
    assert {split: len(names) for split, names in people.items()} == {
        "train": 16,
        "val": 2,
        "test": 2,
    }
    assert len(set.union(*people.values())) == 20
    assert "20 people" in found.notes[0] and "16/2/2 with seed 0" in found.notes[0]
    assert manifest.read_manifest(path) == found
    other = manifest.read_manifest(path, seed=1)
    assert {row.identity for row in other.split("test")} != people["test"]


def test_without_splits_unknown_people_are_split_by_file(folder):
    path = write(folder, *(f"{name}.png" for name in "abcdef"), header="path")
    found = manifest.read_manifest(path)
    assert [len(found.split(split)) for split in ("train", "val", "test")] == [4, 1, 1]
    validation.check_manifest(found, needs=())


def test_too_few_people_to_split(folder):
    path = write(folder, "a.png,ann", "b.png,bob", header="path,identity")
    (told,) = report(path)
    assert "2 people are too few to split into train, val, test" in told


def test_lines_without_split_join_their_person(folder):
    lines = changed(5, "d.png,bob,,left,,,")
    lines[5] = "f.png,,smile,left,1,0.5,"
    found = manifest.read_manifest(write(folder, *lines))
    assert [row.split for row in found.rows] == ["train", "train", "val", "val", "test", "train"]
    assert found.notes[0].startswith("2 of 6 lines name no split")


def test_faces_share_class_ids_across_splits(folder):
    found = manifest.read_manifest(write(folder, *GOOD))
    train, val, test = (manifest_faces(found, split, 8) for split in ("train", "val", "test"))
    assert train.name == "faces.csv/train" and train.image_size == 8
    assert train.conditions == val.conditions == test.conditions == found.conditions
    np.testing.assert_array_equal(train.labels["expression"], [0, 1])
    np.testing.assert_array_equal(val.labels["expression"], [0, -1])
    np.testing.assert_array_equal(val.labels["lighting"], [-1, 0])
    np.testing.assert_array_equal(test.identity, [2, -1])
    np.testing.assert_array_equal(test.rating_mean, np.array([np.nan, 1], np.float32))
    np.testing.assert_array_equal(val.rating_std, np.array([0, np.nan], np.float32))
    assert train.labels["expression"].dtype == np.int32 and test.rating_mean.dtype == np.float32


def test_pool_and_files_give_the_same_pictures(folder):
    found = manifest.read_manifest(write(folder, *GOOD))
    crop = (0.25, 0.0, 1.0, 1.0)
    done = []
    pooled = manifest_faces(found, "train", 8, crop, on_progress=lambda *at: done.append(at))
    streamed = manifest_faces(found, "train", 8, crop, max_pool_bytes=0)
    assert done == [(1, 2), (2, 2)]
    expected = np.stack(
        [images.to_square(images.decode(str(folder / f"{name}.png")), 8, crop) for name in "ab"]
    )
    for faces in (pooled, streamed):
        np.testing.assert_array_equal(faces.images(np.arange(2)), expected)
        batches = tf.data.Dataset.range(2).map(faces.load).batch(2, drop_remainder=True)
        assert batches.element_spec == tf.TensorSpec((2, 8, 8, 3), tf.uint8)
        np.testing.assert_array_equal(next(iter(batches)), expected)


def test_maps_are_read_with_their_pictures_and_black_where_there_is_none(folder):
    depth = np.zeros((12, 20), np.uint8)
    depth[2:10, 4:16] = np.linspace(1, 255, 12).round()
    Image.fromarray(depth).save(folder / "b-depth.png")
    (folder / "maps.csv").write_text(
        "path,identity,expression,depth,split\na.png,ann,neutral,,train\n"
        "b.png,ann,smile,b-depth.png,train\n"
    )
    found = manifest.read_manifest(str(folder / "maps.csv"))
    crop = (0.25, 0.0, 1.0, 1.0)
    wanted = maps.read_map(str(folder / "b-depth.png"), "depth", 8, crop)
    assert wanted.max() == 255
    for pool in (DEFAULT_POOL_BYTES, 0):
        faces = manifest_faces(found, "train", 8, crop, max_pool_bytes=pool, map_kind="depth")
        assert faces.map_kind == "depth" and faces.true_map is None
        np.testing.assert_array_equal(faces.map_images([0, 1]), [np.zeros((8, 8, 3)), wanted])
        spec = tf.data.Dataset.range(2).map(faces.maps).element_spec
        assert spec == tf.TensorSpec((8, 8, 3), tf.uint8)
    assert manifest_faces(found, "train", 8).maps is None
    (problem,) = validation.need_problems(found, ("expression", "depth"))
    assert "one class (smile) in split 'train'" in problem.message
    (problem,) = validation.need_problems(found, ("normal",))
    assert "no line of split 'train' names a normal map" in problem.message
    assert not validation.need_problems(found, ("expression",))


def test_lines_without_what_is_learnt_are_left_out_and_counted(folder):
    found = manifest.read_manifest(write(folder, *GOOD))
    rated = validation.check_manifest(found, ("rating",), learns=("rating",))
    assert [row.path for row in rated.rows] == ["a.png", "c.png", "f.png"]
    assert rated.names("expression") == found.names("expression")
    note = "Left out for want of rating: 1 of train, 1 of val, 1 of test."
    assert manifest.counts_table(rated).splitlines()[-1] == note
    # One of two labels is enough.
    lines = [line.replace("scream", "").replace("right", "") for line in GOOD]
    either = manifest.read_manifest(write(folder, *lines))
    kept = validation.check_manifest(either, ("expression",), learns=("expression", "lighting"))
    assert kept is either
    # A damaged picture that nothing is learnt from does no harm.
    (folder / "d.png").write_bytes(b"damaged")
    assert validation.check_manifest(found, ("rating",), learns=("rating",)).rows == rated.rows
    assert "d.png" in report(write(folder, *GOOD))[0]


def test_a_set_with_nothing_to_learn_from_is_refused(folder):
    path = write(folder, *(line.replace(",9,0,", ",,,") for line in GOOD))
    with pytest.raises(manifest.ManifestError) as raised:
        validation.check_manifest(manifest.read_manifest(path), ("rating",), learns=("rating",))
    (problem,) = raised.value.problems
    assert "no line of split 'val' has what this training learns from (rating)" in problem.message


def test_a_class_without_a_map_cannot_be_learnt(folder):
    images.save_png(str(folder / "map.png"), np.full((8, 8), 90, np.uint8))
    (folder / "maps.csv").write_text(
        "path,expression,depth,split\na.png,neutral,map.png,train\nb.png,smile,map.png,train\n"
        "c.png,scream,,train\n"
    )
    found = manifest.read_manifest(str(folder / "maps.csv"))
    (problem,) = validation.need_problems(found, ("expression", "depth"))
    assert problem.line == 4
    assert "'scream' is in no line of split 'train' that names a depth map" in problem.message


def test_maps_count_in_progress_and_memory(folder):
    images.save_png(str(folder / "d.png"), np.full((8, 8, 3), 90, np.uint8))
    (folder / "maps.csv").write_text("path,depth,split\na.png,d.png,train\nb.png,d.png,train\n")
    found = manifest.read_manifest(str(folder / "maps.csv"))
    for pool, expected in ((4 * 8 * 8 * 3, [1, 2, 3, 4]), (4 * 8 * 8 * 3 - 1, [])):
        told = []
        manifest_faces(
            found,
            "train",
            8,
            max_pool_bytes=pool,
            on_progress=lambda done, total, told=told: told.append((done, total)),
            map_kind="depth",
        )
        assert told == [(done, 4) for done in expected]


def test_faces_of_a_manifest_with_problems_are_refused(folder):
    found = manifest.read_manifest(write(folder, *changed(2, "a.png,ann,,,11,1,train")))
    with pytest.raises(manifest.ManifestError, match="rating_mean 11"):
        manifest_faces(found, "train", 8)


def test_counts_per_class_and_split(folder):
    found = manifest.read_manifest(write(folder, *GOOD))
    counts = manifest.class_counts(found)
    assert counts["expression"] == {
        "neutral": {"train": 1, "val": 1, "test": 0},
        "smile": {"train": 1, "val": 0, "test": 2},
        "": {"train": 0, "val": 1, "test": 0},
    }
    assert counts["identity"]["ann"] == {"train": 2, "val": 0, "test": 0}
    lines = [line.split() for line in manifest.counts_table(found).splitlines()]
    assert lines[:4] == [
        ["train", "val", "test"],
        ["pictures", "2", "2", "2"],
        ["rated", "1", "1", "1"],
        ["people", "1", "1", "1"],
    ]
    assert ["lighting", "right", "1", "0", "0"] in lines
    assert ["expression", "(unknown)", "0", "1", "0"] in lines


ATTRIBUTES = "path,split,expression,attribute:Smiling,attribute:Young"
LABELLED = (
    "a.png,train,neutral,1,0",
    "b.png,train,smile,0,",
    "c.png,train,,,1",
    "d.png,val,smile,1,1",
    "e.png,val,neutral,,",
)


def test_binary_attributes_are_a_condition_with_unknown_labels(folder):
    path = write(folder, *LABELLED, header=ATTRIBUTES)
    found = validation.check_manifest(manifest.read_manifest(path), ("attributes",))
    assert [(one.kind, one.name) for one in found.conditions] == [
        ("class", "expression"),
        ("binary", "attributes"),
    ]
    assert found.names("attributes") == ("Smiling", "Young")
    assert [row.attributes for row in found.rows] == [
        {"Smiling": 1, "Young": 0},
        {"Smiling": 0},
        {"Young": 1},
        {"Smiling": 1, "Young": 1},
        {},
    ]
    faces = manifest_faces(found, "train", 8)
    assert faces.conditions == found.conditions
    np.testing.assert_array_equal(faces.labels["attributes"], [[1, 0], [0, -1], [-1, 1]])
    assert faces.labels["attributes"].dtype == np.int32
    counts = manifest.class_counts(found)["attributes"]
    assert counts == {
        "Smiling": {"train": 1, "val": 1, "test": 0},
        "Young": {"train": 1, "val": 1, "test": 0},
        "": {"train": 0, "val": 1, "test": 0},
    }
    assert ["attributes", "Young", "1", "1", "0"] in [
        line.split() for line in manifest.counts_table(found).splitlines()
    ]


def test_some_conditions_and_attributes_are_chosen_in_their_order(folder):
    found = manifest.read_manifest(write(folder, *LABELLED, header=ATTRIBUTES))
    young = found.only(["attributes"], ["Young"])
    assert [one.names for one in young.conditions] == [("Young",)]
    assert [row.expression for row in young.rows] == [""] * 5
    assert [row.attributes for row in young.rows] == [{"Young": 0}, {}, *[{"Young": 1}] * 2, {}]
    labels = manifest_faces(young, "val", 8).labels
    assert list(labels) == ["attributes"] and labels["attributes"].tolist() == [[1], [-1]]
    # What is not chosen is nothing to learn from.
    assert [row.path for row in young.with_any(["attributes"]).rows] == ["a.png", "c.png", "d.png"]
    turned = found.only(["attributes", "expression"], ["Young", "Smiling"])
    assert [one.name for one in turned.conditions] == ["attributes", "expression"]
    labels = manifest_faces(turned, "train", 8).labels["attributes"]
    np.testing.assert_array_equal(labels, [[0, 1], [-1, 0], [1, -1]])
    assert found.only(["expression", "attributes"]) is found
    with pytest.raises(KeyError, match="Old"):
        found.only(["attributes"], ["Old"])


def test_cells_of_attributes_are_one_nothing_or_zero(folder):
    path = write(folder, *LABELLED[:4], "e.png,val,neutral,yes,-1", header=ATTRIBUTES)
    told = report(path, needs=())
    rest = "is neither 1 (there) nor 0 (not there); leave it empty if unknown."
    assert told == [
        f"{path}:6: e.png: attribute:Smiling 'yes' {rest}",
        f"{path}:6: e.png: attribute:Young '-1' {rest}",
    ]


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        ("Attribute:Smiling", "is not known; did you mean 'attribute:Smiling'?"),
        ("attributes: Smiling", "is not known; did you mean 'attribute:Smiling'?"),
        ("attribute:", "is not known; columns are path, identity"),
        ("Smiling", "is not known; columns are path, identity"),
        ('"attribute:a,b"', "the name of an attribute has no comma and no equals sign"),
        ("attribute:a=b", "the name of an attribute has no comma and no equals sign"),
        ("attribute:a,attribute:a", "is there twice; keep one."),
    ],
)
def test_columns_of_attributes_with_wrong_names_are_told(folder, column, complaint):
    path = write(folder, "a.png,1,0", header=f"path,{column}")
    (told,) = report(path, needs=())
    assert told.startswith(f"{path}:1: column '") and complaint in told


def test_a_training_needs_both_labels_of_each_attribute(folder):
    lines = [line[:-1] + "1" if line[-1] == "0" else line for line in LABELLED]
    path = write(folder, *lines, header=ATTRIBUTES)
    (told,) = report(path, needs=("attributes",))
    assert told == (
        f"{path}: column 'attribute:Young' has one class (1) in split 'train', and this training "
        "needs two or more; fill the column or name others with --attributes."
    )
    found = manifest.read_manifest(path)
    validation.check_manifest(found, ("expression",))
    validation.check_manifest(found.only(["attributes"], ["Smiling"]), ("attributes",))
    (told,) = report(write(folder, *GOOD), needs=("attributes",))
    assert "column 'attribute:NAME' has no class in split 'train'" in told


def test_a_manifest_that_is_written_has_its_attributes(folder):
    found = manifest.read_manifest(write(folder, *LABELLED, header=ATTRIBUTES))
    rows = found.rows[2:]  # The first of them does not know Smiling.
    content = manifest.to_csv(map(vars, rows))
    assert content.splitlines()[0] == ",".join(manifest.COLUMNS).encode() + (
        b",attribute:Smiling,attribute:Young"
    )
    (folder / "again.csv").write_bytes(content)
    again = manifest.read_manifest(str(folder / "again.csv"))
    assert again.names("attributes") == ("Smiling", "Young")
    assert [row.attributes for row in again.rows] == [row.attributes for row in rows]
