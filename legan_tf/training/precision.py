"""The arithmetic of a run with ``--precision=auto``: what is quicker on this machine."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import tensorflow as tf

from legan_tf.command_line.cli import Progress, say
from legan_tf.training.options import AUTO, PRECISIONS
from legan_tf.training.run_folder import FLAGS_FILE
from legan_tf.training.system import System
from legan_tf.training.systems import from_flagfile
from legan_tf.training.timing import repeated_step
from legan_tf.training.trainer import Batch, Trainer

_WORTH_IT = 0.9
"""Share of float32's time below which bfloat16, which is coarser, is taken."""
_TIMED_STEPS = 3

Make = Callable[[System], tuple[tf.distribute.Strategy, Trainer]]


def of_begun_run(system: System) -> System:
    """Returns the system with the precision that its run was begun with.

    Only where ``--precision=auto`` leaves it open; the same system where there is no such run.
    """
    path = os.path.join(system.run.workdir, FLAGS_FILE)
    if system.run.precision != AUTO or not os.path.exists(path):
        return system
    precision = from_flagfile(path).run.precision
    say(f"--precision=auto: {precision}, with which the run in {system.run.workdir} was begun")
    return system.replace(precision=precision)


def step_seconds(system: System, batch: Batch, make: Make) -> dict[str, float]:
    """Measures the training step of a system in each precision, alternately.

    Args:
        system: The options; those of precision and of steps together are replaced.
        batch: An element of its batches.
        make: Returns the strategy and a compiled, untrained trainer of a system.

    Returns:
        Median seconds of a step, by the element of ``PRECISIONS``.
    """
    progress = Progress(len(PRECISIONS) * (_TIMED_STEPS + 2), "measuring precision")
    steps = {}
    for precision in PRECISIONS:
        form = system.replace(precision=precision, steps_per_execution=1)
        steps[precision] = repeated_step(*make(form), batch)
    seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for trial in range(_TIMED_STEPS + 2):
        for place, (precision, step) in enumerate(steps.items()):
            began = time.perf_counter()
            step()
            # The first traces the graph and the second still allocates.
            if trial >= 2:
                seconds[precision].append(time.perf_counter() - began)
            progress.update(len(PRECISIONS) * trial + place + 1)
    return {precision: statistics.median(times) for precision, times in seconds.items()}


def quicker(seconds: dict[str, float]) -> str:
    """Returns the precision to train with: float32 unless bfloat16 saves a tenth of the time.

    Args:
        seconds: The result of ``step_seconds``.
    """
    return "bfloat16" if seconds["bfloat16"] < _WORTH_IT * seconds["float32"] else "float32"
