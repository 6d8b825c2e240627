"""The edits that are requested of every editor on a face set, and their true pictures."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data.conditions import UNKNOWN, Condition
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError

Labels = Mapping[str, np.ndarray]
"""Labels by condition, int32 [n, *label_shape]; ``UNKNOWN`` where nothing is known or asked for."""
Edit = Callable[..., np.ndarray]
"""Called as ``edit(images, **labels)`` with labels of the face set, ``UNKNOWN`` to keep; takes and
returns uint8 [n,S,S,3]."""


@dataclasses.dataclass(frozen=True)
class EditPlan:
    """Edits to request.

    Attributes:
        index: int [n], the pictures to edit.
        labels: The labels that the edits should have, as those of the face set.
        asked: By condition the places of the names that are asked for; none where it is to stay.
        truth: int [n], a real picture of that person with these labels; -1 where there is none.
        reference: int [m], the real pictures that sets of edits are compared with.
        told: What an editor that is told no classes is told for the edits; see ``class_policy``.
        told_back: Likewise for the way back.
    """

    index: np.ndarray
    labels: Labels
    asked: Labels
    truth: np.ndarray
    reference: np.ndarray
    told: Labels = dataclasses.field(default_factory=dict)
    told_back: Labels = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """Returns the number of edits."""
        return len(self.index)


def plan_edits(editor: Any, faces: FaceSet, count: int, seed: int) -> EditPlan:
    """Draws edits that an editor is asked for; see ``draw_plan``.

    Raises:
        UserError: The model and the data share no name, or it must be told what is not known.
    """
    plan = draw_plan(faces, shared_names(editor, faces), count, seed)
    for name, labels in labels_for(editor, faces, plan.labels).items():
        unknown = int(np.sum((labels < 0).reshape(len(labels), -1).any(axis=1)))
        if unknown and not editor.keeps_unnamed:
            raise UserError(
                f"the model cannot leave the {name} as it is, and {faces.name} has no label that "
                f"it knows ({', '.join(editor.names(name))}) for {unknown} of {len(plan)} edits. "
                "Give a model that was trained with --keep_share, or label the pictures so."
            )
    return plan


def shared_names(editor: Any, faces: FaceSet) -> dict[str, np.ndarray]:
    """Returns, by condition of a face set, the places of the names that an editor knows too.

    Raises:
        UserError: There are none.
    """
    shared = {
        one.name: np.array([i for i, n in enumerate(one.names) if n in editor.names(one.name)], int)
        for one in faces.conditions
    }
    if not any(map(len, shared.values())):
        raise UserError(
            f"the model edits {_listed(editor.conditions)}; of {faces.name} are known "
            f"{_listed(faces.conditions)}: nothing to ask for is known to both."
        )
    return shared


def _listed(conditions: Sequence[Condition]) -> str:
    return " and ".join(f"{one.name} ({', '.join(one.names)})" for one in conditions) or "nothing"


def labels_for(editor: Any, faces: FaceSet, labels: Labels) -> dict[str, np.ndarray]:
    """Returns labels of a face set in the names of an editor's conditions."""
    count = len(next(iter(labels.values())))
    return {
        one.name: one.translated(labels[one.name], faces.names(one.name))
        if one.name in labels
        else one.unknown(count)
        for one in editor.conditions
    }


def adapt_editor(editor: Any, faces: FaceSet) -> Edit:
    """Returns an editor that takes labels of a face set instead of its own.

    Args:
        editor: A generator as ``legan_tf.load`` returns it.
        faces: The face set. Labels of other conditions are the editor's own: numbers, NaN where the
            editor is to go by the class.
    """

    def edit(images: np.ndarray, **labels: np.ndarray) -> np.ndarray:
        targets = {
            name: [None if np.all(label < 0) else label for label in own]
            for name, own in labels_for(editor, faces, labels).items()
        }
        told = {
            name: [None if np.isnan(row).any() else row for row in rows]
            for name, rows in labels.items()
            if name not in faces.labels
        }
        return editor(images, **targets, **told)

    return edit


def draw_plan(faces: FaceSet, asked: Labels, count: int, seed: int) -> EditPlan:
    """Draws sources and targets uniformly, without repetition as long as there are others.

    An edit asks for one class of each condition, and of binary attributes for the opposite of one
    that is known of the source, the others kept.

    Args:
        faces: Whom to edit.
        asked: By condition the places of the names to ask for; where there are none, the source's
            own label is kept.
        count: How many edits.
        seed: Seed of the draws.

    Returns:
        The edits. The reference is made of pictures that are neither a source nor a true picture,
        up to ``count``; of all pictures where fewer than half of ``count`` are left.

    Raises:
        UserError: There are fewer than two pictures.
    """
    if len(faces) < 2:
        raise UserError(
            f"{faces.name} holds {len(faces)} pictures: two are the least that can be compared."
        )
    rng = np.random.default_rng(seed)
    # Pictures that occur twice make a set unlike the real ones.
    index = _draw(len(faces), count, rng)
    labels = {name: of_all[index] for name, of_all in faces.labels.items()}
    changed = [one for one in faces.conditions if len(asked[one.name])]
    turns = np.array(list(itertools.product(*(range(len(asked[one.name])) for one in changed))))
    people = faces.identity[index]
    for person in np.unique(people):
        rows = np.flatnonzero(people == person)
        drawn = turns[_draw(len(turns), len(rows), rng)]
        for one, turn in zip(changed, drawn.T):
            own = labels[one.name][rows]
            labels[one.name][rows] = one.evaluation_targets(own, asked[one.name], turn)
    truth = pictures_of(faces, people, labels)
    unseen = np.setdiff1d(np.arange(len(faces)), np.concatenate([index, truth]))
    if len(unseen) < max(count / 2, 2):
        unseen = np.arange(len(faces))
    reference = np.sort(rng.permutation(unseen)[:count])
    return EditPlan(index, labels, asked, truth, reference)


def _draw(choices: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws ``count`` of so many choices, none again before all others."""
    turns = [rng.permutation(choices) for _ in range(-(-count // choices))]
    return np.concatenate(turns)[:count]


def pictures_of(faces: FaceSet, identity: np.ndarray, labels: Labels) -> np.ndarray:
    """Finds pictures of people with given labels.

    Args:
        faces: The pictures.
        identity: int [n], people to find.
        labels: Those to find, of n pictures.

    Returns:
        int64 [n], the first such picture; -1 where there is none or something is unknown.
    """

    def rows(people: np.ndarray, labels: Labels) -> list[list[int]]:
        return np.column_stack([people, *(labels[one.name] for one in faces.conditions)]).tolist()

    first: dict[tuple[int, ...], int] = {}
    for row, known in enumerate(rows(faces.identity, faces.labels)):
        if UNKNOWN not in known:
            first.setdefault(tuple(known), row)
    return np.array([first.get(tuple(wanted), -1) for wanted in rows(identity, labels)], np.int64)
