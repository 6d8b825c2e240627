"""LightCNN-29, the face network of LEGAN's identity loss."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import POSITIVE, Options, group, option
from legan_tf.data.conditions import UNKNOWN
from legan_tf.data.faceset import FaceSet
from legan_tf.models import FaceNetwork, LightCNN29, Network
from legan_tf.models.network import predict_in_batches
from legan_tf.runtime import compat
from legan_tf.training.datasets import Needs
from legan_tf.training.supervised import CropOptions, SupervisedSystem, SupervisedTrainer
from legan_tf.training.system import register
from legan_tf.training.trainer import Batch, Role, Trainer

COSINE_SCALE = 16.0
"""Scale of the cosines in the softmax over people (NormFace)."""


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

    roles = {**SupervisedTrainer.roles, "head": Role("optimizer")}

    def __init__(self, network: LightCNN29, identity: np.ndarray) -> None:
        """Takes the network.

        Args:
            network: LightCNN-29.
            identity: int32 [n], the person of each training picture; -1 is unknown. Each person
                is a class of the softmax; people of other splits are not.
        """
        people = np.unique(identity[identity >= 0])
        network.build()
        head = keras.layers.Dense(len(people), use_bias=False)
        head.build((None, int(network.fc.units)))
        super().__init__(network, ["identity"], name="identity_trainer", head=head)
        self._class_of = np.full(people.max() + 1, UNKNOWN, np.int32)
        self._class_of[people] = np.arange(len(people))

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Cross entropy of the person."""
        embedding = tf.math.l2_normalize(self.network(batch["image"], training=True), -1)
        classes = tf.math.l2_normalize(compat.tensorflow_variable(self.head.kernel), 0)
        logits = COSINE_SCALE * tf.matmul(embedding, classes)
        person = batch["identity"]
        known = tf.gather(self._class_of, tf.maximum(person, 0))
        labels = tf.where(person >= 0, known, UNKNOWN)
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


@dataclasses.dataclass(frozen=True)
class IdentityOptions(Options):
    """The size of the face network."""

    identity_width: float = option(
        1.0, "Identity network: factor on LightCNN-29's channels.", limit=POSITIVE
    )


@register
@dataclasses.dataclass(frozen=True)
class Identity(SupervisedSystem):
    """LightCNN-29 v2, trained to classify people."""

    model: ClassVar[str] = "identity"
    columns: ClassVar[tuple[str, ...]] = ("identity",)
    trainer_class: ClassVar[type[Trainer]] = IdentityTrainer
    network_class: ClassVar[type[Network]] = FaceNetwork

    crops: CropOptions = group(CropOptions)
    face: IdentityOptions = group(IdentityOptions)

    def problems(self) -> list[str]:
        """Adds the rule of the size."""
        return [*super().problems(), *lightcnn_size_problems(self.data.image_size)]

    def needs(self) -> Needs:
        """Returns people, in pictures large enough for the crops; see ``System``."""
        size = self.crops.loaded_size(self.data.image_size)
        return Needs(None, columns=self.columns, any_of=self.columns, loaded_size=size)

    def network(self, faces: FaceSet) -> LightCNN29:
        """Returns LightCNN-29."""
        return LightCNN29(self.data.image_size, self.face.identity_width)

    def supervised_trainer(self, network: LightCNN29, faces: FaceSet) -> IdentityTrainer:
        """Returns the trainer of the face network."""
        return IdentityTrainer(network, faces.identity)
