"""Supervised training of Q, the identity network and the attribute classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import rankdata

from legan_tf import compat, losses
from legan_tf.data import attributes
from legan_tf.data.faceset import FaceSet
from legan_tf.data.pipeline import to_float
from legan_tf.models import AttributeClassifier, LightCNN29, Network, QualityEstimator

Batch = dict  # of tensors, by name
COSINE_SCALE = 16.0
"""Factor on the cosines that the identity network's softmax sees."""


class SupervisedTrainer(keras.Model):
    """Trains one network on labels; the subclasses say what its loss is."""

    def __init__(self, network: Network, terms: Sequence[str], name: str | None = None) -> None:
        """Takes the network and builds it.

        Args:
            network: What to train.
            terms: Names of the losses, in the order of ``sample_losses``.
            name: Name of the Keras model.
        """
        super().__init__(name=name)
        network.build()
        self.network = network
        self.terms = tuple(terms)
        self._means = [keras.metrics.Mean(name=term) for term in self.terms]
        self.built = True

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Returns one float32 [B] for each of ``terms``; their sum is what is minimised."""
        raise NotImplementedError

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Returns figures on at most ``count`` samples of unseen people; none without labels."""
        raise NotImplementedError

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means of the losses."""
        return self._means

    @property
    def trained_variables(self) -> list:
        """All that the optimizer changes."""
        return self.network.trainable_variables

    def build(self, input_shape: Any = None) -> None:
        """The network is built when the trainer is made."""

    def compile(self, optimizer: keras.optimizers.Optimizer, steps_per_execution: int = 1) -> None:
        """Takes the optimizer and builds it, so that checkpoints restore into it."""
        super().compile(optimizer=optimizer, steps_per_execution=steps_per_execution)
        optimizer.build(self.trained_variables)

    def call(self, inputs: tf.Tensor, training: bool = False) -> Any:
        """Applies the network."""
        return self.network(inputs)

    @tf.autograph.experimental.do_not_convert  # As in AdversarialModel.
    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Updates the network once; returns the running mean of every term."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            values = self.sample_losses(data)
            total = tf.reduce_mean(tf.add_n(values)) / replicas
        variables = self.trained_variables
        self.optimizer.apply_gradients(zip(tape.gradient(total, variables), variables))
        for mean, value in zip(self._means, values):
            mean.update_state(value)
        return {mean.name: mean.result() for mean in self._means}


class QualityTrainer(SupervisedTrainer):
    """Trains Q on people's ratings with the margin loss (LEGAN, section 3)."""

    def __init__(self, network: QualityEstimator, reading: str) -> None:
        """Takes Q and the reading of the margin loss; see ``losses.margin_loss``."""
        super().__init__(network, ["margin"], name="quality_trainer")
        self._reading = reading

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """The margin loss."""
        rating = self.network(batch["image"], training=True)
        return [
            losses.margin_loss(rating, batch["rating_mean"], batch["rating_std"], self._reading)
        ]

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Mean absolute error, its baseline (always the mean), correlations, share within a std."""
        rated = np.flatnonzero(np.isfinite(faces.rating_mean))
        chosen = np.random.default_rng(0).permutation(rated)[:count]
        if not len(chosen):
            return {}
        mean, std = faces.rating_mean[chosen], np.nan_to_num(faces.rating_std[chosen])
        rating = _apply(self.network, faces, chosen)
        return {
            "val_mae": float(np.abs(rating - mean).mean()),
            "val_mae_of_constant": float(np.abs(mean.mean() - mean).mean()),
            "val_pearson": float(np.corrcoef(rating, mean)[0, 1]),
            "val_spearman": float(np.corrcoef(rankdata(rating), rankdata(mean))[0, 1]),
            "val_within_std": float(np.mean(np.abs(rating - mean) <= std)),
        }


class IdentityTrainer(SupervisedTrainer):
    """Trains LightCNN-29 to tell people apart by a softmax over them.

    The logits are scaled cosines of embedding and class (NormFace, Wang et al., ACM MM 2017), not
    the plain products with dropout of LightCNN's reference code: a network without normalisation
    layers otherwise diverges at the rates of a short training, and the cosine is what the identity
    loss and the match score look at.
    """

    def __init__(self, network: LightCNN29, identity: np.ndarray) -> None:
        """Takes the network.

        Args:
            network: LightCNN-29.
            identity: int32 [n], the people to train on, as often as they come; -1 is unknown.
                Each is a class of the softmax. Others, such as those held out, are not.
        """
        super().__init__(network, ["identity"], name="identity_trainer")
        people = np.unique(identity[identity >= 0])
        self._class_of = np.full(people.max() + 1, attributes.UNKNOWN, np.int32)
        self._class_of[people] = np.arange(len(people))
        self.head = keras.layers.Dense(len(people), use_bias=False)
        self.head.build((None, int(network.fc.units)))

    @property
    def trained_variables(self) -> list:
        """The network's and the head's."""
        return [*self.network.trainable_variables, *self.head.trainable_variables]

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Cross entropy of the person."""
        embedding = tf.math.l2_normalize(self.network(batch["image"], training=True), -1)
        classes = tf.math.l2_normalize(compat.tensorflow_variable(self.head.kernel), 0)
        logits = COSINE_SCALE * tf.matmul(embedding, classes)
        person = batch["identity"]
        known = tf.gather(self._class_of, tf.maximum(person, 0))
        labels = tf.where(person >= 0, known, attributes.UNKNOWN)
        return [losses.classification_loss(logits, labels)]

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Same-person accuracy: which of two pictures shows the person of a third."""
        rng = np.random.default_rng(0)
        people = faces.identity
        known, pictures = np.unique(people[people >= 0], return_counts=True)
        candidates = np.flatnonzero(np.isin(people, known[pictures > 1]))
        if len(known) < 2 or not len(candidates):
            return {}
        anchors = rng.permutation(candidates)[:count]

        def another(anchor: int, same_person: bool) -> int:
            fits = (people == people[anchor]) == same_person
            fits &= (people >= 0) & (np.arange(len(people)) != anchor)
            return rng.choice(np.flatnonzero(fits))

        same = np.array([another(anchor, True) for anchor in anchors])
        other = np.array([another(anchor, False) for anchor in anchors])
        embedded = []
        for chosen in (anchors, same, other):
            faces_in_space = _apply(self.network, faces, chosen)
            embedded.append(faces_in_space / np.linalg.norm(faces_in_space, axis=1, keepdims=True))
        anchor, right, wrong = embedded
        closer = (anchor * right).sum(1) > (anchor * wrong).sum(1)
        return {"val_right_of_two": float(closer.mean())}


class ClassifierTrainer(SupervisedTrainer):
    """Trains the judge of expression and lighting."""

    def __init__(self, network: AttributeClassifier) -> None:
        """Takes the classifier; its terms are the attributes that have classes."""
        classes = {"expression": network.expressions, "lighting": network.lightings}
        terms = [name for name, names in classes.items() if names]
        super().__init__(network, terms, name="classifier_trainer")

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Cross entropy of either attribute."""
        read = self.network(batch["image"], training=True)
        return [losses.classification_loss(read[name], batch[name]) for name in self.terms]

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Share of known labels that are read rightly."""
        chosen = np.random.default_rng(0).permutation(len(faces))[:count]
        figures = {}
        for name in self.terms:
            read = _apply(lambda x, name=name: self.network(x)[name], faces, chosen).argmax(-1)
            labels = getattr(faces, name)[chosen]
            known = labels >= 0
            if known.any():
                figures[f"val_{name}"] = float(np.mean(read[known] == labels[known]))
        return figures


def _apply(
    network: Callable[[tf.Tensor], tf.Tensor], faces: FaceSet, chosen: np.ndarray, batch: int = 64
) -> np.ndarray:
    """The network's output on the chosen samples."""
    parts = [chosen[start : start + batch] for start in range(0, len(chosen), batch)]
    return np.concatenate(
        [network(to_float(tf.constant(faces.images(part)))).numpy() for part in parts]
    )
