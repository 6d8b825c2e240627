"""What a run says of itself: its plan, and the record of each start."""

from __future__ import annotations

import datetime
import os
import platform
import sys

import keras
import tensorflow as tf

from legan_tf.runtime import hardware
from legan_tf.training import devices
from legan_tf.training.datasets import Datasets
from legan_tf.training.system import System
from legan_tf.training.trainer import Trainer
from legan_tf.training.workers import this_worker


def plan(system: System, data: Datasets, trainer: Trainer) -> str:
    """Returns the plan of a run, as ``--dry_run`` prints it."""
    lines = [f"plan of {system.run.workdir} ({system.model})", data.table]
    lines += [f"device: {device}" for device in hardware.devices()]
    for auxiliary in system.auxiliaries():
        form = "one on the same data" if auxiliary.on_same_data else "a small one"
        source = auxiliary.given or f"{form} is trained first ({auxiliary.name}/)"
        lines.append(f"{auxiliary.name} network: {source}")
    lines += [f"{name}: {count:,} parameters" for name, count in trainer.parameter_counts().items()]
    steps = f"{system.run.train_steps:,} steps of {system.run.batch_size} images"
    if system.n_critic > 1:
        steps += f", {system.n_critic} updates of the discriminator in each"
    return "\n".join([*lines, steps, "", system.to_flagfile().rstrip()])


def run_record(
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
