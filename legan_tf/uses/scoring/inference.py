"""From paths to ratings, as fast as Q computes: threads read the next pictures meanwhile."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from legan_tf.data import images
from legan_tf.errors import UserError
from legan_tf.serving.loading import Scorer

_DIGITS = 4
"""Of a rating. With another number of pictures at once the last may differ by one, and further
ones differ."""
_BATCHES_AHEAD = 2
_PICTURES_AHEAD = 2  # For each thread, where batches are small.


class Outcome(NamedTuple):
    """What became of a picture.

    Attributes:
        path: From the folder.
        rating: Rounded to four digits; None where it could not be read.
        reason: Why not; else None.
    """

    path: str
    rating: float | None
    reason: str | None


def rate_files(
    scorer: Scorer, folder: str, paths: Iterable[str], batch_size: int, workers: int
) -> Iterator[list[Outcome]]:
    """Rates picture files.

    Args:
        scorer: Q.
        folder: What the paths start from.
        paths: The pictures; they are asked for as they are needed.
        batch_size: Pictures that are rated at once.
        workers: Threads that read; 0 for one per processor that this process may use.

    Yields:
        Outcomes of some paths: of so many as are rated at once, or of one that cannot be read.

    Raises:
        UserError: The model rates a picture with something that is no number, or its batch does
            not fit into the memory.
    """
    size = scorer.image_size

    def read(path: str) -> np.ndarray | str:
        file = os.path.join(folder, path)
        try:
            return images.to_square(images.decode(file), size)
        except UserError as error:
            return str(error).replace(f"{file}: ", "", 1)

    # Always as many: a computation for every other number of pictures would be prepared anew.
    batch = np.zeros((batch_size, size, size, 3), np.uint8)
    waiting: collections.deque[tuple[str, concurrent.futures.Future]] = collections.deque()
    feed, named = iter(paths), []
    workers = workers or len(os.sched_getaffinity(0))
    ahead = max(_BATCHES_AHEAD * batch_size, _PICTURES_AHEAD * workers)
    threads = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        while True:
            for path in itertools.islice(feed, ahead - len(waiting)):
                waiting.append((path, threads.submit(read, path)))
            if waiting:
                path, future = waiting.popleft()
                picture = future.result()
                if isinstance(picture, str):
                    yield [Outcome(path, None, picture)]
                else:
                    batch[len(named)] = picture
                    named.append(path)
            if named and (len(named) == batch_size or not waiting):
                yield _rated(scorer, named, batch)
                named = []
            elif not waiting:
                return
    finally:
        threads.shutdown(cancel_futures=True)


def _rated(scorer: Scorer, paths: Sequence[str], batch: np.ndarray) -> list[Outcome]:
    outcomes = []
    try:
        ratings = scorer.rate(tf.constant(batch)).numpy()
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"--batch_size={len(batch)}: so many pictures at once do not fit into the memory; "
            "name a smaller number, and the command goes on from here."
        ) from error
    for path, rating in zip(paths, ratings):
        if not np.isfinite(rating):
            raise UserError(
                f"--model={scorer.path}: rates {path} with {rating}, which is no number; the model "
                "is damaged."
            )
        outcomes.append(Outcome(path, round(float(rating), _DIGITS), None))
    return outcomes
