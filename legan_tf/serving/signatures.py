"""The functions that a served model offers, with all pixel work inside the graph.

Cropping, resizing, normalising, the attribute codes and the way back to eight bits are part of
the exported graph, so that a server, the C API and ``legan_tf.load`` give the same answer to the
same pixels. Of encoded pictures that holds where there is neither EXIF rotation nor transparency:
TensorFlow's decoder ignores both, while ``legan_tf.load`` applies them before the graph.
Everything that a caller can get wrong ends in ``tf.errors.InvalidArgumentError`` with a sentence
that names the row of the batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from legan_tf.compat import float32_policy, tensorflow_variable
from legan_tf.data.pipeline import to_uint8
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.models import (
    AttributeGenerator,
    DepthNetwork,
    LeganGenerator,
    Network,
    QualityEstimator,
    copy_of,
)
from legan_tf.serving.labels import DEPTH, EDITOR, KEEP, SCORER, Labels

_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")
"""What PNG, JPEG, GIF and BMP pictures begin with."""
_NAMED_ROWS = 5


@dataclasses.dataclass(frozen=True)
class Servable:
    """A network ready for use or for export.

    Attributes:
        module: Owns the network's variables; the object to save.
        signatures: Name to ``tf.function`` with named tensor inputs and a dict of named outputs.
        labels: The description that goes with it.
    """

    module: tf.Module
    signatures: dict[str, Callable[..., dict[str, tf.Tensor]]]
    labels: Labels


def describe(network: keras.Model, depth: keras.Model | None = None) -> Labels:
    """Describes a network by its class and attributes.

    Args:
        network: A generator, the quality estimator or a depth network.
        depth: The depth network beside a generator, if there is one.

    Raises:
        UserError: The network is of none of these kinds, or ``depth`` does not go with it.
    """
    architecture = type(network).__name__
    if depth is not None:
        _check_beside(network, depth)
    if isinstance(network, QualityEstimator):
        return Labels(SCORER, architecture, network.image_size)
    if isinstance(network, DepthNetwork):
        return Labels(DEPTH, architecture, network.image_size, geometry=network.geometry)
    if isinstance(network, AttributeGenerator):
        return Labels(
            EDITOR,
            architecture,
            network.image_size,
            tuple(network.expressions),
            tuple(network.lightings),
            network.keeps_unnamed,
            "" if depth is None else depth.geometry,
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
    """Wraps a network with the signatures that its kind offers.

    Generators offer ``serving_default`` (uint8 images [B, H, W, 3] of any size and attribute ids
    [B] to uint8 images [B, S, S, 3]), ``serving_bytes`` (encoded images and attribute names to
    PNG) and, where the network returns masks, ``masks``. The quality estimator offers
    ``serving_default`` and ``serving_bytes`` to ``rating`` and ``natural``. A depth network offers
    both to its maps; beside a generator, it does so under the names ``depth`` and ``depth_bytes``.

    The networks are copied to float32: training in a mixed precision does not lower the precision
    of what is served, and later training does not change it.

    Args:
        network: See ``describe``.
        depth: See ``describe``.

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
    # Only the variables hang on the module. Were the Keras model its child, saving would trace
    # every layer once more and store metadata that the other Keras cannot read.
    module = tf.Module()
    module.weights = [tensorflow_variable(weight) for one in frozen for weight in one.variables]
    return Servable(module, signatures, labels)


def prepare(image: tf.Tensor, size: int) -> tf.Tensor:
    """Makes network input of pictures: middle square, resized, in [-1, 1].

    The same as ``data.images.to_square`` in the training input, up to rounding: bicubic with
    antialiasing, of the middle square to fractions of a pixel, rounded to eight bits.

    Args:
        image: uint8 [B, H, W, 3].
        size: Height and width to resize to.

    Returns:
        float32 [B, size, size, 3] in [-1, 1].
    """
    sides = tf.shape(image)[1:3]
    side = tf.reduce_min(sides)
    has_pixels = tf.debugging.Assert(
        tf.size(image) > 0,
        ["Images, height and width must each be at least 1; given:"] + [tf.shape(image)[:3]],
    )
    with tf.control_dependencies([has_pixels]):
        scale = float(size) / tf.cast(side, tf.float32)
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image,
        size=(size, size),
        scale=tf.stack([scale, scale]),
        translation=-0.5 * tf.cast(sides - side, tf.float32) * scale,
        kernel_type="keyscubic",
        antialias=True,
    )
    return tf.clip_by_value(tf.round(resized), 0.0, 255.0) / 127.5 - 1.0


