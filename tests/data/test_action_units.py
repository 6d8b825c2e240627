"""Action units as a condition: their scale, requests, targets, and the vectors of classes."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data import conditions
from legan_tf.data.action_units import NAMES, of_head, prototype
from legan_tf.data.class_vectors import POLICIES, ClassVectors
from legan_tf.data.conditions import RangeCondition, from_dict
from legan_tf.errors import UserError
from legan_tf.head.action_units import MEASURED

THREE = RangeCondition("action_units", ("AU01", "AU06", "AU12"), source="rendered faces")
SMILES = np.array([[0, 0.4, 0.8], [0, 0.6, 0.6], [0, 0.7, 0.7]], np.float32)
VECTORS = np.concatenate([np.zeros((2, 3)), SMILES, [[np.nan, 0.5, 0.5]]]).astype(np.float32)
CLASSES = ClassVectors.of(
    "expression", ("neutral", "smile", "fear"), np.array([0, 0, 1, 1, 1, 1]), VECTORS, 0
)
KNOWING = dataclasses.replace(THREE, classes=CLASSES)


def test_the_order_is_that_of_openface():
    numbers = "01 02 04 05 06 07 09 10 12 14 15 17 20 23 25 26 45".split()
    assert NAMES == tuple(f"AU{number}" for number in numbers)


def test_the_head_shows_the_units_of_the_condition_by_hand():
    shown = dict.fromkeys(MEASURED, 0.0)
    shown.update({1: 0.5, 10: 0.4, 12: 1.4, 16: 0.8, 24: 0.3, 27: 0.2, 45: 0.1})
    units = of_head(np.array([[shown[number] for number in MEASURED]] * 2))
    assert units.shape == (2, 17) and units.dtype == np.float32
    named = dict(zip(NAMES, units[1].tolist()))
    known = {"AU01": 0.5, "AU10": 0.4, "AU12": 1.0, "AU23": 0.3, "AU26": 0.2, "AU45": 0.1}
    # The lips are 0.2 + 0.4 / 4 + 0.8 / 4 apart, of 0.5.
    expected = {**dict.fromkeys(NAMES, 0.0), **known, "AU25": 1.0}
    np.testing.assert_allclose([named[name] for name in NAMES], list(expected.values()), atol=1e-6)


def test_requests_are_intensities_of_facs_and_what_is_not_named_relaxes():
    wanted = [[0.0, 0.4, 0.6]]
    for request in ("AU12=3,AU06=2", "au12=3, AU6=2", {"AU12": 3, "AU6": 2}, wanted[0]):
        np.testing.assert_allclose(THREE.ids(request, 1, False), wanted, atol=1e-6)
    assert THREE.ids("AU12=3", 2, False).dtype == np.float32
    text = THREE.label_text(np.array(wanted[0], np.float32))
    assert text == "AU06=2,AU12=3"
    np.testing.assert_allclose(THREE.ids(text, 1, False), wanted, atol=1e-6)
    np.testing.assert_array_equal(THREE.ids(THREE.label_text(np.zeros(3)), 1, False), [[0, 0, 0]])


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ("AU12=6", "AU12=6: give an intensity from 0 to 5"),
        ("AU12", "AU12=: give an intensity"),
        ("AU13=1", "'AU13' is no action unit of this model; it knows AU01, AU06, AU12"),
        ([0.1, 0.2], "must be 3 numbers from 0 to 1"),
        ([0.1, 0.2, 3.0], "must be 3 numbers from 0 to 1"),
        (None, "has to be told action_units: give them as AU01=2; what is not named is 0"),
        (0.5, "must be text such as AU01=2, a dictionary, or 3 numbers"),
    ],
)
def test_requests_that_cannot_be_read_say_how_to_write_them(request_, told):
    with pytest.raises(UserError, match=told):
        THREE.ids(request_, 1, False)


def test_targets_are_another_sample_with_noise_and_never_an_unknown_one():
    drawn_from = THREE.drawn_from(VECTORS)
    assert len(drawn_from) == 5
    keys = tf.stack([tf.fill([400], 7), tf.range(400)], 1)
    source = tf.fill([3], np.nan)
    drawn = np.array([THREE.draw(source, tf.constant(drawn_from), k, 0.0) for k in keys])
    apart = np.abs(drawn[:, None] - drawn_from[None]).max(-1)
    nearest = apart.argmin(1)
    assert apart.min(1).max() <= 0.1 + 1e-6
    assert np.bincount(nearest)[[0, 2, 3, 4]].min() > 40  # The two neutral ones are alike.
    noise = drawn - drawn_from[nearest]
    of_neutral = noise[nearest < 2]
    assert of_neutral.min() < -0.09 and of_neutral.max() > 0.09  # Not cut off at 0.
    assert abs(noise.mean()) < 0.01


def test_unknown_numbers_are_0_in_the_code_and_cannot_be_undone():
    labels = tf.constant([[0.1, np.nan, 0.3], [0.1, 0.2, 0.3]])
    np.testing.assert_allclose(THREE.code(labels), [[0.1, 0, 0.3], [0.1, 0.2, 0.3]])
    target = tf.constant([[0.5, 0.5, -0.05], [np.nan, 0.5, -0.05]])
    np.testing.assert_array_equal(conditions.known(labels, target), [False, True])
    np.testing.assert_allclose(
        conditions.wanted(labels, target), [[0.5, 0.5, -0.05], [0.1, 0.5, -0.05]]
    )


def test_each_policy_has_a_vector_for_a_class():
    smile = KNOWING.classes.names.index("smile")
    assert KNOWING.classes.names == ("neutral", "smile")  # There is no picture of fear.
    examples = {tuple(KNOWING.vector_of(smile, "exemplar", n)) for n in range(3)}
    assert examples == {tuple(row) for row in SMILES}
    np.testing.assert_array_equal(
        KNOWING.vector_of(smile, "exemplar", 3), KNOWING.vector_of(smile, "exemplar", 0)
    )
    mean = KNOWING.vector_of(smile, "class_mean")
    np.testing.assert_allclose(mean, [0, 1.7 / 3, 0.7], atol=1e-4)
    np.testing.assert_allclose(KNOWING.vector_of(smile, "medoid"), [0, 0.6, 0.6], atol=1e-4)
    np.testing.assert_allclose(KNOWING.vector_of(smile, "prototype"), [0, 0.6, 0.6])
    assert len(POLICIES) == 4


def test_prototypes_are_those_of_facs():
    shown = dict(zip(NAMES, prototype("surprise")))
    assert {name for name, value in shown.items() if value} == {
        "AU01", "AU02", "AU05", "AU25", "AU26",
    }  # fmt: skip
    assert shown["AU05"] == np.float32(0.4) and shown["AU01"] == np.float32(0.6)
    assert prototype("frown") is None
    strange = ClassVectors.of("expression", ("frown",), np.zeros(3, int), SMILES, 0)
    with pytest.raises(UserError, match="--class_policy=prototype: FACS has no table of 'frown'"):
        strange.vector(0, "prototype", 0, THREE.names)


def test_classes_are_asked_for_by_name_and_numbers_count_more():
    assert KNOWING.asked_by == conditions.ClassCondition("expression", ("neutral", "smile"))
    assert THREE.asked_by is THREE
    given = {"expression": ["smile", "neutral"], "action_units": [None, "AU12=5"]}
    found = KNOWING.requested(given, 2, False)
    np.testing.assert_allclose(found, [KNOWING.vector_of(1), [0, 0, 1]], atol=1e-6)
    graph = KNOWING.told(tf.constant([1, 0, -1]))
    np.testing.assert_allclose(graph[:2], [KNOWING.vector_of(1), KNOWING.vector_of(0)])
    assert np.isnan(graph[2]).all()
    with pytest.raises(UserError, match="AU01=2, or its expression"):
        KNOWING.requested({}, 1, False)


def test_files_hold_all_of_it():
    for condition in (THREE, KNOWING):
        assert from_dict(json.loads(json.dumps(condition.to_dict()))) == condition
    assert hash(KNOWING) == hash(from_dict(KNOWING.to_dict()))
    with pytest.raises(ValueError, match="lack 'means'"):
        from_dict({**THREE.to_dict(), "classes": {"condition": "a", "names": [], "examples": []}})
