"""Signatures of a served model, with all pixel work inside the graph.

Cropping, resizing, normalising, the attribute codes and the conversion to eight bits are part of
the exported graph, so that a server, the C API and ``legan_tf.load`` give the same answer to the
same pixels. Of encoded pictures that holds where there is neither EXIF rotation nor transparency:
TensorFlow's decoder ignores both, while ``legan_tf.load`` applies them before the graph. Wrong
requests end in ``tf.errors.InvalidArgumentError`` with a sentence that names the row of the batch.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.graph_ops.pixels import to_uint8
from legan_tf.graph_ops.target import current_target
from legan_tf.models import (
    AttributeGenerator,
    DepthNetwork,
    LeganGenerator,
    Network,
    QualityEstimator,
    copy_of,
)
from legan_tf.models.legan import mask_to_grey
from legan_tf.runtime.compat import float32_policy, tensorflow_variable
from legan_tf.serving.attribute_inputs import AttributeInput
from legan_tf.serving.graph_checks import at_most_max_rows
from legan_tf.serving.labels import DEPTH, EDITOR, SCORER, Labels
from legan_tf.serving.preprocessing import decoder, encode_png, prepare

_Function = Callable[..., dict[str, tf.Tensor]]
Signatures = dict[str, _Function]
"""``tf.function`` objects by name, with named tensor inputs and a dict of named outputs."""

# The functions hold no control flow of Python, and looking for it doubles the time of tracing.
_traced = functools.partial(tf.function, autograph=False)
_IMAGE = tf.TensorSpec([None, None, None, 3], tf.uint8, "image")
_IMAGE_BYTES = tf.TensorSpec([None], tf.string, "image_bytes")


@dataclasses.dataclass(frozen=True)
class Servable:
    """A network ready for use or for export.

    Attributes:
        module: Owner of the network's variables; the object to save.
        signatures: Its signatures.
        labels: Its labels.
    """

    module: tf.Module
    signatures: Signatures
    labels: Labels


def describe(network: keras.Model, depth: keras.Model | None = None) -> Labels:
    """Returns the labels of a network.

    Args:
        network: A generator, the quality estimator or a depth network.
        depth: The depth network beside a generator, if there is one.

    Raises:
        UserError: The network is of none of these kinds, or ``depth`` does not go with it.
    """
    architecture = type(network).__name__
    if depth is not None:
        _check_beside(network, depth)
    target = current_target()
    if isinstance(network, QualityEstimator):
        return Labels(SCORER, architecture, network.image_size, target=target)
    if isinstance(network, DepthNetwork):
        return Labels(
            DEPTH, architecture, network.image_size, geometry=network.geometry, target=target
        )
    if isinstance(network, AttributeGenerator):
        return Labels(
            EDITOR,
            architecture,
            network.image_size,
            tuple(network.expressions),
            tuple(network.lightings),
            network.keeps_unnamed,
            "" if depth is None else depth.geometry,
            target,
            tuple(network.face_lines),
        )
    raise UserError(
        f"A {architecture} neither edits nor rates pictures, nor makes maps of them; give a "
        "generator, the quality estimator or a depth network."
    )


def _check_beside(network: keras.Model, depth: keras.Model) -> None:
    if not isinstance(depth, DepthNetwork):
        raise UserError(f"A {type(depth).__name__} is no depth network.")
    if not isinstance(network, AttributeGenerator):
        raise UserError(
            f"A depth network stands beside a generator, not beside a {type(network).__name__}."
        )
    if depth.image_size != network.image_size:
        raise UserError(
            f"The depth network works at {depth.image_size} pixels and the generator at "
            f"{network.image_size}; beside each other they must have one size."
        )


def build(network: keras.Model, depth: keras.Model | None = None) -> Servable:
    """Returns a network with the signatures of its kind.

    Generators offer ``serving_default`` (uint8 images [B, H, W, 3] of any size and attribute ids
    [B] to uint8 images [B, S, S, 3]), ``vectors`` (the same with a value in [0, 1] for every class
    of an attribute, [B, classes], zeros to keep it), ``serving_bytes`` (encoded images and
    attribute names to PNG) and, where the network returns masks, ``masks`` and ``masks_bytes``. The
    quality estimator offers ``serving_default``, also named ``score``, and ``serving_bytes`` to
    ``rating`` and ``natural``. A depth network offers both to its maps; beside a generator they are
    named ``depth`` and ``depth_bytes``. All offer ``labels``, which answers each row of numbers
    with the JSON of the labels, so that a client can ask the server for them.

    The networks are copied to float32: training in a mixed precision does not lower the precision
    of what is served, and later training does not change it.

    Raises:
        UserError: See ``describe``.
    """
    labels = describe(network, depth)
    frozen = [_float32_copy(one) for one in (network, depth) if one is not None]
    if labels.kind == SCORER:
        signatures = _scorer_signatures(frozen[0], labels)
    elif labels.kind == DEPTH:
        signatures = dict(zip(("serving_default", "serving_bytes"), _map_functions(frozen[0])))
    else:
        signatures = _editor_signatures(frozen[0], labels)
        if depth is not None:
            signatures |= zip(("depth", "depth_bytes"), _map_functions(frozen[1]))
    signatures["labels"] = _labels_function(labels)
    # Only the variables belong to the module. With the Keras model as its child, saving would trace
    # every layer once more and store metadata that the other Keras cannot read.
    module = tf.Module()
    module.weights = [tensorflow_variable(weight) for one in frozen for weight in one.variables]
    return Servable(module, signatures, labels)


def _float32_copy(network: Network) -> Network:
    with float32_policy():
        return copy_of(network, network.name)


def _labels_function(labels: Labels) -> _Function:
    content = labels.to_json()

    # A signature needs an input with a batch axis: servers that batch look for one.
    @_traced(input_signature=[tf.TensorSpec([None], tf.int32, "row")])
    def labels_of(row):
        with tf.control_dependencies([at_most_max_rows(tf.size(row))]):
            return {"labels": tf.fill(tf.shape(row), content)}

    return labels_of


def _editor_signatures(network: Network, labels: Labels) -> Signatures:
    size = labels.image_size
    attributes = [
        AttributeInput("expression", labels.expressions, labels.keeps_unnamed),
        AttributeInput("lighting", labels.lightings, labels.keeps_unnamed),
    ]

    def inputs(image: tf.TensorSpec, shape: list[int | None], dtype: tf.DType) -> list:
        return [image, *(tf.TensorSpec(shape, dtype, attribute.name) for attribute in attributes)]

    by_id = inputs(_IMAGE, [None], tf.int32)
    # The width is left open, so that a wrong one is answered with a sentence.
    by_vector = inputs(_IMAGE, [None, None], tf.float32)
    by_name = inputs(_IMAGE_BYTES, [None], tf.string)
    by_code = [_prepared(size)]
    by_code += [tf.TensorSpec([None, len(a.classes)], name=a.name) for a in attributes]

    # A function of its own, so that the network is traced and stored once for all signatures.
    @_traced(input_signature=by_code)
    def run(image, expression, lighting):
        inputs = {"image": image, "expression": expression, "lighting": lighting}
        return network(inputs, training=False)

    decode = decoder(size)

    def run_ids(image: tf.Tensor, *ids: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(image)[0]
        return run(image, *(a.codes(given, rows) for a, given in zip(attributes, ids)))

    def run_names(image_bytes: tf.Tensor, *names: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = [attribute.ids(given) for attribute, given in zip(attributes, names)]
        return run_ids(decode(image_bytes), *ids)

    @_traced(input_signature=by_id)
    def serving_default(image, expression, lighting):
        outputs = run_ids(prepare(image, size), expression, lighting)
        return {"image": to_uint8(outputs["image"])}

    @_traced(input_signature=by_vector)
    def vectors(image, expression, lighting):
        rows, given = tf.shape(image)[0], (expression, lighting)
        codes = (a.checked_vectors(values, rows) for a, values in zip(attributes, given))
        return {"image": to_uint8(run(prepare(image, size), *codes)["image"])}

    @_traced(input_signature=by_name)
    def serving_bytes(image_bytes, expression, lighting):
        outputs = run_names(image_bytes, expression, lighting)
        return {"image_bytes": encode_png(to_uint8(outputs["image"]))}

    @_traced(input_signature=by_id)
    def masks(image, expression, lighting):
        outputs = run_ids(prepare(image, size), expression, lighting)
        result = {}
        for name in ("expression_mask", "lighting_mask"):
            result[name] = mask_to_grey(outputs[name])
            result[f"{name}_values"] = tf.cast(outputs[name], tf.float32)
        return result

    @_traced(input_signature=by_name)
    def masks_bytes(image_bytes, expression, lighting):
        outputs = run_names(image_bytes, expression, lighting)
        return {
            f"{name}_bytes": encode_png(mask_to_grey(outputs[name]))
            for name in ("expression_mask", "lighting_mask")
        }

    signatures = {
        "serving_default": serving_default,
        "vectors": vectors,
        "serving_bytes": serving_bytes,
    }
    if isinstance(network, LeganGenerator):
        signatures |= {"masks": masks, "masks_bytes": masks_bytes}
    return signatures


def _scorer_signatures(network: Network, labels: Labels) -> Signatures:
    # One answer per row and none over the batch, such as the share judged natural: a server may
    # merge requests of several callers into one batch.
    @_traced(input_signature=[_prepared(labels.image_size)])
    def run(image):
        rating = tf.cast(network(image, training=False), tf.float32)
        return {"rating": rating, "natural": rating >= NATURAL}

    by_image, by_bytes = _image_functions(run, labels.image_size)
    return {"serving_default": by_image, "score": by_image, "serving_bytes": by_bytes}


def _map_functions(network: DepthNetwork) -> tuple[_Function, _Function]:
    """Returns the functions that map images and encoded ones.

    A map is the network's output rounded to eight bits, 0 where it is certain of the background.
    Where to cut off values close to 0 depends on the use.
    """
    size, geometry = network.image_size, network.geometry

    @_traced(input_signature=[_prepared(size)])
    def run(image):
        surface = to_uint8(network.to_map(image))
        # The three channels of depth are equal.
        return {geometry: surface[..., :1] if geometry == "depth" else surface}

    return _image_functions(
        run, size, lambda outputs: {f"{geometry}_bytes": encode_png(outputs[geometry])}
    )


def _image_functions(
    run: _Function, size: int, encode: Callable[..., dict[str, tf.Tensor]] = dict
) -> tuple[_Function, _Function]:
    """Returns ``run`` as functions of images and of encoded ones, whose outputs are encoded."""
    decode = decoder(size)

    @_traced(input_signature=[_IMAGE])
    def by_image(image):
        return run(prepare(image, size))

    @_traced(input_signature=[_IMAGE_BYTES])
    def by_bytes(image_bytes):
        return encode(run(decode(image_bytes)))

    return by_image, by_bytes


def _prepared(size: int) -> tf.TensorSpec:
    return tf.TensorSpec([None, size, size, 3], name="image")
