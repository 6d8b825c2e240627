"""Batch inference of Q on image files; threads decode the next images meanwhile."""

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

_DECIMALS = 4
"""Of a rating; with another batch size the last may differ by one, and further ones differ."""
_BATCHES_AHEAD = 2
_IMAGES_AHEAD_PER_THREAD = 2  # Where batches are small.


class Outcome(NamedTuple):
    """The result of one image file.

    Attributes:
        path: Path relative to the folder.
        rating: Rating, rounded to four decimals; None if the file could not be read.
        reason: Why the file could not be read; None if it was.
    """

    path: str
    rating: float | None
    reason: str | None


def rate_files(
    scorer: Scorer, folder: str, paths: Iterable[str], batch_size: int, workers: int
) -> Iterator[list[Outcome]]:
    """Rates image files.

    Args:
        scorer: Q.
        folder: The folder that the paths are relative to.
        paths: The image files, consumed as needed.
        batch_size: Number of images rated at once.
        workers: Number of decoding threads; 0 for one per processor that this process may use.

    Yields:
        The outcomes of one batch, or of one file that cannot be read.

    Raises:
        UserError: A rating is not finite, or the batch does not fit into memory.
    """
    size = scorer.image_size

    def read(path: str) -> np.ndarray | str:
        file = os.path.join(folder, path)
        try:
            return images.to_square(images.decode(file), size)
        except UserError as error:
            return str(error).replace(f"{file}: ", "", 1)

    # Of constant size, also for the last images: another shape would be traced and compiled anew.
    batch = np.zeros((batch_size, size, size, 3), np.uint8)
    pending: collections.deque[tuple[str, concurrent.futures.Future]] = collections.deque()
    remaining, batch_paths = iter(paths), []
    workers = workers or len(os.sched_getaffinity(0))
    ahead = max(_BATCHES_AHEAD * batch_size, _IMAGES_AHEAD_PER_THREAD * workers)
    threads = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        while True:
            for path in itertools.islice(remaining, ahead - len(pending)):
                pending.append((path, threads.submit(read, path)))
            if pending:
                path, future = pending.popleft()
                image = future.result()
                if isinstance(image, str):
                    yield [Outcome(path, None, image)]
                else:
                    batch[len(batch_paths)] = image
                    batch_paths.append(path)
            if batch_paths and (len(batch_paths) == batch_size or not pending):
                yield _rate_batch(scorer, batch_paths, batch)
                batch_paths = []
            elif not pending:
                return
    finally:
        threads.shutdown(cancel_futures=True)


def _rate_batch(scorer: Scorer, paths: Sequence[str], batch: np.ndarray) -> list[Outcome]:
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
        outcomes.append(Outcome(path, round(float(rating), _DECIMALS), None))
    return outcomes
