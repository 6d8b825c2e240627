from __future__ import annotations

import json

import pytest

from legan_tf.serving.labels import Labels

LABELS = Labels(
    "editor", "LeganGenerator", 16, ("a", "b"), (), True, "depth", face_lines=(0.3, 0.7)
)
TEXT = json.loads(LABELS.to_json())


def test_they_travel_as_json_and_a_later_release_may_tell_more():
    assert Labels.from_json(LABELS.to_json()) == LABELS
    later = {**TEXT, "of_a_later_release": {"more": [1]}}
    assert Labels.from_json(json.dumps(later)) == LABELS
    least = {"kind": "scorer", "architecture": "Q", "image_size": 8}
    assert Labels.from_json(json.dumps(least)) == Labels("scorer", "Q", 8)


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
        ({"expressions": "smile"}, "'expressions' is no list of names"),
        ({"lightings": [1]}, "'lightings' is no list of names"),
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
