"""LightCNN-29, the face network of LEGAN's identity loss."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import POSITIVE, option
from legan_tf.data import attributes
from legan_tf.data.faceset import FaceSet
from legan_tf.models import FaceNetwork, LightCNN29
from legan_tf.models.network import predict_in_batches
from legan_tf.runtime import compat
from legan_tf.training.supervised import CropOptions, SupervisedSystem, SupervisedTrainer
from legan_tf.training.system import register
from legan_tf.training.trainer import Batch

COSINE_SCALE = 16.0
"""Scale of the cosines in the softmax over people (NormFace)."""


@register
@dataclasses.dataclass(frozen=True)
class Identity(CropOptions, SupervisedSystem):
    """LightCNN-29 v2, trained to classify people."""

    model: ClassVar[str] = "identity"
    needs: ClassVar[tuple[str, ...]] = ("identity",)
    learns: ClassVar[tuple[str, ...]] = ("identity",)
    network_class: ClassVar = FaceNetwork

    identity_width: float = option(
        1.0, "Identity network: factor on LightCNN-29's channels.", limit=POSITIVE
    )

    def problems(self) -> list[str]:
        """Adds the rule of the size."""
        return [*super().problems(), *lightcnn_size_problems(self.image_size)]

    def network(self, faces: FaceSet) -> LightCNN29:
        """Returns LightCNN-29."""
        return LightCNN29(self.image_size, self.identity_width)

    def supervised_trainer(self, network: LightCNN29, faces: FaceSet) -> IdentityTrainer:
        """Returns the trainer of the face network."""
        return IdentityTrainer(network, faces.identity)


def lightcnn_size_problems(image_size: int) -> list[str]:
    """Returns a sentence if LightCNN-29 cannot take images of a size."""
    if image_size % 16:
        return [f"--image_size={image_size} must be a multiple of 16 for LightCNN"]
    return []


class IdentityTrainer(SupervisedTrainer):
    """Trains LightCNN-29 to identify people, with a softmax over them.

    The logits are scaled cosines of embedding and class (NormFace, Wang et al., ACM MM 2017), not
    the plain products with dropout of LightCNN's reference code: a network without normalisation
    layers otherwise diverges at the rates of a short training, and the cosine is what the identity
    loss and the match score use.
    """

    def __init__(self, network: LightCNN29, identity: np.ndarray) -> None:
        """Takes the network.

        Args:
            network: LightCNN-29.
            identity: int32 [n], the person of each training picture; -1 is unknown. Each person
                is a class of the softmax; people of other splits are not.
        """
        super().__init__(network, ["identity"], name="identity_trainer")
        people = np.unique(identity[identity >= 0])
        self._class_of = np.full(people.max() + 1, attributes.UNKNOWN, np.int32)
        self._class_of[people] = np.arange(len(people))
        self.head = keras.layers.Dense(len(people), use_bias=False)
        self.head.build((None, int(network.fc.units)))

    @property
    def state(self) -> dict[str, keras.layers.Layer]:
        """The network and the head."""
        return {**super().state, "head": self.head}

    def variables_of(self, optimizer: str) -> list:
        """Returns the variables of the network and of the head."""
        return [*super().variables_of(optimizer), *self.head.trainable_variables]

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
            faces_in_space = predict_in_batches(self.network, faces.images(chosen))
            embedded.append(faces_in_space / np.linalg.norm(faces_in_space, axis=1, keepdims=True))
        anchor, right, wrong = embedded
        closer = (anchor * right).sum(1) > (anchor * wrong).sum(1)
        return {"val_right_of_two": float(closer.mean())}
