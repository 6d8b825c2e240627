"""Callbacks of a run: progress and metrics, sample pictures, checkpoints, signals."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from legan_tf.command_line.cli import Progress, say
from legan_tf.errors import UserError
from legan_tf.runtime import compat
from legan_tf.runtime.hardware import float32_arithmetic
from legan_tf.training.datasets import Datasets
from legan_tf.training.run_folder import CHECKPOINTS, Checkpoints, RunFolder
from legan_tf.training.system import System

DOUBTED_STEPS = 500
"""Steps, at least, that something has to be wrong without a break before a warning is given."""


class TrainingDivergedError(UserError):
    """A loss or a weight is no longer finite, or the run fails; the last checkpoint is kept."""


class RunningMeans(tf.train.experimental.PythonState):
    """The means of the losses since the last line of ``metrics.jsonl``, kept in checkpoints.

    Without them the first line after a resume would be a mean over too few steps.
    """

    def __init__(self, metrics: Sequence[keras.metrics.Metric]) -> None:
        """Takes the metrics."""
        self._variables = [variable for metric in metrics for variable in metric.variables]
        self._read: list[float] | None = None
        self._restored: list[float] | None = None

    def read(self) -> None:
        """Reads the metrics, for the next checkpoint; of several workers all have to take part."""
        self._read = [compat.scalar(variable) for variable in self._variables]

    def serialize(self) -> str:
        """Returns what was read; called when a checkpoint is saved."""
        assert self._read is not None  # Else the checkpoint would begin without means.
        return json.dumps(self._read)

    def deserialize(self, string_value: str) -> None:
        """Takes what ``serialize`` gave; called when a checkpoint is restored."""
        self._restored = json.loads(string_value)

    def put_back(self) -> None:
        """Sets the metrics to what was restored, if anything was."""
        # A checkpoint of version 0.1 may have a term whose weight is 0.
        if self._restored is not None and len(self._restored) == len(self._variables):
            for variable, value in zip(self._variables, self._restored):
                compat.tensorflow_variable(variable).assign(value)
        self._restored = None


class Recorder(keras.callbacks.Callback):
    """Shows progress, writes ``metrics.jsonl`` and TensorBoard scalars, and stops on NaN."""

    def __init__(
        self,
        folder: RunFolder,
        system: System,
        start: int,
        optimizers: Mapping[str, keras.optimizers.Optimizer],
        means: RunningMeans,
    ) -> None:
        """Begins at step ``start``.

        Args:
            folder: Where to write.
            system: Whose run it is.
            start: Steps already done.
            optimizers: By name; their learning rates are noted.
            means: The losses, as the checkpoint left them.
        """
        super().__init__()
        self.step = start
        self.means = means
        self._folder = folder
        self._total = system.run.train_steps
        self._every = system.run.log_every
        self._images = system.images_per_step
        self._optimizers = optimizers
        self._doubts: dict[str, int] = {}
        self._said: set[str] = set()
        self._progress = Progress(self._total, system.model, start)
        self._writer = (
            tf.summary.create_file_writer(folder.path("tensorboard"))
            if folder.writes
            else tf.summary.create_noop_writer()
        )
        self._since = (time.monotonic(), start)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Puts the running means back, which ``fit`` has just reset."""
        self.means.put_back()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks the losses, shows them, and writes a line when one is due."""
        self.step = self.model.steps_taken()
        losses = {name: float(value) for name, value in (logs or {}).items()}
        for name, value in losses.items():
            if not math.isfinite(value):
                raise TrainingDivergedError(
                    f"the term {name!r} became {value} at step {self.step}; the last checkpoint "
                    f"before it is kept in {self._folder.path(CHECKPOINTS)}. Lower "
                    "--learning_rate or the weight of that term."
                )
        now = time.monotonic()
        done = self.step - self._since[1]
        pace = done * self._images / max(now - self._since[0], 1e-9)
        self._progress.update(self.step, **{"images/s": round(pace, 1), **losses})
        if self.step % self._every == 0 or self.step == self._total:
            rates = {
                name.replace("optimizer", "rate"): compat.scalar(optimizer.learning_rate)
                for name, optimizer in self._optimizers.items()
            }
            self.write_metrics({**losses, **rates, "images_per_second": round(pace, 2)})
            self._warn(losses)
            for metric in self.model.metrics:
                metric.reset_state()
            self._since = (now, self.step)

    def write_metrics(self, metrics: dict[str, float]) -> None:
        """Writes metrics of the current step to the run folder; JSON has null in place of NaN."""
        known = {name: x if math.isfinite(x) else None for name, x in metrics.items()}
        self._folder.append_metrics({"step": self.step, **known})
        with self._writer.as_default():
            for name, value in metrics.items():
                tf.summary.scalar(name, value, step=self.step)
        self._writer.flush()

    def write_picture(self, name: str, picture: np.ndarray) -> None:
        """Writes a picture of the current step to the run folder."""
        self._folder.save_picture(f"{name}-{self.step:07d}", picture)
        with self._writer.as_default():
            tf.summary.image(name, picture[None], step=self.step)
        self._writer.flush()

    def _warn(self, losses: Mapping[str, float]) -> None:
        """Says once, by the chief, what has been wrong for so long that it is no accident.

        Raises:
            TrainingDivergedError: It is useless to go on.
        """
        doubts, failures = self.model.warnings(losses), self.model.failures(losses)
        found = [*doubts, *failures]
        self._doubts = {doubt: self._doubts.get(doubt, self._since[1]) for doubt in found}
        for doubt in doubts:
            if self.step - self._doubts[doubt] >= DOUBTED_STEPS and doubt not in self._said:
                self._said.add(doubt)
                if self._folder.writes:
                    say(f"\nWARNING: at step {self.step}: {doubt}")
        for failure, steps in failures.items():
            if self.step - self._doubts[failure] >= steps:
                raise TrainingDivergedError(
                    f"stopped at step {self.step}: {failure}. The last checkpoint is kept in "
                    f"{self._folder.path(CHECKPOINTS)}."
                )


class Validation(keras.callbacks.Callback):
    """Validates every so many steps and after the last one: pictures and metrics."""

    def __init__(self, recorder: Recorder, system: System, data: Datasets) -> None:
        """Takes what knows the step and writes, the system, and the faces to look at."""
        super().__init__()
        self._recorder = recorder
        self._system = system
        self._data = data

    @float32_arithmetic()
    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Validates when it is due."""
        step, run = self._recorder.step, self._system.run
        if step % run.sample_every and step != run.train_steps:
            return
        pictures, metrics = self._system.validate(self.model, self._data)
        for name, picture in pictures.items():
            self._recorder.write_picture(name, picture)
        if metrics:
            self._recorder.write_metrics(metrics)


