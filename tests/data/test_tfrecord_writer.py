"""Records: what is written, that training sees the same, and going on after a stop."""

from __future__ import annotations

import itertools
import json
import os
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data import images, maps, pipeline, tfrecord_writer
from legan_tf.data.check.validation import check_manifest
from legan_tf.data.manifest import ManifestError, read_manifest
from legan_tf.data.manifest_faces import manifest_faces
from legan_tf.data.splits import SPLITS
from legan_tf.data.storage import StorageError
from legan_tf.errors import UserError

SIZE = 16
PICTURES = 14


def quiet(label):
    return lambda done, total: None


def make(folder, output, workers=1, shards=2, bar=quiet, crop=None, size=SIZE, data_dir=""):
    return tfrecord_writer.write_records(
        str(folder / "faces.csv"),
        str(data_dir),
        str(output),
        size,
        crop,
        shards,
        0,
        workers,
        bar,
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    """Pictures of several sizes and formats, with labels known and unknown."""
    lines = ["path,identity,expression,lighting,rating_mean,rating_std,split"]
    draw = np.random.default_rng(0)
    for index in range(PICTURES):
        name = f"{index}.{'jpg' if index % 3 == 0 else 'png'}"
        pixels = draw.integers(0, 256, (20 + index, 40 - index, 3), np.uint8)
        images.Image.fromarray(pixels).save(tmp_path / name)
        split = ("train", "train", "train", "val", "test")[index % 5]
        expression = ("neutral", "smile", "")[index % 3]
        rating = "" if index % 2 else f"{1 + index / 3!r},{index / 7!r}"
        lines.append(
            f"{name},{split} {index % 2},{expression},{('left', 'right')[index % 2]},"
            f"{rating or ','},{split}"
        )
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("crop", [None, (0.1, 0.2, 0.9, 0.7)])
def test_training_sees_the_same_pictures_labels_and_batches(folder, crop):
    make(folder, folder / "records", crop=crop)
    plain = read_manifest(str(folder / "faces.csv"))
    stored = read_manifest(str(folder / "records" / "manifest.csv"))
    check_manifest(stored)
    for split, count in (("train", 9), ("val", 3), ("test", 2)):
        wanted = manifest_faces(plain, split, SIZE, crop)
        for pool in (1 << 30, 0):  # Read at once, and one by one as needed.
            found = manifest_faces(stored, split, SIZE, max_pool_bytes=pool)
            assert len(found) == count
            np.testing.assert_array_equal(
                found.images(np.arange(count)), wanted.images(np.arange(count))
            )
            for labels in ("identity", "rating_mean", "rating_std"):
                np.testing.assert_array_equal(getattr(found, labels), getattr(wanted, labels))
            assert found.conditions == wanted.conditions
            np.testing.assert_equal(found.labels, wanted.labels)
            assert found.identities == wanted.identities
            batches = [
                list(pipeline.editing_batches(faces, 4, seed=3, steps=3, critic_steps=2))
                for faces in (wanted, found)
            ]
            for one, other in zip(*batches):
                for name in one:
                    np.testing.assert_array_equal(one[name], other[name])


def test_every_tensorflow_reader_can_read_them(folder):
    make(folder, folder / "records")
    files = sorted(str(path) for path in (folder / "records").glob("train-*-of-00002.tfrecord"))
    assert len(files) == 2
    kinds = {
        "image/encoded": tf.string,
        "image/format": tf.string,
        "image/filename": tf.string,
        "image/height": tf.int64,
        "image/width": tf.int64,
        "identity": tf.string,
        "expression": tf.string,
        "lighting": tf.string,
        "rating_mean": tf.float32,
        "rating_std": tf.float32,
        "split": tf.string,
    }
    spec = {name: tf.io.FixedLenFeature([], kind) for name, kind in kinds.items()}
    rows = read_manifest(str(folder / "faces.csv")).split("train")
    records = [tf.io.parse_single_example(r, spec) for r in tf.data.TFRecordDataset(files)]
    assert len(records) == len(rows) == 9
    for record, row in zip(records, rows):
        assert record["image/filename"] == row.path.encode()
        assert record["image/format"] == b"png" and record["split"] == b"train"
        for label in ("identity", "expression", "lighting"):
            assert record[label] == getattr(row, label).encode()
        for rating in ("rating_mean", "rating_std"):
            np.testing.assert_array_equal(record[rating], np.float32(getattr(row, rating)))
        picture = tf.io.decode_png(record["image/encoded"])
        assert picture.shape == (record["image/height"], record["image/width"], 3)
        np.testing.assert_array_equal(picture, images.to_square(images.decode(row.file), SIZE))


def test_records_and_their_manifest_carry_attributes(folder):
    lines = (folder / "faces.csv").read_text().splitlines()
    cells = itertools.cycle(["1,", "0,1", ",0"])
    header = f"{lines[0]},attribute:Smiling,attribute:Young"
    labelled = [header, *(f"{line},{cell}" for line, cell in zip(lines[1:], cells))]
    (folder / "faces.csv").write_text("\n".join(labelled))
    make(folder, folder / "records")
    plain, stored = (
        read_manifest(str(file))
        for file in (folder / "faces.csv", folder / "records" / "manifest.csv")
    )
    assert stored.conditions == plain.conditions
    for split in SPLITS:
        wanted = [row.attributes for row in plain.split(split)]
        assert [row.attributes for row in stored.split(split)] == wanted
        found = []
        for file in sorted((folder / "records").glob(f"{split}-*")):
            for content in tf.data.TFRecordDataset(str(file)):
                feature = tf.train.Example.FromString(content.numpy()).features.feature
                labels = {name: feature[f"attribute:{name}"] for name in ("Smiling", "Young")}
                found.append(
                    {n: f.int64_list.value[0] for n, f in labels.items() if f.WhichOneof("kind")}
                )
        assert found == wanted


def test_the_files_are_the_same_whoever_makes_them_and_sha256sum_confirms_them(folder):
    report = make(folder, folder / "alone", workers=1)
    make(folder, folder / "together", workers=2)
    files = contents(folder / "alone")
    assert files == contents(folder / "together")
    shards = [f"{split}-0000{n}-of-00002.tfrecord" for split in SPLITS for n in (0, 1)]
    assert set(files) == {*shards, "manifest.csv", "records.json", "SHA256SUMS"}
    assert f"{folder / 'alone'}: {PICTURES} pictures in 6 files" in report
    told = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=folder / "alone", capture_output=True, text=True
    )
    assert told.returncode == 0 and told.stdout.count(": OK") == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_a_picture_that_goes_missing_after_the_check_is_told_in_one_sentence(folder, workers):
    def losing(label):
        if label == "writing shards":
            os.remove(folder / "4.png")
        return quiet(label)

    with pytest.raises(UserError) as error:
        make(folder, folder / "records", workers, bar=losing)
    assert str(error.value) == f"{folder / '4.png'}: no such file."


