"""Merges requests into batches, as TensorFlow Serving's batching parameters say."""

from __future__ import annotations

import collections
import dataclasses
import os
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from legan_tf.errors import UserError
from legan_tf.serving.local_server.codes import Code, ServingError
from legan_tf.serving.local_server.config import read_text
from legan_tf.serving.local_server.messages import BatchingParameters
from legan_tf.serving.local_server.metrics import Metrics
from legan_tf.serving.local_server.servable import Signature

_Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Parameters:
    """How to batch; the defaults are TensorFlow Serving's.

    Attributes:
        max_batch_size: Most rows of a batch.
        batch_timeout_s: How long a batch may wait to be filled, in seconds, once a thread is free.
        max_enqueued_batches: Most batches that wait, by signature.
        num_batch_threads: Batches that run at once.
        allowed_batch_sizes: Sizes that batches are padded to, ascending; none for any size.
    """

    max_batch_size: int = 1000
    batch_timeout_s: float = 0.0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()


def read_parameters(file: str) -> Parameters:
    """Reads a file of ``BatchingParameters``.

    Raises:
        UserError: It cannot be read, or says what cannot be done.
    """
    given = read_text(file, "batching_parameters_file", BatchingParameters())
    values = {
        name: getattr(given, name).value
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads")
        if given.HasField(name)
    }
    for name, value in values.items():
        if value < 1:
            raise UserError(f"--batching_parameters_file: {file}: {name} must be at least 1.")
    timeout = given.batch_timeout_micros.value
    if timeout < 0:
        raise UserError(f"--batching_parameters_file: {file}: batch_timeout_micros is below 0.")
    parameters = Parameters(
        **values,
        batch_timeout_s=timeout / 1e6,
        allowed_batch_sizes=tuple(given.allowed_batch_sizes),
    )
    sizes = parameters.allowed_batch_sizes
    if sizes and (
        sizes[0] < 1 or list(sizes) != sorted(set(sizes)) or sizes[-1] != parameters.max_batch_size
    ):
        raise UserError(
            f"--batching_parameters_file: {file}: allowed_batch_sizes must ascend and end with "
            f"max_batch_size, {parameters.max_batch_size}."
        )
    unused = [
        name
        for name in (
            "enable_large_batch_splitting",
            "max_execution_batch_size",
            "pad_variable_length_inputs",
        )
        if any(field.name == name for field, _ in given.ListFields())
    ]
    if unused:
        logging.warning("%s: without effect here: %s.", file, ", ".join(unused))
    return parameters


class _Task:
    """A request that waits for its answer."""

    def __init__(self, inputs: _Arrays, rows: int, deadline: float | None) -> None:
        self.inputs = inputs
        self.rows = rows
        self.deadline = deadline
        self.queued_at = time.monotonic()
        self.done = threading.Event()
        self.outputs: dict[str, np.ndarray] = {}
        self.error: ServingError | None = None

    def finish(
        self, outputs: dict[str, np.ndarray] | None = None, error: ServingError | None = None
    ) -> None:
        self.outputs, self.error = outputs or {}, error
        self.done.set()

    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


class _Batch:
    """Requests for the same signature whose rows can stand below each other."""

    def __init__(self, signature: Signature, form: object) -> None:
        self.signature = signature
        self.form = form
        self.tasks: list[_Task] = []
        self.rows = 0
        self.begun = time.monotonic()
        self.closed = False

    def add(self, task: _Task) -> None:
        self.tasks.append(task)
        self.rows += task.rows


