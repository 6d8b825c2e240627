from __future__ import annotations

import json

import numpy as np
import pytest

from legan_tf.data.conditions import BinaryCondition, ClassCondition
from legan_tf.errors import UserError
from legan_tf.serving.labels import Labels

LABELS = Labels(
    "editor",
    "LeganGenerator",
    16,
    (ClassCondition("expression", ("a", "b")), BinaryCondition("attributes", ("Smiling", "Young"))),
    True,
    "depth",
    face_lines=(0.3, 0.7),
)
TEXT = json.loads(LABELS.to_json())


def test_they_travel_as_json_and_a_later_release_may_tell_more():
    assert Labels.from_json(LABELS.to_json()) == LABELS
    later = {**TEXT, "of_a_later_release": {"more": [1]}}
    assert Labels.from_json(json.dumps(later)) == LABELS
    least = {"kind": "scorer", "architecture": "Q", "image_size": 8}
    assert Labels.from_json(json.dumps(least)) == Labels("scorer", "Q", 8)


def test_labels_of_version_0_1_name_two_classes():
    before = {
        "kind": "editor",
        "architecture": "StarganGenerator",
        "image_size": 8,
        "expressions": ["a", "b"],
        "lightings": [],
        "keeps_unnamed": False,
    }
    labels = Labels.from_json(json.dumps(before))
    assert (labels.expressions, labels.lightings) == (("a", "b"), ())
    # Its signatures want a lighting, too.
    asked = labels.all_ids({"expression": ["b", 0]}, 2)
    assert {name: ids.tolist() for name, ids in asked.items()} == {
        "expression": [1, 0],
        "lighting": [-1, -1],
    }
    with pytest.raises(UserError, match="does not edit the lighting; leave 'left' out"):
        labels.all_ids({"expression": "a", "lighting": "left"}, 1)
    scorer = Labels.from_json(json.dumps({**before, "kind": "scorer"}))
    assert scorer.conditions == ()


def test_targets_become_the_labels_of_every_condition():
    asked = LABELS.all_ids({"attributes": ["Young=0", None], "lighting": None}, 2)
    assert {name: ids.tolist() for name, ids in asked.items()} == {
        "expression": [-1, -1],
        "attributes": [[-1, 0], [-1, -1]],
    }
    assert asked["attributes"].dtype == "int32"
    np.testing.assert_array_equal(LABELS.all_ids({"expression": "b"}, 3)["expression"], [1, 1, 1])
    with pytest.raises(UserError, match="not edit the lighting; .* It edits: expression, attrib"):
        LABELS.all_ids({"lighting": "left"}, 1)
    with pytest.raises(UserError, match="'Yuong' is no attribute .* Did you mean 'Young'"):
        LABELS.all_ids({"attributes": {"Yuong": 1}}, 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kind": "oven"}, "names the unknown kind 'oven'"),
        ({"kind": 3}, "'kind' cannot be 3"),
        ({"architecture": None}, "'architecture' cannot be None"),
        ({"image_size": 0}, "'image_size' cannot be 0"),
        ({"image_size": 10**7}, "'image_size' cannot be 10000000"),
        ({"image_size": True}, "'image_size' cannot be True"),
        ({"image_size": "16"}, "'image_size' cannot be '16'"),
        ({"conditions": "smile"}, "'conditions' is no list of conditions"),
        ({"conditions": [1]}, "'conditions' is no list of conditions"),
        ({"conditions": [{"kind": "class", "name": "a"}]}, "is no condition"),
        ({"conditions": [{"kind": "sound", "name": "a", "names": []}]}, "unknown kind 'sound'"),
        ({"keeps_unnamed": 1}, "'keeps_unnamed' cannot be 1"),
        ({"geometry": []}, r"'geometry' cannot be \[\]"),
        ({"face_lines": [0.3]}, "'face_lines' is no list of two numbers"),
        ({"face_lines": ["0.3", 1]}, "'face_lines' is no list of two numbers"),
    ],
)
def test_what_cannot_be_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        Labels.from_json(json.dumps({**TEXT, **changes}))


@pytest.mark.parametrize(
    ("text", "told"), [("[]", "no JSON object"), ("{}", "lacks 'kind'"), ("{", "Expecting")]
)
def test_other_texts_are_refused(text, told):
    with pytest.raises(ValueError, match=told):
        Labels.from_json(text)


def test_attributes_in_every_form_and_sentences_for_the_others():
    for given in ("Young=0", {"Young": 0.0}, {"Young": False}, [-1, 0]):
        asked = LABELS.all_ids({"attributes": given}, 1)
        assert asked["attributes"].tolist() == [[-1, 0]]
    for wrong, told in (
        (1, "attributes must be text such as Smiling=1, a dictionary, or 2 numbers, not int"),
        (True, "not bool"),
        ([], "attributes holds 0 targets for 1 pictures"),
        ({"Young": 0.5}, "Young=0.5: give 1"),
    ):
        with pytest.raises(UserError, match=told):
            LABELS.all_ids({"attributes": wrong}, 1)