def test_shards_are_as_many_as_their_size_asks_for(folder, monkeypatch):
    monkeypatch.setattr(
        tfrecord_writer, "SHARD_BYTES", 4 * SIZE * SIZE * 3 * tfrecord_writer.PNG_SHARE
    )
    make(folder, folder / "records", shards=0)
    lines = (folder / "records" / "manifest.csv").read_text().splitlines()[1:]
    in_shards = [line.split("#")[0] for line in lines]
    assert [in_shards.count(f"train-0000{n}-of-00003.tfrecord") for n in range(3)] == [3, 3, 3]
    assert in_shards.count("val-00000-of-00001.tfrecord") == 3


def test_what_was_stopped_goes_on_and_ends_as_if_it_had_not(folder):
    def stopping(label):
        def tell(done, total):
            if label == "writing shards" and done == 3:
                raise KeyboardInterrupt

        return tell

    with pytest.raises(KeyboardInterrupt):
        make(folder, folder / "records", bar=stopping)
    lost, *made = sorted((folder / "records").glob("*.tfrecord"))
    lost.unlink()
    made = {path: path.stat().st_mtime_ns for path in made}
    assert len(made) == 2
    with pytest.raises(UserError, match="differ in image_size and shards; name another"):
        make(folder, folder / "records", size=8, shards=1)

    labels = []
    make(folder, folder / "records", bar=lambda label: labels.append(label) or quiet(label))
    assert labels == ["checking images", "writing shards"]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    make(folder, folder / "whole")
    assert contents(folder / "records") == contents(folder / "whole")


