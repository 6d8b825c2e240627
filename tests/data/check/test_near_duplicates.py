from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data import images
from legan_tf.data.check.near_duplicates import (
    LIMIT,
    NEAREST,
    SIDE,
    Pair,
    difference,
    near_duplicates,
)
from legan_tf.data.check.statistics import ImageStatistics

from .conftest import brighter, jpeg, resized


def stats(*pictures):
    seen = ImageStatistics(len(pictures), None)
    for index, picture in enumerate(pictures):
        seen.add(index, str(index).encode(), picture)
    return seen


def pairs(*pictures):
    seen = stats(*pictures)
    return near_duplicates(seen.thumbnail, seen.digest, ["train"] * len(pictures))


COPIES = {
    "re-encoded": lambda picture: images.decode(jpeg(picture)),
    "half the size": lambda picture: resized(picture, len(picture) // 2),
    "twice the size": lambda picture: resized(picture, 2 * len(picture)),
    "brighter": lambda picture: brighter(picture, 1.15),
    "darker": lambda picture: brighter(picture, 0.85),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found_as_it_is_and_mirrored(faces, name):
    face, other = faces[0, 0, 0], faces[1, 0, 0]
    copy = COPIES[name](face)
    (found,) = pairs(face, other, copy)
    assert found[:3] == (0, 2, "near") and found.difference <= LIMIT
    (found,) = pairs(copy[:, ::-1], other, face)
    assert found[:3] == (0, 2, "mirrored") and found.difference <= LIMIT


def test_different_pictures_are_told_apart_even_of_one_person(faces):
    # 4 people x 3 expressions x 19 lights: neighbouring flashes, the same pose and background.
    assert pairs(*faces.reshape(-1, *faces.shape[3:])) == []


def test_another_expression_is_further_than_any_copy(faces):
    face = faces[0, 0, 0]
    shown = stats(face, faces[0, 1, 0], *(copy(face) for copy in COPIES.values())).thumbnail
    smile, *copies = difference(shown[[0] * 6], shown[1:])
    assert max(copies) < LIMIT < smile / 2


def test_difference_is_the_worst_block_of_normalised_thumbnails():
    draw = np.random.default_rng(0)
    first = draw.integers(20, 120, (1, SIDE, SIDE)).astype(np.uint8)
    assert difference(first, first) == 0
    assert difference(first, 2 * first) == pytest.approx(0, abs=1e-5)
    # One block of 4 x 4 is changed by one deviation: its own difference is that, but for the
    # little by which the mean and the deviation of the whole move.
    deviation = first.std()
    second = first.astype(np.float32)
    second[0, 8:12, 4:8] += deviation
    assert difference(first, second) == pytest.approx(1, abs=0.05)


def test_what_is_overexposed_in_either_is_not_compared():
    draw = np.random.default_rng(0)
    first = draw.integers(20, 200, (1, SIDE, SIDE)).astype(np.uint8)
    first[0, :8] = draw.integers(225, 239, (8, SIDE))
    clipped = np.minimum(first.astype(np.int32) * 5 // 4, 255).astype(np.uint8)
    assert (clipped[0, :8] == 255).all()
    assert difference(first, clipped) < 0.03


def test_identical_files_are_paired_with_the_first_and_compared_once(faces):
    face = faces[0, 0, 0]
    seen = stats(face, faces[1, 0, 0], face, face, images.decode(jpeg(face)))
    digests = [b"a", b"b", b"a", b"a", b"c"]
    found = near_duplicates(seen.thumbnail, digests, ["train"] * 5)
    assert found[:2] == [Pair(0, 2, "identical", 0.0), Pair(0, 3, "identical", 0.0)]
    assert [pair[:3] for pair in found[2:]] == [(0, 4, "near")]


def test_flat_and_damaged_pictures_are_compared_with_nothing(faces):
    grey = np.full((SIDE, SIDE, 3), 90, np.uint8)
    seen = stats(grey, grey + 1, faces[0, 0, 0], faces[0, 0, 0])
    assert near_duplicates(seen.thumbnail, [b"a", b"b", b"c", b""], ["train"] * 4) == []
    assert near_duplicates(seen.thumbnail[:0], [], []) == []


def test_the_search_finds_what_comparing_all_pairs_finds(faces):
    # More pictures than go through the sieve at a time, every third of them a copy.
    originals = faces.reshape(-1, *faces.shape[3:])[:200]
    copies = [brighter(picture, 0.9) for picture in originals[::2]]
    seen = stats(*originals, *(resized(copy, 48) for copy in copies))
    done = []
    splits = [("train", "val", "test")[i % 3] for i in range(300)]
    found = near_duplicates(seen.thumbnail, seen.digest, splits, lambda *at: done.append(at))
    assert [pair[:3] for pair in found] == [(2 * i, 200 + i, "near") for i in range(100)]
    one, other = np.triu_indices(300, 1)
    every = difference(seen.thumbnail[one], seen.thumbnail[other])
    expected = list(zip(*(side[every <= LIMIT].tolist() for side in (one, other))))
    assert [pair[:2] for pair in found] == expected
    assert done == [(256, 300), (300, 300)]


def test_thousands_of_equal_pictures_give_few_pairs_and_hide_none_across_splits(faces):
    count = 3000
    draw = np.random.default_rng(0)
    thumbnail = stats(faces[0, 0, 0]).thumbnail.astype(np.int64)
    equal = (thumbnail + draw.integers(-1, 2, (count, SIDE, SIDE))).clip(0, 255).astype(np.uint8)
    splits = ["train"] * count
    splits[1234], splits[2345] = "val", "test"
    found = near_duplicates(equal, [str(i).encode() for i in range(count)], splits)
    pairs = {pair[:2] for pair in found}
    # Those nearest in its own split for each, and the two held out.
    assert count < len(pairs) < (NEAREST + 3) * count
    assert (1234, 2345) in pairs
    for held_out in (1234, 2345):
        assert {tuple(sorted((held_out, i))) for i in range(count) if i != held_out} <= pairs
