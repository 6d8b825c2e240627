"""A training run: auxiliary networks first, then ``fit`` with checkpoints and records."""

from __future__ import annotations

import datetime
import functools
import os
import platform
import sys
import time
import zlib

import keras
import tensorflow as tf

from legan_tf.command_line.cli import say
from legan_tf.errors import UserError
from legan_tf.models import Network
from legan_tf.runtime import compat, hardware
from legan_tf.training import devices, precision
from legan_tf.training.callbacks import Recorder, RunningMeans, Saver, Validation
from legan_tf.training.datasets import Datasets
from legan_tf.training.options import AUTO, RunOptions
from legan_tf.training.resume import check_resumable
from legan_tf.training.run_folder import CHECKPOINTS, Checkpoints, RunFolder, saved_step
from legan_tf.training.system import Auxiliary, System
from legan_tf.training.trainer import Trainer
from legan_tf.training.workers import VARIABLE, Worker, this_worker

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
            _check_auxiliaries(system)
            if not system.run.dry_run and is_complete(system):
                step = saved_step(system.run.workdir)
                say(f"{system.run.workdir}: complete at step {step}, nothing to do")
                return 0
            if worker.count == 1:
                devices.claim(system.run.replicas)
            data = system.datasets()
            if system.run.dry_run:
                print(plan(system, data))
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
        folder.begin(system.to_flagfile(), inputs, system.trainer_class.product_files())
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
            _check_alike(system, data, strategy)
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
        start = compat.scalar(trainer.optimizer.iterations)
        _check_start(run, start, devices.gathered(strategy, start))
        folder.forget_metrics_after(start)
        if resumed and start >= run.train_steps:
            folder.save_missing(trainer.products)
            say(f"{run.workdir}: complete at step {start}, nothing to do")
            return 0
        if resumed:
            say(f"{run.workdir}: resumed at step {start}")
        devices.announce()
        folder.append_record(_record(system, data, trainer, start, strategy))

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
        if auxiliary.path and os.path.exists(auxiliary.path):
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


def _check_alike(system: System, data: Datasets, strategy: tf.distribute.Strategy) -> None:
    """Checks that all workers were started alike; they would wait for each other otherwise."""
    same = system.replace(workdir="", data_dir="")
    started = (same, check_resumable(system), data.table, tf.__version__, keras.__version__)
    digests = devices.gathered(strategy, zlib.crc32(repr(started).encode()))
    if len(set(digests)) > 1:
        raise UserError(
            f"{VARIABLE}: not all workers were started with the flags, the data and the versions "
            "of the chief; only --workdir and --data_dir may differ."
        )


def _check_start(run: RunOptions, start: int, starts: list[int]) -> None:
    """Checks that all workers resume at the same step, and that the steps left can be taken."""
    if len(set(starts)) > 1:
        raise UserError(
            f"--workdir={run.workdir}: the workers find checkpoints of different steps there "
            f"({', '.join(map(str, starts))}): it must be on a file system that all of them share."
        )
    if start % run.steps_per_execution:
        raise UserError(
            f"--steps_per_execution={run.steps_per_execution}: the run goes on at step {start}, "
            "which is no multiple of it; use 1"
        )


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


def plan(system: System, data: Datasets) -> str:
    """Returns the plan of a run, as ``--dry_run`` prints it."""
    devices.set_up(system.run)
    lines = [f"plan of {system.run.workdir} ({system.model})", data.table]
    lines += [f"device: {device}" for device in hardware.devices()]
    for auxiliary in system.auxiliaries():
        form = "one on the same data" if auxiliary.on_same_data else "a small one"
        source = auxiliary.given or f"{form} is trained first ({auxiliary.name}/)"
        lines.append(f"{auxiliary.name} network: {source}")
    trainer, _ = make_trainer(system, data)
    lines += [f"{name}: {count:,} parameters" for name, count in trainer.parameter_counts().items()]
    steps = f"{system.run.train_steps:,} steps of {system.run.batch_size} images"
    n_critic = system.images_per_step // system.run.batch_size
    if n_critic > 1:
        steps += f", {n_critic} updates of the discriminator in each"
    return "\n".join([*lines, steps, "", system.to_flagfile().rstrip()])


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
        "tensor_float_32": devices.rounds_float32(system.run),
        "workers": this_worker().count,
        "replicas": strategy.num_replicas_in_sync,
        "parameters": trainer.parameter_counts(),
        "data": data.table.splitlines(),
        "expressions": data.train.names("expression"),
        "conditions": [one.to_dict() for one in data.train.conditions],
        "began_with": {**began_with, **system.initial_weights()},
    }
