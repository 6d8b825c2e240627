"""The depth network of Bodur et al., which maps pictures to depth or surface normals and back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import NOT_NEGATIVE, Options, option
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.losses.terms import DEPTH, LazyInputs, active_terms, weight_options
from legan_tf.models import DepthNetwork, Discriminator, Network, vgg19_taps
from legan_tf.models.layers import PACKAGE
from legan_tf.training.adversarial import (
    ADVERSARIAL_TERMS,
    AdversarialSystem,
    AdversarialTrainer,
)
from legan_tf.training.datasets import Datasets
from legan_tf.training.options import AdversarialObjective
from legan_tf.training.run_folder import (
    CRITIC_FILE,
    NETWORK_FILE,
    last_record,
    load_network_of,
    network_file,
)
from legan_tf.training.samples import map_grid
from legan_tf.training.system import fields_shared_with, register
from legan_tf.training.trainer import Batch, Trainer


@dataclasses.dataclass(frozen=True)
class DepthObjective(AdversarialObjective, weight_options(DEPTH)):
    """The loss terms of the depth network and its discriminator (Bodur et al., section 3.2)."""

    confidence_penalty: float = option(
        0.0,
        "Depth discriminator: strength of the penalty on being sure of an expression.",
        limit=NOT_NEGATIVE,
    )


def needs_vgg(objective: Options) -> bool:
    """Returns whether a loss term with a weight compares maps in the features of VGG19."""
    terms = active_terms(DEPTH, objective)
    return any(name.endswith("_features") for term in terms for name in term.inputs)


def map_inputs(
    objective: Options, vgg: keras.Model | None, generated: tf.Tensor, true: tf.Tensor
) -> LazyInputs:
    """Returns the inputs of the loss terms of maps; see ``losses.terms.DEPTH``."""
    makers = {"map": lambda: generated, "true_map": lambda: true}
    if vgg is not None:
        makers["map_features"] = lambda: vgg(generated)
        makers["true_map_features"] = lambda: vgg(true)
    return LazyInputs(objective, makers)


@dataclasses.dataclass(frozen=True)
class DepthOptions(Options):
    """Options of every system with a depth network."""

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

    @property
    def uses_vgg(self) -> bool:
        """Whether training compares maps in the features of VGG19."""
        return needs_vgg(self)

    def vgg(self) -> keras.Model | None:
        """Returns VGG19 where training uses it."""
        return vgg19_taps(self.vgg_weights) if self.uses_vgg else None

    def problems(self) -> list[str]:
        """Adds the rules of VGG19."""
        problems = super().problems()
        named = self.vgg_weights in ("imagenet", "random")
        if self.uses_vgg and not named and not os.path.isfile(self.vgg_weights):
            problems.append(
                f"--vgg_weights={self.vgg_weights}: there is no such file; imagenet and random "
                "need none"
            )
        if self.uses_vgg and self.image_size < 16:
            problems.append(f"--image_size={self.image_size}: VGG19 needs 16 or more")
        return problems

    def input_files(self, begun: bool) -> dict[str, str]:
        """Adds the file of VGG19's weights."""
        files = super().input_files(begun)
        if self.uses_vgg and os.path.isfile(self.vgg_weights):
            files["vgg_weights"] = self.vgg_weights
        return files

    def initial_weights(self) -> dict[str, str]:
        """Returns VGG19's weights where training uses them; see ``System``."""
        vgg = {"vgg_weights": self.vgg_weights} if self.uses_vgg else {}
        return {**super().initial_weights(), **vgg}


