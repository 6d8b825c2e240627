"""Q, the model of human naturalness ratings (LEGAN, section 3)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.stats import rankdata

from legan_tf import losses
from legan_tf.command_line.options import POSITIVE, Options, group, option
from legan_tf.data.faceset import FaceSet
from legan_tf.losses.margin import MARGIN_VARIANTS
from legan_tf.models import Network, QualityEstimator
from legan_tf.models.network import predict_in_batches
from legan_tf.training import datasets
from legan_tf.training.datasets import Datasets, Needs
from legan_tf.training.supervised import CropOptions, SupervisedSystem, SupervisedTrainer
from legan_tf.training.system import register
from legan_tf.training.trainer import Batch, Trainer


def most_convolutions(image_size: int) -> int:
    """Returns how many convolutions Q can have, each of which halves the size: at most 6."""
    return min((image_size & -image_size).bit_length() - 1, 6)


class QualityTrainer(SupervisedTrainer):
    """Trains Q on people's ratings with the margin loss (LEGAN, section 3)."""

    def __init__(self, network: QualityEstimator, variant: str) -> None:
        """Takes Q and the variant of the margin loss; see ``losses.margin_loss``."""
        super().__init__(network, ["margin"], name="quality_trainer")
        self._variant = variant

    def sample_losses(self, batch: Batch) -> list[tf.Tensor]:
        """Returns the margin loss."""
        rating = self.network(batch["image"], training=True)
        return [
            losses.margin_loss(rating, batch["rating_mean"], batch["rating_std"], self._variant)
        ]

    def validate(self, faces: FaceSet, count: int) -> dict[str, float]:
        """Mean absolute error, its baseline (always the mean), correlations, share within a std."""
        rated = np.flatnonzero(np.isfinite(faces.rating_mean))
        chosen = np.random.default_rng(0).permutation(rated)[:count]
        if not len(chosen):
            return {}
        mean, std = faces.rating_mean[chosen], np.nan_to_num(faces.rating_std[chosen])
        rating = predict_in_batches(self.network, faces.images(chosen))
        return {
            "val_mae": float(np.abs(rating - mean).mean()),
            "val_mae_of_constant": float(np.abs(mean.mean() - mean).mean()),
            "val_pearson": float(np.corrcoef(rating, mean)[0, 1]),
            "val_spearman": float(np.corrcoef(rankdata(rating), rankdata(mean))[0, 1]),
            "val_within_std": float(np.mean(np.abs(rating - mean) <= std)),
        }


@dataclasses.dataclass(frozen=True)
class QualityOptions(Options):
    """The form of Q, and how it learns."""

    rated_faces: int = option(
        8000, "Q on rendered faces: damaged pictures to rate.", limit=POSITIVE
    )
    q_width: int = option(64, "Q: channels of the first convolution.", limit=POSITIVE)
    q_depth: int = option(6, "Q: convolutions.", limit=POSITIVE)
    fc_activation: str = option(
        "none", "Q: activation of the first dense layer.", ("none", "lrelu")
    )
    margin: str = option(
        "epsilon",
        "Q: variant of the margin loss; see legan_tf.losses.margin_loss.",
        MARGIN_VARIANTS,
    )


@register
@dataclasses.dataclass(frozen=True)
class Quality(SupervisedSystem):
    """Q, trained on people's ratings, or on simulated ratings of damaged rendered faces."""

    model: ClassVar[str] = "quality"
    columns: ClassVar[tuple[str, ...]] = ("rating",)
    trainer_class: ClassVar[type[Trainer]] = QualityTrainer
    network_class: ClassVar[type[Network]] = QualityEstimator

    crops: CropOptions = group(CropOptions)
    quality: QualityOptions = group(QualityOptions)

    def problems(self) -> list[str]:
        """Adds the rule of the size."""
        problems, size, depth = super().problems(), self.data.image_size, self.quality.q_depth
        if self.data.snapshots or self.data.lights or self.data.layers:
            problems.append(
                "--snapshots, --lights and --layers are not for rated faces; leave them out"
            )
        if depth > 0 and size % 2**depth:
            problems.append(f"--image_size={size} cannot be halved --q_depth={depth} times")
        return problems

    def needs(self) -> Needs:
        """Returns ratings, of pictures large enough for the crops; see ``System``."""
        size = self.crops.loaded_size(self.data.image_size)
        return Needs(None, columns=self.columns, any_of=self.columns, loaded_size=size)

    def datasets(self) -> Datasets:
        """Returns rated faces; see ``System``."""
        if self.data.dataset == "rendered":
            count, size = self.quality.rated_faces, self.needs().loaded_size
            return datasets.rated_datasets(self.data, count, self.run.seed, size)
        return super().datasets()

    def network(self, faces: FaceSet) -> QualityEstimator:
        """Returns Q."""
        form = self.quality
        return QualityEstimator(
            self.data.image_size, form.q_width, form.q_depth, form.fc_activation
        )

    def supervised_trainer(self, network: QualityEstimator, faces: FaceSet) -> QualityTrainer:
        """Returns the trainer of Q."""
        return QualityTrainer(network, self.quality.margin)
