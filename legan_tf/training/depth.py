"""Bodur et al.: training the depth network, and an editor that it guides."""

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
    DepthNetwork,
    Discriminator,
    Network,
)
from legan_tf.models.layers import PACKAGE
from legan_tf.training.adversarial import AdversarialModel, Batch, averaged
from legan_tf.training.gan import AttributeGAN
from legan_tf.training.run_folder import CRITIC_FILE, DEPTH_FILE
from legan_tf.training.samples import map_grid, sample_grid


@dataclasses.dataclass(frozen=True)
class DepthObjective:
    """What the depth network and its discriminator are trained for, and with what weights.

    Attributes:
        adversarial: As that of ``Objective``.
        adversarial_weight: λ of L_adv (equation 5).
        attribute_weight: λ of L_cls (equation 6), in both networks.
        reconstruction_weight: λ of L_rec over picture, map and picture (equation 7).
        confidence_penalty: β, what the entropy of D_depth's expressions is worth (equation 11).
        pixel_weight: λ of L_pix, the distance to the true map (equation 9).
        perceptual_weight: λ of L_per, the distance of VGG19's features (equation 10); 0 leaves
            VGG19 out.
        penalty_weight: As that of ``Objective``.
        penalty_every: As that of ``Objective``.
        ema_decay: Decay of the averaged depth network; 0 for none.
    """

    adversarial: str = "wgan-gp"
    adversarial_weight: float = 1.0
    attribute_weight: float = 1.0
    reconstruction_weight: float = 10.0
    confidence_penalty: float = 0.0
    pixel_weight: float = 100.0
    perceptual_weight: float = 1.0
    penalty_weight: float = 10.0
    penalty_every: int = 1
    ema_decay: float = 0.999


