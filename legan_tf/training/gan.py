"""Training a generator against a discriminator that also reads attributes."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.data.faceset import FaceSet
from legan_tf.models import (
    AttributeGenerator,
    Discriminator,
    FaceNetwork,
    QualityEstimator,
)
from legan_tf.models.layers import PACKAGE
from legan_tf.training.adversarial import ATTRIBUTES, AdversarialModel, Batch
from legan_tf.training.samples import sample_grid


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
class AttributeGAN(AdversarialModel):
    """LEGAN, StarGAN and StarGAN with L_qual: they differ in the generator and the weights."""

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
        objective = objective or Objective()
        for term, weight, network in (
            ("quality", objective.quality_weight, quality),
            ("identity", objective.identity_weight, identity),
        ):
            if weight and network is None:
                raise ValueError(f"{term}_weight is {weight}, but there is no {term} network")
        super().__init__(generator, discriminator, objective.ema_decay, name)
        self.objective = objective
        self.quality = quality if objective.quality_weight else None
        self.identity = identity if objective.identity_weight else None
        for network in (self.quality, self.identity):
            if network is not None:
                network.build()
                network.trainable = False

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        names = ["critic", "penalty", "critic_attributes", "generator", "attributes"]
        names.append("reconstruction")
        names += ["identity"] if self.identity is not None else []
        names += ["naturalness", "preservation"] if self.quality is not None else []
        return tuple(names)

    @property
    def frozen(self) -> list[keras.Model]:
        """Q and the identity network, where they guide."""
        return [network for network in (self.quality, self.identity) if network is not None]

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns ``sample_grid`` of the generator that ``network`` names."""
        return sample_grid(self.network, faces, indices)

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
        return cls(**cls.arguments_from(config))

    @classmethod
    def arguments_from(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Returns the arguments of ``__init__`` that ``get_config`` described."""
        networks = {
            key: None if config[key] is None else keras.saving.deserialize_keras_object(config[key])
            for key in ("generator", "discriminator", "quality", "identity")
        }
        return {**networks, "objective": Objective(**config["objective"]), "name": config["name"]}

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

    def _generate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The edited images."""
        return {"edited": self.generator(self._request(batch), training=True)["image"]}

    def _update_critics(self, batch: Batch, made: dict[str, tf.Tensor]) -> None:
        """One update of the discriminator on real images and the generator's."""
        self._update_critic("d_optimizer", self.objective, batch, batch["image"], made["edited"])

    def _wanted(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The labels that edited images should have."""
        return {
            name: tf.where(batch[f"target_{name}"] < 0, batch[name], batch[f"target_{name}"])
            for name in ATTRIBUTES
        }

    def _goals(self, batch: Batch, made: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The generator's full loss."""
        goal = self.objective
        original, edited = batch["image"], made["edited"]
        total = self._judged(self.discriminator, goal, edited, self._wanted(batch))
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
            natural = losses.quality_naturalness_loss(rated[1], goal.quality_target)
            preserved = tf.where(
                undoable, losses.quality_preservation_loss(rated[0], rated[2]), 0.0
            )
            total += goal.quality_weight * (
                self._average("naturalness", natural) + self._average("preservation", preserved)
            )
        return {"g_optimizer": total}


def _at_size(images: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes images for a network of another input size, differentiably."""
    if images.shape[1] == size:
        return images
    return tf.image.resize(images, [size, size], antialias=True)
