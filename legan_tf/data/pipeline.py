"""Training batches of a face set, whose content depends on nothing but their position.

Sample number p of a run is the same whether the run got there in one go or was stopped and
resumed: each pass is a permutation keyed with its number, and every random draw is keyed with p.
There is no shuffle buffer whose state would have to be saved, and what a sample gets does not
depend on the number of replicas.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from legan_tf.data.conditions import UNKNOWN, ClassCondition
from legan_tf.data.faceset import FaceSet
from legan_tf.graph_ops.pixels import to_float
from legan_tf.graph_ops.resizing import resize

Batch = dict  # of tensors, by name

_TARGET_SALTS = (1, 2, *range(2**33, 2**33 + 100))
"""What is added to the seed of each condition's targets; 0 and 3 are other draws'."""


def _passes(members: np.ndarray, seed: int, group: int, start: int) -> tf.data.Dataset:
    """Returns endless passes over ``members``, each in another order, from place ``start`` on."""
    count = len(members)
    members = tf.constant(members, tf.int64)

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(seed, tf.int64) * 1_000 + group, number])
        shuffled = tf.random.experimental.stateless_shuffle(members, key)
        return tf.data.Dataset.from_tensor_slices(shuffled)

    numbers = tf.data.Dataset.range(start // count, np.iinfo(np.int64).max)
    return numbers.flat_map(one_pass).skip(start % count)


def endless_order(
    count: int, seed: int, start: int = 0, groups: np.ndarray | None = None
) -> tf.data.Dataset:
    """Returns an endless, seeded order over the samples of a face set.

    Each pass over the samples is a new permutation. With groups, the groups take turns and each is
    permuted on its own, so that rare classes are seen as often as common ones. Samples of no known
    group come as often as they are in the data, and between them the groups take their turns.

    Args:
        count: Number of samples.
        seed: Seed of the permutations.
        start: Position to begin at.
        groups: int [count], the group of each sample, negative where unknown; none for one group.

    Returns:
        A data set of int64 indices.

    Raises:
        ValueError: There are no samples.
    """
    if count == 0:
        raise ValueError("the face set is empty: there is nothing to train on")
    labels = np.zeros(count, np.int64) if groups is None else np.asarray(groups)
    labels = np.maximum(labels, UNKNOWN)
    members = [np.flatnonzero(labels == group) for group in np.unique(labels)]
    if len(members) == 1:
        return _passes(members[0], seed, 0, start)
    unknown = int(np.sum(labels == UNKNOWN))
    first = int(unknown > 0)  # Number of the first known group.
    turns = len(members) - first
    # Position p is of an unknown group where the whole number p * unknown / count rises behind it.
    # Of the other positions before ``start``, known group g has had those that are g modulo turns.
    had = start * unknown // count
    places = [had] * first
    places += [(start - had - group + turns - 1) // turns for group in range(turns)]
    in_turn = [
        _passes(member, seed, group, place)
        for group, (member, place) in enumerate(zip(members, places))
    ]

    def chosen(position: tf.Tensor) -> tf.Tensor:
        before, behind = position * unknown // count, (position + 1) * unknown // count
        known = first + (position - before) % turns
        return tf.where(behind > before, tf.zeros_like(position), known)

    choice = tf.data.Dataset.range(start, np.iinfo(np.int64).max).map(chosen)
    return tf.data.Dataset.choose_from_datasets(in_turn, choice)


def editing_batches(
    faces: FaceSet,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    steps: int | None = None,
    critic_steps: int = 1,
    keep_share: float = 0.0,
    balance: bool = True,
    flip: bool = False,
    own: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns batches for training a generator.

    Args:
        faces: The faces to train on.
        batch_size: Global batch size of one update.
        seed: Seed of order and draws.
        start_step: Generator updates already done.
        steps: Generator updates to give batches for; endless if none.
        critic_steps: Critic updates for each generator update.
        keep_share: Share of targets that ask to leave a condition as it is; if it is positive,
            what is unknown of the source is always left.
        balance: Whether the classes of the first condition take turns, as the groups of
            ``endless_order``, if it is one class of several.
        flip: Whether half of the images are mirrored, each with its map. A mirrored face is lit
            from the other side, so lighting labels are then wrong.
        own: The place of this process among several workers, each of which loads its own part of
            every batch, replica by replica; None for whole batches.

    Returns:
        A data set of dictionaries, one element per generator update, each value of shape
        [batch_size, critic_steps, ...]: ``image`` float32 [.., S, S, 3] in [-1, 1], and so ``map``
        where the faces have maps; for each condition, such as ``expression``, the source's label
        and the target's, ``target_expression``, int32, -1 for unknown or to be left; ``alpha``
        float32 in [0, 1), the gradient penalty's place between images.
    """
    labels = {one.name: tf.constant(faces.labels[one.name], one.dtype) for one in faces.conditions}
    # Chosen here, once, since it takes a look at all samples.
    drawn_from = {
        one.name: tf.constant(one.drawn_from(faces.labels[one.name]), one.dtype)
        for one in faces.conditions
    }

    def sample(position: tf.Tensor, index: tf.Tensor) -> Batch:
        key = tf.stack([tf.constant(seed, tf.int64) * 4, position])
        source = {name: values[index] for name, values in labels.items()}
        shown = {"image": faces.load(index)}
        if faces.maps is not None:
            shown["map"] = faces.maps(index)
        if flip:
            draw = tf.random.stateless_uniform([], tf.stack([key[0] + 3, position]))
            shown = {
                name: tf.where(
                    draw < 0.5, image, _mirrored(image, faces.map_kind if name == "map" else "")
                )
                for name, image in shown.items()
            }
        targets = {}
        for salt, one in zip(_TARGET_SALTS, faces.conditions):
            own = tf.stack([key[0] + salt, position])
            targets[f"target_{one.name}"] = one.draw(
                source[one.name], drawn_from[one.name], own, keep_share
            )
        return {
            **{name: to_float(image) for name, image in shown.items()},
            **source,
            **targets,
            "alpha": tf.random.stateless_uniform([], key),
        }

    first = faces.conditions[0] if balance and faces.conditions else None
    groups = faces.labels[first.name] if isinstance(first, ClassCondition) else None
    order = functools.partial(endless_order, len(faces), seed, groups=groups)
    return _batched(order, sample, batch_size, start_step, steps, critic_steps, own)


