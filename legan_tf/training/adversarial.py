"""Training generators against discriminators that also read attributes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import POSITIVE, option
from legan_tf.data import pipeline
from legan_tf.data.faceset import FaceSet
from legan_tf.losses.terms import LazyInputs, LossTerm
from legan_tf.models import Discriminator, Network, copy_of
from legan_tf.runtime.compat import assign_in_replica
from legan_tf.training.datasets import Datasets
from legan_tf.training.options import (
    AdversarialObjective,
    DiscriminatorOptions,
    HourglassOptions,
)
from legan_tf.training.system import System
from legan_tf.training.trainer import Batch, Trainer

SAMPLED_PEOPLE = 3
ADVERSARIAL_TERMS = ("critic", "penalty", "critic_attributes", "generator", "attributes")
"""Loss terms of every generator and its critic, in the training log."""


@dataclasses.dataclass(frozen=True)
class AdversarialSystem(System, HourglassOptions, DiscriminatorOptions, AdversarialObjective):
    """A system whose generator is trained against a discriminator that reads attributes."""

    critic_steps: int = option(
        5, "Discriminator updates for each generator update.", limit=POSITIVE
    )
    keep_share: ClassVar[float] = 0.0
    """Share of targets that leave an attribute as it is."""
    balance: bool = option(True, "Let the expressions take turns in training.")

    def problems(self) -> list[str]:
        """Adds the rules of sizes."""
        problems = super().problems()
        if self.d_depth > 0 and self.image_size % 2**self.d_depth:
            problems.append(
                f"--image_size={self.image_size} cannot be halved --d_depth={self.d_depth} times"
            )
        if self.image_size % 4:
            problems.append(f"--image_size={self.image_size} must be a multiple of 4")
        if 0 < self.image_size < 8:
            problems.append(f"--image_size={self.image_size} must be 8 or more")
        return problems

    def discriminator(self, faces: FaceSet) -> Discriminator:
        """Returns the discriminator of the generator's images."""
        return Discriminator(
            faces.conditions,
            self.image_size,
            self.d_width,
            self.d_depth,
            self.fake_class,
            name="discriminator",
        )

    def batches(
        self, faces: FaceSet, start: int, own: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Returns ``pipeline.editing_batches``; see ``System``."""
        return pipeline.editing_batches(
            faces,
            self.batch_size,
            self.seed,
            start,
            self.train_steps - start,
            self.critic_steps,
            self.keep_share,
            self.balance,
            self.flip,
            own,
        )

    def validate(
        self, trainer: AdversarialTrainer, data: Datasets
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Returns sample pictures, of people that training does not see where there are any."""
        name, faces = ("samples", data.val) if data.val else ("samples-train", data.train)
        return {name: trainer.samples(faces, sampled_pictures(faces))}, {}


def sampled_pictures(faces: FaceSet) -> np.ndarray:
    """Returns int64 [n], pictures for the samples: different people, each another condition."""
    identity = faces.identity
    # Each picture of an unknown person counts as a person of its own.
    own = identity.max() + 1 + np.arange(len(identity))
    people = np.where(identity < 0, own, identity)
    rng = np.random.default_rng(0)
    chosen = [
        rng.choice(np.flatnonzero(people == person))
        for person in np.unique(people)[:SAMPLED_PEOPLE]
    ]
    return np.array(chosen)


def _sub_batches(data: Batch, count: int) -> list[Batch]:
    """Splits [B,count,...] into batches [B,...]."""
    return [{name: values[:, step] for name, values in data.items()} for step in range(count)]


def averaged(network: Network) -> Network:
    """Returns a copy of a network, to hold the exponential moving average of its weights."""
    copy = copy_of(network, f"averaged_{network.name}")
    copy.trainable = False
    return copy


class AdversarialTrainer(Trainer):
    """Trains generators against critics that also read attributes.

    One ``train_step`` takes a batch of ``editing_batches``: as many updates of the critics as it
    has sub-batches and one of the generators, in straight-line code, as MirroredStrategy needs
    it. The last update reuses the images that the critics have just judged.
    """

    def __init__(
        self, generator: Network, discriminator: Discriminator, ema_decay: float, name: str | None
    ) -> None:
        """Takes and builds the networks.

        Args:
            generator: The generator.
            discriminator: Its critic.
            ema_decay: Decay of the exponential moving average (EMA) of the generator, which is
                sampled and exported; 0 for none.
            name: Name of the Keras model.
        """
        super().__init__(name=name)
        self.generator = generator
        self.discriminator = discriminator
        for network in (generator, discriminator):
            network.build()
        self.ema_decay = ema_decay
        self.averaged_generator = averaged(generator) if ema_decay else None

    @property
    def network(self) -> Network:
        """The generator to sample, judge and export."""
        return self.averaged_generator or self.generator

    @property
    def trained(self) -> dict[str, Network]:
        """The networks that are trained, by the names of their optimizers."""
        return {"d_optimizer": self.discriminator, "g_optimizer": self.generator}

    @property
    def averages(self) -> list[tuple[Network, Network, float]]:
        """The moving averages: each averaged network, the one that it follows, and its decay."""
        if self.averaged_generator is None:
            return []
        return [(self.averaged_generator, self.generator, self.ema_decay)]

    @property
    def state(self) -> dict[str, Network]:
        """The networks that training changes, by their names in checkpoints."""
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        if self.averaged_generator is not None:
            networks["averaged_generator"] = self.averaged_generator
        return networks

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns a sheet, uint8 [H,W,3], of the networks' output for fixed pictures."""
        raise NotImplementedError

    # There is no control flow to convert, and looking for it takes as long as the rest of tracing.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Updates the critics once for each sub-batch, then the generators once.

        Args:
            data: A batch of ``editing_batches``.

        Returns:
            The running mean of every term in ``terms``, unweighted.
        """
        critic_steps = data["image"].shape[1]
        batches = _sub_batches(data, critic_steps)
        # The generator does not change between two updates of its own: one pass makes the images
        # of all sub-batches but the last, which is generated under the tape, in ``_update``.
        if critic_steps > 1:
            early = {
                name: tf.reshape(values[:, :-1], [-1, *values.shape[2:]])
                for name, values in data.items()
            }
            generated = {
                name: tf.reshape(values, [-1, critic_steps - 1, *values.shape[1:]])
                for name, values in self.through_xla(lambda: self._generate(early)).items()
            }
            for batch, seen in zip(batches[:-1], _sub_batches(generated, critic_steps - 1)):
                self._update_critics(batch, seen)
        self._update(batches[-1])
        return self.results()

    def _generate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the images that the critics see, by name."""
        raise NotImplementedError

    def _update_critics(self, batch: Batch, generated: dict[str, tf.Tensor]) -> None:
        """One update of each critic."""
        raise NotImplementedError

    def _generator_losses(
        self, batch: Batch, generated: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the losses of the generators, by the names of their optimizers."""
        raise NotImplementedError

    def _update(self, batch: Batch) -> None:
        """The last update of the critics, and one of the generators on the same images."""
        with tf.GradientTape(persistent=True) as tape:
            generated = self.through_xla(lambda: self._generate(batch))
            with tape.stop_recording():
                self._update_critics(batch, generated)
            totals = self.through_xla(lambda: self._generator_losses(batch, generated))
        variables = {name: self.trained[name].trainable_variables for name in totals}
        gradients = {name: tape.gradient(totals[name], variables[name]) for name in totals}
        for name in totals:
            getattr(self, name).apply_gradients(zip(gradients[name], variables[name]))
        for average, current, decay in self.averages:
            assign_in_replica(
                average.weights,
                current.weights,
                lambda old, new, decay=decay: old * decay + new * (1.0 - decay),
            )

    def _weighted_terms(
        self,
        terms: Sequence[LossTerm],
        options: Any,
        inputs: LazyInputs,
        undoable: tf.Tensor | None = None,
        prefix: str = "",
    ) -> tf.Tensor | float:
        """Records loss terms and returns their weighted sum.

        Args:
            terms: The active terms.
            options: Has their weights.
            inputs: Their arguments.
            undoable: bool [B], the edits that terms over the cycle apply to.
            prefix: Beginning of their names in the training log.
        """
        total = 0.0
        for term in terms:
            values = term.function(*inputs.of(term))
            if term.over_cycle and undoable is not None:
                values = tf.where(undoable, values, 0.0)
            total += getattr(options, term.weight) * self.record(prefix + term.name, values)
        return total

    def _attribute_terms(
        self, judged: Batch, labels: Batch, confidence_penalty: float = 0.0
    ) -> tf.Tensor:
        """Classification loss per sample, summed over the attributes that a critic reads."""
        terms = []
        for name in judged:
            if name != "realness":
                logits = (judged[name], labels[name])
                term = losses.classification_loss(*logits)
                if confidence_penalty:
                    term += confidence_penalty * losses.confidence_penalty(*logits)
                terms.append(term)
        return tf.add_n(terms)

    def _critic_terms(
        self,
        critic: Discriminator,
        objective: AdversarialObjective,
        generated: tf.Tensor,
        wanted: Batch,
        prefix: str = "",
        confidence_penalty: float = 0.0,
    ) -> tf.Tensor:
        """λ_adv L_adv + λ_cls L_cls of generated images; records both terms.

        Args:
            critic: The discriminator.
            objective: The weights.
            generated: float32 [B,S,S,3], the generated images.
            wanted: Has the labels that they should have.
            prefix: Beginning of the terms' names in the training log.
            confidence_penalty: β of the classification.
        """
        judged = critic(generated, training=True)
        total = objective.adversarial_weight * self.record(
            f"{prefix}generator", losses.generator_loss(judged["realness"])
        )
        attributes = self._attribute_terms(judged, wanted, confidence_penalty)
        return total + objective.attribute_weight * self.record(f"{prefix}attributes", attributes)

    def _update_critic(
        self,
        optimizer: str,
        objective: AdversarialObjective,
        batch: Batch,
        real: tf.Tensor,
        fake: tf.Tensor,
        prefix: str = "",
        confidence_penalty: float = 0.0,
    ) -> None:
        """One update of a critic on real and generated images.

        Args:
            optimizer: Its name in ``trained``.
            objective: The weights.
            batch: Has the labels of the real images and the gradient penalty's place.
            real: float32 [B,S,S,3].
            fake: float32 [B,S,S,3].
            prefix: Beginning of its terms' names in the training log.
            confidence_penalty: β of its classification of real images.
        """
        critic = self.trained[optimizer]
        assert isinstance(critic, Discriminator)
        fake = tf.stop_gradient(fake)
        count = tf.shape(real)[0]

        def scores(images: tf.Tensor) -> tf.Tensor:
            return critic(images, training=True)["realness"]

        def penalty() -> tf.Tensor:
            if objective.adversarial == "hinge":
                return losses.r1_penalty(scores, real)
            return losses.gradient_penalty(scores, real, fake, batch["alpha"])

        variables = critic.trainable_variables

        def gradients() -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                judged = critic(tf.concat([real, fake], 0), training=True)
                on_real = {name: value[:count] for name, value in judged.items()}
                on_fake = {name: value[count:] for name, value in judged.items()}
                adversarial = losses.critic_loss(
                    on_real["realness"], on_fake["realness"], objective.adversarial
                )
                attributes = self._attribute_terms(on_real, batch, confidence_penalty)
                if critic.fake_class:
                    fake_labels = {
                        name: tf.fill([count], on_fake[name].shape[-1] - 1)
                        for name in on_fake
                        if name != "realness"
                    }
                    attributes += self._attribute_terms(on_fake, fake_labels)
                total = objective.adversarial_weight * self.record(f"{prefix}critic", adversarial)
                total += objective.attribute_weight * self.record(
                    f"{prefix}critic_attributes", attributes
                )
                if objective.penalty_weight:
                    if objective.penalty_every == 1:
                        values = penalty()
                    else:
                        due = self.g_optimizer.iterations % objective.penalty_every == 0
                        values = tf.cond(
                            due,
                            lambda: objective.penalty_every * penalty(),
                            lambda: tf.zeros([count]),
                        )
                    total += objective.penalty_weight * self.record(f"{prefix}penalty", values)
            return tape.gradient(total, variables)

        getattr(self, optimizer).apply_gradients(zip(self.through_xla(gradients), variables))
