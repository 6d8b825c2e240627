"""The base of the systems whose generator is trained against a discriminator."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from legan_tf.command_line.options import group, listed
from legan_tf.data import pipeline
from legan_tf.data.conditions import ATTRIBUTES
from legan_tf.data.faceset import FaceSet
from legan_tf.models import Discriminator
from legan_tf.training.datasets import Datasets, Needs
from legan_tf.training.gan import AdversarialTrainer
from legan_tf.training.options import (
    AdversarialOptions,
    ConditionOptions,
    DiscriminatorOptions,
    HourglassOptions,
)
from legan_tf.training.system import System

SAMPLED_PEOPLE = 3


@dataclasses.dataclass(frozen=True)
class AdversarialSystem(System):
    """A system whose generator is trained against a discriminator that reads conditions."""

    conditioning: ConditionOptions = group(ConditionOptions)
    hourglass: HourglassOptions = group(HourglassOptions)
    discriminator: DiscriminatorOptions = group(DiscriminatorOptions)
    gan: AdversarialOptions = group(AdversarialOptions)

    @property
    def targets_kept(self) -> float:
        """Share of targets that leave a condition as it is."""
        return 0.0

    @property
    def images_per_step(self) -> int:
        """Images of all updates of the discriminator."""
        return self.run.batch_size * self.gan.critic_steps

    def needs(self) -> Needs:
        """Returns the conditions; see ``System``."""
        asked = self.conditioning.condition_names
        # Data without labels of light train what can do without, as StarGAN can.
        optional = {"lighting"} - set(self.columns)
        return Needs(
            conditions=asked,
            attributes=tuple(listed(self.conditioning.attributes)),
            columns=tuple(name for name in asked if name not in optional),
        )

    def problems(self) -> list[str]:
        """Adds the rules of sizes."""
        problems = super().problems()
        size, d_depth = self.data.image_size, self.discriminator.d_depth
        if d_depth > 0 and size % 2**d_depth:
            problems.append(f"--image_size={size} cannot be halved --d_depth={d_depth} times")
        if size % 4:
            problems.append(f"--image_size={size} must be a multiple of 4")
        if 0 < size < 8:
            problems.append(f"--image_size={size} must be 8 or more")
        if self.discriminator.fake_class and set(self.conditioning.condition_names) <= {ATTRIBUTES}:
            problems.append(
                "--fake_class is for conditions with classes: name expression or lighting in "
                "--conditions, or leave --fake_class out"
            )
        return problems

    def notes(self) -> list[str]:
        """Says that attributes of rendered faces follow from their expression."""
        asked, notes = self.conditioning.condition_names, super().notes()
        if self.data.dataset == "rendered" and {"expression", ATTRIBUTES} <= set(asked):
            notes.append(
                f"--conditions={self.conditioning.conditions}: the attributes of rendered faces "
                "follow from their expression, and targets of both may contradict each other"
            )
        return notes

    def new_discriminator(self, faces: FaceSet, name: str = "discriminator") -> Discriminator:
        """Returns the discriminator, which reads the conditions of the faces."""
        return Discriminator(
            faces.conditions,
            self.data.image_size,
            self.discriminator.d_width,
            self.discriminator.d_depth,
            self.discriminator.fake_class,
            name=name,
        )

    def batches(
        self, faces: FaceSet, start: int, own: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Returns ``pipeline.editing_batches``; see ``System``."""
        return pipeline.editing_batches(
            faces,
            self.run.batch_size,
            self.run.seed,
            start,
            self.run.train_steps - start,
            self.gan.critic_steps,
            self.targets_kept,
            self.gan.balance,
            self.data.flip,
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
