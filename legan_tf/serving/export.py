"""Writes a trained network as a version that TensorFlow Serving can pick up."""

from __future__ import annotations

import io
import os
import re
import shutil
import uuid

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from legan_tf.errors import UserError
from legan_tf.serving import signatures
from legan_tf.serving.labels import KEEP

LABELS_FILE = os.path.join("assets.extra", "labels.json")
"""Where a version keeps its ``Labels``; TensorFlow leaves ``assets.extra`` to the user."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RATING_TOLERANCE = 1e-3


def export(
    network: keras.Model, serving_root: str, name: str, depth: keras.Model | None = None
) -> str:
    """Exports a trained network as the next version of a served model.

    The version is written to a sibling whose name is no number, which servers ignore, loaded back,
    compared with the network, and only then renamed. No version is ever overwritten.

    Args:
        network: A generator, the quality estimator or a depth network; see ``signatures.build``
            for what it then offers.
        serving_root: Folder of all served models.
        name: Name to serve it under, a folder in ``serving_root``.
        depth: The depth network to serve beside a generator, as one model.

    Returns:
        The new version's folder, ``serving_root/name/<integer>``.

    Raises:
        UserError: The name cannot be used, the network is of no kind that can be served, ``depth``
            does not go with it, or weights are not finite.
        RuntimeError: The written model does not answer as the network does.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name a served model: use letters, digits, '_', '-' and '.'."
        )
    servable = signatures.build(network, depth)
    weights = network.get_weights() + ([] if depth is None else depth.get_weights())
    if not all(np.all(np.isfinite(weight)) for weight in weights):
        raise UserError(
            "The network holds weights that are not finite numbers: its training diverged. "
            "Export an earlier checkpoint."
        )
    model_folder = os.path.join(serving_root, name)
    aside = os.path.join(model_folder, f".unfinished-{uuid.uuid4().hex}")
    try:
        os.makedirs(aside)
    except OSError as error:
        raise UserError(f"{model_folder}: cannot be written ({error.strerror}).") from error
    try:
        tf.saved_model.save(servable.module, aside, signatures=servable.signatures)
        os.makedirs(os.path.join(aside, "assets.extra"))
        with open(os.path.join(aside, LABELS_FILE), "w", encoding="utf-8") as file:
            file.write(servable.labels.to_json())
        _verify(servable, aside)
        return _publish(aside, model_folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def versions(model_folder: str) -> list[int]:
    """Returns the complete versions in the folder of a served model, oldest first."""
    return [
        version
        for version in _numbers(model_folder)
        if os.path.isfile(os.path.join(model_folder, str(version), "saved_model.pb"))
    ]


def _numbers(model_folder: str) -> list[int]:
    return sorted(
        int(entry) for entry in os.listdir(model_folder) if entry.isascii() and entry.isdigit()
    )


def _publish(aside: str, model_folder: str) -> str:
    while True:
        # Also beyond numbered folders that hold no model: a server may have seen them.
        version = max(_numbers(model_folder), default=0) + 1
        target = os.path.join(model_folder, str(version))
        try:
            os.rename(aside, target)
            return target
        except OSError:
            if not os.path.exists(target):
                raise
            # Another export took the number in between; the next one is free.


def _verify(servable: signatures.Servable, written: str) -> None:
    """Compares what was written with the network, signature by signature, on two pictures."""
    labels = servable.labels
    noise = np.random.default_rng(0)
    coarse = noise.integers(0, 256, (2, 8, 6, 3), np.uint8)
    images = [np.asarray(Image.fromarray(c).resize((50, 70))) for c in coarse]
    by_id = {"image": tf.constant(np.stack(images))}
    by_name = {"image_bytes": tf.constant([_png(image) for image in images])}
    for attribute, names in (
        ("expression", labels.expressions),
        ("lighting", labels.lightings),
    ):
        ends = [0, len(names) - 1] if names else [KEEP] * 2
        by_id[attribute] = tf.constant(ends, tf.int32)
        by_name[attribute] = tf.constant([names[0], names[-1]] if names else ["", ""])
    reloaded = tf.saved_model.load(written)
    for signature, original in servable.signatures.items():
        given = by_name if signature.endswith("_bytes") else by_id
        inputs = {spec.name: given[spec.name] for spec in original.input_signature}
        answer = reloaded.signatures[signature](**inputs)
        for output, expected in original(**inputs).items():
            if not _agree(answer[output], expected):
                raise RuntimeError(
                    f"{written}: {output!r} of the written signature {signature!r} differs from "
                    "the network's own answer; nothing was published."
                )


def _agree(answer: tf.Tensor, expected: tf.Tensor) -> bool:
    if expected.dtype == tf.string:
        pictures = [
            np.stack([tf.io.decode_png(encoded).numpy() for encoded in t.numpy()])
            for t in (answer, expected)
        ]
    else:
        pictures = [t.numpy() for t in (answer, expected)]
    # The same graph in another session may round a half to the other side.
    tolerance = _RATING_TOLERANCE if expected.dtype.is_floating else 1
    first, second = (np.asarray(p, np.float64) for p in pictures)
    return first.shape == second.shape and bool(np.all(np.abs(first - second) <= tolerance))


def _png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="PNG")
    return content.getvalue()
