"""Augmentation policies: which edits a training set needs, and of which images."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data.manifest import Row
from legan_tf.data.splits import SPLITS
from legan_tf.errors import UserError

_TRAIN = SPLITS[0]


@dataclasses.dataclass(frozen=True)
class Edit:
    """An edit of one image.

    Attributes:
        source: Index of the row to edit.
        targets: What is asked for, as text by condition, such as ``smile`` or
            ``Smiling=1,Young=0``; a condition that is not there is kept.
    """

    source: int
    targets: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class SyntheticImage(Edit):
    """An edit that was written.

    Attributes:
        path: Path of its file, relative to the output.
        rating: Rating by Q, 1 to 10; None without Q.
    """

    path: str
    rating: float | None


@dataclasses.dataclass
class Quota:
    """A number of edits to make.

    Attributes:
        name: The class to fill; empty if the edits fill no class.
        count: Number of edits.
        candidates: Edits to try in this order until there are ``count``.
        tried: Number of candidates tried.
        made: The edits that were written.
    """

    name: str
    count: int
    candidates: tuple[Edit, ...]
    tried: int = 0
    made: list[SyntheticImage] = dataclasses.field(default_factory=list)


def balance(
    rows: Sequence[Row], editor: Any, seed: int, tries: int
) -> tuple[list[Quota], list[str]]:
    """Plans edits that fill what is rare in split train, of the first condition of the model.

    Rare classes, such as expressions, are filled up to the most common one; of each attribute the
    images with it up to those without, or the reverse. Sources are images of other classes, or
    with the opposite. Within a class people alternate, and so do the images of a person, each of
    which is a source at most once. What is not filled is kept.

    Args:
        rows: The rows of a manifest.
        editor: Has ``conditions`` and ``keeps_unnamed``.
        seed: Seed of the order.
        tries: Number of candidates for each edit.

    Returns:
        A quota for each class, and sentences on what was left out.

    Raises:
        UserError: The model cannot fill anything, or there is nothing to fill.
    """
    condition = editor.conditions[0]
    train = [(i, row) for i, row in enumerate(rows) if row.split == _TRAIN]
    values = [getattr(row, condition.name) for _, row in train]
    labels = condition.labels(values).reshape(-1, len(condition.columns()))
    texts = [condition.value_texts(value) for value in values]
    quotas: list[Quota] = []
    known: list[str] = []
    unknown: set[str] = set()
    without_rest: set[int] = set()
    # Of a class there is one number, of attributes one each.
    for numbers, names in zip(labels.T, zip(*texts)):
        counts = collections.Counter(name for name in names if name)
        able = dict(zip(numbers, names))
        unknown |= set(counts) - {able[number] for number in able if number >= 0}
        for target in (able[number] for number in sorted(able) if number >= 0):
            known.append(target)
            missing = max(counts.values()) - counts[target]
            if not missing:
                continue
            targets = {
                i: _targets(editor, row, condition.name, target)
                for (i, row), name in zip(train, names)
                if name not in (target, "")
            }
            without_rest |= {i for i, asked in targets.items() if not asked}
            order = _alternating(
                [(i, rows[i]) for i, asked in targets.items() if asked],
                np.random.default_rng([7101, seed, len(known) - 1]),
            )
            candidates = tuple(Edit(i, targets[i]) for i in order[: missing * tries])
            quotas.append(Quota(target, missing, candidates))
    if not known:
        raise UserError(
            f"--policy=balance: of {condition.name} the model knows {_join(condition.names)}, and "
            f"split 'train' has {_join(sorted(unknown))}: there is none in both."
        )
    if not quotas:
        raise UserError(
            f"--policy=balance: what the model knows of {condition.name} ({_join(known)}) is as "
            "frequent in split 'train' as the most common already; there is nothing to fill."
        )
    told_all = f"the model has to be told all of {_join([one.name for one in editor.conditions])}"
    if not any(quota.candidates for quota in quotas):
        raise UserError(
            f"--policy=balance: {told_all}, and of no picture of split 'train' that could become "
            f"{' or '.join(quota.name for quota in quotas)} does it know the rest. Give a model "
            "that was trained with --keep_share, or name the classes alike."
        )
    notes = []
    if without_rest:
        notes.append(
            f"{len(without_rest)} pictures of train were no sources: {told_all}, and does not know "
            "theirs."
        )
    if unknown:
        notes.append(f"The model does not know {_join(sorted(unknown))}, which stay as they are.")
    return quotas, notes


def _targets(editor: Any, row: Row, changed: str, target: str) -> dict[str, str]:
    """Returns the targets of an edit that changes one condition.

    Returns:
        Only the change, if the model leaves the rest as it is. Else the row's own labels besides
        it; nothing if one is unknown, or to the model.
    """
    if editor.keeps_unnamed:
        return {changed: target}
    targets: dict[str, str] = {}
    for one in editor.conditions:
        value = getattr(row, one.name)
        if one.name == changed:
            value = one.edited_value(value, one.ids(target, 1, True)[0])
        label = one.labels([value])[0]
        if np.any(label < 0):
            return {}
        targets[one.name] = one.label_text(label)
    return targets


def vary(rows: Sequence[Row], editor: Any, seed: int, tries: int) -> tuple[list[Quota], list[str]]:
    """Plans one edit of each image of split train whose person is known.

    Each condition is drawn uniformly from the classes of the model, each attribute from 0 and 1.

    Args:
        rows: The rows of a manifest.
        editor: Has ``conditions``.
        seed: Seed of the draws.
        tries: Number of candidates for each image.

    Returns:
        A quota for each image, and sentences on what was left out.

    Raises:
        UserError: No person of split train is known.
    """
    train = [i for i, row in enumerate(rows) if row.split == _TRAIN]
    sources = [i for i in train if rows[i].identity]
    if not sources:
        raise UserError(
            "--policy=vary: no line of split 'train' has an identity, and a varied picture is of "
            "use only where it is known who it shows; fill the column 'identity'."
        )
    notes = []
    if len(sources) < len(train):
        notes.append(
            f"{len(train) - len(sources)} pictures of train have no identity and were not varied."
        )
    rng = np.random.default_rng([7102, seed])
    count = len(sources) * tries
    drawn = {
        one: rng.integers(one.values, size=(count, *one.label_shape)) for one in editor.conditions
    }
    edits = [
        Edit(
            sources[i // tries],
            {one.name: one.label_text(labels[i]) for one, labels in drawn.items()},
        )
        for i in range(count)
    ]
    starts = range(0, count, tries)
    return [Quota("", 1, tuple(edits[start : start + tries])) for start in starts], notes


PLANNERS = {"balance": balance, "vary": vary}


def _alternating(sources: Sequence[tuple[int, Row]], rng: np.random.Generator) -> list[int]:
    """Sources in rounds with one image of each person; each image of an unknown one counts."""
    of_person = collections.defaultdict(list)
    for i, row in sources:
        of_person[row.identity or i].append(i)
    order = []
    people = [rng.permutation(images) for images in of_person.values()]
    while people:
        order += [int(people[k][0]) for k in rng.permutation(len(people))]
        people = [images[1:] for images in people if len(images) > 1]
    return order


def _join(names: Sequence[str]) -> str:
    return ", ".join(names) or "(none)"
