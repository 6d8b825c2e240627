"""An editor that is told action units, from the network to what is served."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import legan_tf
from legan_tf.data.action_units import NAMES
from legan_tf.data.class_vectors import ClassVectors
from legan_tf.data.conditions import RangeCondition
from legan_tf.errors import UserError
from legan_tf.models import GanimationGenerator
from legan_tf.serving import export
from legan_tf.serving.labels import Labels

VECTORS = np.zeros((2, 17), np.float32)
VECTORS[1, [NAMES.index("AU06"), NAMES.index("AU12")]] = 0.6, 0.8
CLASSES = ClassVectors.of("expression", ("neutral", "smile"), np.arange(2), VECTORS, 0)
UNITS = RangeCondition("action_units", NAMES, "rendered faces", CLASSES)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    made = GanimationGenerator((UNITS,), 16, 8, 1, stem=False)
    made.build()
    rng = np.random.default_rng(4)
    made.set_weights([w + rng.normal(0, 0.2, w.shape) for w in made.get_weights()])
    return made


@pytest.fixture(scope="module", params=["file", "export"])
def editor(network, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    if request.param == "export":
        return legan_tf.load(export.export(network, str(folder), "units"))
    network.save(folder / "model.keras")
    return legan_tf.load(str(folder / "model.keras"))


def by_network(network, image, vector):
    given = {"image": image[None] / 127.5 - 1, "action_units": vector[None]}
    edited = network({key: tf.constant(value, tf.float32) for key, value in given.items()})
    return np.clip(np.round((edited["image"][0].numpy() + 1) * 127.5), 0, 255)


def test_every_form_of_a_target_is_the_network_s_code(network, editor, blobs):
    image = blobs(16, 16)[0]
    smile, neutral = by_network(network, image, VECTORS[1]), by_network(network, image, VECTORS[0])
    assert np.abs(smile - neutral).max() > 5
    for target in ("AU12=4,AU06=3", {"AU12": 4, "AU06": 3}, VECTORS[1]):
        np.testing.assert_allclose(editor(image, action_units=target), smile, atol=1)
    np.testing.assert_allclose(editor(image, expression="smile"), smile, atol=1)
    # All at 0 is a request like others, and no unnamed one.
    np.testing.assert_allclose(editor(image, action_units="AU12=0"), neutral, atol=1)
    both = editor(np.stack([image] * 2), expression="smile", action_units=[VECTORS[0], None])
    np.testing.assert_allclose(both, [neutral, smile], atol=1)
    tensors = editor.edit(np.stack([image] * 2), expression=[1, 0])
    np.testing.assert_allclose(tensors, [smile, neutral], atol=1)
    np.testing.assert_allclose(editor.edit(image[None], action_units=VECTORS[1:])[0], smile, atol=1)


def test_it_is_asked_by_the_names_of_classes(network, editor, blobs):
    assert [one.name for one in editor.conditions] == ["expression"]
    assert editor.expressions == ("neutral", "smile") and editor.names("action_units") == NAMES
    grid = editor.grid(blobs(16, 16)[0])
    assert grid.shape == (2, 1, 16, 16, 3)
    np.testing.assert_allclose(grid[1, 0], editor(blobs(16, 16)[0], expression="smile"), atol=1)
    labels = Labels("editor", "x", 16, (UNITS,))
    assert Labels.from_json(labels.to_json()) == labels


def test_what_cannot_be_edited_is_said(editor, blobs):
    image = blobs(16, 16)[0]
    with pytest.raises(UserError, match="has to be told action_units: give them as AU01=2, or its"):
        editor(image)
    with pytest.raises(UserError, match="does not edit the lighting; .*: action_units, expression"):
        editor(image, lighting="left")
    with pytest.raises(tf.errors.InvalidArgumentError, match="no number from 0 to 1"):
        editor.edit(image[None])
    with pytest.raises(tf.errors.InvalidArgumentError, match="no number from 0 to 1"):
        editor.edit(image[None], expression=[7])


def test_signatures_have_a_named_input_of_action_units(network, tmp_path):
    version = export.export(network, str(tmp_path), "units")
    served = tf.saved_model.load(version).signatures
    for name in ("serving_default", "vectors", "serving_bytes", "masks", "masks_bytes"):
        spec = served[name].structured_input_signature[1]["action_units"]
        assert spec.dtype == tf.float32 and spec.shape.rank == 2, name
    image = tf.zeros([1, 16, 16, 3], tf.uint8)
    masks = served["masks"](image=image, action_units=tf.constant(VECTORS[1:]))
    values = masks["action_units_mask_values"].numpy()
    assert values.shape == (1, 16, 16, 1) and 0 <= values.min() < values.max() <= 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold 17 values"):
        served["serving_default"](image=image, action_units=tf.zeros([1, 3]))


def test_without_classes_it_is_asked_for_units_alone(tmp_path, blobs):
    network = GanimationGenerator((dataclasses.replace(UNITS, classes=None),), 16, 4, 0)
    network.build()
    network.save(tmp_path / "model.keras")
    editor = legan_tf.load(str(tmp_path / "model.keras"))
    assert [one.name for one in editor.conditions] == ["action_units"]
    assert editor.grid(blobs(16, 16)[0]).shape == (17, 1, 16, 16, 3)
    with pytest.raises(UserError, match="does not edit the expression"):
        editor(blobs(16, 16)[0], expression="smile")
