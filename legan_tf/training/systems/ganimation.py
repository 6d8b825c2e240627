"""GANimation, which is told action units and paints beside a mask of what it keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import NOT_NEGATIVE, Options, group, option
from legan_tf.data.action_units import ACTION_UNITS
from legan_tf.data.class_vectors import ClassVectors
from legan_tf.data.conditions import RangeCondition
from legan_tf.data.faceset import FaceSet
from legan_tf.models import Discriminator, GanimationGenerator, Network, ganimation_discriminator
from legan_tf.models.layers import PACKAGE
from legan_tf.training.datasets import Needs
from legan_tf.training.gan import EditorGAN, Images
from legan_tf.training.options import (
    AdversarialOptions,
    ConditionOptions,
    EditorLosses,
    OptimizerOptions,
)
from legan_tf.training.samples import unit_grid
from legan_tf.training.system import register
from legan_tf.training.systems.editor import EditorSystem
from legan_tf.training.trainer import Trainer

EXPRESSION = "expression"
"""The condition whose classes stand for action units, where the data has it."""
SATURATED = 0.95
"""Mask of a pixel above which its input is kept, and under one minus it painted over."""
_NEARLY_ALL = 0.99


@dataclasses.dataclass(frozen=True)
class MaskOptions(Options):
    """The losses of GANimation's mask, and when a saturated one ends the run."""

    mask_size_weight: float = option(
        0.1, "Weight of the mask's mean, of what is kept of the input.", limit=NOT_NEGATIVE
    )
    # The code's 1e-5, of a sum over a batch of 25.
    mask_smoothness_weight: float = option(
        25e-5, "Weight of the mask's total variation, summed over an image.", limit=NOT_NEGATIVE
    )
    mask_patience: int = option(
        3000,
        "Steps after which a mask that keeps nearly all of the input, or paints nearly all, ends "
        "the run; 0 for never.",
        free=True,
        limit=NOT_NEGATIVE,
    )


@dataclasses.dataclass(frozen=True)
class ActionUnitOptions(Options):
    """Where the action units of photographs are from."""

    action_units_file: str = option(
        "",
        "CSV of the action units of a manifest's pictures, as OpenFace, py-feat or LibreFace "
        "writes it, with a column path; see docs/data.md. Rendered faces have their own.",
    )


