"""Runs of editors that are told binary attributes, alone and beside classes."""

from __future__ import annotations

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from legan_tf.data.conditions import BinaryCondition, ClassCondition
from legan_tf.models import AttributeClassifier, LeganGenerator, StarganGenerator

NAMES = ("Smiling", "Mouth_Slightly_Open")
OPTIONS = {
    "model": "stargan",
    "conditions": "attributes",
    "attributes": ",".join(NAMES),
    "identity_weight": 0,
    "quality_weight": 0,
    "blocks": 0,
    "critic_steps": 1,
    "train_steps": 3,
    "log_every": 1,
    "checkpoint_every": 1,
    "sample_every": 3,
    "schedule": "constant",
    "deterministic": True,
}
JUDGE = {
    "model": "classifier",
    "conditions": "attributes",
    "attributes": ",".join(NAMES),
    "classifier_width": 2,
    "flip": True,
    "train_steps": 2,
    "log_every": 1,
    "sample_every": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, runs):
    """Runs of one process: StarGAN in one go and in two, with expressions too, and LEGAN."""
    folder = tmp_path_factory.mktemp("attributes")
    both = {**OPTIONS, "conditions": "expression,attributes", "keep_share": 0.3}
    runs.in_turn(
        1,
        (folder / "whole", OPTIONS),
        (folder / "parts", {**OPTIONS, "train_steps": 1}),
        (folder / "parts", OPTIONS),
        (folder / "both", both),
        (folder / "legan", {**both, "model": "legan", "attributes": "", "train_steps": 1}),
        (folder / "judge", JUDGE),
    )
    return folder


def test_stargan_learns_attributes_by_flags_alone(folder, runs):
    network = keras.models.load_model(folder / "whole/model.keras")
    assert isinstance(network, StarganGenerator)
    assert network.conditions == (BinaryCondition("attributes", NAMES),)
    lines = runs.metrics(folder / "whole")
    assert all(math.isfinite(value) for line in lines for value in line.values())
    # Binary cross entropy, summed over attributes: ln 2 each, as long as nothing is learnt.
    for term in ("discriminator_attributes", "attributes"):
        assert lines[0][term] == pytest.approx(len(NAMES) * math.log(2), rel=0.25)
    record = json.loads((folder / "whole/record.jsonl").read_text())
    assert record["conditions"] == [
        {"kind": "binary", "name": "attributes", "names": list(NAMES)},
    ]
    grid = np.asarray(Image.open(folder / "whole/samples/samples-0000003.png"))
    # The input and an edit for each attribute; the picture and the truth of three people.
    assert grid.shape == (14 + 3 * 2 * 16, (1 + len(NAMES)) * 16, 3)


def test_it_goes_on_as_if_it_had_not_stopped(folder, runs):
    runs.assert_same(
        folder / "whole", folder / "parts", ("generator/", "discriminator/", "g_optimizer/")
    )


def test_attributes_go_with_classes(folder, runs):
    network = keras.models.load_model(folder / "both/model.keras")
    expression, attributes = network.conditions
    assert isinstance(expression, ClassCondition) and expression.size == 6
    assert attributes == BinaryCondition("attributes", NAMES)
    guessing = math.log(6) + len(NAMES) * math.log(2)
    first = runs.metrics(folder / "both")[0]
    assert first["discriminator_attributes"] == pytest.approx(guessing, rel=0.25)


def test_legan_has_a_mask_of_the_attributes(folder):
    network = keras.models.load_model(folder / "legan/model.keras")
    assert isinstance(network, LeganGenerator)
    attributes = network.conditions[1]
    # All that rendered faces have, where none are named.
    assert attributes.size > len(NAMES) and set(NAMES) < set(attributes.names)
    labels = {"expression": tf.constant([1]), "attributes": tf.constant(attributes.unknown(1))}
    made = network({"image": tf.zeros([1, 16, 16, 3]), **network.codes(labels)})
    assert set(made) == {"image", "expression_mask", "attributes_mask"}
    assert made["attributes_mask"].shape == made["expression_mask"].shape


def test_a_classifier_reads_attributes_alone(folder, runs):
    network = keras.models.load_model(folder / "judge/model.keras")
    assert isinstance(network, AttributeClassifier)
    assert network.conditions == (BinaryCondition("attributes", NAMES),)
    lines = runs.metrics(folder / "judge")
    assert lines[0]["attributes"] == pytest.approx(len(NAMES) * math.log(2), rel=0.5)
    assert 0 <= lines[-1]["val_attributes"] <= 1
