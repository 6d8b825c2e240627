"""The base of the systems that edit expression and lighting: LEGAN and StarGAN."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf import losses
from legan_tf.command_line.options import BELOW_ONE, POSITIVE, Options, option
from legan_tf.data.align import face_lines
from legan_tf.data.faceset import FaceSet
from legan_tf.graph_ops.resizing import resize
from legan_tf.losses.terms import EDITOR, LazyInputs, LossTerm, active_terms, weight_options
from legan_tf.models import (
    AttributeGenerator,
    Discriminator,
    FaceNetwork,
    Network,
    QualityEstimator,
)
from legan_tf.models.layers import PACKAGE
from legan_tf.training.adversarial import (
    ADVERSARIAL_TERMS,
    AdversarialSystem,
    AdversarialTrainer,
)
from legan_tf.training.datasets import Datasets
from legan_tf.training.options import AdversarialObjective
from legan_tf.training.samples import sample_grid
from legan_tf.training.system import Auxiliary, fields_shared_with, subfolder
from legan_tf.training.systems.identity import Identity, lightcnn_size_problems
from legan_tf.training.systems.quality import Quality, most_convolutions
from legan_tf.training.trainer import Batch, Trainer

AUXILIARY_BATCH = 32
"""Least batch size of the networks that a run trains for itself."""
MASKS = ("expression_mask", "lighting_mask")
_MEASURED_PICTURES = 12


@dataclasses.dataclass(frozen=True)
class Objective(AdversarialObjective, weight_options(EDITOR)):
    """The loss terms of an editor: LEGAN's full loss, of which StarGAN's is a part."""

    quality_target: float = option(8.0, "Rating from 1 to 10 that L_qual pulls to.")

    def problems(self) -> list[str]:
        """Adds the range of the rating."""
        problems = super().problems()
        if not 1 <= self.quality_target <= 10:
            problems.append(f"--quality_target={self.quality_target}: ratings are 1 to 10")
        return problems


def networks_of_terms(objective: Options) -> dict[str, LossTerm]:
    """Returns, by ``quality`` and ``identity``, a term with a weight that needs that network."""
    readings = {"rating": "quality", "embedding": "identity"}
    return {
        readings[kind]: term
        for term in active_terms(EDITOR, objective)
        for kind in (name.rpartition("_")[2] for name in term.inputs)
        if kind in readings
    }


@dataclasses.dataclass(frozen=True)
class EditorSystem(Objective, AdversarialSystem):
    """An editor, and the small networks that it trains first where none are given."""

    output: str = option(
        "direct",
        "Generator: paint the image, or give a gain and an offset per pixel (ours).",
        ("direct", "affine"),
    )
    keep_share: float = option(
        0.0,
        "Share of targets that leave an attribute as it is (ours); lets edits name only one.",
        limit=BELOW_ONE,
    )
    quality_model: str = option(
        "",
        "Run folder or .keras file of Q; if empty, a small Q is trained on rendered faces first.",
    )
    identity_model: str = option(
        "",
        "Run folder or .keras file of a face network; if empty, a small one is trained first.",
    )
    auxiliary_steps: int = option(
        600, "Updates of each network that is trained first.", limit=POSITIVE
    )
    rated_faces: int = option(
        8000, "Q on rendered faces: damaged pictures to rate.", limit=POSITIVE
    )
    q_depth: int = option(
        6, "Q that is trained first: convolutions, as far as they halve the size.", limit=POSITIVE
    )
    edit_lighting: ClassVar[bool] = True
    network_class: ClassVar = AttributeGenerator

    @property
    def learns_lighting(self) -> bool:
        """Whether labels of light are read."""
        return self.edit_lighting

    def problems(self) -> list[str]:
        """Adds the rules of mirroring and of the identity network."""
        problems = super().problems()
        if self.flip and self.edit_lighting:
            problems.append(f"--flip would put the light on the wrong side for {self.model}")
        if "identity" in networks_of_terms(self) and not self.identity_model:
            problems += lightcnn_size_problems(self.image_size)
        return problems

    def auxiliaries(self) -> tuple[Auxiliary, ...]:
        """Returns Q and the identity network where a loss term needs them."""
        needed = networks_of_terms(self)
        kinds = {
            "quality": (self.quality_model, self._small_quality),
            "identity": (self.identity_model, self._small_identity),
        }
        return tuple(
            Auxiliary(kind, given, make())
            for kind, (given, make) in kinds.items()
            if kind in needed
        )

    def _small_quality(self) -> Quality:
        return Quality(
            **self._small("quality"),
            learning_rate=5e-4,
            q_width=16,
            q_depth=min(self.q_depth, most_convolutions(self.image_size)),
            rated_faces=self.rated_faces,
        )

    def _small_identity(self) -> Identity:
        return Identity(**self._small("identity"), learning_rate=1e-3, identity_width=0.25)

    def _small(self, name: str) -> dict[str, Any]:
        """The options that Q and the identity network have in common."""
        return {
            "workdir": subfolder(self, name),
            "image_size": self.image_size,
            "people": self.people,
            "expressions": self.expressions,
            "merge_flashless": self.merge_flashless,
            # A multiple of the run's own batch, so that every number of replicas divides it.
            "batch_size": self.batch_size * -(-AUXILIARY_BATCH // self.batch_size),
            "train_steps": self.auxiliary_steps,
            "seed": self.seed,
            "precision": self.precision,
            "replicas": self.replicas,
            "deterministic": self.deterministic,
            "beta_1": 0.9,
            "flip": True,
            "log_every": 50,
            "sample_every": self.auxiliary_steps,
            "checkpoint_every": 200,
        }

    def generator_options(self, faces: FaceSet) -> dict[str, Any]:
        """Returns the arguments that the generators of all editors take."""
        return {
            "conditions": faces.conditions,
            "image_size": self.image_size,
            "width": self.width,
            "blocks": self.blocks,
            "output": self.output,
            "stem": self.stem,
            "keeps_unnamed": self.keep_share > 0,
            "face_lines": _face_lines(faces),
        }

    def trainer(
        self, network: AttributeGenerator, data: Datasets, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the GAN to fit; see ``System``."""
        objective = Objective(**fields_shared_with(Objective, self))
        return AttributeGAN(
            network, self.discriminator(data.train), objective=objective, **auxiliaries
        )


