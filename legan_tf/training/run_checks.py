"""Checks of a run before it begins or goes on: its flags, files, workers and networks."""

from __future__ import annotations

import json
import os
import zlib

import keras
import tensorflow as tf

from legan_tf.command_line import options
from legan_tf.data import storage
from legan_tf.data.rendered import FACES
from legan_tf.data.rendered.photograph_layers import photographs_digest
from legan_tf.errors import UserError
from legan_tf.training import devices
from legan_tf.training.datasets import Datasets
from legan_tf.training.options import RunOptions
from legan_tf.training.run_folder import FLAGS_FILE, INPUTS_FILE, saved_step
from legan_tf.training.system import System
from legan_tf.training.systems import from_flagfile
from legan_tf.training.workers import VARIABLE

_FACES = "rendered faces"


def check_resumable(system: System) -> dict[str, str]:
    """Compares the options with those of the run whose folder they name, if there is one.

    Before the first checkpoint nothing depends on the flags and their files, and all may change.

    Args:
        system: The options; their ``workdir`` is the folder.

    Returns:
        The sha256 of each file that a flag names, by flag.

    Raises:
        UserError: Flags that the checkpoint depends on have changed, or the content of their files;
            each is named. Or there is no such file.
    """
    workdir = system.run.workdir
    path = os.path.join(workdir, FLAGS_FILE)
    if not os.path.exists(path) or saved_step(workdir) is None:
        return {**_digests(system.input_files(begun=False)), **_of_rendered(system)}
    changed = changed_flags(from_flagfile(path), system)
    if changed:
        raise UserError(
            f"--workdir={workdir} holds a run with other flags: {'; '.join(changed)}. "
            f"Use another --workdir, or the flags of that run: --flagfile={path}"
        )
    began_with = _inputs_of(workdir)
    if begun_on_other_faces(system) and (saved_step(workdir) or 0) < system.run.train_steps:
        raise UserError(
            f"--workdir={workdir} holds a run on the rendered faces of an earlier version, which "
            "are not drawn any more: it can be used, evaluated and exported, but not go on. Use "
            "another --workdir."
        )
    inputs = {**_digests(system.input_files(begun=True)), **_of_rendered(system)}
    if began_with:
        files = [flag for flag in inputs if flag != _FACES]
        changed = [f"--{flag}" for flag in files if inputs[flag] != began_with.get(flag)]
        if changed:
            raise UserError(
                f"{', '.join(changed)}: its content has changed since this run began in "
                f"{workdir}. Put back what it was, or use another --workdir."
            )
        # Files that only the first step needed stay on record.
        inputs = {**began_with, **inputs}
    if _FACES in inputs and _FACES not in began_with:
        inputs.pop(_FACES)  # A complete run on the faces of before stays one.
    return inputs


def begun_on_other_faces(system: System) -> bool:
    """Whether the run in a system's workdir began on rendered faces of an earlier version."""
    began_with = _inputs_of(system.run.workdir)
    return system.data.dataset == "rendered" and began_with.get(_FACES) != FACES


def _inputs_of(workdir: str) -> dict[str, str]:
    path = os.path.join(workdir, INPUTS_FILE)
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        return json.load(file)


def changed_flags(before: System, now: System) -> list[str]:
    """Returns a phrase for each option that a resumed run may not change and that differs."""
    before, now = before.effective(), now.effective()
    if before.model != now.model:
        return [f"--model was {before.model}, is now {now.model}"]
    was, is_now = before.values(), now.values()
    changed = [
        f"--{name} was {was[name]}, is now {is_now[name]}"
        for name, (field, _) in options.fields_of(now).items()
        if not field.metadata["free"] and was[name] != is_now[name]
    ]
    if "penalty_weight" in {*was} and was["penalty_weight"] != is_now["penalty_weight"]:
        if was.get("adversarial") == "hinge":
            changed.append(
                "R1 is of the mean over patches now, and weights of before are converted"
            )
    schedule, steps = before.optimizer.schedule, before.run.train_steps
    if schedule != "constant" and steps != now.run.train_steps:
        changed.append(
            f"--train_steps was {steps}, is now {now.run.train_steps}: the {schedule} schedule of "
            "the learning rate was laid out for the former"
        )
    return changed


def _of_rendered(system: System) -> dict[str, str]:
    """Returns on which rendered faces a run is, for the record of its inputs."""
    if system.data.dataset != "rendered":
        return {}
    files = {"lights": system.data.lights} if system.data.lights else {}
    found = {_FACES: FACES, **_digests(files)}
    if system.data.layers:
        found["layers"] = photographs_digest(system.data.layers)
    return found


def _digests(files: dict[str, str]) -> dict[str, str]:
    return {flag: storage.sha256(file) for flag, file in files.items()}


def check_auxiliaries(system: System) -> None:
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


def check_alike(system: System, data: Datasets, strategy: tf.distribute.Strategy) -> None:
    """Checks that all workers were started alike; they would wait for each other otherwise."""
    same = system.replace(workdir="", data_dir="")
    started = (same, check_resumable(system), data.table, tf.__version__, keras.__version__)
    digests = devices.gathered(strategy, zlib.crc32(repr(started).encode()))
    if len(set(digests)) > 1:
        raise UserError(
            f"{VARIABLE}: not all workers were started with the flags, the data and the versions "
            "of the chief; only --workdir and --data_dir may differ."
        )


def check_start(run: RunOptions, start: int, starts: list[int]) -> None:
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
