from __future__ import annotations

import types

import numpy as np
import pytest

from legan_tf.data.conditions import of_classes
from legan_tf.data.faceset import FaceSet, from_pool
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation.edit_plan import adapt_editor, draw_plan, find_images, shared_classes

EXPRESSIONS, LIGHTINGS = ("neutral", "smile"), ("shot00", "shot04", "shot10")
EVERY = {"expression": np.arange(2), "lighting": np.arange(3)}


@pytest.fixture(scope="module")
def faces():
    return rendered_faces("test", 3, EXPRESSIONS, LIGHTINGS, 16, 0)


def editor_of(expressions, lightings):
    return types.SimpleNamespace(expressions=expressions, lightings=lightings)


def labelled(expression, lighting, identity, expressions=EXPRESSIONS, lightings=LIGHTINGS):
    """A face set whose pictures are black and labels as given."""
    count = len(identity)
    conditions = of_classes(expression=expressions, lighting=lightings)
    given = {"expression": expression, "lighting": lighting}
    labels = {one.name: np.array(given[one.name], np.int32) for one in conditions}
    people = np.array(identity, np.int32)
    nan = np.full(count, np.nan, np.float32)
    pool = from_pool(np.zeros((count, 16, 16, 3), np.uint8))
    return FaceSet("mine/test", 16, conditions, labels, ("anna", "ben"), people, nan, nan, pool)


def test_the_truth_is_that_person_under_the_target(faces):
    plan = draw_plan(faces, EVERY, 40, seed=2)
    np.testing.assert_array_equal(faces.identity[plan.truth], faces.identity[plan.index])
    np.testing.assert_array_equal(faces.expression[plan.truth], plan.expression)
    np.testing.assert_array_equal(faces.lighting[plan.truth], plan.lighting)


def test_edits_are_drawn_uniformly_and_repeatably(faces):
    plan, again = (draw_plan(faces, EVERY, 3000, seed=0) for _ in range(2))
    for name, classes in (("expression", 2), ("lighting", 3), ("index", 18)):
        counts = np.bincount(getattr(plan, name), minlength=classes)
        assert len(counts) == classes
        np.testing.assert_allclose(counts, 3000 / classes, rtol=0.35)
        np.testing.assert_array_equal(getattr(plan, name), getattr(again, name))


def test_the_reference_shows_no_picture_that_is_edited_or_true_where_others_are_left(faces):
    few = draw_plan(faces, EVERY, 3, seed=0)
    assert len(few.reference) == 3
    assert not {*few.reference} & {*few.index, *few.truth}
    # One is left, and one picture is no set.
    three = labelled([0, 0, 1], [0, 1, 0], [0, 0, 1])
    for seed in range(20):
        assert len(draw_plan(three, {**EVERY, "lighting": np.arange(2)}, 2, seed).reference) == 2
    many = draw_plan(faces, EVERY, 500, seed=0)
    np.testing.assert_array_equal(many.reference, np.arange(len(faces)))


def test_an_attribute_that_is_not_edited_stays_that_of_the_source(faces):
    plan = draw_plan(faces, {**EVERY, "lighting": np.arange(0)}, 50, seed=1)
    np.testing.assert_array_equal(plan.lighting, faces.lighting[plan.index])
    assert np.all(plan.truth >= 0)


def test_nothing_is_found_where_a_label_is_unknown_or_nobody_looks_so():
    faces = labelled([0, 1, -1, 1], [0, 0, 1, 2], [0, 0, 0, 1])
    people, expression = np.array([0, 0, 0, 1, -1]), np.array([1, 1, -1, 1, 0])
    lighting = np.array([0, 1, 1, 2, 0])
    np.testing.assert_array_equal(
        find_images(faces, people, expression, lighting), [1, -1, -1, 3, -1]
    )


def test_a_face_set_without_lightings_is_lit_alike_throughout():
    faces = labelled([0, 1], [-1, -1], [0, 0], lightings=())
    found = find_images(faces, np.array([0]), np.array([1]), np.array([-1]))
    np.testing.assert_array_equal(found, [1])


def test_classes_are_shared_by_name(faces):
    shared = shared_classes(editor_of(("smile", "scream"), ("shot10", "shot00")), faces)
    np.testing.assert_array_equal(shared["expression"], [1])
    np.testing.assert_array_equal(shared["lighting"], [0, 2])
    with pytest.raises(UserError, match="expressions happy and the lightings left; of rendered"):
        shared_classes(editor_of(("happy",), ("left",)), faces)


def test_an_editor_that_must_be_told_an_unknown_class_is_refused(faces):
    editor = editor_of(("smile",), ("left",))
    editor.keeps_unnamed = False
    with pytest.raises(UserError, match="the lighting as it is, and rendered/test .* told \\(left"):
        shared_classes(editor, faces)
    editor.keeps_unnamed = True
    assert len(shared_classes(editor, faces)["lighting"]) == 0
    assert len(shared_classes(editor_of(("smile",), ()), faces)["lighting"]) == 0


def test_an_editor_is_asked_in_its_own_classes(faces):
    asked = {}

    def editor(images, **ids):
        asked.update(ids)
        return images

    editor.expressions, editor.lightings = ("scream", "smile", "neutral"), ()
    edit = adapt_editor(editor, faces)
    images = faces.images(np.arange(3))
    edit(images, expression=np.array([0, 1, -1]), lighting=np.array([-1, -1, -1]))
    assert asked == {"expression": [2, 1, None], "lighting": [None, None, None]}


def test_one_picture_cannot_be_judged():
    with pytest.raises(UserError, match="mine/test holds 1 pictures: two are the least"):
        draw_plan(labelled([0], [0], [0]), EVERY, 5, 0)


def test_neither_a_source_nor_a_true_picture_occurs_twice_where_there_are_others():
    faces = rendered_faces("test", 5, EXPRESSIONS, LIGHTINGS, 16, 0)
    plan = draw_plan(faces, EVERY, 20, seed=0)
    assert len({*plan.index}) == len({*plan.truth}) == 20
    again = draw_plan(faces, EVERY, 60, seed=0)
    np.testing.assert_array_equal(np.bincount(again.index), np.full(30, 2))
    np.testing.assert_array_equal(np.bincount(again.truth), np.full(30, 2))
