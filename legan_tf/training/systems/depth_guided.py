"""Editors that a depth network guides (Bodur et al., section 3.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import NOT_NEGATIVE, Options, group, option
from legan_tf.data.faceset import FaceSet
from legan_tf.models import (
    AttributeGenerator,
    DepthNetwork,
    Discriminator,
    FaceNetwork,
    Network,
    QualityEstimator,
    vgg19_taps,
)
from legan_tf.models.layers import PACKAGE
from legan_tf.training.datasets import Needs
from legan_tf.training.gan import ADVERSARIAL_TERMS, EditorGAN, Images
from legan_tf.training.options import AdversarialOptions, EditorLosses, EditorTerms
from legan_tf.training.run_folder import DEPTH_FILE
from legan_tf.training.samples import sample_grid
from legan_tf.training.system import Auxiliary, System, register
from legan_tf.training.systems.depth import (
    Depth,
    DepthLosses,
    DepthTerms,
    MapLosses,
    MapOptions,
    vgg_file,
)
from legan_tf.training.systems.editor import EditorSystem
from legan_tf.training.systems.legan import Legan
from legan_tf.training.systems.stargan import Stargan
from legan_tf.training.trainer import Batch, Role, Trainer


@dataclasses.dataclass(frozen=True)
class GuidanceOptions(Options):
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

    @property
    def supervises(self) -> bool:
        """Whether the depth network is kept to true maps."""
        return bool(self.depth_weight and self.depth_supervision and not self.freeze_depth)

    def problems(self) -> list[str]:
        """Adds the rule of frozen networks."""
        problems = super().problems()
        if self.freeze_depth and self.depth_supervision:
            problems.append("--depth_supervision teaches what --freeze_depth keeps as it is")
        return problems


@dataclasses.dataclass(frozen=True)
class DepthModelOptions(Options):
    """The depth network that guides."""

    depth_model: str = option(
        "",
        "Run folder of --model=depth; if empty, a depth network is trained first, with the data "
        "and sizes of the run.",
    )


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthGuidedGAN(EditorGAN, MapLosses):
    """An editor whose edits must also have the depth of a face with the expression asked for.

    Bodur et al., section 3.3: G_rgb, D_rgb, G_depth and D_depth are trained together, and the
    gradient of D_depth's output for the map of an edit reaches G_rgb through G_depth.
    """

    roles = {
        **EditorGAN.roles,
        "depth": Role("depth_g_optimizer", averaged=True, file=DEPTH_FILE),
        "depth_discriminator": Role("depth_d_optimizer", discriminator=True),
        "vgg": Role(),
    }
    option_groups = {
        **EditorGAN.option_groups,
        "guidance": GuidanceOptions,
        "mapping": DepthLosses,
        "map_terms": DepthTerms,
    }

    def __init__(
        self,
        generator: AttributeGenerator,
        discriminator: Discriminator,
        depth: DepthNetwork,
        depth_discriminator: Discriminator,
        quality: QualityEstimator | None = None,
        identity: FaceNetwork | None = None,
        vgg: keras.Model | None = None,
        adversarial: AdversarialOptions | None = None,
        editing: EditorLosses | None = None,
        edit_terms: EditorTerms | None = None,
        guidance: GuidanceOptions | None = None,
        mapping: DepthLosses | None = None,
        map_terms: DepthTerms | None = None,
        name: str | None = "depth_guided_gan",
    ) -> None:
        """Takes the networks.

        Args:
            generator: G_rgb.
            discriminator: D_rgb.
            depth: G_depth, pre-trained.
            depth_discriminator: D_depth, pre-trained.
            quality: As ``EditorGAN`` takes it, as those that are not named here.
            identity: See there.
            vgg: What ``vgg19_taps`` gives; needed where ``guidance`` keeps the depth network to
                true maps and L_per has a weight.
            adversarial: The weights of both pairs of networks.
            editing: See there.
            edit_terms: See there.
            guidance: The part that the depth networks take in the editor's loss.
            mapping: The weights of their own losses.
            map_terms: The weights of registered loss terms of maps.
            name: Name of the Keras model.

        Raises:
            ValueError: A network is missing, or the two generators do not fit.
        """
        adversarial = adversarial or AdversarialOptions()
        guidance, mapping = guidance or GuidanceOptions(), mapping or DepthLosses()
        compares = guidance.supervises and mapping.perceptual_weight
        if compares and vgg is None:
            raise ValueError("depth_supervision with a perceptual_weight needs VGG19")
        if depth.image_size != generator.image_size:
            raise ValueError(
                f"the depth network sees {depth.image_size} pixels, the editor "
                f"{generator.image_size}"
            )
        super().__init__(
            generator,
            discriminator,
            quality,
            identity,
            adversarial,
            editing,
            edit_terms,
            name,
            networks={
                "depth": depth,
                "depth_discriminator": depth_discriminator,
                "vgg": vgg if compares else None,
            },
            decays={"depth": adversarial.ema_decay},
            frozen=["depth"] if guidance.freeze_depth else [],
        )
        self.guidance, self.mapping = guidance, mapping
        self.map_terms = map_terms or DepthTerms()

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        names = list(ADVERSARIAL_TERMS)
        if self.guidance.freeze_depth and not self.guidance.depth_cycle_to_editor:
            names.remove("reconstruction")
        if self.guidance.supervises:
            names += self.supervised_terms
        return (*super().terms, *(f"depth_{name}" for name in names))

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns ``sample_grid`` with the maps of the edits."""
        return sample_grid(self.used("generator"), faces, indices, self.used("depth"))

    def generate(self, batch: Batch) -> Images:
        """The edited images and their maps."""
        fake = super().generate(batch)
        return {**fake, "map": self.depth.to_map(fake["edited"], training=True)}

    def discriminator_losses(self, batch: Batch, fake: Images) -> dict[str, tf.Tensor]:
        """L_D of D_rgb, and that of D_depth on true maps and those of edits."""
        D, beta = self.depth_discriminator, self.mapping.confidence_penalty
        of_maps = self.discriminator_loss(D, batch, batch["map"], fake["map"], beta, "depth_")
        return {**super().discriminator_losses(batch, fake), "depth_d_optimizer": of_maps}

    def generator_losses(self, batch: Batch, fake: Images) -> dict[str, tf.Tensor]:
        """L_G of G_rgb with what D_depth says (equation 8), and that of G_depth.

        The depth network does not learn to please D_rgb, and the editor gets no more of the depth
        losses than ``depth_weight``.
        """
        guidance, made = self.guidance, fake["map"]
        editor = self.generator_loss(batch, fake)
        depth = self.adversarial_and_classification(
            self.depth_discriminator,
            made,
            self.wanted(batch),
            self.mapping.confidence_penalty,
            "depth_",
        )
        editor += guidance.depth_weight * depth
        if not guidance.freeze_depth or guidance.depth_cycle_to_editor:
            undone = self.depth.to_rgb(made, training=True)
            L_rec = losses.reconstruction_loss(fake["edited"], undone)
            cycle = self.adversarial.reconstruction_weight * self.logged_mean(
                "depth_reconstruction", L_rec
            )
            if guidance.depth_cycle_to_editor:
                editor += guidance.depth_weight * cycle
            depth += cycle
        if guidance.freeze_depth:
            return {"g_optimizer": editor}
        if guidance.supervises:
            known = self.depth.to_map(batch["image"], training=True)
            supervised = self.supervised_loss(known, batch["map"], "depth_")
            depth += guidance.depth_supervision * supervised
        return {"g_optimizer": editor, "depth_g_optimizer": depth}