@keras.saving.register_keras_serializable(package=PACKAGE)
class GanimationGAN(EditorGAN):
    """GANimation (Pumarola et al., ECCV 2018), in the form of its code (docs/fidelity.md).

    Its regression of action units is L_cls of their condition, its cycle L_rec of images that are
    composed with their own masks; the losses of both masks come on top.
    """

    option_groups = {**EditorGAN.option_groups, "masks": MaskOptions}

    def __init__(self, *networks: Any, masks: MaskOptions | None = None, **arguments: Any) -> None:
        """Takes what ``EditorGAN`` takes, and the weights of the masks' losses."""
        super().__init__(*networks, **{"name": "ganimation_gan", **arguments})
        self.masks = masks or MaskOptions()

    @property
    def terms(self) -> tuple[str, ...]:
        """Adds the losses of the masks, and what the masks of edits look like.

        ``mask`` is their mean, ``mask_kept`` and ``mask_painted`` the shares of their pixels above
        0.95 and below 0.05.
        """
        own = ("mask_size", "mask_smoothness", "mask", "mask_kept", "mask_painted")
        return (*super().terms, *own)

    def further_losses(self, fake: Images, back: Images, undoable: tf.Tensor) -> tf.Tensor:
        """λ_size mean(A) + λ_smooth TV(A), of the edit's mask and of that of the way back."""
        w, name = self.masks, self.generator.mask_names[0]
        mask, of_back = fake[name], back[name]
        size, smoothness = (
            loss(mask) + tf.where(undoable, loss(of_back), 0.0)
            for loss in (losses.mask_size, losses.mask_smoothness)
        )
        total = w.mask_size_weight * self.logged_mean("mask_size", size)
        total += w.mask_smoothness_weight * self.logged_mean("mask_smoothness", smoothness)
        self.logged_mean("mask", losses.mask_size(mask))
        for term, pixels in (("kept", mask > SATURATED), ("painted", mask < 1.0 - SATURATED)):
            share = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[1, 2, 3])
            self.logged_mean(f"mask_{term}", share)
        return total

    def warnings(self, means: Mapping[str, float]) -> list[str]:
        """Adds a sentence for a saturated mask."""
        return [*super().warnings(means), *self._saturated(means)]

    def failures(self, means: Mapping[str, float]) -> dict[str, int]:
        """Returns a saturated mask, which no user of the published code recovered from."""
        patience = self.masks.mask_patience
        return dict.fromkeys(self._saturated(means), patience) if patience else {}

    def _saturated(self, means: Mapping[str, float]) -> list[str]:
        weight = f"--mask_size_weight={self.masks.mask_size_weight:g}"
        advice = (
            "see whether the action units are those of the pictures, or train on with "
            "--mask_patience=0"
        )
        if means.get("mask_kept", 0.0) > _NEARLY_ALL:
            return [
                f"{weight}: the mask keeps the input in {_NEARLY_ALL:.0%} of all pixels, so edits "
                f"are copies; raise this weight or --attribute_weight, {advice}"
            ]
        if means.get("mask_painted", 0.0) > _NEARLY_ALL:
            return [
                f"{weight}: the mask keeps nothing in {_NEARLY_ALL:.0%} of all pixels, so whole "
                f"images are painted; lower this weight, {advice}"
            ]
        return []

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns ``unit_grid`` of the generator, or of its average."""
        return unit_grid(self.used("generator"), faces, indices)


@register
@dataclasses.dataclass(frozen=True)
class Ganimation(EditorSystem):
    """GANimation (Pumarola et al., ECCV 2018) on action units, of rendered faces or of a file."""

    model: ClassVar[str] = "ganimation"
    columns: ClassVar[tuple[str, ...]] = (ACTION_UNITS,)
    trainer_class: ClassVar[type[Trainer]] = GanimationGAN
    network_class: ClassVar[type[Network]] = GanimationGenerator

    conditioning: ConditionOptions = group(ConditionOptions, conditions=ACTION_UNITS)
    optimizer: OptimizerOptions = group(OptimizerOptions, schedule="ganimation")
    # The code's 4000, divided by its batch of 25.
    gan: AdversarialOptions = group(AdversarialOptions, attribute_weight=160.0, ema_decay=0.0)
    editing: EditorLosses = group(EditorLosses, identity_weight=0.0, quality_weight=0.0)
    units: ActionUnitOptions = group(ActionUnitOptions)
    masks: MaskOptions = group(MaskOptions)

    def problems(self) -> list[str]:
        """Adds the rules of what it is told and how it paints."""
        problems = super().problems()
        if self.conditioning.condition_names != (ACTION_UNITS,):
            problems.append(
                f"--conditions={self.conditioning.conditions}: {self.model} is told {ACTION_UNITS} "
                "alone; leave the flag out"
            )
        if self.editor.output != "direct":
            problems.append(f"--output: {self.model} mixes by its mask; leave the flag out")
        if self.editor.keep_share:
            problems.append(f"--keep_share: {self.model} has to be told all; leave the flag out")
        if self.discriminator.fake_class:
            problems.append("--fake_class is for conditions with classes; leave the flag out")
        if self.units.action_units_file and self.data.dataset != "manifest":
            problems.append("--action_units_file belongs to --dataset=manifest")
        return problems

    def needs(self) -> Needs:
        """Returns the action units, and expressions where the data has them; see ``System``."""
        return Needs(
            conditions=(EXPRESSION, ACTION_UNITS),
            columns=self.columns,
            any_of=self.columns,
            action_units_file=self.units.action_units_file,
        )

    def input_files(self, begun: bool) -> dict[str, str]:
        """Adds the file of action units."""
        files = super().input_files(begun)
        if self.units.action_units_file:
            files["action_units_file"] = self.units.action_units_file
        return files

    def network(self, faces: FaceSet) -> GanimationGenerator:
        """Returns the generator, which knows what stands for each expression of the faces."""
        shared = self.generator_options(faces)
        return GanimationGenerator(
            (_with_classes(faces, self.run.seed),),
            upsampling=self.hourglass.upsampling or "transposed",
            **{name: shared[name] for name in ("image_size", "width", "blocks", "stem")},
            face_lines=shared["face_lines"],
        )

    def new_discriminator(self, faces: FaceSet, name: str = "discriminator") -> Discriminator:
        """Returns the discriminator, which reads the action units alone."""
        size = self.discriminator
        return ganimation_discriminator(
            (_condition(faces),), self.data.image_size, size.d_width, size.d_depth, name
        )

    def trainer(
        self, network: Network, faces: FaceSet, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the GAN to fit; see ``System``."""
        return GanimationGAN(
            network,
            self.new_discriminator(faces),
            adversarial=self.gan,
            editing=self.editing,
            edit_terms=self.edit_terms,
            masks=self.masks,
            **auxiliaries,
        )


def _condition(faces: FaceSet) -> RangeCondition:
    """The action units of the faces."""
    condition = faces.condition(ACTION_UNITS)
    assert isinstance(condition, RangeCondition)  # ``needs`` has asked for it.
    return condition


def _with_classes(faces: FaceSet, seed: int) -> RangeCondition:
    """The condition of the faces, with the vectors of their expressions if they have any."""
    condition = _condition(faces)
    names = faces.names(EXPRESSION)
    if not names:
        return condition
    labels = faces.labels
    classes = ClassVectors.of(EXPRESSION, names, labels[EXPRESSION], labels[ACTION_UNITS], seed)
    return dataclasses.replace(condition, classes=classes)