def test_a_complete_folder_is_compared_with_its_checksums(folder):
    make(folder, folder / "records")
    before = contents(folder / "records")
    assert "complete already; all 8 files" in make(folder, folder / "records")
    assert contents(folder / "records") == before
    shard = folder / "records" / "train-00001-of-00002.tfrecord"
    damaged = bytearray(shard.read_bytes())
    damaged[100] ^= 1
    shard.write_bytes(damaged)
    os.remove(folder / "records" / "val-00000-of-00002.tfrecord")
    with pytest.raises(UserError) as error:
        make(folder, folder / "records")
    assert f"{shard.name} differs, val-00000-of-00002.tfrecord is missing" in str(error.value)


def test_nothing_is_left_of_a_process_that_was_killed(folder):
    def dying(label):
        def tell(done, total):
            if label == "writing shards" and done == 2:
                parts = folder / "records" / "parts"
                (parts / ".train-00001-of-00002.tfrecord.0.part").write_text("half a file")
                raise KeyboardInterrupt

        return tell

    with pytest.raises(KeyboardInterrupt):
        make(folder, folder / "records", bar=dying)
    make(folder, folder / "records")
    (folder / "records" / "parts").mkdir()  # Killed after the last file, before the end.
    assert "complete already" in make(folder, folder / "records")
    make(folder, folder / "whole")
    assert contents(folder / "records") == contents(folder / "whole")


def test_other_pictures_under_the_same_names_are_refused(folder):
    (folder / "other").mkdir()
    for index in range(PICTURES):
        name = f"{index}.{'jpg' if index % 3 == 0 else 'png'}"
        images.Image.open(folder / name).rotate(180).save(folder / "other" / name)
    make(folder, folder / "records")
    with pytest.raises(UserError, match="holds records that differ in pictures; name another"):
        make(folder, folder / "records", data_dir=folder / "other")
    assert "complete already" in make(folder, folder / "records", data_dir=folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [],
        lambda lines: lines[1:],
        lambda lines: [*lines, lines[0]],
        lambda lines: [line.replace(b"  ", b" ") for line in lines],
        lambda lines: [b"\xff\xfe\x00"],
    ],
)
def test_a_list_of_checksums_that_is_not_of_the_files_is_refused(folder, damage):
    make(folder, folder / "records")
    sums = folder / "records" / "SHA256SUMS"
    sums.write_bytes(b"".join(line + b"\n" for line in damage(sums.read_bytes().splitlines())))
    with pytest.raises(UserError, match="SHA256SUMS: is damaged, or not the list of the 8 files"):
        make(folder, folder / "records")


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"seed": '])
def test_a_damaged_plan_is_told(folder, content):
    make(folder, folder / "records")
    (folder / "records" / "records.json").write_bytes(content)
    with pytest.raises(UserError, match="records.json: is damaged. Copy the folder again, or"):
        make(folder, folder / "records")


def test_nothing_is_written_if_a_picture_cannot_be_read(folder):
    (folder / "4.png").write_bytes(b"no picture")
    os.remove(folder / "7.png")
    with pytest.raises(ManifestError) as error:
        make(folder, folder / "records")
    assert [problem.path for problem in error.value.problems] == ["4.png", "7.png"]
    assert not (folder / "records").exists()


@pytest.mark.parametrize(
    "name", ["manifest.csv", "SHA256SUMS", "train-00000-of-00002.tfrecord", "parts/mine.txt"]
)
def test_a_folder_with_other_files_is_left_alone(folder, name):
    mine = folder / "theirs" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match="--output=.*theirs: holds other files already; name a"):
        make(folder, folder / "theirs")
    assert mine.read_text() == "mine"
    assert [path for path in (folder / "theirs").rglob("*") if path.is_file()] == [mine]


