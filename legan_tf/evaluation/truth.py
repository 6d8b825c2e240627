"""Edits of rendered faces against the true picture of that person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from legan_tf import cli
from legan_tf.data.faceset import FaceSet
from legan_tf.data.pipeline import to_float
from legan_tf.evaluation.metrics.attributes import accuracy
from legan_tf.evaluation.metrics.identity import first_rank_rate
from legan_tf.evaluation.metrics.images import mean_absolute_error, ssim
from legan_tf.models import AttributeClassifier, LightCNN29, QualityEstimator

Editor = Callable[..., np.ndarray]
"""Called as ``editor(images, expression=ids, lighting=ids)``, gives uint8 [n,S,S,3]."""

Count = Callable[[int], None]
"""Called with the number of images that have been gone through since the last call."""

BATCH = 64


def _no_count(images: int) -> None:
    """Shows nothing."""


def counter(total: int, label: str) -> Count:
    """Returns what shows a progress line of ``total`` images as it is told of them."""
    progress = cli.Progress(total, label)
    done = 0

    def count(images: int) -> None:
        nonlocal done
        done += images
        progress.update(done)

    return count


def _in_batches(
    network: Callable[[tf.Tensor], Any], images: np.ndarray, size: int, count: Count
) -> list[Any]:
    """Applies a network to uint8 images, resized to the size that it wants."""
    given = []
    for start in range(0, len(images), BATCH):
        batch = to_float(tf.constant(images[start : start + BATCH]))
        if batch.shape[1] != size:
            batch = tf.image.resize(batch, [size, size], antialias=True)
        given.append(network(batch))
        count(len(batch))
    return given


def read_attributes(
    classifier: AttributeClassifier, images: np.ndarray, count: Count = _no_count
) -> dict[str, np.ndarray]:
    """Returns the most likely expression and lighting ids, int [n] each, of uint8 images."""
    read = _in_batches(classifier, images, classifier.image_size, count)
    return {
        name: np.concatenate([np.argmax(logits[name].numpy(), -1) for logits in read])
        for name in ("expression", "lighting")
    }


def embed(network: LightCNN29, images: np.ndarray, count: Count = _no_count) -> np.ndarray:
    """Returns the embeddings, float32 [n,256], of uint8 images."""
    given = _in_batches(network, images, network.image_size, count)
    return np.concatenate([e.numpy() for e in given])


def rate(quality: QualityEstimator, images: np.ndarray, count: Count = _no_count) -> np.ndarray:
    """Returns Q's ratings, float32 [n], of uint8 images."""
    given = _in_batches(quality, images, quality.image_size, count)
    return np.concatenate([r.numpy() for r in given])


def random_edits(faces: FaceSet, count: int, seed: int) -> dict[str, np.ndarray]:
    """Draws sources and targets uniformly.

    Returns:
        ``index``, ``expression`` and ``lighting``, int [count] each.
    """
    rng = np.random.default_rng(seed)
    return {
        "index": rng.integers(len(faces), size=count),
        "expression": rng.integers(len(faces.expressions), size=count),
        "lighting": rng.integers(len(faces.lightings), size=count),
    }


def make_edits(editor: Editor, faces: FaceSet, count: int, seed: int) -> dict[str, np.ndarray]:
    """Edits random pictures of rendered faces to random targets.

    Args:
        editor: The model.
        faces: Rendered faces.
        count: Edits to make.
        seed: Seed of sources and targets.

    Returns:
        ``random_edits``, and uint8 [count,S,S,3] ``edit``, ``copy`` (the input as it is) and
        ``truth`` (the true picture of that person under the target attributes).

    Raises:
        ValueError: The faces have no truth.
    """
    if faces.truth is None:
        raise ValueError(f"{faces.name} has no true pictures: only rendered faces have")
    drawn = random_edits(faces, count, seed)
    progress = cli.Progress(count, "editing")
    sources, edited = [], []
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        ids = {name: drawn[name][part] for name in ("expression", "lighting")}
        sources.append(faces.images(drawn["index"][part]))
        edited.append(editor(sources[-1], **ids))
        progress.update(min(start + BATCH, count))
    progress = cli.Progress(count, "rendering the truth")
    truths = []
    for edit in zip(*drawn.values()):
        truths.append(faces.truth(*(int(i) for i in edit)))
        progress.update(len(truths))
    return {
        **drawn,
        "edit": np.concatenate(edited),
        "copy": np.concatenate(sources),
        "truth": np.stack(truths),
    }


def judge_edits(
    made: dict[str, np.ndarray],
    faces: FaceSet,
    classifier: AttributeClassifier,
    face_network: LightCNN29,
    quality: QualityEstimator,
) -> dict[str, dict[str, float]]:
    """Judges edits of unseen rendered people by all that matters at once.

    Accuracy alone rewards painting the same average face with the right attributes, and likeness
    alone rewards copying the input; so both stand beside each other, next to what copying the
    input and the true picture get.

    Args:
        made: What ``make_edits`` gave.
        faces: The faces that were edited, of people that no network here was trained on.
        classifier: An independent judge of the attributes, with the classes of ``faces``.
        face_network: An independent face network.
        quality: An independent Q.

    Returns:
        For ``edit``, ``copy`` and ``truth``: ``expression`` and ``lighting`` (share read as asked
        for), ``ssim`` and ``l1`` to the true picture, ``person`` (share whose nearest face among
        the pictures of all the people in the first expression and light is the right one),
        ``rating`` (mean naturalness by Q, 1 to 10).
    """
    people, first = np.unique(faces.identity, return_index=True)
    gallery = embed(face_network, np.stack([faces.truth(int(i), 0, 0) for i in first]))
    judged = {}
    # Three networks see each of three sets.
    count = counter(9 * len(made["truth"]), "judging")
    for name in ("edit", "copy", "truth"):
        images = made[name]
        read = read_attributes(classifier, images, count)
        judged[name] = {
            **{key: accuracy(read[key], made[key]) for key in ("expression", "lighting")},
            "ssim": float(ssim(images, made["truth"]).mean()),
            "l1": float(mean_absolute_error(images, made["truth"]).mean()),
            "person": first_rank_rate(
                embed(face_network, images, count), faces.identity[made["index"]], gallery, people
            ),
            "rating": float(rate(quality, images, count).mean()),
        }
    return judged
