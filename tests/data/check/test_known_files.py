from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, PngImagePlugin

from legan_tf.data import images, maps, pipeline
from legan_tf.data.check.known_files import Known, KnownFiles, is_plain
from legan_tf.data.check.validation import picture_problems
from legan_tf.data.manifest import read_manifest
from legan_tf.data.manifest_faces import SplitPools, manifest_faces
from legan_tf.errors import UserError
from legan_tf.training import systems

CACHE = ".faces.csv.checked.json"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four pictures of train and two of val, with maps of depth."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    faces = tmp_path / "faces"
    faces.mkdir()
    lines = ["path,expression,depth,split"]
    for index in range(6):
        picture = np.random.default_rng(index).integers(0, 256, (20, 20, 3), np.uint8)
        images.save_png(str(faces / f"{index}.png"), picture)
        depth = np.arange(400).reshape(20, 20).astype(float) * (index + 1)
        images.save_png(str(faces / f"d{index}.png"), maps.depth_to_grey(depth))
        expression, split = ("smile", "neutral")[index % 2], "val" if index > 3 else "train"
        lines.append(f"{index}.png,{expression},d{index}.png,{split}")
    (faces / "faces.csv").write_text("\n".join(lines))
    return faces


def damage(file) -> None:
    """Damages a file of which size and time stay."""
    status = os.stat(file)
    file.write_bytes(b"x" * status.st_size)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def datasets(folder, **options):
    options = {"memory_gib": 0.0, "image_size": 16, "workdir": "-", **options}
    manifest = {"dataset": "manifest", "manifest": str(folder / "faces.csv")}
    return systems.make("depth", **manifest, **options).datasets()


def test_files_of_the_same_size_and_time_are_not_checked_again_unless_asked(folder):
    datasets(folder)
    assert (folder / CACHE).exists() and sorted(os.listdir(folder))[0] == CACHE
    for name in ("1.png", "d2.png"):
        damage(folder / name)
    datasets(folder)
    with pytest.raises(UserError) as raised:
        datasets(folder, check_again=True)
    assert "has 2 problems to solve first" in str(raised.value)
    assert "1.png" in str(raised.value) and "d2.png" in str(raised.value)
    # What was found damaged is known no more.
    with pytest.raises(UserError, match="2 problems"):
        datasets(folder)


def test_a_file_with_another_time_or_size_is_checked_again(folder):
    datasets(folder)
    damage(folder / "1.png")
    os.utime(folder / "1.png", ns=(0, 12345))
    with pytest.raises(UserError, match="1.png: the picture"):
        datasets(folder)
    (folder / "1.png").write_bytes(b"x")
    with pytest.raises(UserError, match="1.png: the picture"):
        datasets(folder)


def test_files_are_not_read_again_once_they_are_checked(folder):
    manifest = read_manifest(str(folder / "faces.csv"))
    wanted = manifest_faces(manifest, "train", 16, map_kind="depth")
    wanted = wanted.images(np.arange(4)), wanted.map_images(np.arange(4))
    pools = SplitPools.of(4, 16, None, 1 << 30, "depth")

    def put_picture(index, digest, picture):
        if index < 4:
            pools.put_picture(index, picture)

    def put_map(index, kind, values):
        if index < 4:
            pools.put_map(index, kind, values)

    assert not picture_problems(manifest, None, put_picture, ("depth",), put_map)
    for file in folder.glob("*.png"):
        file.unlink()
    faces = manifest_faces(manifest, "train", 16, map_kind="depth", pools=pools)
    np.testing.assert_array_equal(faces.images(np.arange(4)), wanted[0])
    np.testing.assert_array_equal(faces.map_images(np.arange(4)), wanted[1])


def test_pictures_are_the_same_from_the_first_start_a_later_one_and_from_files(folder):
    first = datasets(folder, memory_gib=4.0)
    later = datasets(folder, memory_gib=4.0)
    streamed = datasets(folder)
    for other in (later, streamed):
        for one, same in ((first.train, other.train), (first.val, other.val)):
            rows = np.arange(len(one))
            np.testing.assert_array_equal(one.images(rows), same.images(rows))
            np.testing.assert_array_equal(one.map_images(rows), same.map_images(rows))


