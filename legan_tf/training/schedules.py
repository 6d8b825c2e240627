"""Learning-rate schedules, counted in updates of the optimizer that they belong to."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from legan_tf.models.layers import PACKAGE

NAMES = ("linear", "stargan", "ganimation", "constant")


@keras.saving.register_keras_serializable(package=PACKAGE)
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Constant for the first half (the StarGAN paper), or another share, then linear to 0."""

    def __init__(self, rate: float, updates: int, constant: float = 0.5) -> None:
        """Takes the first rate, the updates of the whole run and the share of constant ones."""
        self.rate = rate
        self.updates = updates
        self.constant = constant

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of update ``step``."""
        falling = self.updates * (1.0 - self.constant)
        left = (self.updates - tf.cast(step, tf.float32)) / falling
        return self.rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {"rate": self.rate, "updates": self.updates, "constant": self.constant}


@keras.saving.register_keras_serializable(package=PACKAGE)
class StarganDecay(keras.optimizers.schedules.LearningRateSchedule):
    """The decay of StarGAN's released code, which differs from the linear decay of its paper.

    Over the second half of the discriminator's updates n, it subtracts rate / (n / 2) once in every
    1,000 iterations instead of in each, so that the rate hardly changes.
    """

    def __init__(self, rate: float, updates: int, iterations_per_update: int = 1) -> None:
        """Takes the first rate, the updates of the run and the discriminator's updates in each."""
        self.rate = rate
        self.updates = updates
        self.iterations_per_update = iterations_per_update

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of update ``step``."""
        iteration = tf.cast(step, tf.float32) * self.iterations_per_update
        half = self.updates * self.iterations_per_update / 2.0
        subtractions = tf.floor(tf.maximum(iteration - half, 0.0) / 1000.0)
        return self.rate * (1.0 - subtractions / half)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {
            "rate": self.rate,
            "updates": self.updates,
            "iterations_per_update": self.iterations_per_update,
        }


def make(name: str, rate: float, updates: int, iterations_per_update: int = 1) -> Any:
    """Returns the learning rate of an optimizer, or its schedule.

    Args:
        name: One of ``NAMES``.
        rate: The first learning rate.
        updates: Updates of this optimizer in the whole run.
        iterations_per_update: Updates of the discriminator in each of these.

    Raises:
        ValueError: There is no such schedule.
    """
    if name == "constant":
        return rate
    if name == "linear":
        return LinearDecay(rate, updates)
    if name == "ganimation":  # 20 of its 30 epochs.
        return LinearDecay(rate, updates, 2 / 3)
    if name == "stargan":
        return StarganDecay(rate, updates, iterations_per_update)
    raise ValueError(f"the schedule is one of {', '.join(NAMES)}, not {name!r}")
