from __future__ import annotations

import collections
import types

import pytest

from legan_tf.data.conditions import BinaryCondition, of_classes
from legan_tf.data.manifest import Row
from legan_tf.errors import UserError
from legan_tf.uses.augment.policies import balance, vary


def rows_of(*groups):
    """Rows of (count, person, expression, lighting, split)."""
    rows = []
    for count, person, expression, lighting, split in groups:
        for _ in range(count):
            line = len(rows) + 2
            rows.append(
                Row(
                    line, f"{line}.png", f"/f/{line}.png", person, expression, lighting, split=split
                )
            )
    return rows


def knowing(expressions, lightings=(), keeps_unnamed=True):
    conditions = of_classes(expression=expressions, lighting=lightings)
    return types.SimpleNamespace(conditions=conditions, keeps_unnamed=keeps_unnamed)


ROWS = rows_of(
    (30, "ann", "happy", "left", "train"),
    (4, "bob", "happy", "right", "train"),
    (2, "cy", "neutral", "left", "train"),
    (1, "", "fear", "left", "train"),
    (5, "dee", "neutral", "left", "test"),
    (3, "eve", "", "left", "train"),
)


def test_rare_classes_are_filled_up_to_the_commonest_from_other_classes_of_train():
    quotas, notes = balance(ROWS, knowing(["neutral", "happy", "scream"], ["left"]), 0, 1)
    assert [(quota.name, quota.count, len(quota.candidates)) for quota in quotas] == [
        ("neutral", 32, 32)
    ]
    for edit in quotas[0].candidates:
        row = ROWS[edit.source]
        assert row.split == "train" and row.expression in ("happy", "fear")
        assert edit.targets == {"expression": "neutral"}
    assert notes == ["The model does not know fear, which stay as they are."]


def test_people_take_turns_and_no_picture_has_two():
    quotas, _ = balance(ROWS, knowing(["neutral"]), 0, 1)
    people = [ROWS[edit.source].identity for edit in quotas[0].candidates]
    # ann has 30 pictures, bob 4, nobody knows who one is of: all are there in the first turn.
    assert collections.Counter(people[:3]) == {"ann": 1, "bob": 1, "": 1}
    assert collections.Counter(people[:9]) == {"ann": 4, "bob": 4, "": 1}
    sources = [edit.source for edit in quotas[0].candidates]
    assert len(set(sources)) == len(sources)


def test_the_seed_decides_and_further_candidates_come_after_the_others():
    editor = knowing(["neutral"])
    once, again, other = (balance(ROWS, editor, seed, 1)[0][0] for seed in (3, 3, 4))
    assert once == again and once != other
    more = balance(ROWS, editor, 3, 4)[0][0]
    assert more.candidates[: len(once.candidates)] == once.candidates
    assert len(more.candidates) == 35  # All pictures of others, fewer than four times 32.


def test_a_model_that_needs_a_lighting_gets_the_picture_s_own():
    rows = [*ROWS, *rows_of((1, "flo", "happy", "", "train"))]
    quotas, notes = balance(rows, knowing(["neutral"], ["left"], keeps_unnamed=False), 0, 1)
    assert {edit.targets["lighting"] for edit in quotas[0].candidates} == {"left"}
    assert quotas[0].count == 33 and len(quotas[0].candidates) == 31
    assert notes[0].startswith("5 pictures of train were no sources")
    with pytest.raises(UserError, match="has to be told all of expression, lighting"):
        balance(rows, knowing(["neutral"], ["above"], keeps_unnamed=False), 0, 1)


def test_a_class_that_nothing_can_become_is_reported():
    rows = rows_of((3, "ann", "fear", "left", "train"), (6, "bob", "happy", "", "train"))
    editor = knowing(["fear", "happy"], ["left"], keeps_unnamed=False)
    with pytest.raises(
        UserError, match=r"no picture .* that could become fear does it know the rest"
    ):
        balance(rows, editor, 0, 1)
    quotas, _ = balance([*rows, *rows_of((1, "cy", "happy", "left", "train"))], editor, 0, 1)
    assert [(quota.count, len(quota.candidates)) for quota in quotas] == [(4, 1)]


