"""The edits that are requested of every editor on a face set, and their true pictures."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from legan_tf.data.attributes import UNKNOWN
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError

Edit = Callable[..., np.ndarray]
"""Called as ``edit(images, expression=ids, lighting=ids)`` with class ids of the face set, -1 for
an attribute to keep; takes and returns uint8 [n,S,S,3]."""

ATTRIBUTES = ("expression", "lighting")


@dataclasses.dataclass(frozen=True)
class EditPlan:
    """Edits to request.

    Attributes:
        index: int [n], the pictures to edit.
        expression: int [n], requested classes of the face set; -1 where none is requested or known.
        lighting: int [n], likewise.
        truth: int [n], a real picture of that person with these classes; -1 where there is none.
        reference: int [m], the real pictures that sets of edits are compared with.
    """

    index: np.ndarray
    expression: np.ndarray
    lighting: np.ndarray
    truth: np.ndarray
    reference: np.ndarray

    def __len__(self) -> int:
        """Returns the number of edits."""
        return len(self.index)


def shared_classes(editor: Any, faces: FaceSet) -> dict[str, np.ndarray]:
    """Returns, for each attribute, the class ids of a face set that an editor knows by name.

    Raises:
        UserError: There is none for any attribute, or the editor requires an attribute of which it
            knows none.
    """
    shared = {
        "expression": [i for i, n in enumerate(faces.expressions) if n in editor.expressions],
        "lighting": [i for i, n in enumerate(faces.lightings) if n in editor.lightings],
    }
    if not any(shared.values()):
        raise UserError(
            f"the model edits the expressions {_listed(editor.expressions)} and the lightings "
            f"{_listed(editor.lightings)}; of {faces.name} are known {_listed(faces.expressions)} "
            f"and {_listed(faces.lightings)}: nothing to ask for is known to both."
        )
    for name, ids in shared.items():
        known = getattr(editor, f"{name}s")
        if known and not ids and not editor.keeps_unnamed:
            raise UserError(
                f"the model cannot leave the {name} as it is, and {faces.name} knows none of "
                f"those that it can be told ({_listed(known)}). Give a model that was trained with "
                "--keep_share, or name the classes alike."
            )
    return {name: np.array(ids, np.int64) for name, ids in shared.items()}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "(none)"


def adapt_editor(editor: Any, faces: FaceSet) -> Edit:
    """Returns an editor that takes the class ids of a face set instead of its own.

    Args:
        editor: A generator as ``legan_tf.load`` returns it.
        faces: The face set.
    """
    own = {}
    for attribute, names, known in (
        ("expression", faces.expressions, editor.expressions),
        ("lighting", faces.lightings, editor.lightings),
    ):
        # The last entry is that of -1.
        own[attribute] = [known.index(n) if n in known else None for n in names] + [None]

    def edit(images: np.ndarray, **ids: np.ndarray) -> np.ndarray:
        return editor(images, **{name: [own[name][i] for i in ids[name]] for name in ATTRIBUTES})

    return edit


def draw_plan(faces: FaceSet, targets: dict[str, np.ndarray], count: int, seed: int) -> EditPlan:
    """Draws sources and targets uniformly, without repetition as long as there are others.

    Args:
        faces: Whom to edit.
        targets: For each attribute the classes to ask for; where there are none, the source's own
            is kept.
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
    wanted = {name: getattr(faces, name)[index].astype(np.int64) for name in ATTRIBUTES}
    asked = [name for name in ATTRIBUTES if len(targets[name])]
    combinations = np.array(list(itertools.product(*(targets[name] for name in asked))), np.int64)
    people = faces.identity[index]
    for person in np.unique(people):
        rows = np.flatnonzero(people == person)
        drawn = combinations[_draw(len(combinations), len(rows), rng)]
        for column, name in enumerate(asked):
            wanted[name][rows] = drawn[:, column]
    truth = find_images(faces, faces.identity[index], wanted["expression"], wanted["lighting"])
    unseen = np.setdiff1d(np.arange(len(faces)), np.concatenate([index, truth]))
    if len(unseen) < max(count / 2, 2):
        unseen = np.arange(len(faces))
    reference = np.sort(rng.permutation(unseen)[:count])
    return EditPlan(index, wanted["expression"], wanted["lighting"], truth, reference)


def _draw(choices: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws ``count`` of so many choices, none again before all others."""
    turns = [rng.permutation(choices) for _ in range(-(-count // choices))]
    return np.concatenate(turns)[:count]


def find_images(
    faces: FaceSet, identity: np.ndarray, expression: np.ndarray, lighting: np.ndarray
) -> np.ndarray:
    """Finds pictures of people with given attributes.

    An attribute of which the face set has no classes is the same in all pictures.

    Args:
        faces: The pictures.
        identity: int [n], people to find.
        expression: int [n].
        lighting: int [n].

    Returns:
        int64 [n], the first such picture; -1 where there is none or something is unknown.
    """
    columns = [faces.identity]
    wanted = [identity]
    if faces.expressions:
        columns.append(faces.expression)
        wanted.append(expression)
    if faces.lightings:
        columns.append(faces.lighting)
        wanted.append(lighting)
    first: dict[tuple[int, ...], int] = {}
    for row, labels in enumerate(zip(*(column.tolist() for column in columns))):
        if UNKNOWN not in labels:
            first.setdefault(labels, row)
    asked = zip(*(np.asarray(column).tolist() for column in wanted))
    return np.array([first.get(labels, -1) for labels in asked], np.int64)
