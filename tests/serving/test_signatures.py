from __future__ import annotations

import inspect
import io
import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf.data import images as pictures
from legan_tf.data.conditions import of_classes
from legan_tf.errors import UserError
from legan_tf.graph_ops import pixels
from legan_tf.models import (
    AttributeClassifier,
    DepthNetwork,
    LeganGenerator,
    copy_of,
)
from legan_tf.serving import Client, graph_checks, preprocessing, server_files, signatures
from legan_tf.serving.labels import Labels


@pytest.fixture(scope="module")
def editor(generator):
    return signatures.build(generator).signatures


@pytest.fixture(scope="module")
def mapping(mappers):
    """The depth networks by themselves, wrapped once; tracing takes its time."""
    return {geometry: signatures.build(network) for geometry, network in mappers.items()}


def encoded(image: np.ndarray, form: str = "PNG", mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).convert(mode).save(content, form)
    return content.getvalue()


def from_top_to_bottom(bmp: bytes) -> bytes:
    """The same picture as BMP whose first row is the upper one, told by a negative height."""
    (start,) = struct.unpack_from("<i", bmp, 10)
    width, height = struct.unpack_from("<ii", bmp, 18)
    rows = np.frombuffer(bmp[start:], np.uint8).reshape(height, -1)
    return bmp[:22] + struct.pack("<i", -height) + bmp[26:start] + rows[::-1].tobytes()


def ids(*values: int) -> tf.Tensor:
    return tf.constant(values, tf.int32)


@pytest.mark.parametrize("height, width", [(50, 41), (16, 33), (120, 121), (7, 9), (1, 1)])
def test_prepare_sees_what_training_sees(blobs, height, width):
    images = blobs(height, width, count=2)
    prepared = (preprocessing.prepare(tf.constant(images), 16).numpy() + 1) * 127.5
    expected = np.stack([pictures.to_square(image, 16) for image in images])
    assert np.abs(prepared - expected).max() <= 1.001


@pytest.mark.parametrize(
    "height, width, size",
    [(16, 33, 16), (17, 64, 16), (7, 90, 16), (1, 999, 16), (120, 333, 16), (90, 7, 16), (3, 8, 9)],
)
def test_prepare_crops_to_fractions_of_a_pixel(height, width, size):
    """As one resampling of the whole picture does it, by the operation's own scale and offset."""
    noise = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    side = min(height, width)
    scale = np.float32(size / side)
    whole = tf.raw_ops.ScaleAndTranslate(
        images=noise,
        size=(size, size),
        scale=[scale, scale],
        translation=np.float32([side - height, side - width]) / 2 * scale,
        kernel_type="keyscubic",
        antialias=True,
    )
    prepared = (preprocessing.prepare(tf.constant(noise), size).numpy() + 1) * 127.5
    # Sums of float32 differ in their last bits, so that a value next to a half may go either way.
    np.testing.assert_allclose(prepared, np.clip(whole, 0, 255), rtol=0, atol=0.5 + 1e-3)
    np.testing.assert_allclose(prepared, np.round(prepared), rtol=0, atol=1e-4)


def test_prepare_leaves_pictures_of_the_right_size_alone(blobs):
    images = blobs(16, 16)
    prepared = preprocessing.prepare(tf.constant(images), 16).numpy()
    np.testing.assert_allclose(prepared, images / 127.5 - 1, atol=1e-6)


def test_uint8_is_rounded_and_clipped():
    floats = tf.constant([-1.2, -1.0, 0.0, 127.4 / 127.5, 1.0, 1.7])
    np.testing.assert_array_equal(pixels.to_uint8(floats), [0, 0, 128, 255, 255, 255])


def test_answers_in_float32_whatever_it_was_trained_in(generator, editor, blobs):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = copy_of(generator, "mixed")
        served = signatures.build(mixed).signatures["serving_default"]
        assert keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    finally:
        keras.mixed_precision.set_global_policy("float32")
    inputs = {
        "image": tf.constant(blobs(20, 20)),
        "expression": ids(1),
        "lighting": ids(0),
    }
    expected = editor["serving_default"](**inputs)["image"]
    np.testing.assert_array_equal(served(**inputs)["image"], expected)


