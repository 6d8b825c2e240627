"""Signatures of a served model, with all pixel work inside the graph.

Cropping, resizing, normalising, the codes of conditions and the conversion to eight bits are part
of the exported graph, so that a server, the C API and ``legan_tf.load`` give the same answer to the
same pixels. Of encoded pictures that holds where there is neither EXIF rotation nor transparency:
TensorFlow's decoder ignores both, while ``legan_tf.load`` applies them before the graph. Wrong
requests end in ``tf.errors.InvalidArgumentError`` with a sentence that names the row of the batch.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.graph_ops.pixels import mask_to_grey, to_uint8
from legan_tf.graph_ops.target import current_target
from legan_tf.models import Network, copy_of
from legan_tf.runtime.compat import float32_policy, tensorflow_variable
from legan_tf.serving.condition_inputs import input_of
from legan_tf.serving.graph_checks import at_most_max_rows
from legan_tf.serving.labels import DEPTH, EDITOR, SCORER, Labels
from legan_tf.serving.preprocessing import decoder, encode_png, prepare

Outputs = dict[str, tf.Tensor]
Function = Callable[..., Outputs]
Signatures = dict[str, Any]
"""``tf.function`` objects by name, with named tensor inputs and a dict of named outputs."""

_IMAGE = tf.TensorSpec([None, None, None, 3], tf.uint8, "image")
_IMAGE_BYTES = tf.TensorSpec([None], tf.string, "image_bytes")
_DESCRIBED = ("image_size", "conditions", "keeps_unnamed", "geometry", "face_lines")
"""Python attributes of networks that their labels record."""


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


def describe(network: Any, depth: Any = None) -> Labels:
    """Returns the labels of a network.

    Args:
        network: A network that has a ``kind``: a generator, the quality estimator or a depth
            network.
        depth: The depth network beside a generator, if there is one.

    Raises:
        UserError: The network is of none of these kinds, or ``depth`` does not go with it.
    """
    kind, architecture = getattr(network, "kind", ""), type(network).__name__
    if not kind:
        raise UserError(
            f"A {architecture} neither edits nor rates pictures, nor makes maps of them; give a "
            "generator, the quality estimator or a depth network."
        )
    told = {name: getattr(network, name) for name in _DESCRIBED if hasattr(network, name)}
    if depth is not None:
        _check_beside(network, depth)
        told["geometry"] = depth.geometry
    return Labels(kind=kind, architecture=architecture, target=current_target(), **told)


def _check_beside(network: Any, depth: Any) -> None:
    if getattr(depth, "kind", "") != DEPTH:
        raise UserError(f"A {type(depth).__name__} is no depth network.")
    if network.kind != EDITOR:
        raise UserError(
            f"A depth network stands beside a generator, not beside a {type(network).__name__}."
        )
    if depth.image_size != network.image_size:
        raise UserError(
            f"The depth network works at {depth.image_size} pixels and the generator at "
            f"{network.image_size}; beside each other they must have one size."
        )


def build(network: Any, depth: Any = None) -> Servable:
    """Returns a network with the signatures of its kind.

    Generators offer ``serving_default`` (uint8 images [B, H, W, 3] of any size and the labels of
    each condition to uint8 images [B, S, S, 3]), ``vectors`` (the same with codes in [0, 1] in
    place of labels), ``serving_bytes`` (encoded images, and names of classes in place of their
    ids, to PNG) and, where the network returns masks, ``masks`` and ``masks_bytes``. The
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
    signatures = _BUILDERS[labels.kind](frozen[0], labels)
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