def test_a_file_is_no_output_and_an_empty_folder_is(folder):
    with pytest.raises(UserError, match="--output=.*0.jpg: holds other files already"):
        make(folder, folder / "0.jpg")
    (folder / "records").mkdir()
    assert "pictures in 6 files" in make(folder, folder / "records")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"output": "a.csv"}, "--output=a.csv: name the folder"),
        ({"size": 0}, "--image_size=0"),
        ({"shards": -1}, "--shards=-1"),
        ({"workers": -1}, "--workers=-1"),
    ],
)
def test_options_that_do_not_fit_are_refused(folder, options, complaint):
    with pytest.raises(UserError, match=complaint):
        make(folder, **{"output": folder / "records", **options})


def test_records_are_made_of_records_but_not_cropped_again(folder):
    make(folder, folder / "records")
    os.rename(folder / "records" / "manifest.csv", folder / "records" / "faces.csv")
    with pytest.raises(UserError, match="cropped already; leave out --crop"):
        make(folder / "records", folder / "again", crop=(0, 0, 0.5, 0.5))
    make(folder / "records", folder / "again", shards=1)
    one, other = (
        manifest_faces(read_manifest(str(file)), "train", SIZE).images(np.arange(9))
        for file in (folder / "faces.csv", folder / "again" / "manifest.csv")
    )
    np.testing.assert_array_equal(one, other)


def test_pictures_that_become_the_same_in_two_splits_are_told(folder):
    assert "same as one of another split" not in make(folder, folder / "records")
    pixels = images.decode(str(folder / "1.png"))
    images.Image.fromarray(pixels).save(folder / "4.png", compress_level=0)  # train and test
    assert (
        "1 pictures are the same as one of another split, now that they are cropped and resized; "
        "training refuses them: 1.png (train) and 4.png (test). Take one of each out"
    ) in make(folder, folder / "again")
    with pytest.raises(ManifestError, match="is byte for byte the picture of line 3"):
        check_manifest(read_manifest(str(folder / "again" / "manifest.csv")), needs=())


@pytest.mark.parametrize("crop", [None, (0.1, 0.2, 0.9, 0.7)])
def test_maps_go_with_their_pictures(folder, crop):
    header, *lines = (folder / "faces.csv").read_text().splitlines()
    draw = np.random.default_rng(1)
    for index in range(PICTURES):
        shape = images.decode(str(folder / lines[index].split(",")[0])).shape[:2]
        inside = draw.random(shape) > 0.3
        depth = np.where(inside, draw.random(shape), np.nan)
        normals = draw.normal(size=(*shape, 3))
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        images.save_png(str(folder / f"d{index}.png"), maps.depth_to_grey(depth, 16))
        normals = maps.normals_to_map(normals * inside[..., None])
        images.save_png(str(folder / f"n{index}.png"), normals)
        # Some have one map, some the other, some both or none.
        lines[index] += "," + (f"d{index}.png" if index % 3 else "")
        lines[index] += "," + (f"n{index}.png" if index % 4 else "")
    (folder / "faces.csv").write_text("\n".join([f"{header},depth,normal", *lines]) + "\n")
    report = make(folder, folder / "records", crop=crop)
    assert "9 depth maps and 10 normal maps are in the records of their pictures." in report
    plain = read_manifest(str(folder / "faces.csv"))
    stored = read_manifest(str(folder / "records" / "manifest.csv"))
    check_manifest(stored)
    for kind, tolerance in (("depth", 0), ("normal", 1)):
        for split in SPLITS:
            wanted = manifest_faces(plain, split, SIZE, crop, map_kind=kind)
            for pool in (1 << 30, 0):
                found = manifest_faces(stored, split, SIZE, max_pool_bytes=pool, map_kind=kind)
                for index in range(len(wanted)):
                    at = tf.constant(index, tf.int64)
                    one, other = (faces.maps(at).numpy() for faces in (wanted, found))
                    np.testing.assert_array_equal(one.any(-1), other.any(-1))
                    np.testing.assert_allclose(one.astype(int), other, atol=tolerance)
                    np.testing.assert_array_equal(found.load(at), wanted.load(at))
    assert "complete already" in make(folder, folder / "records", crop=crop)
    again = folder / "again"
    tfrecord_writer.write_records(
        str(folder / "records/manifest.csv"), "", str(again), SIZE, None, 1, 0, 1, quiet
    )
    for one, other in zip(stored.rows, read_manifest(str(again / "manifest.csv")).rows):
        assert bool(one.depth) == bool(other.depth)
        if one.depth:
            shown = (maps.read_map(row.depth, "depth", SIZE) for row in (one, other))
            np.testing.assert_array_equal(*shown)
    images.save_png(str(folder / "d1.png"), maps.depth_to_grey(np.ones((21, 39))))
    with pytest.raises(UserError, match="holds records that differ in maps"):
        make(folder, folder / "records", crop=crop)
    rows = {row.split: row for row in stored.rows if not row.depth}
    with pytest.raises(StorageError, match=r"tfrecord#\d+: the record has no depth/encoded"):
        maps.read_map(rows["train"].file, "depth", SIZE)


