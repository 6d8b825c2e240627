from __future__ import annotations

import collections
import types

import pytest

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
    return types.SimpleNamespace(
        expressions=tuple(expressions), lightings=tuple(lightings), keeps_unnamed=keeps_unnamed
    )


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
        assert (edit.expression, edit.lighting) == ("neutral", None)
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
    assert {edit.lighting for edit in quotas[0].candidates} == {"left"}
    assert quotas[0].count == 33 and len(quotas[0].candidates) == 31
    assert notes[0].startswith("5 pictures of train were no sources")
    with pytest.raises(UserError, match="cannot leave the light as it is"):
        balance(rows, knowing(["neutral"], ["above"], keeps_unnamed=False), 0, 1)


def test_a_class_that_nothing_can_become_is_reported():
    rows = rows_of((3, "ann", "fear", "left", "train"), (6, "bob", "happy", "", "train"))
    editor = knowing(["fear", "happy"], ["left"], keeps_unnamed=False)
    with pytest.raises(UserError, match=r"could become fear has a lighting that it knows \(left"):
        balance(rows, editor, 0, 1)
    quotas, _ = balance([*rows, *rows_of((1, "cy", "happy", "left", "train"))], editor, 0, 1)
    assert [(quota.count, len(quota.candidates)) for quota in quotas] == [(4, 1)]


def test_what_cannot_be_balanced_is_reported():
    with pytest.raises(UserError, match="knows the expressions scream, and split 'train' has fear"):
        balance(ROWS, knowing(["scream"]), 0, 1)
    with pytest.raises(UserError, match=r"\(happy\) has 34 pictures in split 'train' already"):
        balance(ROWS, knowing(["happy"]), 0, 1)


def test_each_picture_of_a_known_person_is_varied_over_all_classes_alike():
    rows = rows_of((4000, "ann", "happy", "left", "train"), (2, "", "happy", "left", "train"))
    editor = knowing(["neutral", "happy"], ["left", "right", "above"])
    quotas, notes = vary(rows, editor, 0, 2)
    assert [quota.candidates[0].source for quota in quotas] == list(range(4000))
    assert all(quota.count == 1 and len(quota.candidates) == 2 for quota in quotas)
    drawn = collections.Counter(
        (edit.expression, edit.lighting) for quota in quotas for edit in quota.candidates
    )
    assert len(drawn) == 6
    # 8,000 draws of six: 1,333 each, with a standard deviation of 33.
    assert max(abs(count - 8000 / 6) for count in drawn.values()) < 4 * 33.3
    assert notes == ["2 pictures of train have no identity and were not varied."]
    quotas, _ = vary(rows, knowing(["neutral"]), 0, 1)
    assert {edit.lighting for quota in quotas for edit in quota.candidates} == {None}


def test_without_people_nothing_is_varied():
    with pytest.raises(UserError, match="no line of split 'train' has an identity"):
        vary(rows_of((2, "", "happy", "", "train")), knowing(["happy"]), 0, 1)
