"""Augmentation policies: which edits a training set needs, and of which images."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
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
        expression: Name of the target expression; None to keep the expression.
        lighting: Name of the target lighting; None to keep the lighting.
    """

    source: int
    expression: str | None
    lighting: str | None


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
    """Plans edits that fill rare expressions of split train up to the most common one.

    Sources are images of other expressions. Within a class people alternate, and so do the images
    of a person, each of which is a source at most once. The lighting is kept.

    Args:
        rows: The rows of a manifest.
        editor: Has ``expressions``, ``lightings`` and ``keeps_unnamed``.
        seed: Seed of the order.
        tries: Number of candidates for each edit.

    Returns:
        A quota for each class, and sentences on what was left out.

    Raises:
        UserError: The model cannot fill anything, or there is nothing to fill.
    """
    labelled = [(i, row) for i, row in enumerate(rows) if row.split == _TRAIN and row.expression]
    counts = collections.Counter(row.expression for _, row in labelled)
    known = [name for name in editor.expressions if name in counts]
    if not known:
        raise UserError(
            f"--policy=balance: the model knows the expressions {_join(editor.expressions)}, and "
            f"split 'train' has {_join(sorted(counts))}: there is none in both."
        )
    highest = max(counts.values())
    if all(counts[name] == highest for name in known):
        raise UserError(
            f"--policy=balance: each expression that the model knows ({_join(known)}) has "
            f"{highest} pictures in split 'train' already; there is nothing to fill."
        )
    keeps_lighting = bool(editor.keeps_unnamed or not editor.lightings)
    usable = [(i, row) for i, row in labelled if keeps_lighting or row.lighting in editor.lightings]
    notes = []
    if len(usable) < len(labelled):
        notes.append(
            f"{len(labelled) - len(usable)} pictures of train were no sources: the model cannot "
            "leave the light as it is and does not know theirs."
        )
    unknown = sorted(set(counts) - set(known))
    if unknown:
        notes.append(f"The model does not know {_join(unknown)}, which stay as they are.")
    quotas = []
    for number, name in enumerate(known):
        missing = highest - counts[name]
        if not missing:
            continue
        sources = [(i, row) for i, row in usable if row.expression != name]
        order = _alternating(sources, np.random.default_rng([7101, seed, number]))
        candidates = tuple(
            Edit(i, name, None if keeps_lighting else rows[i].lighting)
            for i in order[: missing * tries]
        )
        quotas.append(Quota(name, missing, candidates))
    if not any(quota.candidates for quota in quotas):
        raise UserError(
            "--policy=balance: the model cannot leave the light as it is, and no picture of split "
            f"'train' that could become {' or '.join(quota.name for quota in quotas)} has a "
            f"lighting that it knows ({_join(editor.lightings)}). Give a model that was trained "
            "with --keep_share, or name the lightings alike."
        )
    return quotas, notes


def vary(rows: Sequence[Row], editor: Any, seed: int, tries: int) -> tuple[list[Quota], list[str]]:
    """Plans one edit of each image of split train whose person is known.

    Expression and lighting are drawn uniformly from the classes of the model.

    Args:
        rows: The rows of a manifest.
        editor: Has ``expressions`` and ``lightings``.
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
    targets = [
        [names[k] for k in rng.integers(len(names), size=count)] if names else [None] * count
        for names in (editor.expressions, editor.lightings)
    ]
    edits = [Edit(sources[i // tries], *target) for i, target in enumerate(zip(*targets))]
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