class Saver(keras.callbacks.Callback):
    """Checkpoints at their turn, and once more before stopping on SIGTERM or SIGINT."""

    def __init__(
        self,
        run: RunFolder,
        recorder: Recorder,
        checkpoints: Checkpoints,
        networks: Mapping[str, keras.Model],
        every: int,
        total: int,
        any_worker: Callable[[bool], bool] = bool,
    ) -> None:
        """Saves every ``every`` steps and at step ``total``.

        Args:
            run: Where the network to use is written.
            recorder: Knows the step.
            checkpoints: Where to save.
            networks: The networks to use by the names of their files, saved along with each
                checkpoint, in this order.
            every: Steps between checkpoints.
            total: Steps of the whole run.
            any_worker: Tells whether any of the workers that train together says yes; called by
                all of them at the end of every step.
        """
        super().__init__()
        self.stopped_by = ""
        self._run = run
        self._recorder = recorder
        self._checkpoints = checkpoints
        self._networks = networks
        self._every = every
        self._total = total
        self._any_worker = any_worker
        self._before: dict[signal.Signals, Any] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes over the signals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note_signal)

    def restore_signals(self) -> None:
        """Gives the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        """Asks the run to save and stop at the end of the step; the next signal is not held."""
        self.stopped_by = signal.Signals(number).name
        signal.signal(number, signal.SIG_DFL)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves when it is due or when a signal came, to this worker or another one."""
        # All workers decide on the same answer: a later signal counts at the next step.
        stop = self._any_worker(bool(self.stopped_by))
        step = self._recorder.step
        if step % self._every == 0 or step == self._total or stop:
            self.save()
        if stop:
            self.stopped_by = self.stopped_by or "another worker was stopped"
            self.model.stop_training = True

    def save(self) -> None:
        """Saves a checkpoint and the network to use; of several workers all have to take part.

        Raises:
            TrainingDivergedError: A weight is not finite; nothing is saved.
        """
        step = self._recorder.step
        self._recorder.means.read()
        try:
            self._checkpoints.check_finite()
        except FloatingPointError as error:
            raise TrainingDivergedError(
                f"the weights of {error} are no longer finite at step {step}; the last checkpoint "
                f"before it is kept in {self._run.path(CHECKPOINTS)}. Lower --learning_rate."
            ) from error
        # In this order a kill between the two leaves a network that the resumed run writes again,
        # never a complete run with the network of an earlier checkpoint.
        for name, network in self._networks.items():
            self._run.save_network(network, name)
        if self._run.writes:
            self._checkpoints.save(step)
