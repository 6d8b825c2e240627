"""Reading records: one by one, all at once, of another size, and damaged."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data import images, storage, tfrecord_reader, tfrecord_writer
from legan_tf.data.check.report import check_dataset
from legan_tf.data.check.validation import check_manifest
from legan_tf.data.manifest import ManifestError, read_manifest
from legan_tf.data.manifest_faces import manifest_faces
from legan_tf.errors import UserError

SIZE, COUNT = 12, 6


@pytest.fixture
def stored(tmp_path):
    """Pictures of random pixels, and the folder with records of them."""
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), np.uint8)
    for index, picture in enumerate(pictures):
        images.save_png(str(tmp_path / f"{index}.png"), picture)
    lines = ["path,split", *(f"{index}.png,train" for index in range(COUNT))]
    (tmp_path / "faces.csv").write_text("\n".join(lines))
    folder = tmp_path / "records"
    tfrecord_writer.write_records(
        str(tmp_path / "faces.csv"),
        "",
        str(folder),
        SIZE,
        None,
        2,
        0,
        1,
        lambda label: lambda done, total: None,
    )
    return pictures, folder


def files(folder):
    return [row.file for row in read_manifest(str(folder / "manifest.csv")).rows]


def read(folder, size=SIZE, crop=None, pool=1 << 30):
    faces = manifest_faces(
        read_manifest(str(folder / "manifest.csv")), "train", size, crop, max_pool_bytes=pool
    )
    return faces.images(np.arange(len(faces)))


def test_a_record_is_read_wherever_a_picture_is(stored):
    pictures, folder = stored
    for file, picture in zip(files(folder), pictures):
        assert storage.exists(file)
        np.testing.assert_array_equal(images.decode(file), picture)
        assert storage.read_bytes(file) == images.to_png(picture)


@pytest.mark.parametrize(
    "name",
    [
        "a.png",
        "a.tfrecord",
        "a.tfrecord#",
        "a.tfrecord#1/x",
        "a#1",
        "a.tfrecord#-1",
        "a.tfrecord#\N{ARABIC-INDIC DIGIT ONE}",
        f"a.tfrecord#{2**63}",  # TensorFlow's 64-bit offsets end before.
    ],
)
def test_other_names_are_no_records(name):
    assert storage.record_place(name) is None


def test_a_place_is_file_and_offset():
    assert storage.record_place("s3://b/a#2.tfrecord#17") == ("s3://b/a#2.tfrecord", 17)
    assert storage.record_place(f"a.tfrecord#{10**18 - 1}") == ("a.tfrecord", 10**18 - 1)


def test_a_place_beyond_every_file_is_told(stored):
    shard = stored[1] / "train-00001-of-00002.tfrecord"
    for offset in (10**18 - 1, 2**63):
        with pytest.raises(storage.StorageError, match=f"^{shard}#{offset}: no "):
            storage.read_bytes(f"{shard}#{offset}")


@pytest.mark.parametrize("pool", [1 << 30, 0])
@pytest.mark.parametrize("size", [8, 20])
def test_another_size_is_made_of_the_stored_picture(stored, size, pool):
    pictures, folder = stored
    wanted = [images.to_square(picture, size) for picture in pictures]
    np.testing.assert_array_equal(read(folder, size, pool=pool), wanted)


@pytest.mark.parametrize("pool", [1 << 30, 0])
def test_some_lines_in_any_order_and_twice(stored, pool):
    pictures, folder = stored
    header, *lines = (folder / "manifest.csv").read_text().splitlines()
    chosen = [5, 0, 3, 0]
    text = "\n".join([header, *(lines[index] for index in chosen)])
    (folder / "manifest.csv").write_text(text)
    np.testing.assert_array_equal(read(folder, pool=pool), pictures[chosen])


@pytest.mark.parametrize("pool", [1 << 30, 0])
def test_records_and_files_in_one_manifest(stored, pool):
    pictures, folder = stored
    text = (folder / "manifest.csv").read_text().splitlines()
    text[2] = text[2].replace(text[2].split(",")[0], "../1.png")
    (folder / "manifest.csv").write_text("\n".join(text))
    np.testing.assert_array_equal(read(folder, pool=pool), pictures)


def test_progress_is_told(stored):
    _, folder = stored
    told = []
    tfrecord_reader.pool(files(folder), SIZE, lambda *at: told.append(at))
    assert told == [(done, COUNT) for done in range(1, COUNT + 1)]


def test_what_is_cropped_already_is_not_cropped_again(stored):
    _, folder = stored
    with pytest.raises(UserError, match="#0: a picture in records is cropped already; leave out"):
        read(folder, crop=(0, 0, 0.5, 0.5))
    with pytest.raises(UserError, match="#0: a picture in records is cropped already; leave out"):
        check_dataset(
            str(folder / "manifest.csv"),
            None,
            "",
            "",
            (0, 0, 0.5, 0.5),
            SIZE,
            0,
            lambda _: None,
            {},
        )


def test_enlarging_is_told(stored):
    _, folder = stored
    note = "The records hold pictures of 12 pixels; they are enlarged to 16."
    assert tfrecord_reader.enlarging_note(files(folder), 16) == [note]
    assert tfrecord_reader.enlarging_note(files(folder), SIZE) == []
    plain = str(folder.parent / "0.png")
    assert tfrecord_reader.enlarging_note([plain], 16) == []
    assert tfrecord_reader.enlarging_note([plain, *files(folder)], 16) == [note]


def flip(content):
    return content[:60] + bytes([content[60] ^ 1]) + content[61:]


@pytest.mark.parametrize("pool", [1 << 30, 0])
@pytest.mark.parametrize("damage", [flip, lambda content: content[:-9], lambda content: b""])
def test_a_damaged_file_is_told_with_its_place(stored, damage, pool):
    _, folder = stored
    shard = folder / "train-00001-of-00002.tfrecord"
    content = shard.read_bytes()
    shard.write_bytes(damage(content))
    offset = 0 if damage is flip or not damage(content) else files(folder)[-1].split("#")[1]
    told = f"{shard}#{offset}: no whole record with a picture begins here; the file is damaged, cut"
    with pytest.raises(storage.StorageError) as error:
        read(folder, pool=pool)
    assert str(error.value).startswith(told)
    with pytest.raises(storage.StorageError) as error:
        images.decode(f"{shard}#{offset}")
    assert str(error.value).startswith(told)
    with pytest.raises(ManifestError) as error:
        check_manifest(read_manifest(str(folder / "manifest.csv")), needs=())
    found = [problem.path for problem in error.value.problems]
    assert found == [f"{shard.name}#{offset}"] if damage(content) else len(found) == 3


@pytest.mark.parametrize("pool", [1 << 30, 0])
@pytest.mark.parametrize(
    ("content", "side"),
    [
        (None, SIZE),
        (b"no picture", SIZE),
        (b"no picture", SIZE + 1),
        (images.to_png(np.zeros((SIZE - 3, SIZE - 3, 3), np.uint8)), SIZE),
    ],
)
def test_a_record_without_a_picture_of_its_size_is_told(stored, content, side, pool):
    _, folder = stored
    shard = folder / "train-00001-of-00002.tfrecord"
    features = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=[side]))
        for name in (tfrecord_reader.HEIGHT, tfrecord_reader.WIDTH)
    }
    if content:
        value = tf.train.BytesList(value=[content])
        features[tfrecord_reader.PICTURE] = tf.train.Feature(bytes_list=value)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    with tf.io.TFRecordWriter(str(shard)) as writer:
        writer.write(example.SerializeToString())
    with pytest.raises(storage.StorageError, match=f"^{shard}#0: no whole record with a picture "):
        read(folder, pool=pool)


@pytest.mark.parametrize("pool", [1 << 30, 0])
def test_what_is_no_file_is_told_in_one_sentence(stored, pool):
    _, folder = stored
    shard = folder / "train-00001-of-00002.tfrecord"
    shard.unlink()
    shard.mkdir()
    told = rf"^{shard}: cannot be read or written \(.*[iI]s a directory\)\.$"
    for look in (lambda: read(folder, pool=pool), lambda: storage.read_bytes(f"{shard}#0")):
        with pytest.raises(storage.StorageError, match=told):
            look()


def test_a_file_that_is_missing_is_told(stored):
    _, folder = stored
    shard = folder / "train-00001-of-00002.tfrecord"
    shard.unlink()
    for pool in (1 << 30, 0):
        with pytest.raises(storage.StorageError, match=f"^{shard}: no such file.$"):
            read(folder, pool=pool)
    with pytest.raises(storage.StorageError, match=f"^{shard}: no such file.$"):
        storage.read_bytes(f"{shard}#0")
    assert not storage.exists(f"{shard}#0")


@pytest.mark.parametrize("pool", [1 << 30, 0])
def test_a_file_of_another_manifest_is_told(stored, pool):
    _, folder = stored
    text = (folder / "manifest.csv").read_text().splitlines()
    text[3] = text[3].replace("#", "#1", 1)  # An offset at which no record begins.
    (folder / "manifest.csv").write_text("\n".join(text))
    place = files(folder)[2]
    for look in (lambda: read(folder, pool=pool), lambda: images.decode(place)):
        with pytest.raises(storage.StorageError) as error:
            look()
        assert str(error.value).startswith(f"{place}: no whole record with a picture begins here")
