"""Training a generator against a discriminator that also reads attributes."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from legan_tf import losses
from legan_tf.compat import assign_in_replica
from legan_tf.models import (
    AttributeGenerator,
    Discriminator,
    FaceNetwork,
    QualityEstimator,
    copy_of,
)
from legan_tf.models.layers import PACKAGE

ATTRIBUTES = ("expression", "lighting")


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the two networks are trained for: the terms of LEGAN's full loss and their weights.

    Attributes:
        adversarial: ``wgan-gp`` (inferred from the papers' lineage) or ``hinge`` (ours).
        adversarial_weight: λ of L_adv.
        attribute_weight: λ of L_cls, in both networks.
        reconstruction_weight: λ of L_rec.
        identity_weight: λ of L_id; 0 leaves the identity network out.
        quality_weight: λ of L_qual; 0 leaves Q out, which makes LEGAN's loss StarGAN's.
        quality_target: The rating that L_qual pulls edited faces to, 1 to 10.
        penalty_weight: λ of the gradient penalty (``wgan-gp``) or of R1 (``hinge``).
        penalty_every: The penalty is taken at every n-th generator step, n times as strong.
        ema_decay: Decay of the averaged generator that is sampled and exported; 0 for none.
    """

    adversarial: str = "wgan-gp"
    adversarial_weight: float = 1.0
    attribute_weight: float = 1.0
    reconstruction_weight: float = 10.0
    identity_weight: float = 10.0
    quality_weight: float = 1.0
    quality_target: float = 8.0
    penalty_weight: float = 10.0
    penalty_every: int = 1
    ema_decay: float = 0.999


