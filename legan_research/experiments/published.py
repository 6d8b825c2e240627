"""LEGAN's published augmentation experiments: its poster's two tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

SOURCE = "Banerjee et al., LEGAN, CVPR Workshops 2021, poster"


@dataclasses.dataclass(frozen=True)
class PublishedRow:
    """A row of a published table.

    Attributes:
        real: Real pictures that were trained on.
        synthetic: Edits that were added.
        figures: By the column of the experiment here, as they are printed.
    """

    real: int
    synthetic: int
    figures: Mapping[str, str]


EXPRESSION = {
    "original": PublishedRow(
        204_325,
        0,
        {
            "auc_neutral": "0.851 ± 0.005",
            "auc_smile": "0.955 ± 0.001",
            "auc_surprise": "0.873 ± 0.004",
            "auc_disgust": "0.887 ± 0.005",
        },
    ),
    "augmented": PublishedRow(
        204_325,
        279_324,
        {
            "auc_neutral": "0.868 ± 0.005",
            "auc_smile": "0.956 ± 0.001",
            "auc_surprise": "0.890 ± 0.003",
            "auc_disgust": "0.897 ± 0.001",
        },
    ),
}
"""AffectNet, four classes; ``smile`` stands for its *happy*. The metric is not named; that it is
the area under the curve of a class against all others is inferred."""

VERIFICATION = {
    "original": PublishedRow(439_999, 0, {"auc": "0.954 ± 0.002", "lfw": "0.966 ± 0.002"}),
    "augmented": PublishedRow(439_999, 439_999, {"auc": "0.967 ± 0.001", "lfw": "0.972 ± 0.001"}),
}
"""Trained on CASIA-WebFace (10,575 people), tested on IJB-B and LFW. The metric is not named; that
the one of IJB-B is the area under the curve is inferred."""

AFFECTNET_COUNTS = {"neutral": 74_874, "smile": 134_415, "surprise": 14_090, "disgust": 3_803}
"""Pictures of AffectNet with these expressions."""
