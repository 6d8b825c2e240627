"""Evaluation of Q, the quality estimator, by ratings of people."""

from __future__ import annotations

from typing import Any

import numpy as np

from legan_tf.command_line.cli import counter
from legan_tf.data.rendered import rated_faces
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import array_sha256
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate import (
    check_size,
    faces_of_manifest,
    labels_of,
    model_of,
    prepare,
)
from legan_tf.evaluation.evaluator import SHARD
from legan_tf.evaluation.metrics.registry import compute
from legan_tf.evaluation.plots.scatter import rating_figure
from legan_tf.evaluation.report import write_report
from legan_tf.plotting.drawing import as_png
from legan_tf.runtime.hardware import float32_arithmetic


@float32_arithmetic()
def evaluate_scorer(
    scorer: Any, output: str, config: EvaluationConfig | None = None
) -> dict[str, Any]:
    """Evaluates Q on rated pictures that it has not seen, and writes the report.

    Args:
        scorer: Q as ``legan_tf.load`` returns it.
        output: Folder of ``report.json``, ``report.md`` and a picture.
        config: The data: the rated pictures of a manifest's split, or ``edits`` rendered faces
            with damage, rated by simulated raters.

    Returns:
        The content of ``report.json``; see docs/evaluation.md.

    Raises:
        UserError: The flags do not fit, ``output`` cannot be written to, or there are no rated
            pictures.
    """
    config, cache = prepare(output, config, "scorer")
    check_size(scorer.image_size)
    if config.dataset == "manifest":
        faces = faces_of_manifest(config, scorer.image_size, config.split)
    else:
        faces = rated_faces("test", config.edits, scorer.image_size, config.seed)
    rated = np.flatnonzero(~np.isnan(faces.rating_mean))
    if len(rated) < 2:
        raise UserError(
            f"{faces.name}: {len(rated)} of its pictures are rated, and two are the least to judge "
            "Q by. Give a split whose lines have a rating_mean."
        )
    count = counter(len(rated), "rating")

    def rate(rows: np.ndarray) -> np.ndarray:
        images = faces.images(rows)
        key = {"scores_by": scorer.sha256, "of": array_sha256(images)}
        found = cache.arrays(key, lambda: {"rating": scorer(images)})
        count(len(rows))
        return found["rating"]

    ratings = np.concatenate([rate(rated[i : i + SHARD]) for i in range(0, len(rated), SHARD)])
    mean, std = faces.rating_mean[rated], faces.rating_std[rated]
    report = {
        "format": 2,
        "kind": "scorer",
        "model": model_of(scorer),
        "data": {**labels_of(faces, config), "rated": len(rated)},
        "figures": compute(
            "scorer", {"predicted_rating": ratings, "mean_rating": mean, "rating_std": std}
        ),
    }
    picture = as_png(rating_figure(ratings, mean, std))
    return write_report(output, report, {"ratings.png": picture})