def _mirrored(image: tf.Tensor, map_kind: str = "") -> tf.Tensor:
    """Mirrors a uint8 picture or map; what pointed left in a map of normals points right then."""
    image = tf.reverse(image, [1])
    if map_kind != "normal":
        return image
    x, rest = image[..., :1], image[..., 1:]
    empty = tf.reduce_all(image == 0, axis=-1, keepdims=True)
    return tf.concat([tf.where(empty, x, 255 - x), rest], axis=-1)


def _random_part(image: tf.Tensor, size: int, key: tf.Tensor) -> tf.Tensor:
    """Returns a random square part (of side ``size`` to all) of a picture, resized to ``size``."""
    whole = image.shape[0]

    def draw(most: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        return tf.minimum(tf.cast(number * tf.cast(most + 1, tf.float32), tf.int32), most)

    side, top, left = tf.unstack(tf.random.stateless_uniform([3], key))
    side = size + draw(whole - size, side)
    top, left = draw(whole - side, top), draw(whole - side, left)
    part = image[top : top + side, left : left + side]
    # As ``images.to_square`` resizes whole pictures.
    resized = resize(part[tf.newaxis], (size, size), "bicubic")[0]
    return tf.clip_by_value(resized / 127.5 - 1.0, -1.0, 1.0)


def labelled_batches(
    faces: FaceSet,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    steps: int | None = None,
    flip: bool = False,
    image_size: int | None = None,
    own: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Returns batches for supervised training.

    Args:
        faces: The faces to train on.
        batch_size: Global batch size.
        seed: Seed of order and draws.
        start_step: Updates already done.
        steps: Updates to give batches for; endless if none.
        flip: Whether half of the images are mirrored. A mirrored face is lit from the other side,
            so lighting labels are then wrong.
        image_size: Height and width of the images, in pixels; default is that of the faces. Where
            the faces are larger, an image is a random part of one: from all of it, made smaller, to
            this many of its pixels.
        own: As ``editing_batches`` has it.

    Returns:
        A data set of dictionaries: ``image`` float32 [B,S,S,3] in [-1, 1]; the label of each
        condition and ``identity``, int32 [B, ...] (of action units float32); ``rating_mean``,
        ``rating_std`` float32 [B], NaN where unknown.
    """
    columns = {one.name: tf.constant(faces.labels[one.name], one.dtype) for one in faces.conditions}
    columns["identity"] = tf.constant(faces.identity, tf.int32)
    for name in ("rating_mean", "rating_std"):
        columns[name] = tf.constant(getattr(faces, name), tf.float32)

    def sample(position: tf.Tensor, index: tf.Tensor) -> Batch:
        image, key = faces.load(index), tf.stack([tf.cast(seed, tf.int64), position])
        if image_size in (None, faces.image_size):
            image = to_float(image)
        else:
            image = _random_part(image, image_size, tf.stack([key[0] + 2**32, position]))
        if flip:
            draw = tf.random.stateless_uniform([], key)
            image = tf.where(draw < 0.5, image, _mirrored(image))
        labels = {name: column[index] for name, column in columns.items()}
        return {"image": image, **labels}

    order = functools.partial(endless_order, len(faces), seed)
    return _batched(order, sample, batch_size, start_step, steps, None, own)


def _batched(
    order: Callable[..., tf.data.Dataset],
    sample: Callable[[tf.Tensor, tf.Tensor], Batch],
    batch_size: int,
    start_step: int,
    steps: int | None,
    critic_steps: int | None,
    own: tf.distribute.InputContext | None,
) -> tf.data.Dataset:
    """Maps positions and their indices to samples and batches them, from ``start_step`` on."""
    per_step = batch_size * (critic_steps or 1)
    start = start_step * per_step
    stop = np.iinfo(np.int64).max if steps is None else start + steps * per_step
    dataset = tf.data.Dataset.zip((tf.data.Dataset.range(start, stop), order(start=start)))
    if own is not None:
        # Cut here, where a sample is two numbers, a worker reads and renders nothing of the others.
        count = per_step // own.num_input_pipelines
        part = slice(own.input_pipeline_id * count, (own.input_pipeline_id + 1) * count)
        dataset = dataset.batch(per_step, drop_remainder=True)
        dataset = dataset.map(lambda p, index: (p[part], index[part])).unbatch()
        batch_size = own.get_per_replica_batch_size(batch_size)
    dataset = dataset.map(sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if critic_steps is not None:
        # D's updates lie inside a row, so that cutting a batch for the replicas leaves
        # each step the same samples whatever the number of replicas.
        dataset = dataset.batch(critic_steps, drop_remainder=True)
    dataset = dataset.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)
