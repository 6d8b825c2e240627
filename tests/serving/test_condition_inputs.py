"""An editor of binary attributes beside a class, from the network to what is served."""

from __future__ import annotations

import io
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import legan_tf
from legan_tf.data.conditions import BinaryCondition, ClassCondition
from legan_tf.errors import UserError
from legan_tf.models import StarganGenerator
from legan_tf.serving import editing, export, publishing, signatures

CONDITIONS = (
    ClassCondition("lighting", ("left", "right", "above")),
    BinaryCondition("attributes", ("Smiling", "Young")),
)


def network(keeps_unnamed: bool) -> StarganGenerator:
    keras.utils.set_random_seed(3)
    made = StarganGenerator(
        CONDITIONS, 16, width=4, blocks=0, output="affine", keeps_unnamed=keeps_unnamed
    )
    made.build()
    return made


@pytest.fixture(scope="module")
def celeba():
    return network(keeps_unnamed=True)


@pytest.fixture(scope="module")
def version(celeba, tmp_path_factory):
    return export.export(celeba, str(tmp_path_factory.mktemp("models")), "celeba")


@pytest.fixture(scope="module")
def editor(version):
    return legan_tf.load(version)


@pytest.fixture(scope="module")
def served(version):
    return tf.saved_model.load(version)


def by_network(network, image, lighting, attributes):
    """The network's own edit of one picture of its size, by its codes."""
    inputs = {"image": image[None] / 127.5 - 1, "lighting": [lighting], "attributes": [attributes]}
    edited = network({key: tf.constant(value, tf.float32) for key, value in inputs.items()})
    return np.clip(np.round((edited["image"][0].numpy() + 1) * 127.5), 0, 255)


def test_every_form_of_a_target_is_the_network_s_code(celeba, editor, blobs):
    image = blobs(16, 16)[0]
    expected = by_network(celeba, image, [0, 1, 0], [1, 0])
    assert np.ptp(expected) > 50
    for target in ("Smiling=1,Young=0", {"Smiling": 1, "Young": False}, np.array([1, 0])):
        edited = editor(image, lighting="right", attributes=target)
        np.testing.assert_allclose(edited, expected, rtol=0, atol=1)
    left = by_network(celeba, image, [0, 0, 0], [0.5, 1])
    assert np.abs(left - expected).max() > 5
    np.testing.assert_allclose(editor(image, attributes="Young"), left, rtol=0, atol=1)
    each = editor(np.stack([image] * 3), attributes=["Young=1", None, {"Smiling": 1, "Young": 0}])
    np.testing.assert_allclose(each[0], left, rtol=0, atol=1)
    kept = by_network(celeba, image, [0, 0, 0], [0.5, 0.5])
    np.testing.assert_allclose(each[1], kept, rtol=0, atol=1)
    tensors = editor.edit(image[None], lighting=[1], attributes=[[1, 0]])
    np.testing.assert_allclose(tensors[0], expected, rtol=0, atol=1)
    np.testing.assert_allclose(editor.edit(image[None])[0], kept, rtol=0, atol=1)


def test_labels_and_card_name_the_attributes(version):
    folder = pathlib.Path(version)
    (labels,) = json.loads((folder / publishing.LABELS_FILE).read_text())["conditions"][1:]
    assert labels == {"kind": "binary", "name": "attributes", "names": ["Smiling", "Young"]}
    card = (folder / publishing.CARD_FILE).read_text()
    assert "| Attributes | Smiling, Young |" in card
    assert "`attributes` int32 [B, ?]" in card


def test_an_editor_tells_its_conditions(editor, celeba, tmp_path, blobs):
    celeba.save(tmp_path / "model.keras")
    for one in (editor, legan_tf.load(tmp_path)):
        assert one.conditions == CONDITIONS
        assert one.names("attributes") == ("Smiling", "Young")
        assert (one.expressions, one.lightings) == ((), ("left", "right", "above"))
    image = blobs(16, 16)[0]
    again = legan_tf.load(tmp_path)(image, lighting=0, attributes="Young=0")
    expected = editor(image, lighting="left", attributes={"Young": 0})
    np.testing.assert_allclose(again, expected, rtol=0, atol=1)


