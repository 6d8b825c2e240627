"""Training of this package as ``scripts/train.py`` does it, to be timed; StarGAN's above all."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from legan_tf.data import pipeline
from legan_tf.data.faceset import FaceSet
from legan_tf.models import Network
from legan_tf.training import devices, train
from legan_tf.training.adversarial import AdversarialTrainer
from legan_tf.training.datasets import Datasets, rendered_split
from legan_tf.training.systems.editor import EditorSystem
from legan_tf.training.systems.stargan import Stargan

CONFIG = Stargan(
    expressions="affectnet",
    edit_lighting=False,
    batch_size=4,
    identity_weight=0.0,
    quality_weight=0.0,
    ema_decay=0.0,
)
"""``configs/stargan.flags`` with the eight attributes that make G 8,439,936 and D 44,786,624
parameters, and a batch for processor cores."""


def faces(config: EditorSystem) -> FaceSet:
    """Returns the pictures of one rendered person, with expressions alone."""
    split = rendered_split("train", 1, config.expressions, True, config.image_size, config.seed)
    return split.without_lighting_labels()


@dataclasses.dataclass(frozen=True)
class Training:
    """What ``scripts/train.py`` would train, and a batch in memory.

    Attributes:
        config: Its configuration.
        strategy: What it is distributed by.
        trainer: Compiled.
        optimizers: By their names.
        batch: One element of ``editing_batches``.
    """

    config: EditorSystem
    strategy: tf.distribute.Strategy
    trainer: AdversarialTrainer
    optimizers: dict[str, Any]
    batch: dict[str, tf.Tensor]

    @classmethod
    def of(
        cls, config: EditorSystem, shown: FaceSet | None = None, **auxiliary: Network
    ) -> Training:
        """Prepares this process and makes all of it.

        Args:
            config: A configuration of an editor.
            shown: What to take the batch from; default is ``faces``.
            **auxiliary: The networks that guide it, by the trainer's names for them.
        """
        strategy = devices.set_up(config)
        data = Datasets(shown or faces(config), None, "")
        with strategy.scope():
            trainer = train.make_trainer(config, data, auxiliary)
            optimizers = train.compile_trainer(trainer, config)
        batches = pipeline.editing_batches(
            data.train, config.batch_size, config.seed, steps=1, critic_steps=config.critic_steps
        )
        return cls(config, strategy, trainer, optimizers, next(iter(batches)))

    def step(self) -> Callable[[], dict[str, float]]:
        """Returns what makes one step, as ``fit`` runs it, and gives the means of the losses."""
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        ready = tf.data.Dataset.from_tensors(self.batch).repeat().with_options(options)
        feed = iter(self.strategy.experimental_distribute_dataset(ready))
        self.trainer.make_train_function()
        run = self.trainer.train_function
        return lambda: {name: float(value) for name, value in run(feed).items()}


def training_step(config: EditorSystem) -> Callable[[], dict[str, float]]:
    """Returns ``Training.step`` of a configuration of StarGAN."""
    return Training.of(config).step()


def seconds_apart(config: EditorSystem, repeats: int) -> list[float]:
    """Times training steps in a process of their own, as they are in training.

    Args:
        config: A configuration of StarGAN, with ``replicas`` of the CPU.
        repeats: How many, after one that is not timed.

    Returns:
        Wall times in seconds.

    Raises:
        RuntimeError: The process failed; its own message stands on stderr.
    """
    order = json.dumps({"config": dataclasses.asdict(config), "repeats": repeats})
    command = [sys.executable, "-m", "legan_research.benchmarks.training", order]
    process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        raise RuntimeError("the process that trains failed; its own message stands on stderr")
    return json.loads(process.stdout.splitlines()[-1])


def _main() -> None:
    order = json.loads(sys.argv[1])
    config = Stargan(**order["config"])
    devices.divide_cpu(config.replicas)
    step = training_step(config)
    step()
    seconds = []
    for _ in range(order["repeats"]):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


if __name__ == "__main__":
    _main()
