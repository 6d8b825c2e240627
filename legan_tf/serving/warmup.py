"""Warm-up requests, which a server runs on a version before it answers with it."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf
from PIL import Image

from legan_tf.data.images import to_png
from legan_tf.serving import wire
from legan_tf.serving.labels import Labels
from legan_tf.serving.publishing import WARMUP_FILE
from legan_tf.serving.signatures import Servable

_RATING_TOLERANCE = 1e-3


def write(version: str, name: str, servable: Servable) -> None:
    """Writes a request for every signature to a version's folder, as a TFRecord file."""
    values = _inputs(servable.labels)
    with tf.io.TFRecordWriter(os.path.join(version, WARMUP_FILE)) as file:
        for signature, function in servable.signatures.items():
            given = {spec.name: values[spec.name, spec.dtype] for spec in function.input_signature}
            log = wire.PredictionLog()
            log.predict_log.request.CopyFrom(wire.predict_request(name, signature, given))
            file.write(log.SerializeToString())


def check(version: str, servable: Servable) -> None:
    """Runs the requests in a version's folder, and compares the answers with the network's.

    Raises:
        RuntimeError: The answers differ, or a signature has no request.
    """
    reloaded = tf.saved_model.load(version)
    missing = set(servable.signatures)
    for record in tf.data.TFRecordDataset(os.path.join(version, WARMUP_FILE)).as_numpy_iterator():
        request = wire.PredictionLog.FromString(record).predict_log.request
        signature = request.model_spec.signature_name
        inputs = {
            name: tf.constant(_plain(wire.from_tensor(tensor)))
            for name, tensor in request.inputs.items()
        }
        answer = reloaded.signatures[signature](**inputs)
        for output, expected in servable.signatures[signature](**inputs).items():
            if not _agree(output, answer[output], expected):
                raise RuntimeError(
                    f"{version}: {output!r} of the written signature {signature!r} differs from "
                    "the network's own answer; nothing was published."
                )
        missing.discard(signature)
    if missing:
        raise RuntimeError(f"{version}: no request was written for {', '.join(sorted(missing))}.")


def _inputs(labels: Labels) -> dict[tuple[str, tf.DType], np.ndarray]:
    """Returns two rows of every input that a signature may have, by its name and type."""
    noise = np.random.default_rng(0)
    coarse = noise.integers(0, 256, (2, 8, 6, 3), np.uint8)
    images = [np.asarray(Image.fromarray(one).resize((50, 70))) for one in coarse]
    values = {
        ("image", tf.uint8): np.stack(images),
        ("image_bytes", tf.string): np.array([to_png(image) for image in images], object),
        ("row", tf.int32): np.arange(2, dtype=np.int32),
    }
    for condition in labels.conditions:
        labels_of_it = np.zeros((2, *condition.label_shape), condition.dtype)
        values[condition.name, tf.as_dtype(condition.dtype)] = labels_of_it
        values[condition.name, tf.string] = np.array([condition.names[0].encode()] * 2, object)
        values[condition.name, tf.float32] = np.ones((2, condition.size), np.float32)
    return values


def _plain(array: np.ndarray) -> np.ndarray | list[bytes]:
    return array.tolist() if array.dtype == object else array


def _agree(output: str, answer: tf.Tensor, expected: tf.Tensor) -> bool:
    if expected.dtype == tf.string:
        if not output.endswith("_bytes"):
            return np.array_equal(answer.numpy(), expected.numpy())
        pictures = [
            np.stack([tf.io.decode_png(encoded).numpy() for encoded in t.numpy()])
            for t in (answer, expected)
        ]
    else:
        pictures = [t.numpy() for t in (answer, expected)]
    if expected.dtype.is_floating:
        tolerance = _RATING_TOLERANCE
    else:
        # The same graph in another session may round half a level the other way.
        tolerance = 0 if expected.dtype == tf.bool else 1
    first, second = (np.asarray(p, np.float64) for p in pictures)
    return first.shape == second.shape and bool(np.all(np.abs(first - second) <= tolerance))
