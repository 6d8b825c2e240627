"""What every training of networks against critics has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.compat import assign_in_replica
from legan_tf.data.faceset import FaceSet
from legan_tf.models import Discriminator, Network, copy_of
from legan_tf.training.optimizers import Adam  # noqa: F401 (files of compiled models name it)

ATTRIBUTES = ("expression", "lighting")

Batch = dict  # of tensors, by name


class CriticGoal(Protocol):
    """What a critic and those whom it judges are trained for; fields of the objectives."""

    adversarial: str
    adversarial_weight: float
    attribute_weight: float
    penalty_weight: float
    penalty_every: int


def _sub_batches(data: Batch, count: int) -> list[Batch]:
    """Takes [B,count,...] apart into batches [B,...]."""
    return [{name: values[:, step] for name, values in data.items()} for step in range(count)]


def averaged(network: Network) -> Network:
    """Returns a copy of a network for ``assign_in_replica`` to keep the average in."""
    copy = copy_of(network, f"averaged_{network.name}")
    copy.trainable = False
    return copy


class AdversarialModel(keras.Model):
    """Networks trained against critics that also read attributes.

    One ``train_step`` takes a batch of ``editing_batches``: so many updates of the critics as it
    has sub-batches and one of what they judge, in straight-line code, as MirroredStrategy needs
    it. The last update reuses the images that the critics have just judged.
    """

    _means: Sequence[keras.metrics.Mean] = ()

    def __init__(
        self, generator: Network, discriminator: Discriminator, ema_decay: float, name: str | None
    ) -> None:
        """Takes and builds the networks.

        Args:
            generator: What is trained.
            discriminator: Its critic.
            ema_decay: Decay of the averaged generator that is sampled and exported; 0 for none.
            name: Name of the Keras model.
        """
        super().__init__(name=name)
        self.generator = generator
        self.discriminator = discriminator
        for network in (generator, discriminator):
            network.build()
        self.ema_decay = ema_decay
        self.averaged_generator = averaged(generator) if ema_decay else None
        self.built = True

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        raise NotImplementedError

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
        """Averaged networks, what they follow, and their decay."""
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

    @property
    def frozen(self) -> list[keras.Model]:
        """The networks that training uses and does not change."""
        return []

    @property
    def products(self) -> dict[str, Network]:
        """What a run leaves besides ``network``, by file name."""
        return {}

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns a picture, uint8 [H,W,3], of what the networks make of fixed pictures."""
        raise NotImplementedError

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the losses, once the model is compiled."""
        return list(self._means)

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Calls the generator that ``network`` names."""
        return self.network(inputs)

    def build(self, input_shape: Any = None) -> None:
        """The networks are built when the model is made."""

    def compile(self, steps_per_execution: int = 1, **optimizers: Any) -> None:
        """Takes the optimizers and builds them, so that checkpoints restore into them.

        Args:
            steps_per_execution: Steps between returns to Python.
            **optimizers: One for each name of ``trained``; ``g_optimizer`` is also what Keras' own
                callbacks act on.

        Raises:
            ValueError: One is missing, or has no network.
        """
        if set(optimizers) != set(self.trained):
            raise ValueError(
                f"the optimizers are {', '.join(self.trained)}, not {', '.join(optimizers)}"
            )
        super().compile(
            optimizer=optimizers["g_optimizer"], steps_per_execution=steps_per_execution
        )
        self._means = [keras.metrics.Mean(name=term) for term in self.terms]
        for name, optimizer in optimizers.items():
            setattr(self, name, optimizer)
            optimizer.build(self.trained[name].trainable_variables)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns what ``compile_from_config`` needs."""
        return {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.trained
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with the optimizers that ``get_compile_config`` described."""
        self.compile(
            **{key: keras.saving.deserialize_keras_object(value) for key, value in config.items()}
        )

    # There is no control flow of Python in it, and to look for it takes as long as all the rest of
    # tracing.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Updates the critics once for each sub-batch, then what they judge once.

        Args:
            data: A batch of ``editing_batches``.

        Returns:
            The running mean of every term in ``terms``, unweighted.
        """
        critic_steps = data["image"].shape[1]
        batches = _sub_batches(data, critic_steps)
        # Between two updates of its own the generator stays as it is, so that one pass makes all
        # that the critics are to see. The last sub-batch is made under the tape, in ``_update``.
        if critic_steps > 1:
            early = {
                name: tf.reshape(values[:, :-1], [-1, *values.shape[2:]])
                for name, values in data.items()
            }
            made = {
                name: tf.reshape(values, [-1, critic_steps - 1, *values.shape[1:]])
                for name, values in self._generate(early).items()
            }
            for batch, seen in zip(batches[:-1], _sub_batches(made, critic_steps - 1)):
                self._update_critics(batch, seen)
        self._update(batches[-1])
        return {mean.name: mean.result() for mean in self._means}

    def _generate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """What is made of a batch and judged."""
        raise NotImplementedError

    def _update_critics(self, batch: Batch, made: dict[str, tf.Tensor]) -> None:
        """One update of each critic."""
        raise NotImplementedError

    def _goals(self, batch: Batch, made: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the networks that are no critics minimise, by the names of their optimizers."""
        raise NotImplementedError

    def _update(self, batch: Batch) -> None:
        """The last update of the critics, and one of the others on the same images."""
        with tf.GradientTape(persistent=True) as tape:
            made = self._generate(batch)
            with tape.stop_recording():
                self._update_critics(batch, made)
            goals = self._goals(batch, made)
        variables = {name: self.trained[name].trainable_variables for name in goals}
        gradients = {name: tape.gradient(goals[name], variables[name]) for name in goals}
        for name in goals:
            getattr(self, name).apply_gradients(zip(gradients[name], variables[name]))
        for average, current, decay in self.averages:
            assign_in_replica(
                average.weights,
                current.weights,
                lambda old, new, decay=decay: old * decay + new * (1.0 - decay),
            )

    def _average(self, term: str, values: tf.Tensor) -> tf.Tensor:
        """Notes a term and returns its share of the mean over the global batch.

        Gradients are summed over replicas, so each divides by the size of all batches together.
        """
        self._means[self.terms.index(term)].update_state(values)
        return tf.reduce_mean(values) / tf.distribute.get_strategy().num_replicas_in_sync

    def _attribute_terms(
        self, judged: Batch, labels: Batch, confidence_penalty: float = 0.0
    ) -> tf.Tensor:
        """Classification loss per sample, summed over the attributes that a critic reads."""
        terms = []
        for name in ATTRIBUTES:
            if name in judged:
                logits = (judged[name], labels[name])
                term = losses.classification_loss(*logits)
                if confidence_penalty:
                    term += confidence_penalty * losses.confidence_penalty(*logits)
                terms.append(term)
        return tf.add_n(terms)

    def _judged(
        self,
        critic: Discriminator,
        goal: CriticGoal,
        made: tf.Tensor,
        wanted: Batch,
        prefix: str = "",
        confidence_penalty: float = 0.0,
    ) -> tf.Tensor:
        """λ_adv L_adv + λ_cls L_cls of what was made; notes both terms.

        Args:
            critic: Who judges.
            goal: What it is made for.
            made: float32 [B,S,S,3].
            wanted: Has the labels that it should have.
            prefix: What the names of the terms begin with.
            confidence_penalty: β of the classification.
        """
        judged = critic(made, training=True)
        total = goal.adversarial_weight * self._average(
            f"{prefix}generator", losses.generator_loss(judged["realness"])
        )
        attributes = self._attribute_terms(judged, wanted, confidence_penalty)
        return total + goal.attribute_weight * self._average(f"{prefix}attributes", attributes)

    def _update_critic(
        self,
        optimizer: str,
        goal: CriticGoal,
        batch: Batch,
        real: tf.Tensor,
        fake: tf.Tensor,
        prefix: str = "",
        confidence_penalty: float = 0.0,
    ) -> None:
        """One update of a critic on real and generated images.

        Args:
            optimizer: Its name in ``trained``.
            goal: What the critic is trained for.
            batch: Has the labels of the real images and the gradient penalty's place.
            real: float32 [B,S,S,3].
            fake: float32 [B,S,S,3].
            prefix: What the names of its terms begin with.
            confidence_penalty: β of its classification of real images.
        """
        critic = self.trained[optimizer]
        assert isinstance(critic, Discriminator)
        fake = tf.stop_gradient(fake)
        count = tf.shape(real)[0]

        def scores(images: tf.Tensor) -> tf.Tensor:
            return critic(images, training=True)["realness"]

        def penalty() -> tf.Tensor:
            if goal.adversarial == "hinge":
                return losses.r1_penalty(scores, real)
            return losses.gradient_penalty(scores, real, fake, batch["alpha"])

        with tf.GradientTape() as tape:
            judged = critic(tf.concat([real, fake], 0), training=True)
            on_real = {name: value[:count] for name, value in judged.items()}
            on_fake = {name: value[count:] for name, value in judged.items()}
            adversarial = losses.critic_loss(
                on_real["realness"], on_fake["realness"], goal.adversarial
            )
            attributes = self._attribute_terms(on_real, batch, confidence_penalty)
            if critic.fake_class:
                generated = {
                    name: tf.fill([count], on_fake[name].shape[-1] - 1)
                    for name in ATTRIBUTES
                    if name in on_fake
                }
                attributes += self._attribute_terms(on_fake, generated)
            total = goal.adversarial_weight * self._average(f"{prefix}critic", adversarial)
            total += goal.attribute_weight * self._average(f"{prefix}critic_attributes", attributes)
            if goal.penalty_weight:
                if goal.penalty_every == 1:
                    values = penalty()
                else:
                    due = self.g_optimizer.iterations % goal.penalty_every == 0
                    values = tf.cond(
                        due, lambda: goal.penalty_every * penalty(), lambda: tf.zeros([count])
                    )
                total += goal.penalty_weight * self._average(f"{prefix}penalty", values)
        variables = critic.trainable_variables
        getattr(self, optimizer).apply_gradients(zip(tape.gradient(total, variables), variables))