@keras.saving.register_keras_serializable(package=PACKAGE)
class AttributeGAN(AdversarialTrainer):
    """LEGAN, StarGAN and StarGAN with L_qual: they differ in the generator and the weights."""

    saved_networks = ("generator", "discriminator", "quality", "identity")
    saved_options = {"objective": Objective}

    def __init__(
        self,
        generator: AttributeGenerator,
        discriminator: Discriminator,
        quality: QualityEstimator | None = None,
        identity: FaceNetwork | None = None,
        objective: Objective | None = None,
        name: str | None = "attribute_gan",
    ) -> None:
        """Takes the networks.

        Args:
            generator: G.
            discriminator: D.
            quality: Q, frozen here; needed where a loss term with a weight reads its ratings.
            identity: The face network of L_id, frozen here; needed where a loss term with a
                weight reads its embeddings.
            objective: The loss terms' weights.
            name: Name of the Keras model.

        Raises:
            ValueError: A weight is positive and its network is missing.
        """
        objective = objective or Objective()
        needed = networks_of_terms(objective)
        for kind, network in (("quality", quality), ("identity", identity)):
            if kind in needed and network is None:
                raise ValueError(
                    f"{needed[kind].weight} is {getattr(objective, needed[kind].weight)}, but "
                    f"there is no {kind} network"
                )
        super().__init__(generator, discriminator, objective.ema_decay, name)
        self.objective = objective
        self.quality = quality if "quality" in needed else None
        self.identity = identity if "identity" in needed else None
        for network in (self.quality, self.identity):
            if network is not None:
                network.build()
                network.trainable = False

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that ``train_step`` reports."""
        own = [term.name for term in active_terms(EDITOR, self.objective)]
        return (*ADVERSARIAL_TERMS, "reconstruction", *own)

    @property
    def frozen(self) -> list[keras.Model]:
        """Q and the identity network, where they guide."""
        return [network for network in (self.quality, self.identity) if network is not None]

    def samples(self, faces: FaceSet, indices: np.ndarray) -> np.ndarray:
        """Returns ``sample_grid`` of the generator that ``network`` names."""
        return sample_grid(self.network, faces, indices)

    def _request(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The generator's input: the image and the target codes."""
        names = [one.name for one in self.generator.conditions]
        return self._coded(batch["image"], {name: batch[f"target_{name}"] for name in names})

    def _coded(self, image: tf.Tensor, labels: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """An image with one-hot codes; a negative label becomes a row of zeros."""
        return {"image": image, **self.generator.codes(labels)}

    def _generate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The edited images."""
        generated = dict(self.generator(self._request(batch), training=True))
        return {"edited": generated.pop("image"), **generated}

    def _update_critics(self, batch: Batch, generated: dict[str, tf.Tensor]) -> None:
        """One update of the discriminator on real images and the generator's."""
        self._update_critic(
            "d_optimizer", self.objective, batch, batch["image"], generated["edited"]
        )

    def _wanted(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The labels that edited images should have."""
        return {
            name: tf.where(batch[f"target_{name}"] < 0, batch[name], batch[f"target_{name}"])
            for name in (one.name for one in self.generator.conditions)
        }

    def _generator_losses(
        self, batch: Batch, generated: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """The generator's full loss."""
        objective = self.objective
        original, edited = batch["image"], generated["edited"]
        total = self._critic_terms(self.discriminator, objective, edited, self._wanted(batch))
        back = self.generator(self._coded(edited, batch), training=True)["image"]
        # Without its source label an attribute that was changed cannot be changed back.
        undoable = tf.reduce_all(
            [
                (batch[one.name] >= 0) | (batch[f"target_{one.name}"] < 0)
                for one in self.generator.conditions
            ],
            0,
        )
        reconstruction = losses.reconstruction_loss(original, back)
        total += objective.reconstruction_weight * self.record(
            "reconstruction", tf.where(undoable, reconstruction, 0.0)
        )
        inputs = self._term_inputs({"original": original, "edited": edited, "reconstructed": back})
        inputs.update({name: generated[name] for name in MASKS if name in generated})
        total += self._weighted_terms(active_terms(EDITOR, objective), objective, inputs, undoable)
        return {"g_optimizer": total}

    def _term_inputs(self, images: dict[str, tf.Tensor]) -> LazyInputs:
        """The inputs of loss terms that are computed from images; see ``losses.terms.EDITOR``."""

        def reading(network: keras.Model, image: tf.Tensor) -> Callable[[], tf.Tensor]:
            return lambda: network(_at_size(image, network.image_size))

        makers = {name: lambda image=image: image for name, image in images.items()}
        for name, image in images.items():
            for network, kind in ((self.identity, "embedding"), (self.quality, "rating")):
                if network is not None:
                    makers[f"{name}_{kind}"] = reading(network, image)
        return LazyInputs(self.objective, makers)


def _face_lines(faces: FaceSet) -> tuple[float, ...]:
    """Returns the heights of eyes and mouth in pictures to train on; nothing where none shows."""
    rows = np.linspace(0, len(faces.expression) - 1, _MEASURED_PICTURES).astype(np.int64)
    lines = face_lines.measure(faces.load(tf.constant(row)).numpy() for row in rows)
    return lines or ()


def _at_size(images: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes images for a network of another input size, differentiably."""
    if images.shape[1] == size:
        return images
    return resize(images, (size, size), "triangle")