@keras.saving.register_keras_serializable(package=PACKAGE)
class AttributeGAN(keras.Model):
    """LEGAN, StarGAN and StarGAN with L_qual: they differ in the generator and the weights.

    One ``train_step`` takes a batch of ``editing_batches``: ``critic_steps`` updates of the
    discriminator and one of the generator, in straight-line code, as MirroredStrategy needs it.
    The generator's update reuses the images that the last discriminator update judged.
    """

    def __init__(
        self,
        generator: AttributeGenerator,
        discriminator: Discriminator,
        quality: QualityEstimator | None = None,
        identity: FaceNetwork | None = None,
        objective: Objective | None = None,
        name: str | None = "attribute_gan",
    ) -> None:
        """Takes the networks.

        Args:
            generator: G.
            discriminator: D.
            quality: Q, frozen here; needed where ``objective.quality_weight`` is positive.
            identity: The face network of L_id, frozen here; needed where
                ``objective.identity_weight`` is positive.
            objective: What to train for.
            name: Name of the Keras model.

        Raises:
            ValueError: A weight is positive and its network is missing.
        """
        super().__init__(name=name)
        self.objective = objective or Objective()
        for term, weight, network in (
            ("quality", self.objective.quality_weight, quality),
            ("identity", self.objective.identity_weight, identity),
        ):
            if weight and network is None:
                raise ValueError(f"{term}_weight is {weight}, but there is no {term} network")
        self.generator = generator
        self.discriminator = discriminator
        self.quality = quality if self.objective.quality_weight else None
        self.identity = identity if self.objective.identity_weight else None
        for network in (generator, discriminator, self.quality, self.identity):
            if network is not None:
                network.build()
        for frozen in (self.quality, self.identity):
            if frozen is not None:
                frozen.trainable = False
        self.averaged_generator = None
        if self.objective.ema_decay:
            self.averaged_generator = copy_of(generator, f"averaged_{generator.name}")
            self.averaged_generator.trainable = False
        self._means = [keras.metrics.Mean(name=term) for term in self.terms]
        self.built = True

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        names = ["critic", "penalty", "critic_attributes", "generator", "attributes"]
        names.append("reconstruction")
        names += ["identity"] if self.identity is not None else []
        names += ["naturalness", "preservation"] if self.quality is not None else []
        return tuple(names)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the losses."""
        return self._means

    @property
    def network(self) -> AttributeGenerator:
        """The generator to sample, judge and export."""
        return self.averaged_generator or self.generator

    def build(self, input_shape: Any = None) -> None:
        """The networks are built when the model is made."""

    def compile(
        self,
        d_optimizer: keras.optimizers.Optimizer,
        g_optimizer: keras.optimizers.Optimizer,
        steps_per_execution: int = 1,
    ) -> None:
        """Takes the two optimizers and builds them, so that checkpoints restore into them.

        Args:
            d_optimizer: Optimizer of the discriminator.
            g_optimizer: Optimizer of the generator; also what Keras' own callbacks act on.
            steps_per_execution: Steps between returns to Python.
        """
        super().compile(optimizer=g_optimizer, steps_per_execution=steps_per_execution)
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        d_optimizer.build(self.discriminator.trainable_variables)
        g_optimizer.build(self.generator.trainable_variables)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns what ``compile_from_config`` needs."""
        return {
            "d_optimizer": keras.saving.serialize_keras_object(self.d_optimizer),
            "g_optimizer": keras.saving.serialize_keras_object(self.g_optimizer),
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with the optimizers that ``get_compile_config`` described."""
        self.compile(
            **{key: keras.saving.deserialize_keras_object(value) for key, value in config.items()}
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration that ``from_config`` takes."""
        networks = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "quality": self.quality,
            "identity": self.identity,
        }
        return {
            **{
                key: None if network is None else keras.saving.serialize_keras_object(network)
                for key, network in networks.items()
            },
            "objective": dataclasses.asdict(self.objective),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> AttributeGAN:
        """Makes the model that ``get_config`` described."""
        networks = {
            key: None if config[key] is None else keras.saving.deserialize_keras_object(config[key])
            for key in ("generator", "discriminator", "quality", "identity")
        }
        return cls(**networks, objective=Objective(**config["objective"]), name=config["name"])

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Edits images with the generator that ``network`` names."""
        return self.network(inputs)

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Updates the discriminator once for each sub-batch, then the generator once.

        Args:
            data: A batch of ``editing_batches``.

        Returns:
            The running mean of every term in ``terms``, unweighted.
        """
        critic_steps = data["image"].shape[1]
        batches = [
            {name: values[:, step] for name, values in data.items()} for step in range(critic_steps)
        ]
        for batch in batches[:-1]:
            self._update_critic(batch, self.generator(self._request(batch))["image"])
        self._update_generator(batches[-1])
        return {mean.name: mean.result() for mean in self._means}

    def _request(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The generator's input: the image and the target codes."""
        return self._coded(batch["image"], {name: batch[f"target_{name}"] for name in ATTRIBUTES})

    def _coded(self, image: tf.Tensor, labels: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """An image with one-hot codes; a negative label becomes a row of zeros."""
        classes = {
            "expression": len(self.generator.expressions),
            "lighting": len(self.generator.lightings),
        }
        codes = {name: tf.one_hot(labels[name], classes[name]) for name in ATTRIBUTES}
        return {"image": image, **codes}

    def _average(self, term: str, values: tf.Tensor) -> tf.Tensor:
        """Notes a term and returns its share of the mean over the global batch.

        Gradients are summed over replicas, so each divides by the size of all batches together.
        """
        self._means[self.terms.index(term)].update_state(values)
        return tf.reduce_mean(values) / tf.distribute.get_strategy().num_replicas_in_sync

    def _attribute_terms(
        self, judged: dict[str, tf.Tensor], labels: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """Classification loss per sample, summed over the attributes that D reads."""
        return tf.add_n(
            [
                losses.attribute_loss(judged[name], labels[name])
                for name in ATTRIBUTES
                if name in judged
            ]
        )

    def _update_critic(self, batch: dict[str, tf.Tensor], fake: tf.Tensor) -> None:
        """One update of the discriminator on real images and the generator's."""
        goal = self.objective
        real, fake = batch["image"], tf.stop_gradient(fake)
        count = tf.shape(real)[0]

        def scores(images: tf.Tensor) -> tf.Tensor:
            return self.discriminator(images, training=True)["realness"]

        def penalty() -> tf.Tensor:
            if goal.adversarial == "hinge":
                return losses.r1_penalty(scores, real)
            return losses.gradient_penalty(scores, real, fake, batch["mix"])

        with tf.GradientTape() as tape:
            judged = self.discriminator(tf.concat([real, fake], 0), training=True)
            on_real = {name: value[:count] for name, value in judged.items()}
            on_fake = {name: value[count:] for name, value in judged.items()}
            adversarial = losses.critic_loss(
                on_real["realness"], on_fake["realness"], goal.adversarial
            )
            attributes = self._attribute_terms(on_real, batch)
            if self.discriminator.fake_class:
                generated = {
                    name: tf.fill([count], on_fake[name].shape[-1] - 1)
                    for name in ATTRIBUTES
                    if name in on_fake
                }
                attributes += self._attribute_terms(on_fake, generated)
            total = goal.adversarial_weight * self._average("critic", adversarial)
            total += goal.attribute_weight * self._average("critic_attributes", attributes)
            if goal.penalty_weight:
                if goal.penalty_every == 1:
                    values = penalty()
                else:
                    due = self.g_optimizer.iterations % goal.penalty_every == 0
                    values = tf.cond(
                        due, lambda: goal.penalty_every * penalty(), lambda: tf.zeros([count])
                    )
                total += goal.penalty_weight * self._average("penalty", values)
        variables = self.discriminator.trainable_variables
        self.d_optimizer.apply_gradients(zip(tape.gradient(total, variables), variables))

    def _update_generator(self, batch: dict[str, tf.Tensor]) -> None:
        """The last update of the discriminator, and one of the generator on the same images."""
        goal = self.objective
        original = batch["image"]
        with tf.GradientTape() as tape:
            edited = self.generator(self._request(batch), training=True)["image"]
            with tape.stop_recording():
                self._update_critic(batch, edited)
            judged = self.discriminator(edited, training=True)
            total = goal.adversarial_weight * self._average(
                "generator", losses.generator_loss(judged["realness"])
            )
            wanted = {
                name: tf.where(batch[f"target_{name}"] < 0, batch[name], batch[f"target_{name}"])
                for name in ATTRIBUTES
            }
            attributes = self._attribute_terms(judged, wanted)
            total += goal.attribute_weight * self._average("attributes", attributes)
            back = self.generator(self._coded(edited, batch), training=True)["image"]
            # Without its source label an attribute that was changed cannot be changed back.
            undoable = tf.reduce_all(
                [(batch[name] >= 0) | (batch[f"target_{name}"] < 0) for name in ATTRIBUTES], 0
            )
            total += goal.reconstruction_weight * self._average(
                "reconstruction",
                tf.where(undoable, losses.reconstruction_loss(original, back), 0.0),
            )
            if self.identity is not None:
                embedding = self.identity(_at_size(original, self.identity.image_size))
                edited_embedding = self.identity(_at_size(edited, self.identity.image_size))
                total += goal.identity_weight * self._average(
                    "identity", losses.identity_loss(embedding, edited_embedding)
                )
            if self.quality is not None:
                rated = [
                    self.quality(_at_size(image, self.quality.image_size))
                    for image in (original, edited, back)
                ]
                natural = losses.naturalness_loss(rated[1], goal.quality_target)
                preserved = tf.where(undoable, losses.preservation_loss(rated[0], rated[2]), 0.0)
                total += goal.quality_weight * (
                    self._average("naturalness", natural) + self._average("preservation", preserved)
                )
        variables = self.generator.trainable_variables
        self.g_optimizer.apply_gradients(zip(tape.gradient(total, variables), variables))
        if self.averaged_generator is not None:
            decay = goal.ema_decay
            assign_in_replica(
                self.averaged_generator.weights,
                self.generator.weights,
                lambda average, current: average * decay + current * (1.0 - decay),
            )


def _at_size(images: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes images for a network of another input size, differentiably."""
    if images.shape[1] == size:
        return images
    return tf.image.resize(images, [size, size], antialias=True)
