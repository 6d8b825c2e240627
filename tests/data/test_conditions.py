from __future__ import annotations

import numpy as np

from legan_tf.data.conditions import UNKNOWN, BinaryCondition, ClassCondition

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
