"""A training run: auxiliary networks first, then ``fit`` with checkpoints and records."""

from __future__ import annotations

import functools
import os
import time

import keras
import tensorflow as tf

from legan_tf.command_line.cli import say
from legan_tf.errors import UserError
from legan_tf.models import Network
from legan_tf.runtime import compat, hardware
from legan_tf.training import devices, precision
from legan_tf.training.callbacks import Recorder, RunningMeans, Saver, Validation
from legan_tf.training.datasets import Datasets
from legan_tf.training.options import AUTO
from legan_tf.training.run_checks import (
    check_alike,
    check_auxiliaries,
    check_resumable,
    check_start,
)
from legan_tf.training.run_folder import (
    CHECKPOINTS,
    NETWORK_FILE,
    Checkpoints,
    RunFolder,
    saved_step,
)
from legan_tf.training.run_record import plan, run_record
from legan_tf.training.system import SYSTEMS, Auxiliary, System
from legan_tf.training.trainer import Trainer
from legan_tf.training.workers import Worker

STOPPED_STATUS = 143
"""Exit status after SIGTERM, as a shell gives it."""
VISIBLE_WITHIN_S = 90.0
"""Longest delay until a network file system shows one machine the files of another."""


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
    for note in [*system.notes(), *devices.notes(system.run)]:
        say(f"NOTE: {note}")
    # What ``devices.set_up`` sets for the training must not outlast it.
    with hardware.float32_arithmetic():
        system = precision.of_begun_run(system.effective())
        # Before any look at files: the others would wait for a worker that fails there.
        worker = Worker() if system.run.dry_run else devices.meet(system.run)
        with devices.lost_workers_named(worker):
            # All that can be checked is, before the work.
            check_resumable(system)
            check_auxiliaries(system)
            if not system.run.dry_run and is_complete(system):
                step = saved_step(system.run.workdir)
                say(f"{system.run.workdir}: complete at step {step}, nothing to do")
                return 0
            if worker.count == 1:
                devices.claim(system.run.replicas)
            data = system.datasets()
            if system.run.dry_run:
                devices.set_up(system.run)
                print(plan(system, data, make_trainer(system, data)[0]))
                return 0
            say(data.table)
            if system.run.precision == AUTO:
                system = _with_measured_precision(system, data)
            return _train(system, data, worker)


def _train(system: System, data: Datasets, worker: Worker) -> int:
    """Trains the networks that are not given, then fits the system's; see ``train``."""
    run = system.run
    folder = RunFolder(run.workdir, writes=worker.is_chief)
    try:
        # Checked again, now that no other process can change the folder.
        inputs = check_resumable(system)
        own = system.trainer_class.product_files()
        of_all = {file for one in SYSTEMS.values() for file in one.trainer_class.product_files()}
        folder.begin(system.to_flagfile(), inputs, sorted(of_all - set(own)))
        for auxiliary in system.auxiliaries():
            # The checkpoint of a guided run holds its depth network, further trained.
            resumes = auxiliary.on_same_data and saved_step(run.workdir) is not None
            if not auxiliary.given and not resumes:
                stopped = _train_auxiliary(auxiliary, data, worker)
                if stopped:
                    return stopped
        # Set up here, since training another network has advanced the random number generators.
        strategy = devices.set_up(run)
        if worker.count > 1:
            check_alike(system, data, strategy)
        with strategy.scope():
            trainer, optimizers = make_trainer(system, data)
        if worker.count > 1:
            compat.fit_over_workers(trainer)

        means = RunningMeans(trainer.metrics)
        checkpoints = Checkpoints(
            folder.path(CHECKPOINTS),
            run.keep_checkpoints,
            **trainer.state,
            **optimizers,
            means=means,
        )
        resumed = checkpoints.restore()
        start = trainer.steps_taken()
        check_start(run, start, devices.gathered(strategy, start))
        folder.forget_metrics_after(start)
        if resumed and start >= run.train_steps:
            folder.save_missing(trainer.products)
            say(f"{run.workdir}: complete at step {start}, nothing to do")
            return 0
        if resumed:
            say(f"{run.workdir}: resumed at step {start}")
        devices.announce()
        folder.append_record(run_record(system, data, trainer, start, strategy))

        recorder = Recorder(folder, system, start, optimizers, means)
        saver = Saver(
            folder,
            recorder,
            checkpoints,
            trainer.products,
            run.checkpoint_every,
            run.train_steps,
            lambda stopped: any(devices.gathered(strategy, int(stopped))),
        )
        callbacks = [recorder, saver]
        if folder.writes:
            callbacks.insert(1, Validation(recorder, system, data))
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
                steps_per_epoch=run.train_steps - start,
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
        finally:
            saver.restore_signals()
        # The others need what the chief saves at the end, and itself as long as they train.
        devices.gathered(strategy, recorder.step)
        if saver.stopped_by and recorder.step < run.train_steps:
            say(f"\n{saver.stopped_by}: saved at step {recorder.step}; the same command resumes")
            return STOPPED_STATUS
        taken, seconds = run.train_steps - start, time.monotonic() - began
        say(f"{run.workdir}: complete, {taken} steps in {seconds:.0f} s")
        return 0
    finally:
        folder.close()


