"""Parallel work on many items, in processes or threads of this machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from typing import Any

from legan_tf.errors import UserError

OnProgress = Callable[[int, int], None]
"""Called with (done, total)."""

_MAX_THREADS = 16


def map_in_processes(
    work: Callable[[Any], Any],
    items: Sequence[Any],
    workers: int = 0,
    on_progress: OnProgress | None = None,
) -> Iterator[Any]:
    """Yields the results of a function of every item, in the items' order.

    What this adds to ``ProcessPoolExecutor``: a single worker is this process, workers end when
    their parent is killed, and a dead worker raises a ``UserError``. Processes are spawned, not
    forked: TensorFlow does not survive a fork.

    Args:
        work: A function of a module, or a ``functools.partial`` of one; its errors are raised here.
        items: Its arguments; they and the results travel between processes.
        workers: Processes; 0 for one per processor that this process may use. With 1 the work is
            done in this process.
        on_progress: Called with (done, total).

    Raises:
        UserError: A process died, mostly for want of memory.
    """
    workers = min(workers or len(os.sched_getaffinity(0)), len(items))
    results = map(work, items) if workers <= 1 else _map_in_pool(work, items, workers)
    yield from _counted(results, len(items), on_progress)


def in_threads(
    function: Callable[[Any], Any], items: Sequence[Any], on_progress: OnProgress | None = None
) -> Iterator[Any]:
    """Yields ``function(item)`` in order, for work that releases Python's lock, as decoders do."""
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
        yield from _counted(threads.map(function, items), len(items), on_progress)


def _counted(results: Iterable[Any], total: int, on_progress: OnProgress | None) -> Iterator[Any]:
    for done, result in enumerate(results, start=1):
        if on_progress:
            on_progress(done, total)
        yield result


def _end_with_parent() -> None:
    """Ends this process when its parent is killed; else it would wait for work forever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _map_in_pool(work: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_end_with_parent) as pool:
        try:
            yield from pool.map(work, items)
        except BrokenProcessPool as error:
            raise UserError(
                "A worker process died, probably for want of memory; give fewer with --workers."
            ) from error
