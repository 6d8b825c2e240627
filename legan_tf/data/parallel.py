"""Parallel work on many items: in processes of this machine, or on many machines by Apache Beam.

The only module that uses Apache Beam.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import multiprocessing
import os
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from typing import Any

from legan_tf import optional
from legan_tf.errors import UserError, first_line

OnProgress = Callable[[int, int], None]
"""Called with (done, total)."""

_MAX_THREADS = 16


@dataclasses.dataclass(frozen=True)
class Workers:
    """Where parallel work is done.

    Attributes:
        processes: Processes on this machine; 0 for one per processor that this process may use.
        runner: Apache Beam's runner to use instead, ``DirectRunner`` or another; none if empty.
        beam_options: Further options of Beam, as on a command line.
    """

    processes: int = 0
    runner: str = ""
    beam_options: str = ""

    def check(self) -> None:
        """Checks the values before the work begins.

        Raises:
            UserError: The values do not fit each other.
            UnavailableError: Apache Beam is asked for and not installed.
        """
        if self.processes < 0:
            raise UserError(f"--workers={self.processes}: must be 0 or more.")
        if self.runner:
            if self.processes:
                raise UserError(
                    "--workers belongs to processes here; set the runner's in --beam_options."
                )
            optional.require("apache_beam", f"--runner={self.runner}")
        elif self.beam_options:
            raise UserError("--beam_options belongs to --runner.")


def for_each(
    work: Callable[[Any], None],
    items: Sequence[Any],
    workers: Workers,
    on_progress: OnProgress | None = None,
) -> None:
    """Calls a function that writes files for every item.

    Args:
        work: As in ``map_in_processes``.
        items: Its arguments.
        workers: Where it is done.
        on_progress: Called with (done, total); with Beam, whose runners report in their own ways,
            only when all is done.

    Raises:
        UserError: A process died, or Beam's pipeline failed.
        UnavailableError: Apache Beam is asked for and not installed.
    """
    if not workers.runner:
        for _ in map_in_processes(work, items, workers.processes, on_progress):
            pass
    elif items:
        _run_beam_pipeline(work, items, workers)
        if on_progress:
            on_progress(len(items), len(items))


def map_in_processes(
    work: Callable[[Any], Any],
    items: Sequence[Any],
    workers: int = 0,
    on_progress: OnProgress | None = None,
) -> Iterator[Any]:
    """Yields the results of a function of every item, in the items' order.

    ``ProcessPoolExecutor`` does the work; on top of it, one worker means this process, workers end
    with a killed parent, and a dead worker raises a ``UserError``. Processes are spawned, not
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


def _run_beam_pipeline(work: Callable[[Any], None], items: Sequence[Any], workers: Workers) -> None:
    beam = optional.require("apache_beam", f"--runner={workers.runner}")
    options = _beam_options(workers)
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # Tracebacks of the errors reported below.
    try:
        with beam.Pipeline(options=options) as pipeline:
            # Without Reshuffle all items would stay with the one worker that makes them.
            _ = pipeline | beam.Create(items) | beam.Reshuffle() | beam.Map(work)
    except Exception as error:  # Runners, their machines and networks fail in many ways.
        reason, ours = str(error).partition(" [while running")[0], isinstance(error, UserError)
        if "Traceback (most recent call last)" in reason:  # Of another process.
            reason = reason.strip().splitlines()[-1]
            if reason.startswith("legan_tf."):
                reason, ours = reason.partition(": ")[2], True
        if ours:
            raise UserError(reason) from error
        reason = (" ".join(reason.split()) or type(error).__name__).rstrip(".")
        raise UserError(f"--runner={workers.runner}: the pipeline failed ({reason}).") from error
    finally:
        logger.setLevel(level)


def _beam_options(workers: Workers) -> Any:
    """Returns Beam's options; it would end the process on wrong ones."""
    from apache_beam.options.pipeline_options import PipelineOptions

    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            options = PipelineOptions(shlex.split(workers.beam_options), runner=workers.runner)
            options.get_all_options()
    except (SystemExit, ValueError) as error:
        reason = messages.getvalue().rpartition("error: ")[2].strip() or first_line(error)
        raise UserError(
            f"--beam_options={workers.beam_options}: Beam refuses them ({reason})."
        ) from error
    return options