def make_trainer(
    system: System, data: Datasets
) -> tuple[Trainer, dict[str, keras.optimizers.Optimizer]]:
    """Returns the model to fit, compiled, and its optimizers by name.

    The networks of auxiliary systems are loaded; where there are none yet, they are untrained.
    """
    networks: dict[str, Network] = {}
    for auxiliary in system.auxiliaries():
        trained = os.path.isfile(os.path.join(auxiliary.path, NETWORK_FILE))
        if auxiliary.given or trained:
            found = auxiliary.system.load_trained(auxiliary.flag, auxiliary.path, data.train)
        else:
            found = auxiliary.system.new_networks(data.train)
        networks.update(found)
    trainer = system.trainer(system.network(data.train), data.train, networks)
    trainer.xla = system.run.xla
    optimizers = system.optimizers(trainer)
    trainer.compile(**optimizers, steps_per_execution=system.run.steps_per_execution)
    return trainer, optimizers


def is_complete(system: System) -> bool:
    """Whether a run has taken all its steps and written its networks."""
    done = saved_step(system.run.workdir)
    names = system.trainer_class.product_files()
    files = [os.path.join(system.run.workdir, name) for name in names]
    return all(map(os.path.isfile, files)) and done is not None and done >= system.run.train_steps


def _train_auxiliary(auxiliary: Auxiliary, data: Datasets, worker: Worker) -> int:
    """Trains a network that was not given, and says so."""
    system = auxiliary.system
    if is_complete(system):
        check_resumable(system)
        return 0
    if auxiliary.on_same_data:
        first = f"a {auxiliary.name} network is trained on the same data first"
        advice = f"To use one for several runs, train it by itself with --model={system.model}."
    else:
        first = f"a small {auxiliary.name} network is trained on rendered faces first"
        advice = "For results on photographs give one trained on photographs."
    say(
        f"NOTE: no --{auxiliary.flag} is given: {first} ({system.run.train_steps} steps, "
        f"{system.run.workdir}). {advice}"
    )
    status = _train(system, data if auxiliary.on_same_data else system.datasets(), worker)
    if not status:
        _await_complete(system)
    return status


def _await_complete(system: System) -> None:
    """Waits until this worker, too, sees the files that the chief has written."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while not is_complete(system):
        if time.monotonic() > deadline:
            raise UserError(
                f"{system.run.workdir}: this worker does not see the network that the chief has "
                "written there: --workdir must be on a file system that all workers share."
            )
        time.sleep(1)


def _with_measured_precision(system: System, data: Datasets) -> System:
    """Returns the system with the quicker precision, and says which it is."""

    def make(form: System) -> tuple[tf.distribute.Strategy, Trainer]:
        strategy = devices.set_up(form.run)
        with strategy.scope():
            trainer, _ = make_trainer(form, data)
        return strategy, trainer

    batch = next(iter(system.batches(data.train, 0)))
    seconds = precision.step_seconds(system, batch, make)
    chosen = precision.quicker(seconds)
    figures = ", ".join(f"{name} {value:.3g} s a step" for name, value in seconds.items())
    say(f"--precision=auto: {figures}; trains in {chosen}")
    return system.replace(precision=chosen)