def test_a_picture_in_two_splits_and_a_map_of_another_shape_are_known_for_what_they_are(folder):
    manifest = read_manifest(str(folder / "faces.csv"))
    (folder / "5.png").write_bytes((folder / "0.png").read_bytes())
    images.save_png(str(folder / "d1.png"), np.full((20, 40, 3), 90, np.uint8))
    known = KnownFiles(manifest.file)
    told = picture_problems(manifest, kinds=("depth",), known=known)
    assert [problem.line for problem in told] == [3, 7]
    known.write()
    again = picture_problems(manifest, kinds=("depth",), known=KnownFiles(manifest.file))
    assert again == told


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"[" * 100_000,
        b"[]",
        b'{"form": 1}',
        b'{"form": FORM, "files": []}',
        b'{"form": FORM, "files": {":FILE": 3, "x": [1, 2, "y", 4, 5]}}',
        b'{"form": FORM, "files": {":FILE": [SIZE, TIME, "../..", 20, 20, false]}}',
        b'{"form": FORM, "files": {":FILE": [SIZE, TIME, "", true, 20, false]}}',
        b'{"form": FORM, "files": {":FILE": [SIZE, TIME, "", 20, -1, false]}}',
    ],
)
def test_what_is_in_no_known_form_is_as_if_it_were_not_there(folder, content):
    datasets(folder)
    form = json.loads((folder / CACHE).read_text())["form"]
    file, status = folder / "1.png", os.stat(folder / "1.png")
    for word, value in (
        ("FORM", json.dumps(form)),
        ("FILE", str(file)),
        ("SIZE", str(status.st_size)),
        ("TIME", str(status.st_mtime_ns)),
    ):
        content = content.replace(word.encode(), value.encode())
    (folder / CACHE).write_bytes(content)
    assert KnownFiles(str(folder / "faces.csv")).get(str(file)) is None
    damage(file)
    with pytest.raises(UserError, match="1.png: the picture"):
        datasets(folder)


def test_a_folder_that_cannot_be_written_leaves_the_file_in_the_users_cache(folder, tmp_path):
    file = str(folder / "1.png")
    # As root, nothing is read-only: a folder in its place cannot be replaced by a file.
    (folder / CACHE).mkdir()
    known = KnownFiles(str(folder / "faces.csv"))
    known.add(file, known.version(file), Known("ab" * 16, 20, 20))
    known.write()
    (kept,) = (tmp_path / "home/legan_tf").iterdir()
    assert kept.name.startswith("checked-")
    assert KnownFiles(str(folder / "faces.csv")).get(file) == Known("ab" * 16, 20, 20)
    assert [path.name for path in folder.iterdir() if path.name.endswith(".part")] == []


def test_a_dry_run_writes_nothing(folder):
    datasets(folder, dry_run=True)
    assert not (folder / CACHE).exists()


def test_files_that_are_not_there_are_not_known(folder):
    known = KnownFiles(str(folder / "faces.csv"))
    for file in (str(folder / "none.png"), "gs://bucket/a.png"):
        assert known.version(file) is None
        known.add(file, known.version(file), Known("", 1, 1))
        assert known.get(file) is None


def saved(image: Image.Image, form: str = "PNG", **options) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def test_what_a_plain_png_is():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8))
    rotated, text = Image.Exif(), PngImagePlugin.PngInfo()
    rotated[0x0112] = 6
    text.add_text("Raw profile type exif", "...")
    assert is_plain(saved(picture)) and is_plain(saved(picture.convert("L")))
    assert is_plain(saved(picture, dpi=(72, 72)))
    for content in (
        saved(picture, "JPEG"),
        saved(picture.convert("P")),
        saved(picture.convert("RGBA")),
        saved(picture.convert("1")),
        saved(picture, exif=rotated),
        saved(picture, pnginfo=text),
        saved(picture, icc_profile=b"profile"),
        saved(picture, transparency=(0, 0, 0)),
        b"",
        saved(picture)[:20],
    ):
        assert not is_plain(content)


def functions_of_python(load) -> bool:
    """Whether the graph of a load, with those that it calls, holds a function of Python."""
    traced = tf.function(load).get_concrete_function(tf.TensorSpec([], tf.int64))
    graph = traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return any("PyFunc" in node.op for node in nodes)


def test_plain_pictures_of_the_size_of_training_are_streamed_without_python(folder):
    kept = datasets(folder, memory_gib=4.0, image_size=20).train
    streamed = datasets(folder, image_size=20).train
    assert not functions_of_python(streamed.load)
    batches = [
        next(iter(pipeline.editing_batches(faces, 4, seed=3, flip=True)))
        for faces in (kept, streamed)
    ]
    for name, value in batches[0].items():
        np.testing.assert_array_equal(value, batches[1][name])
    # One that is not plain is decoded as it always was, between others that are.
    Image.open(folder / "1.png").convert("P").save(folder / "1.png")
    mixed, kept = datasets(folder, image_size=20).train, datasets(folder, image_size=20).train
    assert functions_of_python(mixed.load)
    streamed = list(tf.data.Dataset.range(4).map(mixed.load).as_numpy_iterator())
    np.testing.assert_array_equal(streamed, kept.images(np.arange(4)))
    # Another size needs Pillow's resizing.
    assert functions_of_python(datasets(folder, image_size=16).train.load)