class Batcher:
    """Runs signatures on merged requests, in threads of its own."""

    def __init__(self, parameters: Parameters, metrics: Metrics) -> None:
        """Takes how to batch and where to count, and starts the threads."""
        self._parameters = parameters
        self._metrics = metrics
        self._changed = threading.Condition()
        self._batches: collections.deque[_Batch] = collections.deque()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{n}", daemon=True)
            for n in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, grace: float) -> None:
        """Ends the threads once nothing waits any more.

        Args:
            grace: How long to wait for that, in seconds; a running model cannot be interrupted.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def run(
        self, signature: Signature, inputs: _Arrays, deadline: float | None
    ) -> dict[str, np.ndarray]:
        """Runs a signature, together with other requests for it.

        Args:
            signature: What to run.
            inputs: Arrays as it takes them.
            deadline: When the answer is of no more use, in monotonic seconds.

        Raises:
            ServingError: RESOURCE_EXHAUSTED, at once: too much waits already. DEADLINE_EXCEEDED:
                its turn did not come in time. INVALID_ARGUMENT: the inputs do not have the same
                number of rows, or more than a batch holds. Or what the model says.
        """
        rows = {array.shape[0] if array.ndim else -1 for array in inputs.values()}
        if rows == {0}:
            return signature.run(inputs)  # For the model to judge; there is nothing to merge.
        if len(rows) != 1 or min(rows) < 0:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                "Batching Run() input tensors must have equal 0th-dimension size",
            )
        task = _Task(inputs, rows.pop(), deadline)
        if task.rows > self._parameters.max_batch_size:
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"Task size {task.rows} is larger than maximum input batch size "
                f"{self._parameters.max_batch_size}",
            )
        self._enqueue(signature, task)
        if not task.done.wait(None if deadline is None else max(0.0, deadline - time.monotonic())):
            raise ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed while it waited.")
        if task.error is not None:
            raise task.error
        return task.outputs

    def _enqueue(self, signature: Signature, task: _Task) -> None:
        form = tuple((name, a.dtype.str, a.shape[1:]) for name, a in sorted(task.inputs.items()))
        with self._changed:
            if self._stopping:
                raise ServingError(Code.UNAVAILABLE, "The server is stopping.")
            waiting = [batch for batch in self._batches if batch.signature is signature]
            # Only into the newest of its form, so that none is overtaken by a smaller one.
            batch = next((b for b in reversed(waiting) if b.form == form), None)
            if batch is None or batch.rows + task.rows > self._parameters.max_batch_size:
                if len(waiting) >= self._parameters.max_enqueued_batches:
                    raise ServingError(
                        Code.RESOURCE_EXHAUSTED,
                        "The batch scheduling queue to which this task was submitted is full",
                    )
                if batch is not None:
                    batch.closed = True
                batch = _Batch(signature, form)
                self._batches.append(batch)
            batch.add(task)
            self._metrics.queued(sum(len(b.tasks) for b in self._batches))
            self._changed.notify()

    def _work(self) -> None:
        while True:
            batch = self._next()
            if batch is None:
                return
            try:
                self._run(batch)
            except Exception as error:  # A bug; the thread must live on, and the requests end.
                logging.exception("A batch failed unexpectedly.")
                for task in batch.tasks:
                    if not task.done.is_set():
                        task.finish(error=ServingError(Code.INTERNAL, type(error).__name__))

    def _next(self) -> _Batch | None:
        """Waits for a batch that is full or has waited long enough; None at the end."""
        with self._changed:
            while True:
                now = time.monotonic()
                wait = None
                for batch in self._batches:
                    left = batch.begun + self._parameters.batch_timeout_s - now
                    full = batch.closed or batch.rows >= self._parameters.max_batch_size
                    if full or left <= 0 or self._stopping:
                        self._batches.remove(batch)
                        self._metrics.queued(sum(len(b.tasks) for b in self._batches))
                        if self._batches:
                            # Whoever was woken for them may just have given up waiting.
                            self._changed.notify()
                        return batch
                    wait = left if wait is None else min(wait, left)
                if self._stopping:
                    return None
                self._changed.wait(wait)

    def _run(self, batch: _Batch) -> None:
        tasks = []
        for task in batch.tasks:
            self._metrics.dequeued(task.rows, time.monotonic() - task.queued_at)
            if task.late():
                task.finish(
                    error=ServingError(
                        Code.DEADLINE_EXCEEDED, "The deadline passed while it waited."
                    )
                )
            else:
                tasks.append(task)
        if not tasks:
            return
        rows = sum(task.rows for task in tasks)
        size = next((s for s in self._parameters.allowed_batch_sizes if s >= rows), rows)
        self._metrics.batched(rows, size - rows)
        try:
            outputs = batch.signature.run(_merged(tasks, size - rows))
            self._hand_out(tasks, outputs, size)
        except ServingError as error:
            if len(tasks) == 1 and size == rows:
                tasks[0].finish(error=error)
                return
            # Each alone and as it came: only what is wrong fails, and rows are counted from its
            # own first one.
            for task in tasks:
                try:
                    self._hand_out([task], batch.signature.run(task.inputs), task.rows)
                except ServingError as own:
                    task.finish(error=own)

    def _hand_out(self, tasks: Sequence[_Task], outputs: _Arrays, size: int) -> None:
        for name, array in outputs.items():
            if not array.ndim or array.shape[0] != size:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Output {name!r} does not have one row for each row of the inputs, as "
                    "batching needs.",
                )
        start = 0
        for task in tasks:
            task.finish({name: a[start : start + task.rows] for name, a in outputs.items()})
            start += task.rows


def _merged(tasks: Sequence[_Task], padding: int) -> dict[str, np.ndarray]:
    if len(tasks) == 1 and not padding:
        return dict(tasks[0].inputs)
    first = tasks[0].inputs
    return {
        name: np.concatenate(
            [*(task.inputs[name] for task in tasks), *([array[:1]] * padding)], axis=0
        )
        for name, array in first.items()
    }
