"""Exporting a trained network as a version that TensorFlow Serving loads."""

from __future__ import annotations

import os
import shutil

import keras
import numpy as np
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.graph_ops.gradients import without_custom_gradients
from legan_tf.graph_ops.target import graphs_for
from legan_tf.runtime.hardware import float32_arithmetic
from legan_tf.serving import model_card, publishing, signatures, warmup


@float32_arithmetic()
def export(
    network: keras.Model,
    serving_root: str,
    name: str,
    depth: keras.Model | None = None,
    source: str = "",
    evaluation: str = "",
    keep: int | None = None,
    target: str = "any",
) -> str:
    """Exports a trained network as the next version of a served model.

    The version is written to a temporary folder, which servers ignore. The warm-up requests are
    then run on the written model and its answers compared with the network's; only then is the
    folder renamed to the version. No version is ever overwritten.

    Args:
        network: A generator, the quality estimator or a depth network; see ``signatures.build``
            for what it then offers.
        serving_root: Folder of all served models.
        name: Name to serve it under, a folder in ``serving_root``.
        depth: The depth network to serve beside a generator, as one model.
        source: The run folder or file that the network comes from, for the model card.
        evaluation: Folder of the report on it, for the model card; default is ``evaluation`` in
            the run folder.
        keep: How many older versions to keep; others are removed once the new one is published.
            Default is all.
        target: Kind of device that its graphs are made for, one of ``target.TARGETS``. They answer
            the same anywhere, up to rounding.

    Returns:
        The new version's folder, ``serving_root/name/<integer>``.

    Raises:
        UserError: The name cannot be used, the network is of no kind that can be served, ``depth``
            does not go with it, weights are not finite, the version cannot be published, or an old
            one cannot be removed; the message then says that the new one is published.
        RuntimeError: The answers of the written model differ from the network's.
    """
    publishing.check_name(name)
    if keep is not None and keep < 0:
        raise UserError(f"{keep} older versions cannot be kept; give 0 or more.")
    with graphs_for(target):
        servable = signatures.build(network, depth)
    weights = network.get_weights() + ([] if depth is None else depth.get_weights())
    if not all(np.all(np.isfinite(weight)) for weight in weights):
        raise UserError(
            "The network holds weights that are not finite numbers: its training diverged. "
            "Export an earlier checkpoint."
        )
    model_folder = os.path.join(serving_root, name)
    temporary = publishing.begin(model_folder)
    try:
        # Traced here: TensorFlow would trace them once more.
        with graphs_for(target), without_custom_gradients():
            traced = {
                name: function.get_concrete_function()
                for name, function in servable.signatures.items()
            }
        tf.saved_model.save(servable.module, temporary, signatures=traced)
        os.makedirs(os.path.join(temporary, publishing.EXTRA))
        card = model_card.write(name, servable, network, depth, source, evaluation)
        for file, text in (
            (publishing.LABELS_FILE, servable.labels.to_json()),
            (publishing.CARD_FILE, card),
        ):
            with open(os.path.join(temporary, file), "w", encoding="utf-8") as stream:
                stream.write(text)
        warmup.write(temporary, name, servable)
        warmup.check(temporary, servable)
        publishing.write_sums(temporary)
        version = publishing.publish(temporary, model_folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if keep is not None:
        try:
            publishing.remove_old(model_folder, keep)
        except UserError as error:
            raise UserError(f"{version} is published, but an older one is left: {error}") from error
    return version
