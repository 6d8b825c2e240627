"""How well Q predicts what people said."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from legan_tf.cli import counter
from legan_tf.data.rendered import rated_faces
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate import check_size, labels_of, model_of
from legan_tf.evaluation.instruments import SHARD, sha256_of
from legan_tf.evaluation.metrics.ratings import rating_figures
from legan_tf.evaluation.report import write_rating_report
from legan_tf.files import make_writable
from legan_tf.training.datasets import split_of_manifest


def evaluate_scorer(
    scorer: Any, output: str, config: EvaluationConfig | None = None
) -> dict[str, Any]:
    """Judges Q on rated pictures that it has not seen, and writes the report.

    Args:
        scorer: What ``legan_tf.load`` gives for Q.
        output: Folder of ``report.json``, ``report.md`` and a picture.
        config: The data: the rated pictures of a manifest's split, or ``edits`` rendered faces
            with damage, rated by simulated raters.

    Returns:
        What ``report.json`` holds; see docs/evaluation.md.

    Raises:
        UserError: The flags do not fit, ``output`` cannot be written to, or there are no rated
            pictures.
    """
    config = config or EvaluationConfig()
    config.check("scorer")
    check_size(scorer.image_size)
    make_writable("output", output)
    cache = Cache(config.cache or os.path.join(output, "cache"))
    if config.dataset == "manifest":
        faces = split_of_manifest(
            config.manifest,
            config.data_dir,
            config.split,
            scorer.image_size,
            config.crop,
            config.seed,
        )
    else:
        faces = rated_faces("test", config.edits, scorer.image_size, config.seed)
    rated = np.flatnonzero(~np.isnan(faces.rating_mean))
    if len(rated) < 2:
        raise UserError(
            f"{faces.name}: {len(rated)} of its pictures are rated, and two are the least to judge "
            "Q by. Give a split whose lines have a rating_mean."
        )
    count = counter(len(rated), "rating")
    predicted = []
    for start in range(0, len(rated), SHARD):
        images = faces.images(rated[start : start + SHARD])
        key = {"scores_by": scorer.sha256, "of": sha256_of(images)}
        predicted.append(cache.arrays(key, lambda images=images: {"rating": scorer(images)}))
        count(len(images))
    ratings = np.concatenate([part["rating"] for part in predicted])
    mean, std = faces.rating_mean[rated], faces.rating_std[rated]
    report = {
        "format": 2,
        "kind": "scorer",
        "model": model_of(scorer),
        "data": {**labels_of(faces, config), "rated": len(rated)},
        "figures": rating_figures(ratings, mean, std),
    }
    return write_rating_report(output, report, ratings, mean, std)
