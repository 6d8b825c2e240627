from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.conditions import UNKNOWN, BinaryCondition, of_classes
from legan_tf.data.faceset import FaceSet, from_pool
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation.edit_plan import adapt_editor, draw_plan, pictures_of, plan_edits

EXPRESSIONS, LIGHTINGS = ("neutral", "smile"), ("shot00", "shot04", "shot10")
EVERY = {"expression": np.arange(2), "lighting": np.arange(3)}


@pytest.fixture(scope="module")
def faces():
    return rendered_faces("test", 3, EXPRESSIONS, LIGHTINGS, 16, 0)


@pytest.fixture
def editor_of(handmade):
    """Makes an editor of conditions, which notes in ``asked`` what it was asked for last."""

    def make(*conditions):
        def function(images, **targets):
            editor.asked = targets
            return images

        editor = handmade("asked", function)
        editor.conditions = conditions
        return editor

    return make


def labelled(identity, *conditions, **labels):
    """A face set whose pictures are black and labels as given."""
    nan = np.full(len(identity), np.nan, np.float32)
    pool = from_pool(np.zeros((len(identity), 16, 16, 3), np.uint8))
    known = {name: np.array(values, np.int32) for name, values in labels.items()}
    people = np.array(identity, np.int32)
    return FaceSet("mine/test", 16, conditions, known, ("anna", "ben"), people, nan, nan, pool)


def both(identity, expression, lighting):
    conditions = of_classes(expression=EXPRESSIONS, lighting=LIGHTINGS)
    return labelled(identity, *conditions, expression=expression, lighting=lighting)


def with_attributes(identity, labels, names=("Smiling", "Young", "Male")):
    return labelled(identity, BinaryCondition("attributes", names), attributes=labels)


def test_the_truth_is_that_person_under_the_target(faces):
    plan = draw_plan(faces, EVERY, 40, seed=2)
    np.testing.assert_array_equal(faces.identity[plan.truth], faces.identity[plan.index])
    for name, labels in plan.labels.items():
        np.testing.assert_array_equal(faces.labels[name][plan.truth], labels)


def test_edits_are_drawn_uniformly_and_repeatably(faces):
    plan, again = (draw_plan(faces, EVERY, 3000, seed=0) for _ in range(2))
    for name, classes in (("expression", 2), ("lighting", 3), ("index", 18)):
        drawn, repeated = ({**p.labels, "index": p.index}[name] for p in (plan, again))
        counts = np.bincount(drawn, minlength=classes)
        assert len(counts) == classes
        np.testing.assert_allclose(counts, 3000 / classes, rtol=0.35)
        np.testing.assert_array_equal(drawn, repeated)


def test_the_reference_shows_no_picture_that_is_edited_or_true_where_others_are_left(faces):
    few = draw_plan(faces, EVERY, 3, seed=0)
    assert len(few.reference) == 3
    assert not {*few.reference} & {*few.index, *few.truth}
    # One is left, and one picture is no set.
    three = both([0, 0, 1], [0, 0, 1], [0, 1, 0])
    for seed in range(20):
        assert len(draw_plan(three, {**EVERY, "lighting": np.arange(2)}, 2, seed).reference) == 2
    many = draw_plan(faces, EVERY, 500, seed=0)
    np.testing.assert_array_equal(many.reference, np.arange(len(faces)))


def test_a_condition_that_is_not_edited_stays_that_of_the_source(faces):
    plan = draw_plan(faces, {**EVERY, "lighting": np.arange(0)}, 50, seed=1)
    np.testing.assert_array_equal(plan.labels["lighting"], faces.labels["lighting"][plan.index])
    assert np.all(plan.truth >= 0)


def test_one_known_attribute_of_the_source_is_flipped():
    labels = np.random.default_rng(0).integers(0, 2, (300, 3))
    labels[:100, 1] = UNKNOWN
    faces = with_attributes(np.arange(300) % 2, labels)
    plan = draw_plan(faces, {"attributes": np.arange(3)}, 300, seed=0)
    own, wanted = labels[plan.index], plan.labels["attributes"]
    changed = own != wanted
    np.testing.assert_array_equal(changed.sum(axis=1), 1)
    np.testing.assert_array_equal(wanted[changed], 1 - own[changed])
    known = own[:, 1] != UNKNOWN
    # Each as likely where all are known; where one is not, no edit asks for it.
    np.testing.assert_allclose(changed[known].mean(axis=0), 1 / 3, atol=0.1)
    np.testing.assert_array_equal(changed[~known, 1], False)
    there = plan.truth >= 0
    assert not np.any(there & ~known) and np.any(there)
    np.testing.assert_array_equal(labels[plan.truth[there]], wanted[there])
    # Of those that may be asked for, and nothing of a source of whom none is known.
    plan = draw_plan(faces, {"attributes": np.array([1])}, 300, seed=0)
    changed = labels[plan.index] != plan.labels["attributes"]
    np.testing.assert_array_equal(changed[:, [0, 2]], False)
    np.testing.assert_array_equal(changed[:, 1], labels[plan.index][:, 1] != UNKNOWN)


