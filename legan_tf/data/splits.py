"""Splits of a data set into train, val and test that keep all pictures of a person together."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from legan_tf.errors import UserError

Row = TypeVar("Row", bound=Any)
"""A ``manifest.Row``: a dataclass with ``path``, ``identity`` and ``split``."""

SPLITS = ("train", "val", "test")

HELD_OUT_SHARE = 0.2
"""Share of the people (half val, half test) held out where a manifest has no splits."""

Shares = tuple[float, float, float]
"""Sizes of train, val and test relative to each other."""

EIGHT_ONE_ONE: Shares = (8, 1, 1)
NINE_TO_ONE: Shares = (9, 0, 1)

_FOLDERS = {
    **dict.fromkeys(("train", "training", "train_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "val_set"), "val"),
    **dict.fromkeys(("test", "testing", "test_set"), "test"),
}
"""Names of folders, in lower case, that say which split is in them."""


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """Returns the different names in an order that depends on nothing but them and the seed."""

    def key(name: str) -> bytes:
        return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest()

    return sorted(set(names), key=key)


def splits_in_order(names: list[str], shares: Shares) -> dict[str, str]:
    """Puts names into splits: the first into train, the last into test.

    Args:
        names: Groups that must stay together: people, videos, or single pictures.
        shares: Relative sizes of train, val and test. Where there are two names or more, test
            gets one or more unless its share is 0, and val likewise where there are three.

    Returns:
        The split of each name.
    """
    count, total = len(names), sum(shares)
    test = max(round(count * shares[2] / total), 1 if shares[2] and count > 1 else 0)
    val = max(round(count * shares[1] / total), 1 if shares[1] and count > 2 else 0)
    train = count - val - test
    return {
        name: "train" if at < train else "val" if at < train + val else "test"
        for at, name in enumerate(names)
    }


def split_groups(rows: Iterable[Row], shares: Shares, seed: int) -> list[Row]:
    """Puts rows into splits, people whole and pictures of unknown people one by one."""
    rows = list(rows)
    split = splits_in_order(shuffled(map(_group, rows), seed), shares)
    return [dataclasses.replace(row, split=split[_group(row)]) for row in rows]


def hold_out_val(rows: list[Row], share: float, seed: int) -> list[Row]:
    """Moves a share of train to val, unless there is a val already or the share is 0."""
    if not share or any(row.split == "val" for row in rows):
        return rows
    train = [row for row in rows if row.split == "train"]
    split = splits_in_order(shuffled(map(_group, train), seed), (1 - share, 0, share))
    return [
        dataclasses.replace(row, split="val")
        if row.split == "train" and split[_group(row)] == "test"
        else row
        for row in rows
    ]


def test_from_val(rows: list[Row]) -> list[Row]:
    """Makes val the test set where there is no test set."""
    if any(row.split == "test" for row in rows):
        return rows
    return [dataclasses.replace(row, split="test") if row.split == "val" else row for row in rows]


def split_of_folders(parts: Iterable[str]) -> str:
    """Returns the split that one of a path's folders names; empty if none does."""
    named = (_FOLDERS[part.lower()] for part in parts if part.lower() in _FOLDERS)
    return next(named, "")


def fill_splits(rows: Sequence[Row], seed: int) -> tuple[list[Row], str]:
    """Returns the rows of a manifest with a split each, and a sentence on how that was decided.

    Rows without a split get that of their person, else train. If no row has a split, people are
    split 80/10/10 by ``seed``, pictures of unknown people one by one.

    Raises:
        UserError: There are too few people to split.
    """
    missing = sum(not row.split for row in rows)
    if missing < len(rows):
        known = {row.identity: row.split for row in rows if row.identity and row.split}
        filled = [
            row if row.split else dataclasses.replace(row, split=known.get(row.identity, SPLITS[0]))
            for row in rows
        ]
        return filled, (
            f"{missing} of {len(rows)} lines name no split: they go where their person already "
            "is, else to train."
        )
    groups = np.array(
        [f"identity {row.identity}" if row.identity else f"file {row.file}" for row in rows]
    )
    count = len(np.unique(groups))
    if count < len(SPLITS):
        raise UserError(
            f"{count} people are too few to split into {', '.join(SPLITS)}; add a column 'split'."
        )
    held_out = max(2, round(HELD_OUT_SHARE * count))
    in_test = held_out - held_out // 2
    rest = _held_out(np.arange(len(rows)), groups, held_out, seed)
    split = np.full(len(rows), SPLITS[0], dtype=object)
    split[rest] = SPLITS[1]
    split[_held_out(rest, groups, in_test, seed)] = SPLITS[2]
    filled = [dataclasses.replace(row, split=str(name)) for row, name in zip(rows, split)]
    return filled, (
        f"No line names a split: {count} people (pictures of unknown people counted one by one) "
        f"were split {count - held_out}/{held_out // 2}/{in_test} with seed {seed}."
    )


def _group(row: Row) -> str:
    return f"person {row.identity}" if row.identity else f"picture {row.path}"


def _held_out(index: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Returns those of the places ``index`` whose group is one of ``count`` random groups."""
    from sklearn.model_selection import GroupShuffleSplit  # Slow to import.

    splitter = GroupShuffleSplit(n_splits=1, test_size=count, random_state=seed)
    _, taken = next(splitter.split(index, groups=groups[index]))
    return index[taken]
