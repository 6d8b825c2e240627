"""Networks that judge edits and that no editor was trained against."""

from __future__ import annotations

import dataclasses
import os

import keras

from legan_tf.errors import UserError
from legan_tf.models import AttributeClassifier, LightCNN29, QualityEstimator
from legan_tf.training.config import TrainConfig
from legan_tf.training.run import NETWORK_FILE
from legan_tf.training.train import train

SEED_APART = 1000
"""Judges learn from people of this many seeds on, whom no editor of a low seed has seen."""


@dataclasses.dataclass(frozen=True)
class Judges:
    """An attribute classifier, a face network and a Q, independent of the editor."""

    classifier: AttributeClassifier
    face_network: LightCNN29
    quality: QualityEstimator


def judge_config(
    kind: str, folder: str, image_size: int, expressions: str, merge_flashless: bool, steps: int
) -> TrainConfig:
    """The configuration of a judge.

    Args:
        kind: ``classifier``, ``identity`` or ``quality``.
        folder: Folder of the judges.
        image_size: Height and width in pixels.
        expressions: ``multipie`` or ``affectnet``.
        merge_flashless: See ``TrainConfig``.
        steps: Updates.
    """
    return TrainConfig(
        model=kind,
        workdir=os.path.join(folder, kind),
        image_size=image_size,
        expressions=expressions,
        merge_flashless=merge_flashless,
        seed=SEED_APART,
        batch_size=32,
        train_steps=steps,
        learning_rate=5e-4 if kind == "quality" else 1e-3,
        beta_1=0.9,
        identity_width=0.25,
        q_width=16,
        q_depth=min((image_size & -image_size).bit_length() - 1, 6),
        flip=kind != "classifier",
        log_every=50,
        sample_every=steps,
        checkpoint_every=max(steps // 4, 1),
    )


def train_judges(
    folder: str, image_size: int, expressions: str, merge_flashless: bool, steps: int
) -> Judges:
    """Trains the judges on rendered faces, or loads them where they are already.

    Args:
        folder: Where their run folders are.
        image_size: Height and width in pixels.
        expressions: ``multipie`` or ``affectnet``.
        merge_flashless: See ``TrainConfig``.
        steps: Updates of each.

    Raises:
        UserError: Training was stopped; the same call resumes it.
    """
    networks = {}
    for kind in ("classifier", "identity", "quality"):
        config = judge_config(kind, folder, image_size, expressions, merge_flashless, steps)
        if train(config):
            raise UserError(f"training the judge in {config.workdir} was stopped; start again")
        networks[kind] = keras.models.load_model(os.path.join(config.workdir, NETWORK_FILE))
    return Judges(networks["classifier"], networks["identity"], networks["quality"])
