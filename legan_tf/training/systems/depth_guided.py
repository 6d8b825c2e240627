"""Editors that a depth network guides (Bodur et al., section 3.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import NOT_NEGATIVE, Options, option
from legan_tf.data.faceset import FaceSet
from legan_tf.losses.terms import DEPTH, active_terms
from legan_tf.models import AttributeGenerator, DepthNetwork, Discriminator, Network
from legan_tf.models.layers import PACKAGE
from legan_tf.training.adversarial import ADVERSARIAL_TERMS, averaged
from legan_tf.training.datasets import Datasets
from legan_tf.training.run_folder import DEPTH_FILE, NETWORK_FILE
from legan_tf.training.samples import sample_grid
from legan_tf.training.system import Auxiliary, System, fields_shared_with, register, subfolder
from legan_tf.training.systems.depth import (
    Depth,
    DepthObjective,
    DepthOptions,
    map_inputs,
    needs_vgg,
)
from legan_tf.training.systems.editor import AttributeGAN, EditorSystem, Objective
from legan_tf.training.systems.legan import Legan
from legan_tf.training.systems.stargan import Stargan
from legan_tf.training.trainer import Batch, Trainer


@dataclasses.dataclass(frozen=True)
class Guidance(Options):
    """The part that the depth network takes in the training of an editor."""

    depth_weight: float = option(
        0.1,
        "Weight of what the depth discriminator says of an edit's depth (Bodur et al., Table 3); "
        "0 is the editor alone.",
        limit=NOT_NEGATIVE,
    )
    freeze_depth: bool = option(
        False, "Keep the depth network as it is while it guides; its discriminator goes on."
    )
    depth_cycle_to_editor: bool = option(
        False, "The depth network's L_rec teaches the editor too, as equation 8 can be read."
    )
    depth_supervision: float = option(
        0.0,
        "Factor on L_pix and L_per, which keep the depth network to true maps (ours).",
        limit=NOT_NEGATIVE,
    )


@dataclasses.dataclass(frozen=True)
class DepthGuidance(Guidance, DepthOptions, DepthObjective):
    """The options that depth guidance adds to an editor; a base class before the editor's."""

    depth_model: str = option(
        "",
        "Run folder of --model=depth; if empty, a depth network is trained first, with the data "
        "and sizes of the run.",
    )
    needs: ClassVar[tuple[str, ...]] = ("expression",)
    product_files: ClassVar[tuple[str, ...]] = (DEPTH_FILE, NETWORK_FILE)
    unguided: ClassVar[type[EditorSystem]]

    @property
    def map_kind(self) -> str:
        """``depth`` or ``normal``."""
        return self.geometry

    @property
    def uses_vgg(self) -> bool:
        """Whether the depth network is kept to true maps by VGG19's features."""
        return bool(
            self.depth_weight
            and self.depth_supervision
            and not self.freeze_depth
            and needs_vgg(self)
        )

    def problems(self) -> list[str]:
        """Adds the rule of frozen networks."""
        problems = super().problems()
        if self.freeze_depth and self.depth_supervision:
            problems.append("--depth_supervision teaches what --freeze_depth keeps as it is")
        return problems

    def effective(self) -> System:
        """Returns the editor alone where guidance has no weight."""
        if self.depth_weight:
            return self
        return self.unguided(**fields_shared_with(self.unguided, self))

    def notes(self) -> list[str]:
        """Says that a depth network without weight is not used."""
        if self.depth_model and not self.depth_weight:
            return ["--depth_model is not used: --depth_weight is 0"]
        return []

    def auxiliaries(self) -> tuple[Auxiliary, ...]:
        """Adds the depth network, which learns from the data of the run, in its form."""
        options = fields_shared_with(Depth, self)
        options.update(workdir=subfolder(self, "depth"), train_steps=self.auxiliary_steps)
        depth = Auxiliary("depth", self.depth_model, Depth(**options), on_same_data=True)
        return (*super().auxiliaries(), depth)

    def trainer(
        self, network: AttributeGenerator, data: Datasets, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the GAN of the editor and the depth networks; see ``System``."""
        return DepthGuidedGAN(
            network,
            self.discriminator(data.train),
            vgg=self.vgg(),
            objective=Objective(**fields_shared_with(Objective, self)),
            depth_objective=DepthObjective(**fields_shared_with(DepthObjective, self)),
            guidance=Guidance(**fields_shared_with(Guidance, self)),
            **auxiliaries,
        )


@register
@dataclasses.dataclass(frozen=True)
class DepthStargan(DepthGuidance, Stargan):
    """StarGAN guided by depth or surface normals, as Bodur et al. publish it."""

    model: ClassVar[str] = "depth_stargan"
    unguided: ClassVar[type[EditorSystem]] = Stargan


@register
@dataclasses.dataclass(frozen=True)
class DepthLegan(DepthGuidance, Legan):
    """LEGAN guided by depth or surface normals (ours)."""

    model: ClassVar[str] = "depth_legan"
    unguided: ClassVar[type[EditorSystem]] = Legan
    needs: ClassVar[tuple[str, ...]] = Legan.needs


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthGuidedGAN(AttributeGAN):
    """An editor whose edits must also have the depth of a face with the expression asked for.

    Bodur et al., section 3.3: G_rgb, D_rgb, G_depth and D_depth are trained together, and the
    gradient of D_depth's output for the map of an edit reaches G_rgb through G_depth.
    """

    saved_networks = ("depth", "depth_discriminator", "vgg", *AttributeGAN.saved_networks)
    saved_options = {
        **AttributeGAN.saved_options,
        "depth_objective": DepthObjective,
        "guidance": Guidance,
    }

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
            vgg: What ``vgg19_taps`` gives; needed where ``guidance.depth_supervision`` is positive
                and a loss term with a weight reads its features.
            depth_objective: The weights of the depth networks' loss terms.
            guidance: The part that they take in the editor's loss.
            name: Name of the Keras model.
            **editing: The other arguments of ``AttributeGAN``.

        Raises:
            ValueError: A network is missing, or the two generators do not fit.
        """
        guidance = guidance or Guidance()
        objective = depth_objective or DepthObjective()
        supervised = guidance.depth_supervision and not guidance.freeze_depth
        if supervised and needs_vgg(objective) and vgg is None:
            raise ValueError("depth_supervision with a perceptual_weight needs VGG19")
        if depth.image_size != generator.image_size:
            raise ValueError(
                f"the depth network sees {depth.image_size} pixels, the editor "
                f"{generator.image_size}"
            )
        super().__init__(generator, discriminator, name=name, **editing)
        self.guidance = guidance
        self.depth_objective = objective
        self.depth = depth
        self.depth_discriminator = depth_discriminator
        self.vgg = vgg if supervised and needs_vgg(objective) else None
        for network in (depth, depth_discriminator):
            network.build()
        self.averaged_depth = None
        if guidance.freeze_depth:
            depth.trainable = False
        elif objective.ema_decay:
            self.averaged_depth = averaged(depth)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        names = list(ADVERSARIAL_TERMS)
        if not self.guidance.freeze_depth or self.guidance.depth_cycle_to_editor:
            names.append("reconstruction")
        if self.guidance.depth_supervision and not self.guidance.freeze_depth:
            names += [term.name for term in active_terms(DEPTH, self.depth_objective)]
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
        """The networks that guide the editor and do not change."""
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

    def _generate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The edited images and their maps."""
        generated = super()._generate(batch)
        return {**generated, "map": self.depth.to_map(generated["edited"], training=True)}

    def _update_critics(self, batch: Batch, generated: dict[str, tf.Tensor]) -> None:
        """One update of D_rgb, and one of D_depth on true maps and those of edits."""
        super()._update_critics(batch, generated)
        self._update_critic(
            "depth_d_optimizer",
            self.depth_objective,
            batch,
            batch["map"],
            generated["map"],
            prefix="depth_",
            confidence_penalty=self.depth_objective.confidence_penalty,
        )

    def _generator_losses(
        self, batch: Batch, generated: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """The editor's full loss with what D_depth says, and that of the depth network.

        Each is differentiated for its own network only: the depth network does not learn to
        please D_rgb, and the editor gets no more of the depth losses than ``depth_weight``.
        """
        totals = super()._generator_losses(batch, generated)
        guidance, objective = self.guidance, self.depth_objective
        judged = self._critic_terms(
            self.depth_discriminator,
            objective,
            generated["map"],
            self._wanted(batch),
            "depth_",
            objective.confidence_penalty,
        )
        totals["g_optimizer"] += guidance.depth_weight * judged
        if not guidance.freeze_depth or guidance.depth_cycle_to_editor:
            back = self.depth.to_rgb(generated["map"], training=True)
            cycle = objective.reconstruction_weight * self.record(
                "depth_reconstruction", losses.reconstruction_loss(generated["edited"], back)
            )
            if guidance.depth_cycle_to_editor:
                totals["g_optimizer"] += guidance.depth_weight * cycle
            judged += cycle
        if not guidance.freeze_depth:
            if guidance.depth_supervision:
                known = self.depth.to_map(batch["image"], training=True)
                inputs = map_inputs(objective, self.vgg, known, batch["map"])
                judged += guidance.depth_supervision * self._weighted_terms(
                    active_terms(DEPTH, objective), objective, inputs, prefix="depth_"
                )
            totals["depth_g_optimizer"] = judged
        return totals
