"""The classifier of conditions that judges edits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import POSITIVE, Options, group, listed, option
from legan_tf.data.conditions import ATTRIBUTES
from legan_tf.data.faceset import FaceSet
from legan_tf.models import AttributeClassifier, Network
from legan_tf.models.network import predict_in_batches
from legan_tf.training.datasets import Needs
from legan_tf.training.options import ConditionOptions
from legan_tf.training.supervised import SupervisedSystem, SupervisedTrainer
from legan_tf.training.system import register
from legan_tf.training.trainer import Batch, Trainer


class ClassifierTrainer(SupervisedTrainer):
    """Trains the classifier of conditions."""

    def __init__(self, network: AttributeClassifier) -> None:
        """Takes the classifier; its terms are its conditions."""
        terms = [one.name for one in network.conditions]
        super().__init__(network, terms, name="classifier_trainer")

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Returns the loss of each condition."""
        read = self.network(batch["image"], training=True)
        return [
            losses.condition_loss(one, read[one.name], batch[one.name])
            for one in self.network.conditions
        ]

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Returns the accuracy of each condition over the labels that are known."""
        chosen = np.random.default_rng(0).permutation(len(faces))[:count]
        logits = predict_in_batches(self.network, faces.images(chosen))
        accuracies = {}
        for one in self.network.conditions:
            labels = faces.labels[one.name][chosen]
            known = labels >= 0
            if known.any():
                right = one.read(logits[one.name])[known] == labels[known]
                accuracies[f"val_{one.name}"] = float(np.mean(right))
        return accuracies


@dataclasses.dataclass(frozen=True)
class ClassifierOptions(Options):
    """The size of the classifier."""

    classifier_width: int = option(
        24, "Classifier: channels of the first convolution.", limit=POSITIVE
    )


@register
@dataclasses.dataclass(frozen=True)
class Classifier(SupervisedSystem):
    """A classifier of the conditions of a face set: expressions, lightings, attributes."""

    model: ClassVar[str] = "classifier"
    columns: ClassVar[tuple[str, ...]] = ("expression",)
    alternatives: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "--conditions=attributes": (ATTRIBUTES,)
    }
    trainer_class: ClassVar[type[Trainer]] = ClassifierTrainer
    network_class: ClassVar[type[Network]] = AttributeClassifier

    conditioning: ConditionOptions = group(ConditionOptions)
    classifier: ClassifierOptions = group(ClassifierOptions)

    def problems(self) -> list[str]:
        """Adds the rules of the size and of mirroring."""
        problems, size = super().problems(), self.data.image_size
        if size & (size - 1):
            problems.append(f"--image_size={size} must be a power of two here")
        if self.data.flip and "lighting" in self.conditioning.condition_names:
            problems.append("--flip would put the light on the wrong side for classifier")
        return problems

    def needs(self) -> Needs:
        """Returns the labels to read, of light where there are any; see ``System``."""
        asked = self.conditioning.condition_names
        return Needs(
            asked,
            attributes=tuple(listed(self.conditioning.attributes)),
            columns=tuple(name for name in asked if name != "lighting") or asked,
            any_of=asked,
        )

    def network(self, faces: FaceSet) -> AttributeClassifier:
        """Returns the classifier of the faces' conditions."""
        return AttributeClassifier(
            faces.conditions, self.data.image_size, self.classifier.classifier_width
        )

    def supervised_trainer(self, network: AttributeClassifier, faces: FaceSet) -> ClassifierTrainer:
        """Returns the trainer of the classifier."""
        return ClassifierTrainer(network)
