"""Rendered faces as face sets: a full grid of people, expressions and lights, with the truth."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent import futures

import numpy as np
import tensorflow as tf

from legan_tf.data import faceset
from legan_tf.data.rendered.shading import shade
from legan_tf.data.rendered.surface import geometry

SPLITS = ("train", "val", "test")
"""Splits of the rendered faces; no person is in two of them."""

_PEOPLE_PER_SPLIT = 1_000_000
_GEOMETRIES_PER_TASK = 4  # small enough to stay in the cache, large enough to be worth a task

Progress = Callable[[int, int], None]


def people_of(split: str, people: int, seed: int) -> range:
    """Returns the numbers of the people of one split.

    Args:
        split: train, val or test.
        people: How many, 1 to 1,000,000.
        seed: Different seeds give different people.

    Raises:
        ValueError: There is no such split, or the count is out of range.
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}; choose from {', '.join(SPLITS)}.")
    if not 1 <= people <= _PEOPLE_PER_SPLIT:
        raise ValueError(f"people must be 1 to {_PEOPLE_PER_SPLIT:,}, not {people}.")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}.")
    first = (seed * len(SPLITS) + SPLITS.index(split)) * _PEOPLE_PER_SPLIT
    return range(first, first + people)


def name_of(person: int) -> str:
    """Returns the identity name of a person's number."""
    return f"person{person:05d}"


def loader(pictures: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a graph-compatible lookup of one picture in a pool.

    The pool stays on the CPU: it is captured by reference, never copied into a graph.

    Args:
        pictures: uint8 [n, size, size, 3].
    """
    with tf.device("/CPU:0"):
        pool = tf.convert_to_tensor(pictures)

    def load(index: tf.Tensor) -> tf.Tensor:
        with tf.device("/CPU:0"):
            return tf.gather(pool, index)

    return load


def in_parallel(
    tasks: Sequence[Callable[[], int]], total: int, on_progress: Progress | None
) -> None:
    """Runs tasks, each of which returns how much of ``total`` it has done, on all cores."""
    done = 0
    with futures.ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1)) as pool:
        for future in futures.as_completed([pool.submit(task) for task in tasks]):
            done += future.result()
            if on_progress:
                on_progress(done, total)


def rendered_faces(
    split: str,
    people: int,
    expressions: Sequence[str],
    lightings: Sequence[str],
    image_size: int,
    seed: int,
    on_progress: Progress | None = None,
) -> faceset.FaceSet:
    """Renders every person under every expression and light.

    Args:
        split: train, val or test; their people are disjoint.
        people: How many people.
        expressions: Names of expressions, the classes of the set.
        lightings: Names of Multi-PIE shots, the classes of the set.
        image_size: Height and width, in pixels.
        seed: Different seeds give different people.
        on_progress: Called with the pictures done and their total.

    Returns:
        A face set of people x expressions x lightings pictures, in this order, without ratings.

    Raises:
        ValueError: A name or a number is not acceptable.
    """
    numbers = people_of(split, people, seed)
    expressions, lightings = tuple(expressions), tuple(lightings)
    if not expressions or not lightings:
        raise ValueError("Rendered faces need at least one expression and one light.")
    if image_size < 16:
        raise ValueError(f"image_size must be 16 or more for rendered faces, not {image_size}.")
    shape = (people, len(expressions), len(lightings))
    size = image_size
    pool = np.empty((people * len(expressions), len(lightings), size, size, 3), np.uint8)
    pairs = [(person, expression) for person in numbers for expression in expressions]

    def task(start: int) -> Callable[[], int]:
        def run() -> int:
            part = pairs[start : start + _GEOMETRIES_PER_TASK]
            faces = geometry([p for p, _ in part], [e for _, e in part], size)
            pool[start : start + len(part)] = shade(faces, lightings)
            return len(part) * len(lightings)

        return run

    total = int(np.prod(shape))
    in_parallel(
        [task(start) for start in range(0, len(pairs), _GEOMETRIES_PER_TASK)], total, on_progress
    )
    pictures = pool.reshape(total, size, size, 3)
    grid = pool.reshape(*shape, size, size, 3)
    identity, expression, lighting = (axis.ravel().astype(np.int32) for axis in np.indices(shape))
    unrated = np.full(total, np.nan, np.float32)

    def truth(index: int, expression: int, lighting: int) -> np.ndarray:
        return grid[identity[index], expression, lighting]

    return faceset.FaceSet(
        name=f"rendered/{split}",
        image_size=size,
        expressions=expressions,
        lightings=lightings,
        identities=tuple(name_of(p) for p in numbers),
        expression=expression,
        lighting=lighting,
        identity=identity,
        rating_mean=unrated,
        rating_std=unrated,
        load=loader(pictures),
        truth=truth,
    )