def test_later_training_does_not_change_what_is_served(generator, blobs):
    network = copy_of(generator, "trained")
    served = signatures.build(network).signatures["serving_default"]
    inputs = {"image": tf.constant(blobs(16, 16)), "expression": ids(1), "lighting": ids(0)}
    before = served(**inputs)["image"].numpy()
    network.set_weights([weight + 0.1 for weight in network.get_weights()])
    np.testing.assert_array_equal(served(**inputs)["image"], before)


def test_bytes_of_any_format_and_size(editor, blobs):
    colour, other = blobs(30, 20)[0], blobs(16, 25, seed=1)[0]
    contents = [
        encoded(colour),
        encoded(colour, "BMP"),
        encoded(other, "PNG", "L"),
        encoded(other, "JPEG"),
        from_top_to_bottom(encoded(colour, "BMP")),
    ]
    answer = editor["serving_bytes"](
        image_bytes=tf.constant(contents),
        expression=tf.constant(["smile", "smile", "", "neutral", "smile"]),
        lighting=tf.constant(["left", "left", "right", "", "left"]),
    )["image_bytes"].numpy()
    edited = [np.asarray(Image.open(io.BytesIO(content))) for content in answer]
    by_id = editor["serving_default"](
        image=tf.constant(colour[None]), expression=ids(1), lighting=ids(0)
    )
    # Another batch size or row may sum in another order and round a half to the other side.
    np.testing.assert_allclose(edited[0], by_id["image"][0], rtol=0, atol=1)
    np.testing.assert_allclose(edited[1], edited[0], rtol=0, atol=1)
    np.testing.assert_allclose(edited[4], edited[0], rtol=0, atol=1)
    grey = np.repeat(np.asarray(Image.fromarray(other).convert("L"))[..., None], 3, -1)
    by_id = editor["serving_default"](
        image=tf.constant(grey[None]), expression=ids(-1), lighting=ids(1)
    )
    np.testing.assert_allclose(edited[2], by_id["image"][0], rtol=0, atol=1)


def test_bytes_are_taken_without_rotation_and_transparency(editor, blobs):
    """As serving/README.md says; decoding with Pillow applies both."""
    picture = blobs(16, 16)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # The orientation: rotate by 90 degrees to look at it.
    transparent = np.dstack([picture, np.full((16, 16), 51, np.uint8)])
    plain = encoded(picture)
    expected = editor["serving_bytes"](
        tf.constant([plain]), tf.constant(["smile"]), tf.constant(["left"])
    )["image_bytes"][0]
    for image, options in ((picture, {"exif": exif}), (transparent, {})):
        content = io.BytesIO()
        Image.fromarray(image).save(content, "PNG", **options)
        assert not np.array_equal(pictures.decode(content.getvalue()), pictures.decode(plain))
        served = editor["serving_bytes"](
            tf.constant([content.getvalue()]), tf.constant(["smile"]), tf.constant(["left"])
        )
        assert served["image_bytes"][0] == expected


def test_masks_are_viewable_and_raw(generator, editor, blobs):
    images = blobs(16, 16, count=2)
    answer = editor["masks"](image=tf.constant(images), expression=ids(0, 1), lighting=ids(1, -1))
    direct = generator(
        {
            "image": tf.constant(images / 127.5 - 1, tf.float32),
            "expression": tf.constant([[1.0, 0, 0], [0, 1, 0]]),
            "lighting": tf.constant([[0.0, 1], [0, 0]]),
        }
    )
    for name in ("expression_mask", "lighting_mask"):
        raw = direct[name].numpy()
        np.testing.assert_allclose(answer[f"{name}_values"], raw, atol=1e-4)
        mean = raw.mean(-1, keepdims=True)
        low, high = mean.min((1, 2, 3), keepdims=True), mean.max((1, 2, 3), keepdims=True)
        stretched = 255 * (mean - low) / (high - low)
        assert answer[name].dtype == tf.uint8
        np.testing.assert_allclose(answer[name], stretched, atol=0.6)


