"""StarGAN of this package, as training makes it, to be timed."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from legan_tf.data import pipeline
from legan_tf.data.faceset import FaceSet
from legan_tf.training import devices, train
from legan_tf.training.config import TrainConfig
from legan_tf.training.datasets import Datasets, rendered_split

CONFIG = TrainConfig(
    model="stargan",
    expressions="affectnet",
    edit_lighting=False,
    batch_size=4,
    identity_weight=0.0,
    quality_weight=0.0,
    ema_decay=0.0,
)
"""``configs/stargan.flags`` with the eight attributes that make G 8,439,936 and D 44,786,624
parameters."""


def faces(config: TrainConfig) -> FaceSet:
    """Returns the pictures of one rendered person, with expressions alone."""
    split = rendered_split("train", 1, config.expressions, True, config.image_size, config.seed)
    return split.of_expressions()


def training_step(config: TrainConfig) -> Callable[[], dict[str, float]]:
    """Returns what makes one training step and gives the running means of the losses.

    The process, the model and the step are those of ``scripts/train.py``; the batch, always the
    same, is in memory.

    Args:
        config: A configuration of StarGAN.
    """
    strategy = devices.set_up(config)
    data = Datasets(faces(config), None, "")
    with strategy.scope():
        trainer = train._trainer(config, data, {})
        train._compile(trainer, config)
        trainer.make_train_function()
    batches = pipeline.editing_batches(
        data.train, config.batch_size, config.seed, steps=1, critic_steps=config.critic_steps
    )
    batch = tf.data.Dataset.from_tensors(next(iter(batches))).repeat()
    feed = iter(strategy.experimental_distribute_dataset(batch.with_options(batches.options())))

    def step() -> dict[str, float]:
        return {name: float(value) for name, value in trainer.train_function(feed).items()}

    return step
