from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data import pipeline
from legan_tf.data.conditions import of_classes
from legan_tf.data.faceset import FaceSet, from_pool
from legan_tf.graph_ops import pixels

LABELS = ("expression", "lighting", "target_expression", "target_lighting")


def numbered_faces(expression=None, lighting=None, count: int = 10, size: int = 2) -> FaceSet:
    """Face number i is an image whose left half has the value i, with rating i."""
    expression = np.arange(count) % 3 if expression is None else expression
    lighting = np.arange(count) % 2 if lighting is None else lighting
    images = np.zeros((count, size, size, 3), np.uint8)
    images[:, :, : size // 2] = np.arange(count)[:, None, None, None]
    pool = tf.constant(images)
    return FaceSet(
        name="numbered",
        image_size=size,
        conditions=of_classes(
            expression=("neutral", "smile", "scream"), lighting=("left", "right")
        ),
        labels={
            "expression": np.asarray(expression, np.int32),
            "lighting": np.asarray(lighting, np.int32),
        },
        identities=tuple("abcdefghij"[:count]),
        identity=np.arange(count, dtype=np.int32),
        rating_mean=np.arange(count, dtype=np.float32),
        rating_std=np.full(count, np.nan, np.float32),
        load=lambda index: tf.gather(pool, index),
    )


def numbers_of(images) -> np.ndarray:
    """The numbers of the faces in a batch of images."""
    return pixels.to_uint8(images).numpy()[..., 0, :, 0].max(-1).astype(int)


def taken(dataset: tf.data.Dataset, count: int) -> list[int]:
    return [int(index) for index in itertools.islice(dataset.as_numpy_iterator(), count)]


def collected(dataset: tf.data.Dataset) -> dict[str, np.ndarray]:
    batches = list(dataset.as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_pixels_go_to_minus_one_to_one_and_back():
    levels = tf.range(256, dtype=tf.int32)
    floats = pixels.to_float(tf.cast(levels, tf.uint8))
    np.testing.assert_allclose(floats[0], -1.0)
    np.testing.assert_allclose(floats[255], 1.0)
    np.testing.assert_array_equal(pixels.to_uint8(floats), levels)
    outside = pixels.to_uint8(tf.constant([-3.0, 1.004, 0.002]))
    np.testing.assert_array_equal(outside, [0, 255, 128])


def test_each_pass_is_a_permutation_of_its_own():
    order = taken(pipeline.endless_order(10, seed=3), 40)
    passes = [order[start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    assert order != taken(pipeline.endless_order(10, seed=4), 40)


@pytest.mark.parametrize("groups", [None, np.array([0, 0, 1, 2, 2, 2, 2, 2, 1, 2])])
@pytest.mark.parametrize("start", [1, 7, 10, 23])
def test_the_order_is_the_same_from_any_start(start, groups):
    whole = taken(pipeline.endless_order(10, 5, groups=groups), 60)
    resumed = taken(pipeline.endless_order(10, 5, start, groups), 60 - start)
    assert resumed == whole[start:]


def test_groups_take_turns_and_each_passes_through_its_own():
    groups = np.array([4, 4, 1, 9, 9, 9, 9, 9, 1, 9])
    order = np.array(taken(pipeline.endless_order(10, 5, groups=groups), 30))
    np.testing.assert_array_equal(groups[order], [1, 4, 9] * 10)
    for first, group in enumerate((1, 4, 9)):
        members = np.flatnonzero(groups == group)
        seen = order[first::3][: len(members)]
        assert sorted(seen) == sorted(members)


def test_the_unknown_come_as_often_as_they_are_and_the_known_groups_take_turns():
    groups = np.array([2] * 3 + [0] * 12 + [-1] * 5)
    order = np.array(taken(pipeline.endless_order(20, 5, groups=groups), 400))
    shown = groups[order]
    counts = {group: int(np.sum(shown == group)) for group in (-1, 0, 2)}
    assert counts == {-1: 100, 0: 150, 2: 150}
    np.testing.assert_array_equal(shown[shown >= 0], [0, 2] * 150)
    for start in range(1, 45):
        resumed = taken(pipeline.endless_order(20, 5, start, groups), 60)
        np.testing.assert_array_equal(resumed, order[start : start + 60])
    # Where all is known, and where nothing is, the order is what it was without the unknown.
    plain = taken(pipeline.endless_order(20, 5), 60)
    assert taken(pipeline.endless_order(20, 5, groups=np.full(20, -1)), 60) == plain


def test_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="empty"):
        pipeline.endless_order(0, 0)


def test_editing_batches_have_the_critics_steps_inside_a_row():
    faces = numbered_faces()
    batch = next(iter(pipeline.editing_batches(faces, 4, seed=1, critic_steps=3, balance=False)))
    assert batch["image"].shape == (4, 3, 2, 2, 3)
    assert {batch[name].dtype for name in LABELS} == {tf.int32}
    assert {tuple(batch[name].shape) for name in (*LABELS, "alpha")} == {(4, 3)}
    # Row after row in the order of positions: cutting the rows for replicas moves nothing.
    order = np.array(taken(pipeline.endless_order(10, 1), 12)).reshape(4, 3)
    np.testing.assert_array_equal(numbers_of(batch["image"]), order)
    np.testing.assert_array_equal(batch["expression"], order % 3)
    np.testing.assert_array_equal(batch["lighting"], order % 2)


@pytest.mark.parametrize("balance", [True, False])
def test_editing_batches_go_on_where_they_stopped(balance):
    faces = numbered_faces(expression=[0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
    options = {"critic_steps": 2, "keep_share": 0.3, "balance": balance}
    whole = collected(pipeline.editing_batches(faces, 3, 7, 0, 6, **options))
    resumed = collected(pipeline.editing_batches(faces, 3, 7, 4, 2, **options))
    assert len(whole["alpha"]) == 6 * 3
    for name, values in whole.items():
        np.testing.assert_array_equal(values[4 * 3 :], resumed[name])


def test_a_sample_is_the_same_whatever_the_batch_size():
    faces = numbered_faces()
    small = collected(pipeline.editing_batches(faces, 2, 7, 0, 6))
    large = collected(pipeline.editing_batches(faces, 6, 7, 0, 2))
    for name, values in small.items():
        np.testing.assert_array_equal(values, large[name])


@pytest.mark.parametrize("critic_steps", [None, 2])
def test_workers_load_consecutive_parts_of_each_batch_replica_by_replica(critic_steps):
    loaded = []

    def load(index):
        tf.py_function(lambda i: loaded.append(int(i)), [index], [])
        return tf.fill([2, 2, 3], tf.cast(index, tf.uint8))

    faces = dataclasses.replace(numbered_faces(), load=load)

    def batches(own=None):
        if critic_steps is None:
            return pipeline.labelled_batches(faces, 8, seed=3, start_step=1, steps=3, own=own)
        return pipeline.editing_batches(
            faces, 8, seed=3, start_step=1, steps=3, critic_steps=critic_steps, own=own
        )

    whole = list(batches().as_numpy_iterator())
    loaded.clear()
    parts = [
        list(batches(tf.distribute.InputContext(2, worker, 4)).as_numpy_iterator())
        for worker in (0, 1)
    ]
    # Nobody has read what belongs to another worker.
    assert len(loaded) == 3 * 8 * (critic_steps or 1)
    assert [len(part) for part in parts] == [6, 6]
    for step, batch in enumerate(whole):
        replicas = [part[2 * step + replica] for part in parts for replica in (0, 1)]
        for name, values in batch.items():
            together = np.concatenate([replica[name] for replica in replicas])
            np.testing.assert_array_equal(together, values, err_msg=name)


def test_targets_are_uniform_and_independent_of_the_source_and_each_other():
    drawn = collected(pipeline.editing_batches(numbered_faces(), 1000, 2, 0, 6))
    sources, expressions, lightings = (
        drawn[name].ravel() for name in ("expression", "target_expression", "target_lighting")
    )
    joint = np.zeros((3, 3, 2))
    np.add.at(joint, (sources, expressions, lightings), 1)
    # Balanced sources: 6,000 draws over 18 cells, 333 each, standard deviation about 18.
    assert np.abs(joint - 6000 / 18).max() < 4.5 * 18
    alpha = drawn["alpha"].ravel()
    assert 0 <= alpha.min() and alpha.max() < 1 and abs(alpha.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(alpha, expressions)[0, 1]) < 0.05


def test_keep_share_leaves_attributes_as_they_are():
    drawn = collected(pipeline.editing_batches(numbered_faces(), 500, 2, 0, 8, keep_share=0.25))
    kept = {name: drawn[f"target_{name}"].ravel() == -1 for name in ("expression", "lighting")}
    for share in kept.values():
        assert abs(share.mean() - 0.25) < 0.03
    # Each is left on its own account.
    assert abs((kept["expression"] & kept["lighting"]).mean() - 0.0625) < 0.02
    named = drawn["target_expression"][drawn["target_expression"] >= 0]
    assert np.abs(np.bincount(named) / len(named) - 1 / 3).max() < 0.04


def test_unknown_labels_stay_unknown_and_are_only_left_alone_where_that_can_be_asked():
    faces = numbered_faces(expression=[-1, 0, 1, 2, -1, 0, 1, 2, -1, 0])
    for keep_share, wanted in ((0.0, False), (0.01, True)):
        drawn = collected(pipeline.editing_batches(faces, 50, 2, 0, 4, keep_share=keep_share))
        unknown = drawn["expression"] == -1
        assert unknown.any()
        assert (drawn["target_expression"][unknown] == -1).all() == wanted
        assert (drawn["target_expression"][unknown] >= 0).all() != wanted
        assert drawn["target_lighting"].max() == 1


def test_balance_shows_rare_expressions_as_often():
    faces = numbered_faces(expression=[0, 0, 0, 0, 0, 0, 0, 1, 1, 2])
    balanced = collected(pipeline.editing_batches(faces, 30, 0, 0, 2))["expression"]
    plain = collected(pipeline.editing_batches(faces, 30, 0, 0, 2, balance=False))["expression"]
    np.testing.assert_array_equal(np.bincount(balanced.ravel()), [20, 20, 20])
    np.testing.assert_array_equal(np.bincount(plain.ravel()), [42, 12, 6])


def test_labelled_batches_give_all_that_is_known():
    batch = next(iter(pipeline.labelled_batches(numbered_faces(), 5, seed=1)))
    order = taken(pipeline.endless_order(10, 1), 5)
    np.testing.assert_array_equal(numbers_of(batch["image"]), order)
    np.testing.assert_array_equal(batch["identity"], order)
    np.testing.assert_array_equal(batch["expression"], np.array(order) % 3)
    np.testing.assert_array_equal(batch["rating_mean"], order)
    assert np.isnan(batch["rating_std"]).all()


def test_parts_of_larger_faces_are_of_every_side_and_place_and_the_same_after_a_resume():
    # Red grows from left to right and green from top to bottom, so that they tell the part.
    ramp = np.tile(np.linspace(0, 255, 32, dtype=np.uint8), (32, 1))
    pictures = np.repeat(np.stack([ramp, ramp.T, 0 * ramp], -1)[None], 4, axis=0)
    faces = dataclasses.replace(numbered_faces(count=4), image_size=32, load=from_pool(pictures))
    whole = collected(pipeline.labelled_batches(faces, 40, 1, 0, 10, image_size=16))["image"]
    assert whole.shape == (400, 16, 16, 3)
    assert whole.min() >= -1 and whole.max() <= 1
    across = whole[:, 8, :, 0]
    left, right = across[:, :3].mean(1), across[:, -3:].mean(1)
    down = whole[:, :, 8, 1]
    top, bottom = down[:, :3].mean(1), down[:, -3:].mean(1)
    np.testing.assert_allclose(right - left, bottom - top, atol=0.06)  # Squares.
    share = (right - left) / (2 * 13 / 16)
    assert share.min() < 0.55 and share.max() > 0.95
    for place in (left + right, top + bottom):
        assert place.min() < -0.5 and place.max() > 0.5
    assert abs(np.corrcoef(left + right, top + bottom)[0, 1]) < 0.2
    resumed = collected(pipeline.labelled_batches(faces, 40, 1, 6, 4, image_size=16))["image"]
    np.testing.assert_array_equal(whole[240:], resumed)
    plain = collected(pipeline.labelled_batches(faces, 4, 1, 0, 1, image_size=32))["image"]
    np.testing.assert_array_equal(plain, pictures / np.float32(127.5) - 1)


def test_half_of_the_faces_are_mirrored_the_same_ones_after_a_resume():
    faces = numbered_faces(expression=np.ones(10, int))
    whole = collected(pipeline.labelled_batches(faces, 50, 1, 0, 10, flip=True))
    known = whole["image"][whole["identity"] > 0]
    left_half_is_brighter = known[:, 0, 0, 0] > known[:, 0, 1, 0]
    assert abs(left_half_is_brighter.mean() - 0.5) < 0.08
    resumed = collected(pipeline.labelled_batches(faces, 50, 1, 6, 4, flip=True))
    np.testing.assert_array_equal(whole["image"][300:], resumed["image"])
    plain = collected(pipeline.labelled_batches(faces, 50, 1, 0, 10))
    assert (plain["image"][..., 0, 0] >= plain["image"][..., 1, 0]).all()


def faces_with_maps(kind: str) -> FaceSet:
    """Numbered faces, whose maps are as the images, but grey and empty in the right half."""
    faces = numbered_faces(size=4)
    images = faces.images(np.arange(10)).copy()
    images[:, :, :2] += np.uint8(100)
    images[..., 2] //= 2  # so that what is moved to the wrong channel is seen
    return dataclasses.replace(faces, map_kind=kind, maps=from_pool(images))


def test_maps_come_with_their_images():
    faces = faces_with_maps("depth")
    batches = collected(pipeline.editing_batches(faces, 5, 0, 0, 4, critic_steps=2))
    assert batches["map"].shape == batches["image"].shape == (20, 2, 4, 4, 3)
    maps = pixels.to_uint8(batches["map"]).numpy()
    expected = faces.map_images(numbers_of(batches["image"]).ravel()).reshape(maps.shape)
    np.testing.assert_array_equal(maps, expected)
    assert "map" not in collected(pipeline.editing_batches(numbered_faces(), 5, 0, 0, 1))


@pytest.mark.parametrize("kind", ["depth", "normal"])
def test_half_of_the_faces_are_mirrored_each_with_its_map(kind):
    faces = faces_with_maps(kind)
    batches = collected(pipeline.editing_batches(faces, 10, 0, 0, 40, flip=True))
    images, maps = (pixels.to_uint8(batches[name]).numpy()[:, 0] for name in ("image", "map"))
    numbers = images.max(axis=(1, 2, 3))
    seen = numbers > 0  # face 0 is black all over
    mirrored = images[:, 0, 0, 0] == 0
    assert 0.4 < mirrored[seen].mean() < 0.6
    for number, turned, surface in zip(numbers[seen], mirrored[seen], maps[seen]):
        expected = faces.map_images(np.array([number]))[0]
        if turned:
            expected = expected[:, ::-1].copy()
            if kind == "normal":
                # What pointed left points right; nothing stays nothing.
                there = expected.any(-1)
                expected[..., 0] = np.where(there, 255 - expected[..., 0], 0)
        np.testing.assert_array_equal(surface, expected)
    again = collected(pipeline.editing_batches(faces, 10, 0, 30, 10, flip=True))
    np.testing.assert_array_equal(again["map"], batches["map"][300:])


def test_faces_of_expressions_alone_have_no_other_labels():
    faces = numbered_faces().only(["expression"])
    assert faces.names("lighting") == () and list(faces.labels) == ["expression"]
    batches = collected(pipeline.editing_batches(faces, 10, 0, 0, 3))
    assert "target_lighting" not in batches and (batches["target_expression"] >= 0).all()