def test_quality_is_rated_and_judged(quality, blobs):
    served = signatures.build(quality).signatures
    images = blobs(16, 16, count=3)
    rating = quality(tf.constant(images / 127.5 - 1, tf.float32)).numpy()
    answer = served["serving_default"](image=tf.constant(images))
    np.testing.assert_allclose(answer["rating"], rating, atol=1e-4)
    np.testing.assert_array_equal(answer["natural"], rating >= 5)
    np.testing.assert_array_equal(
        served["score"](image=tf.constant(images))["rating"], answer["rating"]
    )
    by_bytes = served["serving_bytes"](image_bytes=tf.constant([encoded(i) for i in images]))
    np.testing.assert_allclose(by_bytes["rating"], answer["rating"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(by_bytes["natural"], answer["natural"])


def test_naturalness_begins_at_five(quality, blobs):
    network = copy_of(quality, "shifted")
    image = tf.constant(blobs(16, 16))
    for wanted, natural in ((4.99, False), (5.01, True)):
        rating = network(preprocessing.prepare(image, 16))[0]
        network.fc1.bias.assign(network.fc1.bias + (wanted - rating))
        answer = signatures.build(network).signatures["serving_default"](image=image)
        assert float(answer["rating"][0]) == pytest.approx(wanted, abs=1e-4)
        assert bool(answer["natural"][0]) is natural


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"expression": [0, 3]}, "Row 1: unknown expression id 3; known are 0 to 2, or -1 to"),
        ({"lighting": [-2, 0]}, "Row 0: unknown lighting id -2; known are 0 to 1"),
        ({"expression": [0]}, "There must be one row of expression per image"),
        ({"image": np.zeros((2, 0, 4, 3), np.uint8)}, "height and width must each be at least 1"),
        ({"image": np.zeros((0, 4, 4, 3), np.uint8)}, "must each be at least 1"),
        (
            {"image": np.zeros((3, 4, 4, 3), np.uint8)},
            r"one row of expression per image.*\[3\] \[2\]",
        ),
        (
            {"image": np.zeros((0, 4, 4, 3), np.uint8), "expression": [], "lighting": []},
            "must each be at least 1",
        ),
    ],
)
def test_wrong_tensors_are_told(editor, blobs, changes, sentence):
    inputs = {"image": blobs(8, 8, count=2), "expression": [0, 1], "lighting": [0, 1]} | changes
    dtypes = {"image": tf.uint8, "expression": tf.int32, "lighting": tf.int32}
    given = {name: tf.constant(value, dtypes[name]) for name, value in inputs.items()}
    for signature in ("serving_default", "masks"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            editor[signature](**given)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"expression": ["smile", "smlie"]}, "Row 1: unknown expression smlie; known are: neut"),
        ({"lighting": ["Left", "up"]}, "Row 0: unknown lighting Left.*Row 1: unknown lighting up"),
        ({"image_bytes": [b"", b"GARBAGE"]}, "Row 0: .* is not a PNG.*Row 1: .* is not a PNG"),
        ({"image_bytes": []}, "at least one image"),
        ({"expression": ["smile"]}, "There must be one row of expression per image"),
    ],
)
def test_wrong_bytes_are_told(editor, blobs, changes, sentence):
    picture = encoded(blobs(8, 8)[0])
    inputs = {
        "image_bytes": [picture, picture],
        "expression": ["smile", ""],
        "lighting": ["left", "right"],
    } | changes
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        editor["serving_bytes"](
            **{name: tf.constant(value, tf.string) for name, value in inputs.items()}
        )


