"""The same work on many items, in as many processes as there are processors."""

from __future__ import annotations

import collections
import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from legan_tf.errors import UserError

_QUEUED_PER_WORKER = 4


def each(
    work: Callable[[Any], Any],
    items: Sequence[Any],
    workers: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[Any]:
    """Does the same work on every item and yields the results in the items' order.

    The processes are started anew, not forked: TensorFlow does not survive a fork.

    Args:
        work: A function of a module, or a ``functools.partial`` of one. What it raises, this
            raises.
        items: What to work on; they and the results travel between processes.
        workers: Processes; 0 for one per processor that this process may use. With 1 the work is
            done in this process.
        on_progress: Told (done, total).

    Raises:
        UserError: A process died, for want of memory mostly.
    """
    workers = min(workers or len(os.sched_getaffinity(0)), len(items))
    results = map(work, items) if workers <= 1 else _in_processes(work, items, workers)
    for done, result in enumerate(results, start=1):
        if on_progress:
            on_progress(done, len(items))
        yield result


def _in_processes(work: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn")
    )
    waiting: collections.deque[concurrent.futures.Future] = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > _QUEUED_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            "A worker process died, probably for want of memory; give fewer with --workers."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