def _float32_copy(network: Network) -> Network:
    with float32_policy():
        return copy_of(network, network.name)


def _editor_signatures(
    network: Network, labels: Labels
) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
    def run(image: tf.Tensor, expression: tf.Tensor, lighting: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(image)[0]
        inputs = {
            "image": image,
            "expression": _code(expression, rows, "expression", labels.expressions, labels),
            "lighting": _code(lighting, rows, "lighting", labels.lightings, labels),
        }
        return network(inputs, training=False)

    by_id = [
        tf.TensorSpec([None, None, None, 3], tf.uint8, "image"),
        tf.TensorSpec([None], tf.int32, "expression"),
        tf.TensorSpec([None], tf.int32, "lighting"),
    ]
    by_name = [
        tf.TensorSpec([None], tf.string, "image_bytes"),
        tf.TensorSpec([None], tf.string, "expression"),
        tf.TensorSpec([None], tf.string, "lighting"),
    ]

    @tf.function(input_signature=by_id)
    def serving_default(image, expression, lighting):
        edited = run(prepare(image, labels.image_size), expression, lighting)["image"]
        return {"image": to_uint8(edited)}

    @tf.function(input_signature=by_name)
    def serving_bytes(image_bytes, expression, lighting):
        edited = run(
            _decode(image_bytes, labels.image_size),
            _ids(expression, "expression", labels.expressions),
            _ids(lighting, "lighting", labels.lightings),
        )["image"]
        return {"image_bytes": _encode(to_uint8(edited))}

    @tf.function(input_signature=by_id)
    def masks_of(image, expression, lighting):
        outputs = run(prepare(image, labels.image_size), expression, lighting)
        result = {}
        for name in ("expression_mask", "lighting_mask"):
            result[name] = _viewable(outputs[name])
            result[f"{name}_values"] = tf.cast(outputs[name], tf.float32)
        return result

    signatures = {"serving_default": serving_default, "serving_bytes": serving_bytes}
    return signatures | {"masks": masks_of} if isinstance(network, LeganGenerator) else signatures


def _scorer_signatures(
    network: Network, labels: Labels
) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
    def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
        rating = tf.cast(network(image, training=False), tf.float32)
        return {"rating": rating, "natural": rating >= NATURAL}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "image")])
    def serving_default(image):
        return run(prepare(image, labels.image_size))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def serving_bytes(image_bytes):
        return run(_decode(image_bytes, labels.image_size))

    return {"serving_default": serving_default, "serving_bytes": serving_bytes}


def _map_functions(network: DepthNetwork) -> tuple[Callable[..., dict[str, tf.Tensor]], ...]:
    """Returns what makes maps of tensors, and of encoded pictures.

    A map is the network's answer rounded to eight bits and nothing else: 0 where it is sure that
    nothing is there. Where to cut off what is nearly so depends on the use, and is left to it.
    """
    size, geometry = network.image_size, network.geometry

    def run(image: tf.Tensor) -> tf.Tensor:
        surface = to_uint8(network.to_map(image))
        # The three channels of depth are equal.
        return surface[..., :1] if geometry == "depth" else surface

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "image")])
    def by_tensor(image):
        return {geometry: run(prepare(image, size))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def by_bytes(image_bytes):
        return {f"{geometry}_bytes": _encode(run(_decode(image_bytes, size)))}

    return by_tensor, by_bytes


def _encode(images: tf.Tensor) -> tf.Tensor:
    """Encodes uint8 [B, H, W, 1 or 3] to PNG strings [B]."""
    return tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.TensorSpec([], tf.string))


