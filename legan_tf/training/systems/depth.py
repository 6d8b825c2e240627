"""The depth network of Bodur et al., which maps pictures to depth or surface normals and back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import NOT_NEGATIVE, Options, group, option
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.losses.terms import DEPTH, active_terms, term_options
from legan_tf.models import DepthNetwork, Discriminator, Network, vgg19_taps
from legan_tf.models.layers import PACKAGE
from legan_tf.training.datasets import Needs
from legan_tf.training.gan import ADVERSARIAL_TERMS, AdversarialTrainer, Images
from legan_tf.training.options import AdversarialOptions, ConditionOptions
from legan_tf.training.run_folder import (
    DISCRIMINATOR_FILE,
    NETWORK_FILE,
    last_record,
    load_network_of,
    network_file,
)
from legan_tf.training.samples import map_grid
from legan_tf.training.system import register
from legan_tf.training.systems.adversarial import AdversarialSystem
from legan_tf.training.trainer import Batch, Role, Trainer


@dataclasses.dataclass(frozen=True)
class MapOptions(Options):
    """What a depth network's maps show, and VGG19, in whose features they are compared."""

    geometry: str = option(
        "depth",
        "Depth network: whether its maps show depth or surface normals.",
        ("depth", "normal"),
    )
    vgg_weights: str = option(
        "imagenet",
        "Depth network: VGG19 of L_per: imagenet, as Keras downloads it; the path of that file; "
        "or random, for trials.",
    )

    def problems_of_vgg(self, image_size: int) -> list[str]:
        """Returns the rules that VGG19 would break."""
        problems = []
        named = self.vgg_weights in ("imagenet", "random")
        if not named and not os.path.isfile(self.vgg_weights):
            problems.append(
                f"--vgg_weights={self.vgg_weights}: there is no such file; imagenet and random "
                "need none"
            )
        if image_size < 16:
            problems.append(f"--image_size={image_size}: VGG19 needs 16 or more")
        return problems


@dataclasses.dataclass(frozen=True)
class DepthLosses(Options):
    """The losses of the depth network and its discriminator (Bodur et al., section 3.2)."""

    pixel_weight: float = option(
        100.0, "Depth network: weight of L_pix to true maps.", limit=NOT_NEGATIVE
    )
    perceptual_weight: float = option(
        1.0, "Depth network: weight of L_per to true maps; 0 needs no VGG19.", limit=NOT_NEGATIVE
    )
    confidence_penalty: float = option(
        0.0,
        "Depth discriminator: strength of the penalty on being sure of an expression.",
        limit=NOT_NEGATIVE,
    )


if TYPE_CHECKING:
    DepthTerms = Options
else:
    DepthTerms = term_options(DEPTH)


