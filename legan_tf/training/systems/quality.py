"""Q, the model of human naturalness ratings (LEGAN, section 3)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.stats import rankdata

from legan_tf import losses
from legan_tf.command_line.options import POSITIVE, option
from legan_tf.data.faceset import FaceSet
from legan_tf.losses.margin import MARGIN_VARIANTS
from legan_tf.models import QualityEstimator
from legan_tf.models.network import predict_in_batches
from legan_tf.training import datasets
from legan_tf.training.datasets import Datasets
from legan_tf.training.supervised import CropOptions, SupervisedSystem, SupervisedTrainer
from legan_tf.training.system import register
from legan_tf.training.trainer import Batch


@register
@dataclasses.dataclass(frozen=True)
class Quality(CropOptions, SupervisedSystem):
    """Q, trained on people's ratings, or on simulated ratings of damaged rendered faces."""

    model: ClassVar[str] = "quality"
    needs: ClassVar[tuple[str, ...]] = ("rating",)
    learns: ClassVar[tuple[str, ...]] = ("rating",)
    network_class: ClassVar = QualityEstimator

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

    def problems(self) -> list[str]:
        """Adds the rule of the size."""
        problems = super().problems()
        if self.q_depth > 0 and self.image_size % 2**self.q_depth:
            problems.append(
                f"--image_size={self.image_size} cannot be halved --q_depth={self.q_depth} times"
            )
        return problems

    def datasets(self) -> Datasets:
        """Returns rated faces; see ``System``."""
        if self.dataset == "rendered":
            return datasets.rated_datasets(self, self.rated_faces)
        return super().datasets()

    def network(self, faces: FaceSet) -> QualityEstimator:
        """Returns Q."""
        return QualityEstimator(self.image_size, self.q_width, self.q_depth, self.fc_activation)

    def supervised_trainer(self, network: QualityEstimator, faces: FaceSet) -> QualityTrainer:
        """Returns the trainer of Q."""
        return QualityTrainer(network, self.margin)


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
