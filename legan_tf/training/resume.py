"""Whether a run folder can be resumed with the flags that are given."""

from __future__ import annotations

import json
import os

from legan_tf.command_line import options
from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.training.run_folder import FLAGS_FILE, INPUTS_FILE, saved_step
from legan_tf.training.system import System
from legan_tf.training.systems import from_flagfile


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
        return _digests(system.input_files(begun=False))
    changed = changed_flags(from_flagfile(path), system)
    if changed:
        raise UserError(
            f"--workdir={workdir} holds a run with other flags: {'; '.join(changed)}. "
            "Use another --workdir, or the flags of that run."
        )
    inputs = _digests(system.input_files(begun=True))
    path = os.path.join(workdir, INPUTS_FILE)
    if os.path.exists(path):
        with open(path) as file:
            began_with = json.load(file)
        changed = [f"--{flag}" for flag in inputs if inputs[flag] != began_with.get(flag)]
        if changed:
            raise UserError(
                f"{', '.join(changed)}: its content has changed since this run began in "
                f"{workdir}. Put back what it was, or use another --workdir."
            )
        # Files that only the first step needed stay on record.
        inputs = {**began_with, **inputs}
    return inputs


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
    schedule, steps = before.optimizer.schedule, before.run.train_steps
    if schedule != "constant" and steps != now.run.train_steps:
        changed.append(
            f"--train_steps was {steps}, is now {now.run.train_steps}: the {schedule} schedule of "
            "the learning rate was laid out for the former"
        )
    return changed


def _digests(files: dict[str, str]) -> dict[str, str]:
    return {flag: storage.sha256(file) for flag, file in files.items()}
