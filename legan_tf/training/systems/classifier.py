"""The classifier of expression and lighting that judges edits."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import POSITIVE, option
from legan_tf.data.faceset import FaceSet
from legan_tf.models import AttributeClassifier
from legan_tf.models.network import predict_in_batches
from legan_tf.training.supervised import SupervisedSystem, SupervisedTrainer
from legan_tf.training.system import register
from legan_tf.training.trainer import Batch


@register
@dataclasses.dataclass(frozen=True)
class Classifier(SupervisedSystem):
    """A classifier of the expressions and lightings of a face set."""

    model: ClassVar[str] = "classifier"
    needs: ClassVar[tuple[str, ...]] = ("expression",)
    learns: ClassVar[tuple[str, ...]] = ("expression", "lighting")
    network_class: ClassVar = AttributeClassifier

    classifier_width: int = option(
        24, "Classifier: channels of the first convolution.", limit=POSITIVE
    )

    def problems(self) -> list[str]:
        """Adds the rules of the size and of mirroring."""
        problems = super().problems()
        if self.image_size & (self.image_size - 1):
            problems.append(f"--image_size={self.image_size} must be a power of two here")
        if self.flip:
            problems.append("--flip would put the light on the wrong side for classifier")
        return problems

    def network(self, faces: FaceSet) -> AttributeClassifier:
        """Returns the classifier of the faces' classes."""
        return AttributeClassifier(
            conditions=faces.conditions,
            image_size=self.image_size,
            width=self.classifier_width,
        )

    def supervised_trainer(self, network: AttributeClassifier, faces: FaceSet) -> ClassifierTrainer:
        """Returns the trainer of the classifier."""
        return ClassifierTrainer(network)


class ClassifierTrainer(SupervisedTrainer):
    """Trains the classifier of expression and lighting."""

    def __init__(self, network: AttributeClassifier) -> None:
        """Takes the classifier; its terms are the attributes that have classes."""
        terms = [one.name for one in network.conditions]
        super().__init__(network, terms, name="classifier_trainer")

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Cross entropy of either attribute."""
        read = self.network(batch["image"], training=True)
        return [losses.classification_loss(read[name], batch[name]) for name in self.terms]

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Returns the accuracy of each attribute over the samples whose label is known."""
        chosen = np.random.default_rng(0).permutation(len(faces))[:count]
        logits = predict_in_batches(self.network, faces.images(chosen))
        accuracies = {}
        for name in self.terms:
            labels = getattr(faces, name)[chosen]
            known = labels >= 0
            if known.any():
                right = logits[name].argmax(-1)[known] == labels[known]
                accuracies[f"val_{name}"] = float(np.mean(right))
        return accuracies