@pytest.mark.parametrize("kind", maps.KINDS)
def test_maps_in_records_are_read_as_they_are_stored_in_memory_and_from_the_shards(folder, kind):
    header, *lines = (folder / "faces.csv").read_text().splitlines()
    draw = np.random.default_rng(1)
    for index in range(len(lines)):
        shape = images.decode(str(folder / lines[index].split(",")[0])).shape[:2]
        normals = draw.normal(size=(*shape, 3))
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        image = maps.normals_to_map(normals) if kind == "normal" else draw.integers(256, size=shape)
        images.save_png(str(folder / f"m{index}.png"), image.astype(np.uint8))
        lines[index] += f",m{index}.png"
    (folder / "faces.csv").write_text("\n".join([f"{header},{kind}", *lines]) + "\n")
    make(folder, folder / "records")
    wanted = manifest_faces(read_manifest(str(folder / "faces.csv")), "train", SIZE, map_kind=kind)
    wanted = wanted.map_images(np.arange(len(wanted)))
    stored = read_manifest(str(folder / "records" / "manifest.csv"))
    for pool in (1 << 30, 0):
        found = manifest_faces(stored, "train", SIZE, max_pool_bytes=pool, map_kind=kind)
        np.testing.assert_array_equal(found.map_images(np.arange(len(wanted))), wanted)
        batch = next(iter(pipeline.editing_batches(found, 4, seed=3, critic_steps=2)))
        assert batch["map"].shape == (4, 2, SIZE, SIZE, 3)
    small, streamed = (
        manifest_faces(stored, "train", SIZE // 2, max_pool_bytes=pool, map_kind=kind)
        for pool in (1 << 30, 0)
    )
    rows = np.arange(len(small))
    np.testing.assert_array_equal(streamed.map_images(rows), small.map_images(rows))


def test_storage_that_is_no_local_folder(folder):
    output = f"ram://{folder.name}/records"
    assert f"--manifest={output}/manifest.csv" in make(folder, output)
    assert "complete already" in make(folder, output)
    stored = read_manifest(f"{output}/manifest.csv")
    check_manifest(stored)
    wanted = manifest_faces(read_manifest(str(folder / "faces.csv")), "train", SIZE)
    for pool in (1 << 30, 0):
        found = manifest_faces(stored, "train", SIZE, max_pool_bytes=pool)
        np.testing.assert_array_equal(found.images(np.arange(9)), wanted.images(np.arange(9)))
    names = set(tf.io.gfile.listdir(output))
    assert len(names) == 9 and not any(name.startswith((".", "parts")) for name in names)
    assert json.loads(tf.io.gfile.GFile(f"{output}/records.json").read())["image_size"] == SIZE
