"""A system of a test's own, as one module: pictures to negatives and back, after CycleGAN.

Two generators share an optimizer and are updated first; two discriminators with an optimizer each
see a pool of the images of the step before.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import POSITIVE, Options, group, option
from legan_tf.graph_ops.pixels import to_float, to_uint8
from legan_tf.models import Network
from legan_tf.training.gan import ADVERSARIAL_TERMS, AdversarialTrainer
from legan_tf.training.optimizers import Adam
from legan_tf.training.run_folder import NETWORK_FILE
from legan_tf.training.system import register
from legan_tf.training.systems.adversarial import AdversarialSystem
from legan_tf.training.trainer import Role

SIDES = ("negative", "positive")


@keras.saving.register_keras_serializable(package="tests")
class Painter(Network):
    """Two convolutions."""

    def __init__(self, image_size: int, filters: int, name: str = "painter") -> None:
        super().__init__(name)
        self.image_size, self.filters = image_size, filters
        self.read = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")
        self.paint = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")

    def build_layers(self) -> None:
        self.read.build((None, self.image_size, self.image_size, 3))
        self.paint.build((None, self.image_size, self.image_size, self.filters))

    def call(self, images, training=False):
        return self.paint(self.read(images))


class CycleGAN(AdversarialTrainer):
    roles = {
        "negative": Role("g_optimizer", averaged=True, file=NETWORK_FILE),
        "positive": Role("g_optimizer", averaged=True, file="positive.keras"),
        "negative_discriminator": Role("negative_d_optimizer", discriminator=True),
        "positive_discriminator": Role("positive_d_optimizer", discriminator=True),
    }
    terms = tuple(f"{side}_{term}" for side in SIDES for term in ADVERSARIAL_TERMS)

    def __init__(self, networks, adversarial, batch_size):
        super().__init__(networks, dict.fromkeys(SIDES, adversarial.ema_decay), name="cycle_gan")
        self.adversarial = adversarial
        size = self.negative.image_size
        self.pool = tf.Variable(
            tf.zeros([2, batch_size, size, size, 3]),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    @property
    def state(self):
        return {**super().state, "pool": self.pool}

    def samples(self, faces, indices):
        images = to_float(tf.constant(faces.images(indices)))
        return np.concatenate(to_uint8(self.used("negative")(images)).numpy(), 1)

    def generate(self, batch):
        return {
            "negative": self.negative(batch["image"]),
            "positive": self.positive(-batch["image"]),
        }

    def discriminator_losses(self, batch, fake):
        real = {"negative": -batch["image"], "positive": batch["image"]}
        return {
            f"{side}_d_optimizer": self.discriminator_loss(
                getattr(self, f"{side}_discriminator"),
                batch,
                real[side],
                fake[side],
                prefix=f"{side}_",
            )
            for side in SIDES
        }

    def generator_losses(self, batch, fake):
        undone = {
            "negative": self.negative(fake["positive"]),
            "positive": self.positive(fake["negative"]),
        }
        real = {"negative": -batch["image"], "positive": batch["image"]}
        total = tf.constant(0.0)
        for side in SIDES:
            D = getattr(self, f"{side}_discriminator")
            total += self.adversarial_and_classification(D, fake[side], batch, prefix=f"{side}_")
            L_rec = losses.reconstruction_loss(real[side], undone[side])
            weight = self.adversarial.reconstruction_weight
            total += weight * self.logged_mean(f"{side}_reconstruction", L_rec)
        return {"g_optimizer": total}

    def train_step(self, data):
        batch = {name: values[:, 0] for name, values in data.items()}
        with tf.GradientTape() as tape:
            fake = self.generate(batch)
            total = self.generator_losses(batch, fake)["g_optimizer"]
        self.apply({"g_optimizer": tape.gradient(total, self.variables_of("g_optimizer"))})
        earlier = dict(zip(SIDES, tf.unstack(tf.identity(self.pool))))
        self.pool.assign(tf.stack([fake[side] for side in SIDES]))
        self.update_discriminators(batch, earlier)
        self.update_averages()
        return self.results()


@dataclasses.dataclass(frozen=True)
class PainterOptions(Options):
    """The form of the two generators."""

    filters: int = option(4, "Painters: channels between the convolutions.", limit=POSITIVE)
    d_rate: float = option(2e-3, "Learning rate of the discriminators.", limit=POSITIVE)


@register
@dataclasses.dataclass(frozen=True)
class Cycle(AdversarialSystem):
    """Pictures to negatives and back."""

    model: ClassVar[str] = "cycle"
    columns: ClassVar[tuple[str, ...]] = ("expression",)
    trainer_class: ClassVar[type] = CycleGAN
    network_class: ClassVar[type] = Painter

    painter: PainterOptions = group(PainterOptions)

    def network(self, faces):
        return Painter(self.data.image_size, self.painter.filters, name="negative_painter")

    def trainer(self, network, faces, auxiliaries):
        back = Painter(self.data.image_size, self.painter.filters, name="positive_painter")
        networks = {"negative": network, "positive": back}
        for side in SIDES:
            name = f"{side}_discriminator"
            networks[name] = self.new_discriminator(faces, name)
        return CycleGAN(networks, self.gan, self.run.batch_size)

    def optimizers(self, trainer):
        made = super().optimizers(trainer)
        for side in SIDES:
            made[f"{side}_d_optimizer"] = Adam(self.painter.d_rate)
        return made
