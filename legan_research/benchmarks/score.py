"""Benchmark of the scoring of files, compared with Q alone on images in memory."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from legan_research.benchmarks.paired import PAIRS, Comparison, compare, with_rates
from legan_tf.data import images
from legan_tf.models import QualityEstimator
from legan_tf.serving.loading import Scorer, load
from legan_tf.training.datasets import rendered_split
from legan_tf.training.systems.quality import Quality
from legan_tf.uses.scoring.config import ScoringConfig
from legan_tf.uses.scoring.score import score_folder

PEOPLE = 4
"""Rendered people under every expression and lighting: 456 images."""
FILE_SIZES = (128, 256)
"""Heights and widths of the files, in pixels."""
_SUFFIXES = ("png", "jpg")


def benchmark(
    pairs: int = PAIRS,
    config: Quality | None = None,
    file_sizes: Sequence[int] = FILE_SIZES,
    batch_size: int = 32,
) -> list[Comparison]:
    """Times the rating of files, from the folder to the table, for each size and format of them.

    Q is untrained, which takes as long.

    Args:
        pairs: Number of timed pairs.
        config: Sizes of images and Q; default is the configuration of the paper, at 128 x 128.
        file_sizes: Heights and widths of the files, in pixels.
        batch_size: Images rated at once by both.
    """
    config = config or Quality.of()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "quality.keras")
        network = QualityEstimator(config.image_size, config.q_width, config.q_depth)
        network.build()
        network.save(file)
        scorer = load(file)
        for size in file_sizes:
            pictures = _faces(size)
            alone = _in_memory(scorer, pictures, batch_size)
            for suffix in _SUFFIXES:
                files = os.path.join(folder, f"{size}{suffix}")
                _write(pictures, files, suffix)
                result = compare(
                    f"{len(pictures)} ratings at {config.image_size} x {config.image_size}",
                    (f"{suffix} files of {size} pixels", _of_files(scorer, files, batch_size)),
                    ("Q alone, pictures in memory", alone),
                    pairs,
                )
                results.append(with_rates(result, len(pictures)))
    return results


def _faces(size: int) -> np.ndarray:
    faces = rendered_split("train", PEOPLE, "multipie", True, size, 0)
    return faces.images(np.arange(len(faces)))


def _write(pictures: np.ndarray, folder: str, suffix: str) -> None:
    os.makedirs(folder)
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(os.path.join(folder, f"{index:05d}.{suffix}"), quality=95)


def _in_memory(scorer: Scorer, pictures: np.ndarray, batch_size: int) -> Callable[[], None]:
    """Returns a callable that rates images in memory in whole batches."""
    size = scorer.image_size
    ready = np.stack([images.to_square(picture, size) for picture in pictures])
    starts = np.arange(0, len(ready), batch_size)
    batches = [ready[np.arange(start, start + batch_size) % len(ready)] for start in starts]

    def rate() -> None:
        for batch in batches:
            scorer.rate(tf.constant(batch)).numpy()

    return rate


def _of_files(scorer: Scorer, folder: str, batch_size: int) -> Callable[[], None]:
    """Returns a callable that scores a folder from scratch."""
    numbers = itertools.count()

    def rate() -> None:
        output = f"{folder}-{next(numbers)}.csv"
        score_folder(scorer, ScoringConfig(folder, output, batch_size))

    return rate
