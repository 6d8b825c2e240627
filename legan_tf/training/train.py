"""A training run: auxiliary networks first, then ``fit`` with checkpoints and records."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import os
import platform
import sys
import time
import zlib
from collections.abc import Callable

import keras
import tensorflow as tf

from legan_tf.command_line.cli import say
from legan_tf.errors import UserError
from legan_tf.models import Network
from legan_tf.runtime import compat, hardware
from legan_tf.training import devices, precision
from legan_tf.training.callbacks import Every, Recorder, RunningMeans, Saver
from legan_tf.training.datasets import Datasets
from legan_tf.training.options import AUTO
from legan_tf.training.resume import check_resumable
from legan_tf.training.run_folder import (
    CHECKPOINTS,
    NETWORK_FILE,
    Checkpoints,
    RunFolder,
    saved_step,
)
from legan_tf.training.system import Auxiliary, System
from legan_tf.training.trainer import Trainer
from legan_tf.training.workers import VARIABLE, Worker, this_worker

STOPPED_STATUS = 143
"""Exit status after SIGTERM, as a shell gives it."""
VISIBLE_WITHIN_S = 90.0
"""Longest delay until a network file system shows one machine the files of another."""
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
"""Errors that TensorFlow raises where another worker has ended."""


def train(system: System) -> int:
    """Trains a system, or resumes its run where it was stopped.

    Args:
        system: The system, with all options.

    Returns:
        0 when the run is complete, 143 when a signal stopped it after saving.

    Raises:
        UserError: The flags do not fit together, the data or the checkpoint; or training diverged,
            or another worker was lost.
    """
    system.check()
    for note in [*system.notes(), *devices.notes(system)]:
        say(f"NOTE: {note}")
    # What ``devices.set_up`` sets for the training must not outlast it.
    with hardware.float32_arithmetic():
        return _begin(precision.of_begun_run(system.effective()))


def _begin(system: System) -> int:
    """Meets the other workers, if there are any, and trains."""
    if system.dry_run:
        return _prepare(system, Worker())
    worker = this_worker()
    if worker.count > 1:
        if system.precision == AUTO:
            raise UserError(
                "--precision=auto measures one machine: with several workers choose from "
                f"{', '.join(precision.CANDIDATES)}"
            )
        # Before any look at files: the others would wait for a worker that fails there.
        say(
            f"worker {worker.index} of {worker.count}: waits for the others "
            f"({', '.join(worker.addresses)})"
        )
        devices.join(system)
    try:
        return _prepare(system, worker)
    except LOST as error:
        if worker.count == 1:
            raise
        lines = str(error).rpartition("aborted by: ")[2].splitlines()
        reason = lines[0].partition(". ")[0] if lines else type(error).__name__
        raise UserError(
            f"worker {worker.index} of {worker.count}: another worker has ended or cannot be "
            f"reached any more ({reason.rstrip(':')}); see its own output for the reason. "
            "The same command on all workers resumes."
        ) from error


def _prepare(system: System, worker: Worker) -> int:
    """Checks everything that can be checked before the work, then trains."""
    check_resumable(system)
    _check_auxiliaries(system)
    if not system.dry_run and _is_complete(system):
        say(f"{system.workdir}: complete at step {saved_step(system.workdir)}, nothing to do")
        return 0
    if worker.count == 1:
        devices.claim(system.replicas)
    data = system.datasets()
    if system.dry_run:
        return _dry_run(system, data)
    say(data.table)
    if system.precision == AUTO:
        system = _with_measured_precision(system, data)
    return _train(system, data, worker)


def _is_complete(system: System) -> bool:
    """Whether a run has taken all its steps and written its networks."""
    done = saved_step(system.workdir)
    files = [os.path.join(system.workdir, name) for name in system.product_files]
    return all(map(os.path.isfile, files)) and done is not None and done >= system.train_steps


def _check_auxiliaries(system: System) -> None:
    """Checks the options of the networks that are trained first."""
    for auxiliary in system.auxiliaries():
        if not auxiliary.given:
            try:
                auxiliary.system.check()
            except UserError as error:
                raise UserError(
                    f"the {auxiliary.name} network, which is trained first (--auxiliary_steps, or "
                    f"give --{auxiliary.flag}): {error}"
                ) from error


def _with_measured_precision(system: System, data: Datasets) -> System:
    """Returns the system with the quicker precision, and says which it is."""

    def make(form: System) -> tuple[tf.distribute.Strategy, Trainer]:
        strategy = devices.set_up(form)
        with strategy.scope():
            trainer = _untrained(form, data)
            compile_trainer(trainer, form)
        return strategy, trainer

    batch = next(iter(system.batches(data.train, 0)))
    seconds = precision.step_seconds(system, batch, make)
    chosen = precision.quicker(seconds)
    figures = ", ".join(f"{name} {value:.3g} s a step" for name, value in seconds.items())
    say(f"--precision=auto: {figures}; trains in {chosen}")
    return dataclasses.replace(system, precision=chosen)


def _untrained(system: System, data: Datasets) -> Trainer:
    """Returns the model to fit with the networks that are given, and others untrained."""
    networks: dict[str, Network] = {}
    for auxiliary in system.auxiliaries():
        networks.update(_auxiliary_networks(auxiliary, auxiliary.given, data))
    return make_trainer(system, data, networks)


def _dry_run(system: System, data: Datasets) -> int:
    """Prints the plan of a run."""
    devices.set_up(system)
    lines = [f"plan of {system.workdir} ({system.model})", data.table]
    lines += [f"device: {device}" for device in hardware.devices()]
    for auxiliary in system.auxiliaries():
        form = "one on the same data" if auxiliary.on_same_data else "a small one"
        source = auxiliary.given or f"{form} is trained first ({auxiliary.name}/)"
        lines.append(f"{auxiliary.name} network: {source}")
    trainer = _untrained(system, data)
    lines += [f"{name}: {count:,} parameters" for name, count in trainer.parameter_counts().items()]
    steps = f"{system.train_steps:,} steps of {system.batch_size} images"
    if system.critic_steps > 1:
        steps += f", {system.critic_steps} critic updates in each"
    lines += [steps, "", system.to_flagfile().rstrip()]
    print("\n".join(lines))
    return 0


def _train(system: System, data: Datasets, worker: Worker) -> int:
    """Trains or resumes; see ``train``."""
    folder = RunFolder(system.workdir, writes=worker.is_chief)
    try:
        # Again, now that no other process can change the folder.
        folder.begin(system.to_flagfile(), check_resumable(system), system.product_files)
        for auxiliary in system.auxiliaries():
            # The checkpoint of a guided run holds its depth network, further trained.
            resumes = auxiliary.on_same_data and saved_step(system.workdir) is not None
            if not auxiliary.given and not resumes:
                stopped = _train_auxiliary(auxiliary, data, worker)
                if stopped:
                    return stopped
        # Again, since training another network has advanced the random number generators.
        strategy = devices.set_up(system)
        if worker.count > 1:
            _check_alike(system, data, strategy)
        with strategy.scope():
            networks: dict[str, Network] = {}
            for auxiliary in system.auxiliaries():
                networks.update(_auxiliary_networks(auxiliary, auxiliary.path, data))
            trainer = make_trainer(system, data, networks)
            optimizers = compile_trainer(trainer, system)
        if worker.count > 1:
            compat.fit_over_workers(trainer)
        return _fit(system, data, folder, strategy, trainer, optimizers)
    finally:
        folder.close()


def _auxiliary_networks(auxiliary: Auxiliary, path: str, data: Datasets) -> dict[str, Network]:
    """Loads the networks of an auxiliary system; untrained ones where there is no file."""
    if path and os.path.exists(path):
        return auxiliary.system.load_trained(auxiliary.flag, path, data.train)
    return auxiliary.system.new_networks(data.train)


def make_trainer(system: System, data: Datasets, auxiliaries: dict[str, Network]) -> Trainer:
    """Returns the Keras model to fit, not compiled."""
    trainer = system.trainer(system.network(data.train), data, auxiliaries)
    trainer.xla = system.xla
    return trainer


def compile_trainer(trainer: Trainer, system: System) -> dict[str, keras.optimizers.Optimizer]:
    """Compiles the model to fit; returns its optimizers by name."""
    optimizers = system.optimizers(trainer)
    trainer.compile(**optimizers, steps_per_execution=system.steps_per_execution)
    return optimizers


def _check_alike(system: System, data: Datasets, strategy: tf.distribute.Strategy) -> None:
    """Checks that all workers were started alike; they would wait for each other otherwise."""
    same = dataclasses.replace(system, workdir="", data_dir="")
    started = (same, check_resumable(system), data.table, tf.__version__, keras.__version__)
    digests = devices.gathered(strategy, zlib.crc32(repr(started).encode()))
    if len(set(digests)) > 1:
        raise UserError(
            f"{VARIABLE}: not all workers were started with the flags, the data and the versions "
            "of the chief; only --workdir and --data_dir may differ."
        )


def _fit(
    system: System,
    data: Datasets,
    folder: RunFolder,
    strategy: tf.distribute.Strategy,
    trainer: Trainer,
    optimizers: dict[str, keras.optimizers.Optimizer],
) -> int:
    """Restores the last checkpoint and takes the steps that are left."""
    means = RunningMeans(trainer.metrics)
    checkpoints = Checkpoints(
        folder.path(CHECKPOINTS),
        system.keep_checkpoints,
        **trainer.state,
        **optimizers,
        means=means,
    )
    resumed = checkpoints.restore()
    start = compat.scalar(trainer.optimizer.iterations)
    _check_start(system, start, devices.gathered(strategy, start))
    folder.forget_metrics_after(start)
    networks = {**trainer.products, NETWORK_FILE: trainer.network}
    assert tuple(networks) == system.product_files
    if resumed and start >= system.train_steps:
        if not all(os.path.exists(folder.path(name)) for name in networks):
            for name, network in networks.items():
                folder.save_network(network, name)
        say(f"{system.workdir}: complete at step {start}, nothing to do")
        return 0
    if resumed:
        say(f"{system.workdir}: resumed at step {start}")
    devices.announce()
    folder.append_record(_record(system, data, trainer, start, strategy))
    total = system.train_steps
    recorder = Recorder(
        folder,
        system.model,
        start,
        total,
        system.batch_size * system.critic_steps,
        system.log_every,
        {name.replace("optimizer", "rate"): _rate_of(opt) for name, opt in optimizers.items()},
        means,
    )
    saver = Saver(
        folder,
        recorder,
        checkpoints,
        networks,
        system.checkpoint_every,
        total,
        lambda stopped: any(devices.gathered(strategy, int(stopped))),
    )

    @hardware.float32_arithmetic()
    def validate() -> None:
        pictures, metrics = system.validate(trainer, data)
        for name, picture in pictures.items():
            recorder.write_picture(name, picture)
        if metrics:
            recorder.write_metrics(metrics)

    callbacks = [recorder, saver]
    if folder.writes:
        callbacks.insert(1, Every(recorder, system.sample_every, total, validate))
    load = functools.partial(system.batches, data.train, start)
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        batches = strategy.distribute_datasets_from_function(lambda own: load(own=own))
    else:
        batches = load()
    began = time.monotonic()
    try:
        trainer.fit(
            batches,
            epochs=1,
            steps_per_epoch=total - start,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    finally:
        saver.restore_signals()
    # The others need what the chief saves at the end, and itself as long as they train.
    devices.gathered(strategy, recorder.step)
    if saver.stopped_by and recorder.step < total:
        say(f"\n{saver.stopped_by}: saved at step {recorder.step}; the same command resumes")
        return STOPPED_STATUS
    say(f"{system.workdir}: complete, {total - start} steps in {time.monotonic() - began:.0f} s")
    return 0


def _check_start(system: System, start: int, starts: list[int]) -> None:
    """Checks that all workers resume at the same step, and that the steps left can be taken."""
    if len(set(starts)) > 1:
        raise UserError(
            f"--workdir={system.workdir}: the workers find checkpoints of different steps there "
            f"({', '.join(map(str, starts))}): it must be on a file system that all of them share."
        )
    if start % system.steps_per_execution:
        raise UserError(
            f"--steps_per_execution={system.steps_per_execution}: the run goes on at step {start}, "
            "which is no multiple of it; use 1"
        )


def _rate_of(optimizer: keras.optimizers.Optimizer) -> Callable[[], float]:
    return lambda: compat.scalar(optimizer.learning_rate)


def _train_auxiliary(auxiliary: Auxiliary, data: Datasets, worker: Worker) -> int:
    """Trains a network that was not given, and says so."""
    system = auxiliary.system
    if _is_complete(system):
        check_resumable(system)
        return 0
    if auxiliary.on_same_data:
        first = f"a {auxiliary.name} network is trained on the same data first"
        advice = f"To use one for several runs, train it by itself with --model={system.model}."
    else:
        first = f"a small {auxiliary.name} network is trained on rendered faces first"
        advice = "For results on photographs give one trained on photographs."
    say(
        f"NOTE: no --{auxiliary.flag} is given: {first} ({system.train_steps} steps, "
        f"{system.workdir}). {advice}"
    )
    status = _train(system, data if auxiliary.on_same_data else system.datasets(), worker)
    if not status:
        _await_complete(system)
    return status


def _await_complete(system: System) -> None:
    """Waits until this worker, too, sees the files that the chief has written."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while not _is_complete(system):
        if time.monotonic() > deadline:
            raise UserError(
                f"{system.workdir}: this worker does not see the network that the chief has "
                "written there: --workdir must be on a file system that all workers share."
            )
        time.sleep(1)


def _record(
    system: System,
    data: Datasets,
    trainer: Trainer,
    start: int,
    strategy: tf.distribute.Strategy,
) -> dict[str, object]:
    """The line of ``record.jsonl`` about this start of the run."""
    began_with = {
        auxiliary.name: auxiliary.given or f"{auxiliary.path} (trained by this run)"
        for auxiliary in system.auxiliaries()
    }
    return {
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "from_step": start,
        "command": sys.argv,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"{len(tf.config.list_physical_devices('GPU'))} GPUs",
        "devices": hardware.devices(),
        "tensor_float_32": devices.rounds_float32(system),
        "workers": this_worker().count,
        "replicas": strategy.num_replicas_in_sync,
        "parameters": trainer.parameter_counts(),
        "data": data.table.splitlines(),
        "expressions": data.train.expressions,
        "began_with": {**began_with, **system.initial_weights()},
    }
