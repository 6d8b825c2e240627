"""Training steps on one batch, to be timed."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from legan_tf.training.trainer import Batch, Trainer


def repeated_step(
    strategy: tf.distribute.Strategy, trainer: Trainer, batch: Batch
) -> Callable[[], dict[str, float]]:
    """Returns a callable that makes one step as ``fit`` does.

    Args:
        strategy: The strategy in whose scope the trainer was compiled.
        trainer: A compiled trainer of one step per execution.
        batch: An element of ``System.batches``, of the global batch size.

    Returns:
        A callable that waits for the step to end and returns the mean losses.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    ready = tf.data.Dataset.from_tensors(batch).repeat().with_options(options)
    feed = iter(strategy.experimental_distribute_dataset(ready))
    trainer.make_train_function()
    run = trainer.train_function
    return lambda: {name: float(value) for name, value in run(feed).items()}