@register
@dataclasses.dataclass(frozen=True)
class Depth(DepthOptions, DepthObjective, AdversarialSystem):
    """Pre-training of the depth network on pictures and their maps."""

    model: ClassVar[str] = "depth"
    needs: ClassVar[tuple[str, ...]] = ("expression",)
    network_class: ClassVar = DepthNetwork
    product_files: ClassVar[tuple[str, ...]] = (CRITIC_FILE, NETWORK_FILE)

    @property
    def learns_lighting(self) -> bool:
        """Labels of light are not read."""
        return False

    @property
    def map_kind(self) -> str:
        """``depth`` or ``normal``."""
        return self.geometry

    def network(self, faces: FaceSet) -> DepthNetwork:
        """Returns G_depth."""
        return DepthNetwork(
            self.image_size,
            self.geometry,
            self.width,
            self.blocks,
            self.upsampling or "transposed",
            self.stem,
        )

    def discriminator(self, faces: FaceSet) -> Discriminator:
        """Returns D_depth, which reads expressions alone."""
        return Discriminator(
            faces.only(["expression"]).conditions,
            self.image_size,
            self.d_width,
            self.d_depth,
            self.fake_class,
            name="depth_discriminator",
        )

    def trainer(
        self, network: DepthNetwork, data: Datasets, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the GAN of maps; see ``System``."""
        objective = DepthObjective(**fields_shared_with(DepthObjective, self))
        return DepthGAN(network, self.discriminator(data.train), self.vgg(), objective)

    def network_files(self, path: str) -> list[str]:
        """Returns the files of D_depth and of the depth network; see ``System``."""
        network = network_file(path)
        if not os.path.isdir(path):
            raise UserError(
                f"{path}: name the run folder of --model=depth, which holds the depth network and "
                "its discriminator."
            )
        return [network_file(path, CRITIC_FILE), network]

    def load_trained(self, flag: str, path: str, faces: FaceSet) -> dict[str, Network]:
        """Loads the depth network and D_depth for an editor that they guide; see ``System``."""
        depth = load_network_of(flag, path, DepthNetwork)
        critic = load_network_of(flag, path, Discriminator, CRITIC_FILE)
        for name, wanted, there in (
            ("image_size", self.image_size, depth.image_size),
            ("geometry", self.geometry, depth.geometry),
        ):
            if wanted != there:
                raise UserError(
                    f"--{flag}={path}: it was trained with --{name}={there}, not {wanted}."
                )
        known = last_record(path).get("expressions")
        if known and tuple(known) != tuple(faces.expressions):
            raise UserError(
                f"--{flag}={path}: its discriminator reads the expressions {', '.join(known)}; "
                f"this run has {', '.join(faces.expressions)}."
            )
        return {"depth": depth, "depth_discriminator": critic}

    def new_networks(self, faces: FaceSet) -> dict[str, Network]:
        """Returns the depth network and D_depth, not trained."""
        return {"depth": self.network(faces), "depth_discriminator": self.discriminator(faces)}


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthGAN(AdversarialTrainer):
    """Pre-training of the depth network on pictures and their maps (Bodur et al., section 3.2).

    Generator is the ``DepthNetwork``, which learns to make the map of a picture and, for the cycle,
    the picture of a map. The discriminator sees maps and classifies the expression of the face.
    """

    saved_networks = ("generator", "discriminator", "vgg")
    saved_options = {"objective": DepthObjective}

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
            vgg: What ``vgg19_taps`` gives; needed where a loss term with a weight reads its
                features.
            objective: The loss terms' weights.
            name: Name of the Keras model.

        Raises:
            ValueError: ``vgg`` is missing.
        """
        objective = objective or DepthObjective()
        if needs_vgg(objective) and vgg is None:
            raise ValueError(
                f"perceptual_weight is {objective.perceptual_weight}, but there is no VGG19"
            )
        super().__init__(generator, discriminator, objective.ema_decay, name)
        self.objective = objective
        self.vgg = vgg if needs_vgg(objective) else None

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        own = [term.name for term in active_terms(DEPTH, self.objective)]
        return (*ADVERSARIAL_TERMS, "reconstruction", *own)

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

    def _generate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The maps of the pictures."""
        return {"map": self.generator.to_map(batch["image"], training=True)}

    def _update_critics(self, batch: Batch, generated: dict[str, tf.Tensor]) -> None:
        """One update of D_depth on true maps and those that were made."""
        objective = self.objective
        self._update_critic(
            "d_optimizer",
            objective,
            batch,
            batch["map"],
            generated["map"],
            confidence_penalty=objective.confidence_penalty,
        )

    def _generator_losses(
        self, batch: Batch, generated: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """The loss of the depth network."""
        objective = self.objective
        total = self._critic_terms(
            self.discriminator,
            objective,
            generated["map"],
            batch,
            confidence_penalty=objective.confidence_penalty,
        )
        back = self.generator.to_rgb(generated["map"], training=True)
        total += objective.reconstruction_weight * self.record(
            "reconstruction", losses.reconstruction_loss(batch["image"], back)
        )
        inputs = map_inputs(objective, self.vgg, generated["map"], batch["map"])
        total += self._weighted_terms(active_terms(DEPTH, objective), objective, inputs)
        return {"g_optimizer": total}
