"""Batch inference of Q on image files; threads decode the next images meanwhile."""

from __future__ import annotations

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import tensorflow as tf

from legan_tf.data import images
from legan_tf.errors import UserError
from legan_tf.serving.loading import Scorer

_DECIMALS = 4
"""Of a rating; with another batch size the last may differ by one, and further ones differ."""
_BATCHES_AHEAD = 2

Result = TypeVar("Result")


def rate_files(
    scorer: Scorer, folder: str, paths: Sequence[str], batch_size: int, workers: int
) -> Iterator[tuple[dict[str, float], dict[str, str]]]:
    """Rates image files.

    Args:
        scorer: Q.
        folder: The folder that the paths are relative to.
        paths: The image files, one or more.
        batch_size: Number of images rated at once.
        workers: Number of decoding threads; 0 for one per processor that this process may use.

    Yields:
        Of one batch, by path, the ratings with four decimals, and the reasons why files cannot be
        read.

    Raises:
        UserError: A rating is not finite, or the batch does not fit into memory.
    """
    size = scorer.image_size

    def read(path: str) -> np.ndarray | str:
        file = os.path.join(folder, path)
        try:
            return images.to_square(images.decode(file), size)
        except UserError as error:
            return str(error).removeprefix(f"{file}: ")

    workers = workers or len(os.sched_getaffinity(0))
    squares: dict[str, np.ndarray] = {}
    reasons: dict[str, str] = {}
    with concurrent.futures.ThreadPoolExecutor(workers) as threads:
        ahead = _BATCHES_AHEAD * max(batch_size, workers)
        for path, found in zip(paths, _map_ahead(threads, read, paths, ahead)):
            if isinstance(found, str):
                reasons[path] = found
            else:
                squares[path] = found
            if len(squares) == batch_size or path == paths[-1]:
                yield _rate_batch(scorer, squares, batch_size), reasons
                squares, reasons = {}, {}


def _map_ahead(
    threads: concurrent.futures.Executor,
    function: Callable[[str], Result],
    items: Iterable[str],
    ahead: int,
) -> Iterator[Result]:
    """Yields ``function(item)`` in order, with at most ``ahead`` results not yet asked for."""
    pending: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    for item in items:
        pending.append(threads.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _rate_batch(
    scorer: Scorer, squares: Mapping[str, np.ndarray], batch_size: int
) -> dict[str, float]:
    if not squares:
        return {}
    # Of one shape also where there are fewer: another would be traced and compiled anew.
    batch = np.zeros((batch_size, scorer.image_size, scorer.image_size, 3), np.uint8)
    batch[: len(squares)] = [*squares.values()]
    try:
        ratings = dict(zip(squares, scorer.rate(tf.constant(batch)).numpy()))
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"--batch_size={batch_size}: so many pictures at once do not fit into the memory; "
            "name a smaller number, and the command goes on from here."
        ) from error
    for path, rating in ratings.items():
        if not np.isfinite(rating):
            raise UserError(
                f"--model={scorer.path}: rates {path} with {rating}, which is no number; the model "
                "is damaged."
            )
    return {path: round(float(rating), _DECIMALS) for path, rating in ratings.items()}
