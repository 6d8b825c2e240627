"""What every reader makes: one entry for each picture, in a split."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from legan_tf.data.readers.config import ReaderOptions
from legan_tf.data.readers.ledger import Ledger
from legan_tf.data.readers.tree import OnProgress, Tree

Shares = tuple[float, float, float]
"""How train, val and test compare in size."""

EIGHT_ONE_ONE: Shares = (8, 1, 1)
NINE_TO_ONE: Shares = (9, 0, 1)

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "train_set": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "val_set": "val",
    "test": "test",
    "testing": "test",
    "test_set": "test",
}
"""Names of folders, in lower case, that say which split is in them."""


class Entry(NamedTuple):
    """One line of the manifest to be; paths start from the data set's folder or are full."""

    path: str
    identity: str = ""
    expression: str = ""
    lighting: str = ""
    depth: str = ""
    normal: str = ""
    rating_mean: float = math.nan
    rating_std: float = math.nan
    split: str = ""


@dataclasses.dataclass(frozen=True)
class Job:
    """What a reader is given.

    Attributes:
        tree: The files of the data set.
        options: What the user wants of it.
        seed: Decides every split that the data set does not decide.
        ledger: Where to say what is left out.
        bar: Given what is counted, returns what shows how far it is.
    """

    tree: Tree
    options: ReaderOptions
    seed: int
    ledger: Ledger
    bar: Callable[[str], OnProgress]


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """Returns the different names in an order that depends on nothing but them and the seed."""

    def key(name: str) -> bytes:
        return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest()

    return sorted(set(names), key=key)


def splits_in_order(names: list[str], shares: Shares) -> dict[str, str]:
    """Puts names into splits: the first into train, the last into test.

    Args:
        names: Groups that must stay together: people, videos, or single pictures.
        shares: How train, val and test compare in size. Where there are two names or more, test
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


def split_groups(entries: Iterable[Entry], shares: Shares, seed: int) -> list[Entry]:
    """Puts entries into splits, people whole and pictures of unknown people one by one."""
    entries = list(entries)
    split = splits_in_order(shuffled(map(_group, entries), seed), shares)
    return [entry._replace(split=split[_group(entry)]) for entry in entries]


def hold_out_val(entries: list[Entry], share: float, seed: int) -> list[Entry]:
    """Moves a share of train to val, unless there is a val already or the share is 0."""
    if not share or any(entry.split == "val" for entry in entries):
        return entries
    train = [entry for entry in entries if entry.split == "train"]
    rest = [entry for entry in entries if entry.split != "train"]
    split = splits_in_order(shuffled(map(_group, train), seed), (1 - share, 0, share))
    moved = [
        entry._replace(split="val") if split[_group(entry)] == "test" else entry for entry in train
    ]
    return [*moved, *rest]


def split_of_folders(parts: Iterable[str]) -> str:
    """Returns the split that one of a path's folders names; empty if none does."""
    named = (SPLIT_FOLDERS[part.lower()] for part in parts if part.lower() in SPLIT_FOLDERS)
    return next(named, "")


def _group(entry: Entry) -> str:
    return f"person {entry.identity}" if entry.identity else f"picture {entry.path}"