def _decode(image_bytes: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes PNG, JPEG, GIF (first frame) or BMP strings [B] to float32 [B, size, size, 3]."""
    # The decoder's own error does not say which picture of a batch it means, so what does not
    # even begin like a picture is refused here.
    known = tf.zeros_like(image_bytes, tf.bool)
    for magic in _MAGIC:
        known |= tf.strings.substr(image_bytes, 0, len(magic)) == magic
    rows = tf.strings.as_string(tf.range(tf.shape(image_bytes)[0]))
    problem = tf.strings.join(
        ["Row ", rows, ": image_bytes is not a PNG, JPEG, GIF or BMP picture."]
    )

    def decode_one(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        image.set_shape([None, None, 3])
        return prepare(image[tf.newaxis], size)[0]

    some = tf.debugging.Assert(tf.size(image_bytes) > 0, ["There must be at least one image."])
    with tf.control_dependencies([some, _require(known, problem)]):
        encoded = tf.identity(image_bytes)
    return tf.map_fn(
        decode_one, encoded, fn_output_signature=tf.TensorSpec([size, size, 3], tf.float32)
    )


def _ids(names: tf.Tensor, attribute: str, known: Sequence[str]) -> tf.Tensor:
    """Maps names [B] to int32 ids [B]; the empty name maps to ``KEEP``."""
    matches = tf.cast(names[:, tf.newaxis] == tf.constant(known, tf.string), tf.int32)
    ids = tf.reduce_sum(matches * tf.range(1, len(known) + 1), axis=1) - 1
    rows = tf.strings.as_string(tf.range(tf.shape(names)[0]))
    told = f"; known are: {', '.join(known)}." if known else _not_edited(attribute, "an empty name")
    problem = tf.strings.join(["Row ", rows, f": unknown {attribute} ", names, told])
    with tf.control_dependencies([_require((ids >= 0) | (names == ""), problem)]):
        return tf.identity(ids)


def _code(
    ids: tf.Tensor, rows: tf.Tensor, attribute: str, known: Sequence[str], labels: Labels
) -> tf.Tensor:
    """Turns ids [rows] into one-hot float32 [rows, classes]; ``KEEP`` becomes a row of zeros."""
    may_keep = labels.keeps_unnamed or not known
    row_names = tf.strings.as_string(tf.range(tf.shape(ids)[0]))
    given = tf.strings.as_string(ids)
    keep = f", or {KEEP} to leave it as it is" if may_keep else ""
    told = f"; known are 0 to {len(known) - 1}{keep} ({', '.join(known)})."
    told = told if known else _not_edited(attribute, str(KEEP))
    unknown = tf.strings.join(["Row ", row_names, f": unknown {attribute} id ", given, told])
    missing = tf.strings.join(
        ["Row ", row_names, f": no {attribute} given, and this model cannot leave it as it is; "]
        + [f"name one of: {', '.join(known)}."]
    )
    lengths = tf.debugging.Assert(
        tf.shape(ids)[0] == rows,
        [f"There must be one {attribute} per image; images and {attribute}s given:"]
        + [rows, tf.shape(ids)[0]],
    )
    checks = [lengths, _require((ids >= KEEP) & (ids < len(known)), unknown)]
    if not may_keep:
        checks.append(_require(ids != KEEP, missing))
    with tf.control_dependencies(checks):
        return tf.one_hot(ids, len(known))


def _not_edited(attribute: str, to_send: str) -> str:
    return f". This model does not edit the {attribute}; send {to_send}."


def _require(holds: tf.Tensor, problem: tf.Tensor) -> tf.Operation:
    """Fails with the sentences ``problem`` [B] of the first rows where ``holds`` [B] is false."""
    sentences = tf.boolean_mask(problem, tf.logical_not(holds))[:_NAMED_ROWS]
    return tf.debugging.Assert(
        tf.reduce_all(holds), [tf.strings.reduce_join(sentences, separator=" ")]
    )


def _viewable(mask: tf.Tensor) -> tf.Tensor:
    """Shows a mask [B, H, W, M] as grey uint8 [B, H, W, 1]: channel mean, stretched per image."""
    mean = tf.reduce_mean(tf.cast(mask, tf.float32), axis=-1, keepdims=True)
    low = tf.reduce_min(mean, axis=(1, 2, 3), keepdims=True)
    high = tf.reduce_max(mean, axis=(1, 2, 3), keepdims=True)
    return to_uint8(2.0 * tf.math.divide_no_nan(mean - low, high - low) - 1.0)