def with_size(picture: bytes, form: str, width: int, height: int) -> bytes:
    """The same file, whose header tells of another size."""
    if form == "PNG":
        return picture[:16] + struct.pack(">II", width, height) + picture[24:]
    if form == "BMP":
        return picture[:18] + struct.pack("<ii", width, height) + picture[26:]
    frame = picture.index(b"\xff\xc0") + 5
    return picture[:frame] + struct.pack(">HH", height, width) + picture[frame + 4 :]


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Reads pictures to 16 x 16 in a graph that was written and loaded, as a server runs it."""
    folder = str(tmp_path_factory.mktemp("decoder"))
    module = tf.Module()
    module.run = preprocessing.decoder(16)
    tf.saved_model.save(module, folder, signatures=module.run.get_concrete_function())
    loaded = tf.saved_model.load(folder)
    run = loaded.signatures["serving_default"]
    # The loaded object owns what the signature needs.
    return lambda *pictures: (loaded, run(image_bytes=tf.constant(pictures)))[1]["output_0"].numpy()


def test_pictures_of_a_batch_keep_their_order(read, blobs):
    images = [blobs(8 + 3 * row, 40 - row, seed=row)[0] for row in range(12)]
    answer = read(*[encoded(image, ("PNG", "BMP")[row % 2]) for row, image in enumerate(images)])
    expected = [preprocessing.prepare(tf.constant(image[None]), 16)[0] for image in images]
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1.01 / 127.5)
    assert np.abs(answer - np.roll(answer, 1, axis=0)).mean(axis=(1, 2, 3)).min() > 0.05


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_damaged_pictures_are_told_by_their_row(read, blobs, form):
    good = encoded(blobs(24, 30)[0], form)
    begin = {"PNG": 8, "JPEG": 3, "BMP": 2}[form]
    cuts = [begin, 20, 30, len(good) // 2, len(good) - 4]
    for cut in cuts:
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            read(good, good[:cut], good)
        assert "[Row 1: image_bytes is cut short or damaged.]" in str(caught.value), cut
    with pytest.raises(tf.errors.InvalidArgumentError, match="Row 0: image_bytes is cut short"):
        read(good[:cut])
    with pytest.raises(tf.errors.InvalidArgumentError, match="cut short or damaged"):
        read(with_size(good, form, 0, 24))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_huge_pictures_are_refused_before_they_are_decoded(read, blobs, form):
    good = encoded(blobs(24, 30)[0], form)
    huge = with_size(good, form, 65000, 64000)
    told = "Row 1: the picture has 65000 x 64000 pixels; at most 33,554,432 are taken: make it"
    with pytest.raises(tf.errors.InvalidArgumentError, match=told):
        read(good, huge)


MEGABYTE = 10**6


def test_no_request_takes_much_memory(serving_root):
    """Small files of huge pictures, strips, and very many rows, each of which could take much."""
    program = Path(__file__).with_name("memory_of_requests.py")
    command = [sys.executable, str(program), str(serving_root / "legan" / "1")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["files"]["huge"] < 30_000
    assert found["files"]["wide"] < 3_000 and found["files"]["tall"] < 3_000
    strips = ["wide file", "tall file", "wide pixels", "tall pixels"]
    assert found["answered"] == [*strips, "all pixels"]
    taken = found["taken"]
    control = taken.pop("all pixels")
    # 16 rows of a strip's width as floats take 192 and the many rows, prepared, 307.
    assert max(taken.values()) < 100 * MEGABYTE, taken
    # The pixels of the huge picture take 432: what is held is seen.
    assert control > 400 * MEGABYTE


def test_requests_of_too_many_rows_are_refused(read, editor, blobs):
    most = graph_checks.MAX_ROWS
    # What a client sends by default, and what a server merges, must fit.
    assert inspect.signature(Client).parameters["max_batch"].default <= most
    batching = server_files.contents(["legan"], "models")["batching_parameters.txt"]
    assert int(re.search(r"max_batch_size { value: (\d+) }", batching)[1]) <= most
    told = r"A request may have 64 rows and this has 100000: send several"
    many = 100_000
    ones, pixels = tf.zeros([many], tf.int32), tf.zeros([many, 1, 1, 3], tf.uint8)
    codes = {"expression": ones, "lighting": ones}
    picture = encoded(blobs(1, 1)[0])
    for run in (
        lambda: editor["serving_default"](image=pixels, **codes),
        lambda: editor["labels"](row=ones),
        lambda: read(*[picture] * many),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=told):
            run()
    codes = {name: ids[:most] for name, ids in codes.items()}
    assert len(editor["serving_default"](image=pixels[:most], **codes)["image"]) == most


def test_the_limit_on_pixels_is_where_it_is_told(read, monkeypatch, blobs):
    monkeypatch.setattr(preprocessing, "MAX_PIXELS", 20 * 30)
    decode = tf.function(lambda image_bytes: preprocessing.decode(image_bytes, 8))
    assert decode(tf.constant([encoded(blobs(20, 30)[0])])).shape == (1, 8, 8, 3)
    sentence = "Row 0: the picture has 31 x 20 pixels; at most 600 are"
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        decode(tf.constant([encoded(blobs(20, 31)[0])]))


def test_each_of_several_bad_pictures_is_told_its_own(read, blobs):
    image = blobs(24, 30)[0]
    good = encoded(image)
    bad = [
        encoded(image, "GIF"),
        with_size(good, "PNG", 9000, 9000),
        good[:-40],
        encoded(image, "BMP", "P"),
        b"",
        b"never named",
    ]
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        read(good, *bad)
    assert (
        "[Row 1: image_bytes is not a PNG, JPEG or BMP picture. "
        "Row 2: the picture has 9000 x 9000 pixels; at most 33,554,432 are taken: make it smaller. "
        "Row 3: image_bytes is cut short or damaged. "
        "Row 4: the BMP picture has 8 bits per pixel; it must be 24. "
        "Row 5: image_bytes is not a PNG, JPEG or BMP picture.]"
    ) in str(caught.value)


def test_vectors_of_one_class_edit_as_its_id_does(generator, editor, blobs):
    images = tf.constant(blobs(20, 24, count=3))
    by_id = editor["serving_default"](
        image=images, expression=ids(1, -1, 2), lighting=ids(-1, 0, 1)
    )
    by_vector = editor["vectors"](
        image=images,
        expression=tf.constant([[0.0, 1, 0], [0, 0, 0], [0, 0, 1]]),
        lighting=tf.constant([[0.0, 0], [1, 0], [0, 1]]),
    )
    np.testing.assert_array_equal(by_vector["image"], by_id["image"])
    between = {"expression": [[0.25, 0.5, 0]], "lighting": [[0.5, 1.0]]}
    answer = editor["vectors"](
        image=images[:1], **{name: tf.constant(value) for name, value in between.items()}
    )
    code = {name: tf.constant(value) for name, value in between.items()}
    direct = generator({"image": preprocessing.prepare(images[:1], 16), **code})["image"]
    np.testing.assert_allclose(answer["image"], pixels.to_uint8(direct), rtol=0, atol=1)
    assert np.any(answer["image"] != by_id["image"][:1])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"expression": [[0, 1, 0], [0, np.nan, 0]]}, "Row 1: expression holds a value that is no"),
        ({"lighting": [[0, 1.5], [0, np.inf]]}, "Row 0: lighting holds .* Row 1: lighting holds"),
        ({"lighting": [[-0.1, 1], [0, 0]]}, "Row 0: lighting .* is no number from 0 to 1"),
        (
            {"expression": [[0, 1]] * 2},
            r"\[Each row of expression must hold 3 .* of \(neutral, smile, scream\), not 2\.\]",
        ),
        ({"lighting": np.zeros((2, 0))}, "Each row of lighting must hold 2 .*, not 0"),
        ({"lighting": [[0, 1]]}, "There must be one row of lighting per image"),
    ],
)
def test_wrong_vectors_are_told(editor, blobs, changes, sentence):
    inputs = {"expression": [[0, 1, 0]] * 2, "lighting": [[1, 0]] * 2} | changes
    given = {name: tf.constant(value, tf.float32) for name, value in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        editor["vectors"](image=tf.constant(blobs(8, 8, count=2)), **given)


def test_masks_of_bytes_are_png_of_those_of_tensors(editor, blobs):
    images = blobs(31, 22, count=2)
    answer = editor["masks_bytes"](
        image_bytes=tf.constant([encoded(image) for image in images]),
        expression=tf.constant(["smile", ""]),
        lighting=tf.constant(["", "right"]),
    )
    wanted = editor["masks"](image=tf.constant(images), expression=ids(1, -1), lighting=ids(-1, 1))
    assert set(answer) == {"expression_mask_bytes", "lighting_mask_bytes"}
    for name in ("expression_mask", "lighting_mask"):
        for content, mask in zip(answer[f"{name}_bytes"].numpy(), wanted[name].numpy()):
            picture = Image.open(io.BytesIO(content))
            assert (picture.format, picture.mode) == ("PNG", "L")
            np.testing.assert_allclose(np.asarray(picture), mask[..., 0], rtol=0, atol=1)


def test_a_server_can_be_asked_for_the_labels(editor, generator, quality, mapping):
    offered = {
        "legan": (editor, signatures.describe(generator)),
        "quality": (signatures.build(quality).signatures, signatures.describe(quality)),
        "depth": (mapping["depth"].signatures, mapping["depth"].labels),
    }
    for served, labels in offered.values():
        answer = served["labels"](row=ids(5, -2))["labels"].numpy()
        assert [Labels.from_json(text.decode()) for text in answer] == [labels] * 2
        assert served["labels"](row=ids())["labels"].shape == (0,)
    assert json.loads(answer[0])["kind"] == "depth"


def test_a_code_cannot_be_left_out_where_the_model_never_learned_it(blobs):
    network = LeganGenerator(
        of_classes(expression=("a", "b"), lighting=("c", "d")),
        16,
        width=4,
        blocks=0,
        mask_channels=1,
    )
    network.build()
    served = signatures.build(network).signatures
    image = tf.constant(blobs(16, 16, count=2))
    sentence = "Row 1: this model cannot leave lighting as it is; known are: c, d"
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        served["serving_default"](image=image, expression=ids(0, 1), lighting=ids(0, -1))
    codes = {
        "expression": tf.constant([[0.5, 0.5]] * 2),
        "lighting": tf.constant([[1.0, 0], [0, 0]]),
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        served["vectors"](image=image, **codes)


def test_only_the_conditions_of_the_network_are_inputs(unlit, blobs):
    served = signatures.build(unlit).signatures
    assert set(served) == {"serving_default", "vectors", "serving_bytes", "labels"}
    image = blobs(16, 16)
    answer = served["serving_default"](image=tf.constant(image), expression=ids(1))["image"]
    direct = unlit(
        {
            "image": tf.constant(image / 127.5 - 1, tf.float32),
            "expression": tf.constant([[0.0, 1.0, 0.0]]),
        }
    )["image"]
    np.testing.assert_allclose(answer, pixels.to_uint8(direct), rtol=0, atol=1)
    code = tf.constant([[0.0, 1, 0]])
    by_vector = served["vectors"](image=tf.constant(image), expression=code)["image"]
    np.testing.assert_array_equal(by_vector, answer)


CHANNELS = {"depth": 1, "normal": 3}


@pytest.mark.parametrize("geometry", CHANNELS)
def test_maps_are_the_network_s_answer_rounded(mappers, mapping, blobs, geometry):
    network, servable = mappers[geometry], mapping[geometry]
    assert (servable.labels.kind, servable.labels.geometry) == ("depth", geometry)
    images = blobs(16, 16, count=2)
    answer = servable.signatures["serving_default"](image=tf.constant(images))
    direct = network(
        {
            "image": tf.constant(images / 127.5 - 1, tf.float32),
            "domain": tf.constant([[1.0, 0.0]] * 2),
        }
    )["image"].numpy()
    assert set(answer) == {geometry} and answer[geometry].dtype == tf.uint8
    assert answer[geometry].shape == (2, 16, 16, CHANNELS[geometry])
    expected = np.round((direct + 1) * 127.5)
    assert np.unique(expected).size > 50
    # The three channels of depth are one; as elsewhere, a half may round to the other side.
    np.testing.assert_allclose(answer[geometry] + tf.zeros([3], tf.uint8), expected, atol=1)


@pytest.mark.parametrize("geometry", CHANNELS)
def test_maps_of_bytes_are_png_of_the_same_values(mapping, blobs, geometry):
    served = mapping[geometry].signatures
    images = blobs(31, 22, count=2)
    answer = served["serving_bytes"](image_bytes=tf.constant([encoded(i) for i in images]))
    wanted = served["serving_default"](image=tf.constant(images))[geometry]
    assert set(answer) == {f"{geometry}_bytes"}
    for content, surface in zip(answer[f"{geometry}_bytes"].numpy(), wanted.numpy()):
        picture = Image.open(io.BytesIO(content))
        assert (picture.format, picture.mode) == ("PNG", {1: "L", 3: "RGB"}[CHANNELS[geometry]])
        np.testing.assert_allclose(
            np.asarray(picture).reshape(surface.shape), surface, rtol=0, atol=1
        )


def test_what_a_network_is_sure_to_be_empty_is_served_as_zero(blobs):
    network = DepthNetwork(16, width=4, blocks=0)
    network.build()
    # The last convolution sees what is never negative: its answer becomes far below 0.
    last = network.hourglass.steps[-1]
    last.set_weights([np.full_like(weight, -9.0) for weight in last.get_weights()])
    served = signatures.build(network).signatures["serving_default"]
    assert not served(image=tf.constant(blobs(16, 16)))["depth"].numpy().any()


def test_a_depth_network_beside_an_editor_leaves_its_edits_alone(
    generator, editor, mappers, mapping, blobs
):
    servable = signatures.build(generator, mappers["normal"])
    assert (servable.labels.kind, servable.labels.geometry) == ("editor", "normal")
    both = servable.signatures
    assert set(both) == {*editor, "depth", "depth_bytes"}
    images = tf.constant(blobs(20, 24, count=2))
    alone = mapping["normal"].signatures
    np.testing.assert_array_equal(
        both["depth"](image=images)["normal"], alone["serving_default"](image=images)["normal"]
    )
    by_bytes = tf.constant([encoded(image) for image in images.numpy()])
    assert np.array_equal(
        both["depth_bytes"](image_bytes=by_bytes)["normal_bytes"],
        alone["serving_bytes"](image_bytes=by_bytes)["normal_bytes"],
    )
    request = {"image": images, "expression": ids(0, 2), "lighting": ids(1, -1)}
    np.testing.assert_array_equal(
        both["serving_default"](**request)["image"], editor["serving_default"](**request)["image"]
    )


def test_maps_are_made_in_float32_whatever_the_network_was_trained_in(mappers, mapping, blobs):
    image = tf.constant(blobs(16, 16))
    expected = mapping["normal"].signatures["serving_default"](image=image)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = copy_of(mappers["normal"], "mixed")
        served = signatures.build(mixed).signatures["serving_default"](image=image)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(served["normal"], expected["normal"])


def test_what_does_not_stand_beside_each_other_is_refused(generator, quality, mappers):
    larger = DepthNetwork(32, width=4, blocks=0)
    larger.build()
    for network, depth, sentence in (
        (quality, mappers["depth"], "stands beside a generator, not beside a QualityEstimator"),
        (mappers["depth"], mappers["depth"], "not beside a DepthNetwork"),
        (generator, quality, "A QualityEstimator is no depth network"),
        (generator, larger, "works at 32 pixels and the generator at 16"),
    ):
        with pytest.raises(UserError, match=sentence):
            signatures.build(network, depth)


@pytest.mark.parametrize(
    ("signature", "inputs", "sentence"),
    [
        ("serving_default", {"image": np.zeros((1, 4, 0, 3), np.uint8)}, "must each be at least 1"),
        ("serving_bytes", {"image_bytes": [b"GARBAGE"]}, "Row 0: .* is not a PNG"),
    ],
)
def test_wrong_pictures_of_a_depth_network_are_told(mapping, signature, inputs, sentence):
    served = mapping["depth"].signatures[signature]
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        served(**{name: tf.constant(value) for name, value in inputs.items()})


def test_other_networks_are_refused():
    classifier = AttributeClassifier(
        of_classes(expression=("a", "b"), lighting=("c", "d")), image_size=16, width=2
    )
    classifier.build()
    with pytest.raises(UserError, match="AttributeClassifier neither edits nor rates"):
        signatures.build(classifier)
