"""What an editor of action units is told for a class, and what the report says of it."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest

from legan_tf.data.action_units import NAMES
from legan_tf.data.class_vectors import ClassVectors
from legan_tf.data.conditions import RangeCondition
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.evaluation.class_policy import POLICIES, ClassPolicy
from legan_tf.evaluation.comparison_tables import _with_policy
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.disentanglement import one_condition_edits
from legan_tf.evaluation.edit_plan import adapt_editor, plan_edits
from legan_tf.evaluation.edit_predictions import _edit

EXPRESSIONS = ("neutral", "smile", "scream")


@pytest.fixture(scope="module")
def faces():
    return rendered_faces("test", 3, EXPRESSIONS, ("shot00", "shot07"), 16, 0)


@pytest.fixture(scope="module")
def condition():
    train = rendered_faces("train", 4, EXPRESSIONS, ("shot00",), 16, 0, on_demand=True)
    known, labels = train.unit_labels()
    classes = ClassVectors.of("expression", EXPRESSIONS, train.labels["expression"], labels, 0)
    return dataclasses.replace(known, classes=classes)


class Recording:
    """An editor that returns its input and keeps what it was told."""

    keeps_unnamed, path, sha256 = False, "runs/units", "0"

    def __init__(self, condition: RangeCondition) -> None:
        self.told, self.conditions = (condition,), (condition.asked_by,)
        self.calls = []

    def names(self, name: str) -> tuple[str, ...]:
        return EXPRESSIONS if name == "expression" else ()

    def __call__(self, images, **targets):
        self.calls.append(targets)
        return images


def uncached(key, make):
    return make()


@pytest.mark.parametrize("name", POLICIES)
def test_each_edit_is_told_the_units_of_its_policy_and_the_way_back_its_own(name, faces, condition):
    editor = Recording(condition)
    plan = plan_edits(editor, faces, 12, 0)
    policy = ClassPolicy.of(editor, name, seed=5)
    plan = policy.with_plan(plan, faces)
    rows = slice(2, 9)
    cache = types.SimpleNamespace(arrays=uncached)
    _edit(editor, faces.images(plan.index[rows]), faces, plan, rows, cache)
    there, back = (np.stack(call["action_units"]) for call in editor.calls)
    own = faces.unit_labels()[1]
    np.testing.assert_array_equal(back, own[plan.index[rows]])
    wanted = plan.labels["expression"][rows]
    if name == "truth":
        np.testing.assert_array_equal(there, own[plan.truth[rows]])
    elif name == "exemplar":
        known = [np.array(condition.classes.examples[place]) for place in wanted]
        assert all((np.abs(k - t).max(1) < 1e-6).any() for k, t in zip(known, there))
        assert len({tuple(t) for t in there}) > len(np.unique(wanted))
    else:
        expected = [condition.vector_of(int(place), name) for place in wanted]
        np.testing.assert_array_equal(there, expected)
    again = ClassPolicy.of(editor, name, seed=5).told(faces, plan.index[rows], {
        key: labels[rows] for key, labels in plan.labels.items()
    })  # fmt: skip
    np.testing.assert_array_equal(again["action_units"], there)


def test_edits_of_one_condition_are_told_by_the_policy_too(faces, condition):
    editor = Recording(condition)
    policy = ClassPolicy.of(editor, "truth", 0)
    made = one_condition_edits(
        adapt_editor(editor, faces), faces, 6, 0, ["expression"],
        lambda index, labels: policy.told(faces, index, labels),
    )["expression"]  # fmt: skip
    told = np.concatenate([call["action_units"] for call in editor.calls])
    smile = NAMES.index("AU12")
    is_smile = made["labels"]["expression"] == EXPRESSIONS.index("smile")
    assert is_smile.any() and (told[is_smile, smile] > 0.5).all()
    assert (told[~is_smile, smile] < 0.5).all()


def test_an_editor_of_classes_has_no_policy_and_one_without_classes_is_refused(condition):
    assert ClassPolicy.of(types.SimpleNamespace(), "exemplar", 0) is None
    bare = Recording(dataclasses.replace(condition, classes=None))
    with pytest.raises(UserError, match="runs/units was trained on pictures without expressions"):
        ClassPolicy.of(bare, "exemplar", 0)


def test_the_policy_stands_beside_the_model_in_tables(condition):
    described = ClassPolicy(condition, "medoid", 1).to_dict()
    assert described == {
        "name": "medoid", "seed": 1, "condition": "action_units", "source": "rendered faces",
    }  # fmt: skip
    assert _with_policy("ganimation", [{"class_policy": described}]) == "ganimation (medoid)"
    assert _with_policy("stargan", [{}]) == "stargan"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"class_policy": "best"}, "--class_policy=best: choose from exemplar, class_mean"),
        ({"action_units_file": "a.csv"}, "--action_units_file belongs to --dataset=manifest"),
        (
            {"dataset": "manifest", "manifest": "a.csv", "class_policy": "truth"},
            "--class_policy=truth belongs to --dataset=rendered",
        ),
    ],
)
def test_flags_that_do_not_fit_are_refused(options, told):
    with pytest.raises(UserError, match=told):
        EvaluationConfig(**options).check()
