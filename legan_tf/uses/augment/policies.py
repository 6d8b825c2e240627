"""Which edits a training set lacks, and what they may be made of."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from legan_tf.data.manifest import SPLITS, Row
from legan_tf.errors import UserError

_TRAIN = SPLITS[0]


@dataclasses.dataclass(frozen=True)
class Edit:
    """An edit to ask for.

    Attributes:
        source: Which row to edit, its number among all rows.
        expression: Target by name; none to leave it as it is.
        lighting: Likewise.
    """

    source: int
    expression: str | None
    lighting: str | None


@dataclasses.dataclass(frozen=True)
class Want:
    """Pictures that are wanted.

    Attributes:
        name: The class that they are for; empty where they are for none.
        count: How many.
        candidates: Edits to try, in this order, until there are as many.
    """

    name: str
    count: int
    candidates: tuple[Edit, ...]


def balance(
    rows: Sequence[Row], editor: Any, seed: int, tries: int
) -> tuple[list[Want], list[str]]:
    """Plans edits that fill rare expressions of train up to the commonest one.

    Sources are pictures of other expressions. Within a class people take turns, and so do the
    pictures of a person, each of which is a source once at most. The light stays.

    Args:
        rows: The rows of a manifest.
        editor: Has ``expressions``, ``lightings`` and ``keeps_unnamed``.
        seed: Seed of the turns.
        tries: Candidates for each picture that is wanted.

    Returns:
        What is wanted, a class each, and sentences on what was left out.

    Raises:
        UserError: The model cannot fill anything, or there is nothing to fill.
    """
    labelled = [(i, row) for i, row in enumerate(rows) if row.split == _TRAIN and row.expression]
    counts = collections.Counter(row.expression for _, row in labelled)
    known = [name for name in editor.expressions if name in counts]
    if not known:
        raise UserError(
            f"--policy=balance: the model knows the expressions {_listed(editor.expressions)}, and "
            f"split 'train' has {_listed(sorted(counts))}: there is none in both."
        )
    most = max(counts.values())
    if all(counts[name] == most for name in known):
        raise UserError(
            f"--policy=balance: each expression that the model knows ({_listed(known)}) has "
            f"{most} pictures in split 'train' already; there is nothing to fill."
        )
    kept = bool(editor.keeps_unnamed or not editor.lightings)
    usable = [(i, row) for i, row in labelled if kept or row.lighting in editor.lightings]
    notes = []
    if len(usable) < len(labelled):
        notes.append(
            f"{len(labelled) - len(usable)} pictures of train were no sources: the model cannot "
            "leave the light as it is and does not know theirs."
        )
    others = sorted(set(counts) - set(known))
    if others:
        notes.append(f"The model does not know {_listed(others)}, which stay as they are.")
    wants = []
    for number, name in enumerate(known):
        missing = most - counts[name]
        if not missing:
            continue
        sources = [(i, row) for i, row in usable if row.expression != name]
        order = _in_turns(sources, np.random.default_rng([7101, seed, number]))
        candidates = tuple(
            Edit(i, name, None if kept else rows[i].lighting) for i in order[: missing * tries]
        )
        wants.append(Want(name, missing, candidates))
    if not any(want.candidates for want in wants):
        raise UserError(
            "--policy=balance: the model cannot leave the light as it is, and no picture of split "
            f"'train' that could become {' or '.join(want.name for want in wants)} has a lighting "
            f"that it knows ({_listed(editor.lightings)}). Give a model that was trained with "
            "--keep_share, or name the lightings alike."
        )
    return wants, notes


def vary(rows: Sequence[Row], editor: Any, seed: int, tries: int) -> tuple[list[Want], list[str]]:
    """Plans one edit of each picture of train whose person is known.

    Expression and light are drawn, uniform over the classes that the model knows.

    Args:
        rows: As for ``balance``, as are the others.
        editor: The model.
        seed: Seed of the draws.
        tries: Draws for each picture.

    Returns:
        What is wanted, a picture each, and sentences on what was left out.

    Raises:
        UserError: No person of train is known.
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
    drawn = [
        [names[k] for k in rng.integers(len(names), size=len(sources) * tries)]
        if names
        else [None] * (len(sources) * tries)
        for names in (editor.expressions, editor.lightings)
    ]
    wants = []
    for place, source in enumerate(sources):
        targets = zip(*(names[place * tries : (place + 1) * tries] for names in drawn))
        wants.append(Want("", 1, tuple(Edit(source, *target) for target in targets)))
    return wants, notes


PLANS = {"balance": balance, "vary": vary}


def _in_turns(sources: Sequence[tuple[int, Row]], rng: np.random.Generator) -> list[int]:
    """All sources in an order in which people take turns; an unknown person is one each time."""
    of_person = collections.defaultdict(list)
    for i, row in sources:
        of_person[row.identity or i].append(i)
    turns = []
    people = [rng.permutation(pictures) for pictures in of_person.values()]
    while people:
        turns += [int(people[k][0]) for k in rng.permutation(len(people))]
        people = [pictures[1:] for pictures in people if len(pictures) > 1]
    return turns


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "(none)"