def _traced(*specs: tf.TensorSpec) -> Callable[[Function], Any]:
    """Returns a decorator that makes a ``tf.function`` whose inputs are named as their specs."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(spec.name, kind) for spec in specs]

    def trace(function: Function) -> Any:
        def run(*tensors: tf.Tensor) -> Outputs:
            return function(*tensors)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        # It holds no control flow of Python, and looking for it doubles the time of tracing.
        return tf.function(run, input_signature=specs, autograph=False)

    return trace


def _labels_function(labels: Labels) -> Any:
    content = labels.to_json()

    # A signature needs an input with a batch axis: servers that batch look for one.
    @_traced(tf.TensorSpec([None], tf.int32, "row"))
    def labels_of(row: tf.Tensor) -> Outputs:
        with tf.control_dependencies([at_most_max_rows(tf.size(row))]):
            return {"labels": tf.fill(tf.shape(row), content)}

    return labels_of


def _editor_signatures(network: Any, labels: Labels) -> Signatures:
    size, decode = labels.image_size, decoder(labels.image_size)
    inputs = [input_of(condition, labels.keeps_unnamed) for condition in labels.conditions]
    by_label = [one.spec for one in inputs]
    by_text = [one.text_spec for one in inputs]
    codes = [tf.TensorSpec([None, one.size], name=one.name) for one in labels.conditions]

    # A function of its own, so that the network is traced and stored once for all signatures.
    @_traced(_prepared(size), *codes)
    def run(image: tf.Tensor, *codes: tf.Tensor) -> Outputs:
        told = {one.name: code for one, code in zip(labels.conditions, codes)}
        return network({"image": image, **told}, training=False)

    def edit(image: tf.Tensor, given: Sequence[tf.Tensor]) -> Outputs:
        rows = tf.shape(image)[0]
        return run(image, *(one.code(values, rows) for one, values in zip(inputs, given)))

    def edit_bytes(image_bytes: tf.Tensor, texts: Sequence[tf.Tensor]) -> Outputs:
        given = [one.labels(values) for one, values in zip(inputs, texts)]
        return edit(decode(image_bytes), given)

    @_traced(_IMAGE, *by_label)
    def serving_default(image: tf.Tensor, *given: tf.Tensor) -> Outputs:
        return {"image": to_uint8(edit(prepare(image, size), given)["image"])}

    @_traced(_IMAGE, *(one.vector_spec for one in inputs))
    def vectors(image: tf.Tensor, *given: tf.Tensor) -> Outputs:
        rows = tf.shape(image)[0]
        codes = (one.checked_vectors(values, rows) for one, values in zip(inputs, given))
        return {"image": to_uint8(run(prepare(image, size), *codes)["image"])}

    @_traced(_IMAGE_BYTES, *by_text)
    def serving_bytes(image_bytes: tf.Tensor, *texts: tf.Tensor) -> Outputs:
        return {"image_bytes": encode_png(to_uint8(edit_bytes(image_bytes, texts)["image"]))}

    @_traced(_IMAGE, *by_label)
    def masks(image: tf.Tensor, *given: tf.Tensor) -> Outputs:
        outputs, result = edit(prepare(image, size), given), {}
        for name in network.mask_names:
            result[name] = mask_to_grey(outputs[name])
            result[f"{name}_values"] = tf.cast(outputs[name], tf.float32)
        return result

    @_traced(_IMAGE_BYTES, *by_text)
    def masks_bytes(image_bytes: tf.Tensor, *texts: tf.Tensor) -> Outputs:
        outputs = edit_bytes(image_bytes, texts)
        return {
            f"{name}_bytes": encode_png(mask_to_grey(outputs[name])) for name in network.mask_names
        }

    signatures = {
        "serving_default": serving_default,
        "vectors": vectors,
        "serving_bytes": serving_bytes,
    }
    if network.mask_names:
        signatures |= {"masks": masks, "masks_bytes": masks_bytes}
    return signatures


def _scorer_signatures(network: Any, labels: Labels) -> Signatures:
    # One answer per row and none over the batch, such as the share judged natural: a server may
    # merge requests of several callers into one batch.
    @_traced(_prepared(labels.image_size))
    def run(image: tf.Tensor) -> Outputs:
        rating = tf.cast(network(image, training=False), tf.float32)
        return {"rating": rating, "natural": rating >= NATURAL}

    by_image, by_bytes = _image_functions(run, labels.image_size)
    return {"serving_default": by_image, "score": by_image, "serving_bytes": by_bytes}


def _depth_signatures(network: Any, labels: Labels) -> Signatures:
    return dict(zip(("serving_default", "serving_bytes"), _map_functions(network)))


_BUILDERS = {EDITOR: _editor_signatures, SCORER: _scorer_signatures, DEPTH: _depth_signatures}


def _map_functions(network: Any) -> tuple[Any, Any]:
    """Returns the functions that map images and encoded ones.

    A map is the network's output rounded to eight bits, 0 where it is certain of the background.
    Where to cut off values close to 0 depends on the use.
    """
    size, geometry = network.image_size, network.geometry

    @_traced(_prepared(size))
    def run(image: tf.Tensor) -> Outputs:
        surface = to_uint8(network.to_map(image))
        # The three channels of depth are equal.
        return {geometry: surface[..., :1] if geometry == "depth" else surface}

    return _image_functions(
        run, size, lambda outputs: {f"{geometry}_bytes": encode_png(outputs[geometry])}
    )


def _image_functions(
    run: Function, size: int, encode: Callable[[Outputs], Outputs] = dict
) -> tuple[Any, Any]:
    """Returns ``run`` as functions of images and of encoded ones, whose outputs are encoded."""
    decode = decoder(size)

    @_traced(_IMAGE)
    def by_image(image: tf.Tensor) -> Outputs:
        return run(prepare(image, size))

    @_traced(_IMAGE_BYTES)
    def by_bytes(image_bytes: tf.Tensor) -> Outputs:
        return encode(run(decode(image_bytes)))

    return by_image, by_bytes


def _prepared(size: int) -> tf.TensorSpec:
    return tf.TensorSpec([None, size, size, 3], name="image")