def test_nothing_is_found_where_a_label_is_unknown_or_nobody_looks_so():
    faces = both([0, 0, 0, 1], [0, 1, -1, 1], [0, 0, 1, 2])
    people, expression = np.array([0, 0, 0, 1, -1]), np.array([1, 1, -1, 1, 0])
    wanted = {"expression": expression, "lighting": np.array([0, 1, 1, 2, 0])}
    np.testing.assert_array_equal(pictures_of(faces, people, wanted), [1, -1, -1, 3, -1])
    faces = with_attributes([0, 0, 1], [[1, 0, 1], [1, 1, 1], [1, -1, 1]])
    wanted = {"attributes": np.array([[1, 1, 1], [0, 0, 0], [1, -1, 1]])}
    np.testing.assert_array_equal(pictures_of(faces, np.array([0, 0, 1]), wanted), [1, -1, -1])


def test_classes_are_shared_by_name(faces, editor_of):
    own = of_classes(expression=("smile", "scream"), lighting=("shot10", "shot00"))
    asked = plan_edits(editor_of(*own), faces, 5, 0).asked
    np.testing.assert_array_equal(asked["expression"], [1])
    np.testing.assert_array_equal(asked["lighting"], [0, 2])
    other = editor_of(*of_classes(expression=("happy",), lighting=("left",)))
    told = (
        r"edits expression \(happy\) and lighting \(left\); of rendered/test are known expression"
    )
    with pytest.raises(UserError, match=told):
        plan_edits(other, faces, 5, 0)


def test_an_editor_that_must_be_told_what_nobody_knows_is_refused(faces, editor_of):
    editor = editor_of(*of_classes(expression=("smile",), lighting=("left",)))
    assert len(plan_edits(editor, faces, 5, 0).asked["lighting"]) == 0
    editor.keeps_unnamed = False
    told = r"^the model cannot leave the lighting as it is, .* knows \(left\) for 5 of 5 edits"
    with pytest.raises(UserError, match=told):
        plan_edits(editor, faces, 5, 0)
    some = with_attributes([0, 0, 0], [[1, 0, 1], [1, 1, 1], [1, -1, 1]])
    editor = editor_of(BinaryCondition("attributes", ("Young",)))
    assert len(plan_edits(editor, some, 3, 0)) == 3
    editor.keeps_unnamed = False
    with pytest.raises(UserError, match="the attributes as it is, .* for 1 of 3 edits"):
        plan_edits(editor, some, 3, 0)


def test_an_editor_is_asked_in_its_own_names(faces, editor_of):
    editor = editor_of(*of_classes(expression=("scream", "smile", "neutral")))
    edit = adapt_editor(editor, faces)
    images = faces.images(np.arange(3))
    edit(images, expression=np.array([0, 1, -1]), lighting=np.array([-1, -1, 0]))
    assert editor.asked == {"expression": [2, 1, None]}
    some = with_attributes([0, 0], [[1, 0, -1], [-1, -1, 0]])
    editor = editor_of(BinaryCondition("attributes", ("Young", "Bald", "Smiling")))
    adapt_editor(editor, some)(images[:2], **some.labels)
    first, second = editor.asked["attributes"]
    np.testing.assert_array_equal(first, [0, -1, 1])
    assert second is None


def test_one_picture_cannot_be_judged():
    with pytest.raises(UserError, match="mine/test holds 1 pictures: two are the least"):
        draw_plan(both([0], [0], [0]), EVERY, 5, 0)


def test_neither_a_source_nor_a_true_picture_occurs_twice_where_there_are_others():
    faces = rendered_faces("test", 5, EXPRESSIONS, LIGHTINGS, 16, 0)
    plan = draw_plan(faces, EVERY, 20, seed=0)
    assert len({*plan.index}) == len({*plan.truth}) == 20
    again = draw_plan(faces, EVERY, 60, seed=0)
    np.testing.assert_array_equal(np.bincount(again.index), np.full(30, 2))
    np.testing.assert_array_equal(np.bincount(again.truth), np.full(30, 2))