class MapLosses(AdversarialTrainer):
    """The losses of maps whose truth is known, which two trainings share.

    Attributes:
        mapping: The weights of the losses.
        map_terms: The weights of registered loss terms.
        vgg: VGG19, where L_per has a weight.
    """

    mapping: DepthLosses
    map_terms: DepthTerms
    vgg: keras.Model | None

    @property
    def supervised_terms(self) -> list[str]:
        """Names of the losses of ``supervised_loss``."""
        names = ["pixel"] * bool(self.mapping.pixel_weight)
        names += ["perceptual"] * bool(self.mapping.perceptual_weight)
        return names + [term.name for term in active_terms(DEPTH, self.map_terms)]

    def supervised_loss(self, made: tf.Tensor, true: tf.Tensor, prefix: str = "") -> tf.Tensor:
        """λ_pix L_pix + λ_per L_per (Bodur et al., equations 9 and 10).

        Args:
            made: float32 [B,S,S,3] in [-1, 1], maps.
            true: The true maps, likewise.
            prefix: Beginning of the terms' names in the training log.
        """
        w, total = self.mapping, tf.constant(0.0)
        if w.pixel_weight:
            L_pix = losses.pixel_loss(made, true)
            total += w.pixel_weight * self.logged_mean(f"{prefix}pixel", L_pix)
        if w.perceptual_weight:
            assert self.vgg is not None
            L_per = losses.perceptual_loss(self.vgg(made), self.vgg(true))
            total += w.perceptual_weight * self.logged_mean(f"{prefix}perceptual", L_per)
        for term in active_terms(DEPTH, self.map_terms):
            weight = getattr(self.map_terms, term.weight)
            values = term.function({"map": made, "true_map": true})
            total += weight * self.logged_mean(f"{prefix}{term.name}", values)
        return total


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthGAN(MapLosses):
    """Pre-training of the depth network on pictures and their maps (Bodur et al., section 3.2).

    Generator is the ``DepthNetwork``, which learns to make the map of a picture and, for the cycle,
    the picture of a map. The discriminator sees maps and classifies the expression of the face.
    """

    roles = {
        "generator": Role("g_optimizer", averaged=True, file=NETWORK_FILE),
        "discriminator": Role("d_optimizer", discriminator=True, file=DISCRIMINATOR_FILE),
        "vgg": Role(),
    }
    option_groups = {
        "adversarial": AdversarialOptions,
        "mapping": DepthLosses,
        "map_terms": DepthTerms,
    }

    def __init__(
        self,
        generator: DepthNetwork,
        discriminator: Discriminator,
        vgg: keras.Model | None = None,
        adversarial: AdversarialOptions | None = None,
        mapping: DepthLosses | None = None,
        map_terms: DepthTerms | None = None,
        name: str | None = "depth_gan",
    ) -> None:
        """Takes the networks.

        Args:
            generator: G_depth.
            discriminator: D_depth, which goes on in the training of an editor.
            vgg: What ``vgg19_taps`` gives; needed where L_per has a weight.
            adversarial: The weights of L_adv, L_cls, L_gp and L_rec.
            mapping: The weights of the other losses.
            map_terms: The weights of registered loss terms.
            name: Name of the Keras model.

        Raises:
            ValueError: ``vgg`` is missing.
        """
        adversarial, mapping = adversarial or AdversarialOptions(), mapping or DepthLosses()
        if mapping.perceptual_weight and vgg is None:
            raise ValueError(
                f"perceptual_weight is {mapping.perceptual_weight}, but there is no VGG19"
            )
        super().__init__(
            {
                "generator": generator,
                "discriminator": discriminator,
                "vgg": vgg if mapping.perceptual_weight else None,
            },
            {"generator": adversarial.ema_decay},
            name=name,
        )
        self.adversarial, self.mapping = adversarial, mapping
        self.map_terms = map_terms or DepthTerms()

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        return (*ADVERSARIAL_TERMS, *self.supervised_terms)

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns ``map_grid`` of the depth network, or of its average."""
        return map_grid(self.used("generator"), faces, indices)

    def generate(self, batch: Batch) -> Images:
        """The maps of the pictures."""
        return {"map": self.generator.to_map(batch["image"], training=True)}

    def discriminator_losses(self, batch: Batch, fake: Images) -> dict[str, tf.Tensor]:
        """L_D of true maps and those that were made."""
        D, beta = self.discriminator, self.mapping.confidence_penalty
        return {"d_optimizer": self.discriminator_loss(D, batch, batch["map"], fake["map"], beta)}

    def generator_losses(self, batch: Batch, fake: Images) -> dict[str, tf.Tensor]:
        """L_G = λ_adv L_adv + λ_cls L_cls + λ_rec L_rec + λ_pix L_pix + λ_per L_per."""
        beta, made = self.mapping.confidence_penalty, fake["map"]
        total = self.adversarial_and_classification(self.discriminator, made, batch, beta)
        L_rec = losses.reconstruction_loss(
            batch["image"], self.generator.to_rgb(made, training=True)
        )
        total += self.adversarial.reconstruction_weight * self.logged_mean("reconstruction", L_rec)
        return {"g_optimizer": total + self.supervised_loss(made, batch["map"])}


@register
@dataclasses.dataclass(frozen=True)
class Depth(AdversarialSystem):
    """Pre-training of the depth network on pictures and their maps."""

    model: ClassVar[str] = "depth"
    columns: ClassVar[tuple[str, ...]] = ("expression",)
    trainer_class: ClassVar[type[Trainer]] = DepthGAN
    network_class: ClassVar[type[Network]] = DepthNetwork

    conditioning: ConditionOptions = group(ConditionOptions, conditions="expression")
    maps: MapOptions = group(MapOptions)
    mapping: DepthLosses = group(DepthLosses)
    map_terms: DepthTerms = group(DepthTerms)

    def problems(self) -> list[str]:
        """Adds the rules of light, which no map shows, and of VGG19."""
        problems = super().problems()
        if "lighting" in self.conditioning.condition_names:
            problems.append("--conditions: no map shows the lighting; leave it out")
        if self.mapping.perceptual_weight:
            problems += self.maps.problems_of_vgg(self.data.image_size)
        return problems

    def needs(self) -> Needs:
        """Adds the maps; see ``System``."""
        return dataclasses.replace(super().needs(), map_kind=self.maps.geometry)

    def input_files(self, begun: bool) -> dict[str, str]:
        """Adds the file of VGG19's weights."""
        return {**super().input_files(begun), **vgg_file(self.maps, self.mapping)}

    def initial_weights(self) -> dict[str, str]:
        """Returns VGG19's weights where training uses them; see ``System``."""
        used = self.mapping.perceptual_weight
        return {"vgg_weights": self.maps.vgg_weights} if used else {}

    def network(self, faces: FaceSet) -> DepthNetwork:
        """Returns G_depth."""
        body = self.hourglass
        return DepthNetwork(
            self.data.image_size,
            self.maps.geometry,
            body.width,
            body.blocks,
            body.upsampling or "transposed",
            body.stem,
        )

    def new_discriminator(self, faces: FaceSet, name: str = "depth_discriminator") -> Discriminator:
        """Returns D_depth, which reads what a map shows."""
        shown = [name for name in self.conditioning.condition_names if name in faces.labels]
        return super().new_discriminator(faces.only(shown), name)

    def trainer(
        self, network: Network, faces: FaceSet, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the GAN of maps; see ``System``."""
        return DepthGAN(
            network,
            self.new_discriminator(faces),
            vgg19_taps(self.maps.vgg_weights) if self.mapping.perceptual_weight else None,
            self.gan,
            self.mapping,
            self.map_terms,
        )

    def network_files(self, path: str) -> list[str]:
        """Returns the files of D_depth and of the depth network; see ``System``."""
        network = network_file(path)
        if not os.path.isdir(path):
            raise UserError(
                f"{path}: name the run folder of --model=depth, which holds the depth network and "
                "its discriminator."
            )
        return [network_file(path, DISCRIMINATOR_FILE), network]

    def load_trained(self, flag: str, path: str, faces: FaceSet) -> dict[str, Network]:
        """Loads the depth network and D_depth for an editor that they guide; see ``System``."""
        depth = load_network_of(flag, path, DepthNetwork)
        discriminator = load_network_of(flag, path, Discriminator, DISCRIMINATOR_FILE)
        for name, wanted, there in (
            ("image_size", self.data.image_size, depth.image_size),
            ("geometry", self.maps.geometry, depth.geometry),
        ):
            if wanted != there:
                raise UserError(
                    f"--{flag}={path}: it was trained with --{name}={there}, not {wanted}."
                )
        recorded = {"expression": tuple(last_record(path).get("expressions", ()))}
        for one in discriminator.conditions:
            here = faces.names(one.name)
            # Files of before count the classes.
            counted = one.names == tuple(map(str, range(one.size))) and one.size == len(here)
            there = recorded.get(one.name) or (here if counted else one.names)
            if there != here:
                raise UserError(
                    f"--{flag}={path}: its discriminator reads of {one.name} {', '.join(there)}; "
                    f"this run has {', '.join(here) or 'none'}."
                )
        reads = {one.name: one.size for one in discriminator.conditions}
        shown = {name: len(faces.names(name)) for name in self.conditioning.condition_names}
        if reads != shown:
            raise UserError(
                f"--{flag}={path}: its discriminator reads {', '.join(reads)}, and this run has "
                f"--conditions={self.conditioning.conditions} with other labels; give one trained "
                "with them."
            )
        return {"depth": depth, "depth_discriminator": discriminator}

    def new_networks(self, faces: FaceSet) -> dict[str, Network]:
        """Returns the depth network and D_depth, not trained."""
        return {
            "depth": self.network(faces),
            "depth_discriminator": self.new_discriminator(faces),
        }


def vgg_file(maps: MapOptions, mapping: DepthLosses) -> dict[str, str]:
    """Returns the file of VGG19's weights by its flag, where training reads one."""
    used = mapping.perceptual_weight and os.path.isfile(maps.vgg_weights)
    return {"vgg_weights": maps.vgg_weights} if used else {}
