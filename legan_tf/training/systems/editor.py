"""The base of the systems that edit faces: LEGAN and StarGAN."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from legan_tf.command_line.options import BELOW_ONE, POSITIVE, Options, group, option
from legan_tf.data.align import face_lines
from legan_tf.data.faceset import FaceSet
from legan_tf.models import AttributeGenerator, Network
from legan_tf.training.gan import EditorGAN
from legan_tf.training.options import EditorLosses, EditorTerms
from legan_tf.training.system import Auxiliary
from legan_tf.training.systems.adversarial import AdversarialSystem
from legan_tf.training.systems.identity import Identity, lightcnn_size_problems
from legan_tf.training.systems.quality import Quality, most_convolutions
from legan_tf.training.trainer import Trainer

AUXILIARY_BATCH = 32
"""Least batch size of the networks that a run trains for itself."""
_MEASURED_PICTURES = 12


@dataclasses.dataclass(frozen=True)
class EditorOptions(Options):
    """The form of an editor's output, and what it learns to leave alone."""

    output: str = option(
        "direct",
        "Generator: paint the image, or give a gain and an offset per pixel (ours).",
        ("direct", "affine"),
    )
    keep_share: float = option(
        0.0,
        "Share of targets that leave a condition as it is (ours); lets edits name only one.",
        limit=BELOW_ONE,
    )


@dataclasses.dataclass(frozen=True)
class GuideOptions(Options):
    """Q and the identity network: given, or small ones that are trained first."""

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


@dataclasses.dataclass(frozen=True)
class EditorSystem(AdversarialSystem):
    """An editor, and the small networks that it trains first where none are given."""

    editor: EditorOptions = group(EditorOptions)
    editing: EditorLosses = group(EditorLosses)
    edit_terms: EditorTerms = group(EditorTerms)
    guides: GuideOptions = group(GuideOptions)
    trainer_class: ClassVar[type[Trainer]] = EditorGAN
    network_class: ClassVar[type[Network]] = AttributeGenerator

    @property
    def targets_kept(self) -> float:
        """Share of targets that leave a condition as it is."""
        return self.editor.keep_share

    def problems(self) -> list[str]:
        """Adds the rules of mirroring and of the identity network."""
        problems = super().problems()
        if self.data.flip and "lighting" in self.conditioning.condition_names:
            problems.append(
                f"--flip would put the light on the wrong side for {self.model}; leave lighting "
                "out of --conditions"
            )
        if self.editing.identity_weight and not self.guides.identity_model:
            problems += lightcnn_size_problems(self.data.image_size)
        return problems

    def auxiliaries(self) -> tuple[Auxiliary, ...]:
        """Returns Q and the identity network where their losses have a weight."""
        guides, found = self.guides, []
        if self.editing.quality_weight:
            found.append(Auxiliary("quality", guides.quality_model, self._small_quality()))
        if self.editing.identity_weight:
            found.append(Auxiliary("identity", guides.identity_model, self._small_identity()))
        return tuple(found)

    def _small_quality(self) -> Quality:
        return Quality.of(
            **self._small("quality"),
            learning_rate=5e-4,
            q_width=16,
            q_depth=min(self.guides.q_depth, most_convolutions(self.data.image_size)),
            rated_faces=self.guides.rated_faces,
        )

    def _small_identity(self) -> Identity:
        shown = {name: getattr(self.data, name) for name in ("snapshots", "lights", "layers")}
        shown = shown if self.data.dataset == "rendered" else {}
        small = self._small("identity")
        return Identity.of(**small, **shown, learning_rate=1e-3, identity_width=0.25)

    def _small(self, name: str) -> dict[str, Any]:
        """The options that Q and the identity network have in common."""
        run, data, steps = self.run, self.data, self.guides.auxiliary_steps
        return {
            "workdir": self.subfolder(name),
            "image_size": data.image_size,
            "people": data.people,
            "expressions": data.expressions,
            "merge_flashless": data.merge_flashless,
            # A multiple of the run's own batch, so that every number of replicas divides it.
            "batch_size": run.batch_size * -(-AUXILIARY_BATCH // run.batch_size),
            "train_steps": steps,
            "seed": run.seed,
            "precision": run.precision,
            "replicas": run.replicas,
            "deterministic": run.deterministic,
            "beta_1": 0.9,
            "flip": True,
            "log_every": 50,
            "sample_every": steps,
            "checkpoint_every": 200,
        }

    def generator_options(self, faces: FaceSet) -> dict[str, Any]:
        """Returns the arguments that the generators of all editors take."""
        return {
            "conditions": faces.conditions,
            "image_size": self.data.image_size,
            "width": self.hourglass.width,
            "blocks": self.hourglass.blocks,
            "output": self.editor.output,
            "stem": self.hourglass.stem,
            "keeps_unnamed": self.editor.keep_share > 0,
            "face_lines": _face_lines(faces),
        }

    def trainer(
        self, network: Network, faces: FaceSet, auxiliaries: Mapping[str, Network]
    ) -> Trainer:
        """Returns the GAN to fit; see ``System``."""
        return EditorGAN(
            network,
            self.new_discriminator(faces),
            adversarial=self.gan,
            editing=self.editing,
            edit_terms=self.edit_terms,
            **auxiliaries,
        )


def _face_lines(faces: FaceSet) -> tuple[float, ...]:
    """Returns the heights of eyes and mouth in pictures to train on; nothing where none shows."""
    rows = np.linspace(0, len(faces) - 1, _MEASURED_PICTURES).astype(np.int64)
    lines = face_lines.measure(faces.load(tf.constant(row)).numpy() for row in rows)
    return lines or ()