def test_every_signature_takes_the_conditions(celeba, served, blobs):
    images = blobs(16, 16, count=2)
    expected = [
        by_network(celeba, images[0], [0, 0, 1], [0, 0.5]),
        by_network(celeba, images[1], [0, 0, 0], [1, 1]),
    ]
    labels = tf.constant([[0, -1], [1, 1]])
    run = served.signatures
    assert set(run) == {"serving_default", "vectors", "serving_bytes", "labels"}
    by_id = run["serving_default"](
        image=tf.constant(images), lighting=tf.constant([2, -1]), attributes=labels
    )
    np.testing.assert_allclose(by_id["image"], expected, rtol=0, atol=1)
    by_vector = run["vectors"](
        image=tf.constant(images),
        lighting=tf.constant([[0.0, 0, 1], [0, 0, 0]]),
        attributes=tf.constant([[0.0, 0.5], [1, 1]]),
    )
    np.testing.assert_array_equal(by_vector["image"], by_id["image"])
    by_bytes = run["serving_bytes"](
        image_bytes=tf.constant([tf.io.encode_png(image).numpy() for image in images]),
        lighting=tf.constant(["above", ""]),
        attributes=labels,
    )["image_bytes"]
    decoded = [np.asarray(Image.open(io.BytesIO(content))) for content in by_bytes.numpy()]
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=1)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([[1, 0], [2, -1]], r"Row 1: unknown attributes ids 2, -1; known are 0 to 1, or -1 to .*"),
        ([[1, -2], [1, 1]], r"Row 0: unknown .* leave it as it is \(Smiling, Young\)"),
        ([[1], [0]], r"row of attributes must hold 2 values.* \(Smiling, Young\), not 1"),
        ([[1, 0]], "There must be one row of attributes per image"),
    ],
)
def test_wrong_labels_are_told(served, blobs, labels, sentence):
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        served.signatures["serving_default"](
            image=tf.constant(blobs(8, 8, count=2)),
            lighting=tf.constant([0, 1]),
            attributes=tf.constant(labels),
        )


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        ({"attributes": "Smilling=1"}, "'Smilling' is no attribute .* Did you mean 'Smiling'"),
        ({"attributes": "Smiling=2"}, "Smiling=2: give 1 .there. or 0"),
        ({"attributes": [2, 0]}, "must be 2 numbers, 1 for an attribute that is there"),
        ({"attributes": ["Young=1"] * 2}, "holds 2 targets for 1 pictures"),
        ({"expression": "smile"}, "not edit the expression; .* It edits: lighting, attributes"),
    ],
)
def test_wrong_targets_are_told(editor, blobs, targets, sentence):
    with pytest.raises(UserError, match=sentence):
        editor(blobs(8, 8)[0], **targets)


def test_tensors_for_a_condition_that_there_is_not_are_refused(editor, blobs):
    with pytest.raises(UserError, match="does not edit the expression"):
        editor.edit(blobs(8, 8, count=1), expression=[0])


def test_a_model_that_leaves_nothing_is_told_all_attributes(blobs, tmp_path):
    strict = network(keeps_unnamed=False)
    image = blobs(16, 16)[0]
    run = signatures.build(strict).signatures
    known = {"image": tf.constant(image[None]), "lighting": tf.constant([1])}
    answer = run["serving_default"](**known, attributes=tf.constant([[0, 1]]))["image"][0]
    expected = by_network(strict, image, [0, 1, 0], [0, 1])
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1)
    sentence = r"Row 0: this model cannot leave attributes as it is; known are: Smiling, Young"
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        run["serving_default"](**known, attributes=tf.constant([[0, -1]]))
    codes = {"lighting": tf.constant([[0.0, 1, 0]]), "attributes": tf.constant([[0.5, 0.5]])}
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        run["vectors"](image=known["image"], **codes)
    strict.save(tmp_path / "model.keras")
    loaded = legan_tf.load(tmp_path)
    with pytest.raises(UserError, match="cannot leave Young as it is: give each of attributes"):
        loaded(image, lighting="left", attributes="Smiling=1")
    # A grid then shows each attribute alone.
    grid = loaded.grid(image)
    assert grid.shape == (3, 2, 16, 16, 3)
    alone = loaded(image, lighting="above", attributes="Smiling=0,Young=1")
    np.testing.assert_allclose(grid[2, 1], alone, rtol=0, atol=1)


def test_a_grid_has_an_axis_for_each_condition(editor, blobs):
    image = blobs(16, 16)[0]
    grid = editor.grid(image)
    assert grid.shape == (3, 2, 16, 16, 3)
    for row, lighting in enumerate(("left", "right", "above")):
        for column, attribute in enumerate(("Smiling", "Young")):
            edited = editor(image, lighting=lighting, attributes=f"{attribute}=1")
            np.testing.assert_allclose(grid[row, column], edited, rtol=0, atol=1)
    assert editing.draw_grid(editor, image).shape == (4 * 96 + 8, 3 * 96 + 8, 3)


def test_files_are_edited_by_attributes(editor, tmp_path, blobs):
    source, output = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    Image.fromarray(blobs(30, 40)[0]).save(source)
    report = editing.use_model(editor, source, output, {"attributes": "Smiling=1,Young=0"})
    assert report.written == (output,)
    expected = editor(source, attributes={"Smiling": 1, "Young": 0})
    np.testing.assert_array_equal(np.asarray(Image.open(output)), expected)