@dataclasses.dataclass(frozen=True)
class DepthGuided(EditorSystem):
    """An editor that a depth network guides; a base class before the editor's."""

    maps: MapOptions = group(MapOptions)
    mapping: DepthLosses = group(DepthLosses)
    map_terms: DepthTerms = group(DepthTerms)
    guidance: GuidanceOptions = group(GuidanceOptions)
    depth: DepthModelOptions = group(DepthModelOptions)
    trainer_class: ClassVar[type[Trainer]] = DepthGuidedGAN

    @property
    def _compares(self) -> bool:
        """Whether maps are compared in the features of VGG19."""
        return bool(self.guidance.supervises and self.mapping.perceptual_weight)

    def problems(self) -> list[str]:
        """Adds the rules of VGG19, and of what the depth network's discriminator reads."""
        problems = super().problems()
        if not set(self.conditioning.condition_names) - {"lighting"}:
            problems.append(
                f"--conditions={self.conditioning.conditions}: maps of a surface show no light; "
                f"name expression or attributes too for {self.model}"
            )
        if self._compares:
            problems += self.maps.problems_of_vgg(self.data.image_size)
        return problems

    def needs(self) -> Needs:
        """Adds the maps; see ``System``."""
        return dataclasses.replace(super().needs(), map_kind=self.maps.geometry)

    def effective(self) -> System:
        """Returns the editor alone where guidance has no weight."""
        assert self.base is not None
        return self if self.guidance.depth_weight else self.converted(self.base)

    def notes(self) -> list[str]:
        """Says that a depth network without weight is not used."""
        notes = super().notes()
        if self.depth.depth_model and not self.guidance.depth_weight:
            notes.append("--depth_model is not used: --depth_weight is 0")
        return notes

    def input_files(self, begun: bool) -> dict[str, str]:
        """Adds the file of VGG19's weights."""
        of_vgg = vgg_file(self.maps, self.mapping) if self._compares else {}
        return {**super().input_files(begun), **of_vgg}

    def initial_weights(self) -> dict[str, str]:
        """Returns VGG19's weights where training uses them; see ``System``."""
        return {"vgg_weights": self.maps.vgg_weights} if self._compares else {}

    def auxiliaries(self) -> tuple[Auxiliary, ...]:
        """Adds the depth network, which learns from the data of the run, in its form."""
        shown = [name for name in self.conditioning.condition_names if name != "lighting"]
        system = self.converted(
            Depth,
            conditions=",".join(shown),
            workdir=self.subfolder("depth"),
            train_steps=self.guides.auxiliary_steps,
        )
        depth = Auxiliary("depth", self.depth.depth_model, system, on_same_data=True)
        return (*super().auxiliaries(), depth)

    def trainer(
        self, network: Network, faces: FaceSet, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the GAN of the editor and the depth networks; see ``System``."""
        return DepthGuidedGAN(
            network,
            self.new_discriminator(faces),
            vgg=vgg19_taps(self.maps.vgg_weights) if self._compares else None,
            adversarial=self.gan,
            editing=self.editing,
            edit_terms=self.edit_terms,
            guidance=self.guidance,
            mapping=self.mapping,
            map_terms=self.map_terms,
            **auxiliaries,
        )


@register
@dataclasses.dataclass(frozen=True)
class DepthStargan(DepthGuided, Stargan):
    """StarGAN guided by depth or surface normals, as Bodur et al. publish it."""

    model: ClassVar[str] = "depth_stargan"
    base: ClassVar[type[System] | None] = Stargan


@register
@dataclasses.dataclass(frozen=True)
class DepthLegan(DepthGuided, Legan):
    """LEGAN guided by depth or surface normals (ours)."""

    model: ClassVar[str] = "depth_legan"
    base: ClassVar[type[System] | None] = Legan