def test_what_cannot_be_balanced_is_reported():
    with pytest.raises(
        UserError, match="of expression the model knows scream, and split 'train' has"
    ):
        balance(ROWS, knowing(["scream"]), 0, 1)
    with pytest.raises(UserError, match=r"of expression \(happy\) is as frequent"):
        balance(ROWS, knowing(["happy"]), 0, 1)


def test_each_picture_of_a_known_person_is_varied_over_all_classes_alike():
    rows = rows_of((4000, "ann", "happy", "left", "train"), (2, "", "happy", "left", "train"))
    editor = knowing(["neutral", "happy"], ["left", "right", "above"])
    quotas, notes = vary(rows, editor, 0, 2)
    assert [quota.candidates[0].source for quota in quotas] == list(range(4000))
    assert all(quota.count == 1 and len(quota.candidates) == 2 for quota in quotas)
    drawn = collections.Counter(
        tuple(edit.targets.values()) for quota in quotas for edit in quota.candidates
    )
    assert len(drawn) == 6
    # 8,000 draws of six: 1,333 each, with a standard deviation of 33.
    assert max(abs(count - 8000 / 6) for count in drawn.values()) < 4 * 33.3
    assert notes == ["2 pictures of train have no identity and were not varied."]
    quotas, _ = vary(rows, knowing(["neutral"]), 0, 1)
    assert all(edit.targets == {"expression": "neutral"} for q in quotas for edit in q.candidates)


def with_attributes(*groups):
    """Rows of (count, Smiling, Young), of one person; None where it is not known."""
    rows = []
    for count, *values in groups:
        known = zip(("Smiling", "Young"), values)
        attributes = {name: value for name, value in known if value is not None}
        for _ in range(count):
            rows.append(Row(identity="ann", split="train", attributes=attributes))
    return rows


ATTRIBUTES = (BinaryCondition("attributes", ("Smiling", "Young")),)


def test_of_attributes_the_rarer_is_filled_up_to_the_other():
    rows = with_attributes((6, 1, 1), (3, 1, 0), (2, 0, 1), (1, 0, None))
    keeps = types.SimpleNamespace(conditions=ATTRIBUTES, keeps_unnamed=True)
    quotas, notes = balance(rows, keeps, 0, 1)
    assert [(quota.name, quota.count) for quota in quotas] == [("Smiling=0", 6), ("Young=0", 5)]
    for quota, place in zip(quotas, ("Smiling", "Young")):
        assert len(quota.candidates) == quota.count
        for edit in quota.candidates:
            assert rows[edit.source].attributes[place] == 1
            assert edit.targets == {"attributes": quota.name}
    assert notes == []
    told = types.SimpleNamespace(conditions=ATTRIBUTES, keeps_unnamed=False)
    quotas, notes = balance(rows, told, 0, 1)
    assert {edit.targets["attributes"] for edit in quotas[0].candidates} == {
        "Smiling=0,Young=1",
        "Smiling=0,Young=0",
    }
    assert {edit.targets["attributes"] for edit in quotas[1].candidates} == {
        "Smiling=1,Young=0",
        "Smiling=0,Young=0",
    }
    rows += with_attributes((4, 1, None))
    _, notes = balance(rows, told, 0, 1)
    assert notes[0].startswith("4 pictures of train were no sources: the model has to be told all")


def test_attributes_are_varied_over_all_they_can_be():
    rows = with_attributes((2000, 1, 1))
    quotas, _ = vary(rows, types.SimpleNamespace(conditions=ATTRIBUTES, keeps_unnamed=True), 0, 1)
    drawn = collections.Counter(quota.candidates[0].targets["attributes"] for quota in quotas)
    assert set(drawn) == {f"Smiling={s},Young={y}" for s in (0, 1) for y in (0, 1)}
    assert max(abs(count - 500) for count in drawn.values()) < 4 * 19.4


def test_without_people_nothing_is_varied():
    with pytest.raises(UserError, match="no line of split 'train' has an identity"):
        vary(rows_of((2, "", "happy", "", "train")), knowing(["happy"]), 0, 1)