def _likeness(vgg: keras.Model | None, made: tf.Tensor, true: tf.Tensor) -> dict[str, tf.Tensor]:
    """L_pix and, with VGG19, L_per of maps whose truth is known, float32 [B] each."""
    terms = {"pixel": losses.reconstruction_loss(true, made)}
    if vgg is not None:
        terms["perceptual"] = losses.perceptual_loss(vgg(made), vgg(true))
    return terms


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthGAN(AdversarialModel):
    """Pre-training of the depth network on pictures and their maps (Bodur et al., section 3.2).

    Generator is the ``DepthNetwork``, which learns to make the map of a picture and, for the cycle,
    the picture of a map. The discriminator sees maps and tells the expression of the face.
    """

    def __init__(
        self,
        generator: DepthNetwork,
        discriminator: Discriminator,
        vgg: keras.Model | None = None,
        objective: DepthObjective | None = None,
        name: str | None = "depth_gan",
    ) -> None:
        """Takes the networks.

        Args:
            generator: G_depth.
            discriminator: D_depth.
            vgg: What ``vgg19_taps`` gives; needed where ``objective.perceptual_weight`` is
                positive.
            objective: What to train for.
            name: Name of the Keras model.

        Raises:
            ValueError: ``vgg`` is missing.
        """
        objective = objective or DepthObjective()
        if objective.perceptual_weight and vgg is None:
            raise ValueError(
                f"perceptual_weight is {objective.perceptual_weight}, but there is no VGG19"
            )
        super().__init__(generator, discriminator, objective.ema_decay, name)
        self.objective = objective
        self.vgg = vgg if objective.perceptual_weight else None

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        names = ["critic", "penalty", "critic_attributes", "generator", "attributes"]
        names += ["reconstruction", "pixel"]
        return (*names, "perceptual") if self.vgg is not None else tuple(names)

    @property
    def frozen(self) -> list[keras.Model]:
        """VGG19, where it compares."""
        return [] if self.vgg is None else [self.vgg]

    @property
    def products(self) -> dict[str, Network]:
        """D_depth, which goes on in the training of an editor."""
        return {CRITIC_FILE: self.discriminator}

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns ``map_grid`` of the depth network that ``network`` names."""
        return map_grid(self.network, faces, indices)

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration that ``from_config`` takes."""
        serialize = keras.saving.serialize_keras_object
        return {
            "generator": serialize(self.generator),
            "discriminator": serialize(self.discriminator),
            "vgg": None if self.vgg is None else serialize(self.vgg),
            "objective": dataclasses.asdict(self.objective),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> DepthGAN:
        """Makes the model that ``get_config`` described."""
        networks = {
            key: config[key] and keras.saving.deserialize_keras_object(config[key])
            for key in ("generator", "discriminator", "vgg")
        }
        return cls(**networks, objective=DepthObjective(**config["objective"]), name=config["name"])

    def _generate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The maps of the pictures."""
        return {"map": self.generator.to_map(batch["image"], training=True)}

    def _update_critics(self, batch: Batch, made: dict[str, tf.Tensor]) -> None:
        """One update of D_depth on true maps and those that were made."""
        goal = self.objective
        self._update_critic(
            "d_optimizer",
            goal,
            batch,
            batch["map"],
            made["map"],
            confidence_penalty=goal.confidence_penalty,
        )

    def _goals(self, batch: Batch, made: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The loss of the depth network."""
        goal = self.objective
        total = self._judged(
            self.discriminator,
            goal,
            made["map"],
            batch,
            confidence_penalty=goal.confidence_penalty,
        )
        back = self.generator.to_rgb(made["map"], training=True)
        total += goal.reconstruction_weight * self._average(
            "reconstruction", losses.reconstruction_loss(batch["image"], back)
        )
        for name, values in _likeness(self.vgg, made["map"], batch["map"]).items():
            total += getattr(goal, f"{name}_weight") * self._average(name, values)
        return {"g_optimizer": total}


@dataclasses.dataclass(frozen=True)
class Guidance:
    """How the depth network takes part in the training of an editor.

    Attributes:
        depth_weight: What L_adv and L_cls of the edit's map are worth to the editor (Table 3).
        freeze_depth: Whether the depth network stays as pre-training left it.
        depth_cycle_to_editor: Whether L_rec of the edit, its map and back also teaches the editor,
            with ``depth_weight``, as equation 8 can be read.
        depth_supervision: Factor on L_pix and L_per of true pictures and their maps, which keep
            the depth network from drifting; 0 for none, as published.
    """

    depth_weight: float = 0.1
    freeze_depth: bool = False
    depth_cycle_to_editor: bool = False
    depth_supervision: float = 0.0


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthGuidedGAN(AttributeGAN):
    """An editor whose edits must also have the depth of a face with the expression asked for.

    Bodur et al., section 3.3: G_rgb, D_rgb, G_depth and D_depth are trained together, and what
    D_depth says of the map of an edit reaches G_rgb through G_depth.
    """

    def __init__(
        self,
        generator: AttributeGenerator,
        discriminator: Discriminator,
        depth: DepthNetwork,
        depth_discriminator: Discriminator,
        vgg: keras.Model | None = None,
        depth_objective: DepthObjective | None = None,
        guidance: Guidance | None = None,
        name: str | None = "depth_guided_gan",
        **editing: Any,
    ) -> None:
        """Takes the networks.

        Args:
            generator: G_rgb.
            discriminator: D_rgb.
            depth: G_depth, pre-trained.
            depth_discriminator: D_depth, pre-trained.
            vgg: What ``vgg19_taps`` gives; needed where ``guidance.depth_supervision`` and
                ``depth_objective.perceptual_weight`` are positive.
            depth_objective: What the depth networks are trained for.
            guidance: How they guide.
            name: Name of the Keras model.
            **editing: What else ``AttributeGAN`` takes.

        Raises:
            ValueError: A network is missing, or the two generators do not fit.
        """
        guidance = guidance or Guidance()
        goal = depth_objective or DepthObjective()
        supervised = guidance.depth_supervision and not guidance.freeze_depth
        if supervised and goal.perceptual_weight and vgg is None:
            raise ValueError("depth_supervision with a perceptual_weight needs VGG19")
        if depth.image_size != generator.image_size:
            raise ValueError(
                f"the depth network sees {depth.image_size} pixels, the editor "
                f"{generator.image_size}"
            )
        super().__init__(generator, discriminator, name=name, **editing)
        self.guidance = guidance
        self.depth_objective = goal
        self.depth = depth
        self.depth_discriminator = depth_discriminator
        self.vgg = vgg if supervised and goal.perceptual_weight else None
        for network in (depth, depth_discriminator):
            network.build()
        self.averaged_depth = None
        if guidance.freeze_depth:
            depth.trainable = False
        elif goal.ema_decay:
            self.averaged_depth = averaged(depth)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        names = ["critic", "penalty", "critic_attributes", "generator", "attributes"]
        if not self.guidance.freeze_depth or self.guidance.depth_cycle_to_editor:
            names.append("reconstruction")
        if self.guidance.depth_supervision and not self.guidance.freeze_depth:
            names += ["pixel"] if self.vgg is None else ["pixel", "perceptual"]
        return (*super().terms, *(f"depth_{name}" for name in names))

    @property
    def trained(self) -> dict[str, Network]:
        """D_rgb, G_rgb, D_depth and, unless it is frozen, G_depth."""
        depth = {} if self.guidance.freeze_depth else {"depth_g_optimizer": self.depth}
        return {**super().trained, "depth_d_optimizer": self.depth_discriminator, **depth}

    @property
    def averages(self) -> list[tuple[Network, Network, float]]:
        """The averaged editor and the averaged depth network, where there are such."""
        if self.averaged_depth is None:
            return super().averages
        of_depth = (self.averaged_depth, self.depth, self.depth_objective.ema_decay)
        return [*super().averages, of_depth]

    @property
    def frozen(self) -> list[keras.Model]:
        """What guides the editor and does not change: Q, faces, depth if so asked, VGG19."""
        depth = [self.depth] if self.guidance.freeze_depth else []
        return [*super().frozen, *depth, *([] if self.vgg is None else [self.vgg])]

    @property
    def state(self) -> dict[str, Network]:
        """The editor's networks, D_depth, G_depth and its average."""
        networks = {"depth": self.depth, "depth_discriminator": self.depth_discriminator}
        if self.averaged_depth is not None:
            networks["averaged_depth"] = self.averaged_depth
        return {**super().state, **networks}

    @property
    def depth_network(self) -> DepthNetwork:
        """The depth network to sample, judge and export."""
        return self.averaged_depth or self.depth

    @property
    def products(self) -> dict[str, Network]:
        """The depth network, which has learned to read edits."""
        return {DEPTH_FILE: self.depth_network}

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns ``sample_grid`` with the maps of the edits."""
        return sample_grid(self.network, faces, indices, self.depth_network)

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration that ``from_config`` takes."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "depth": serialize(self.depth),
            "depth_discriminator": serialize(self.depth_discriminator),
            "vgg": None if self.vgg is None else serialize(self.vgg),
            "depth_objective": dataclasses.asdict(self.depth_objective),
            "guidance": dataclasses.asdict(self.guidance),
        }

    @classmethod
    def arguments_from(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Returns the arguments of ``__init__`` that ``get_config`` described."""
        networks = {
            key: config[key] and keras.saving.deserialize_keras_object(config[key])
            for key in ("depth", "depth_discriminator", "vgg")
        }
        return {
            **super().arguments_from(config),
            **networks,
            "depth_objective": DepthObjective(**config["depth_objective"]),
            "guidance": Guidance(**config["guidance"]),
        }

    def _generate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The edited images and their maps."""
        made = super()._generate(batch)
        return {**made, "map": self.depth.to_map(made["edited"], training=True)}

    def _update_critics(self, batch: Batch, made: dict[str, tf.Tensor]) -> None:
        """One update of D_rgb, and one of D_depth on true maps and those of edits."""
        super()._update_critics(batch, made)
        self._update_critic(
            "depth_d_optimizer",
            self.depth_objective,
            batch,
            batch["map"],
            made["map"],
            prefix="depth_",
            confidence_penalty=self.depth_objective.confidence_penalty,
        )

    def _goals(self, batch: Batch, made: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The editor's full loss with what D_depth says, and that of the depth network.

        Each is differentiated for its own network only: the depth network does not learn to
        please D_rgb, and the editor gets no more of the depth losses than ``depth_weight``.
        """
        goals = super()._goals(batch, made)
        how, goal = self.guidance, self.depth_objective
        judged = self._judged(
            self.depth_discriminator,
            goal,
            made["map"],
            self._wanted(batch),
            "depth_",
            goal.confidence_penalty,
        )
        goals["g_optimizer"] += how.depth_weight * judged
        if not how.freeze_depth or how.depth_cycle_to_editor:
            back = self.depth.to_rgb(made["map"], training=True)
            cycle = goal.reconstruction_weight * self._average(
                "depth_reconstruction", losses.reconstruction_loss(made["edited"], back)
            )
            if how.depth_cycle_to_editor:
                goals["g_optimizer"] += how.depth_weight * cycle
            judged += cycle
        if not how.freeze_depth:
            if how.depth_supervision:
                known = self.depth.to_map(batch["image"], training=True)
                for name, values in _likeness(self.vgg, known, batch["map"]).items():
                    weight = how.depth_supervision * getattr(goal, f"{name}_weight")
                    judged += weight * self._average(f"depth_{name}", values)
            goals["depth_g_optimizer"] = judged
        return goals
