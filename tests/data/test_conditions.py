from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.conditions import UNKNOWN, BinaryCondition, ClassCondition
from legan_tf.errors import UserError

EXPRESSION = ClassCondition("expression", ("neutral", "smile", "scream"))
ATTRIBUTES = BinaryCondition("attributes", ("Smiling", "Young", "Bald"))


def test_variations_are_every_class_or_every_attribute_turned():
    for label in (np.int32(1), np.int32(UNKNOWN)):
        np.testing.assert_array_equal(EXPRESSION.variations(label), [0, 1, 2])
    turned = ATTRIBUTES.variations(np.array([1, 0, UNKNOWN]))
    np.testing.assert_array_equal(turned, [[0, 0, -1], [1, 1, -1], [1, 0, 1]])
    assert turned.dtype == np.int32


def test_the_text_of_a_label_is_the_request_for_it():
    assert [EXPRESSION.label_text(label) for label in (2, UNKNOWN)] == ["scream", ""]
    assert EXPRESSION.label_text(np.int32(2), np.int32(2)) == "scream"
    label = np.array([1, 0, UNKNOWN], np.int32)
    assert ATTRIBUTES.label_text(label) == "Smiling=1,Young=0"
    np.testing.assert_array_equal(ATTRIBUTES.ids(ATTRIBUTES.label_text(label), 1, True), [label])
    # Of an edit it is what changes.
    assert ATTRIBUTES.label_text(label, np.array([1, 1, 0])) == "Young=0"


def test_an_edit_is_judged_by_one_class_or_by_a_known_attribute_turned():
    turns, places = np.array([0, 1, 1]), np.array([2, 0])
    source = np.array([1, UNKNOWN, 0], np.int32)
    np.testing.assert_array_equal(EXPRESSION.evaluation_targets(source, places, turns), [2, 0, 0])
    source = np.array([[1, 0, 0], [UNKNOWN, 0, 1], [UNKNOWN, 1, UNKNOWN]], np.int32)
    np.testing.assert_array_equal(
        ATTRIBUTES.evaluation_targets(source, places, turns),
        [[1, 0, 1], [UNKNOWN, 0, 0], [UNKNOWN, 1, UNKNOWN]],
    )


def test_targets_of_several_pictures_may_differ_in_form():
    label = np.array([1, 0, UNKNOWN])
    for first in (None, "Smiling=1,Young=0", {"Smiling": 1, "Young": 0}):
        for targets in ([first, label], [label, first], (label.tolist(), first)):
            given = [label if target is not None else [UNKNOWN] * 3 for target in targets]
            np.testing.assert_array_equal(ATTRIBUTES.ids(targets, 2, True), given)
    np.testing.assert_array_equal(EXPRESSION.ids(["scream", None, 1], 3, True), [2, UNKNOWN, 1])


@pytest.mark.parametrize(
    ("condition", "targets", "told"),
    [
        (ATTRIBUTES, [[1, 0, 1], [1]], "attributes must be 3 numbers"),
        (ATTRIBUTES, ["Young", 1], "attributes must be 3 numbers"),
        (ATTRIBUTES, {1: 1}, "'1' is no attribute of this model"),
        (ATTRIBUTES, {"Young"}, "a dictionary, or 3 numbers, not set"),
        (EXPRESSION, ["smile", [0]], "a name, an id or None, not list"),
        (EXPRESSION, np.array("smile"), "a name, an id or None, not ndarray"),
    ],
)
def test_targets_of_no_form_are_refused(condition, targets, told):
    with pytest.raises(UserError, match=told):
        condition.ids(targets, 2, True)
