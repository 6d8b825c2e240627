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
import functools
from collections.abc import Callable, Sequence
from typing import Any

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
from legan_tf.models.legan import mask_to_grey
from legan_tf.serving.labels import DEPTH, EDITOR, KEEP, SCORER, Labels

MAX_PIXELS = 2**25
"""Encoded pictures with more are refused before they are decoded: a small file can hold a huge
picture."""
MAX_ROWS = 64
"""Requests with more are refused: a row may take few bytes on the wire, and always takes what the
network needs for a picture."""
# GIF is not taken: TensorFlow unpacks all its frames before it looks at any, so that a small file
# could fill the memory.
_PNG, _JPEG, _BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
_BMP_BITS = 24
"""Bits per pixel of the BMP pictures that TensorFlow reads as colours."""
_DECODERS = 4
"""Pictures of a batch that are decoded at once, each of which may take 3 * MAX_PIXELS bytes."""
_NAMED_ROWS = 5
# There is no control flow of Python in them, and to look for it doubles the time of tracing.
_traced = functools.partial(tf.function, autograph=False)
_KERNEL_RADIUS = 2.0
"""Of the bicubic kernel, in pixels of the larger grid."""


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
    [B] to uint8 images [B, S, S, 3]), ``vectors`` (the same with a value in [0, 1] for every class
    of an attribute, [B, classes], zeros to keep it), ``serving_bytes`` (encoded images and
    attribute names to PNG) and, where the network returns masks, ``masks`` and ``masks_bytes``. The
    quality estimator offers ``serving_default``, also named ``score``, and ``serving_bytes`` to
    ``rating`` and ``natural``. A depth network offers both to its maps; beside a generator, it does
    so under the names ``depth`` and ``depth_bytes``. All offer ``labels``, which answers every row
    of numbers with the JSON of the labels, so that a client can ask the server for them.

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
    signatures["labels"] = _labels_function(labels)
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
    with tf.control_dependencies([has_pixels, _few(tf.shape(image)[0])]):
        scale = float(size) / tf.cast(side, tf.float32)
    # The operation holds `size` rows of the whole width as floats, which of a long strip is a
    # thousand times the picture. So it gets the columns that it looks at, and nothing else.
    margin = tf.cast(tf.math.ceil(_KERNEL_RADIUS * tf.maximum(1.0, 1.0 / scale)), tf.int32) + 1
    outside = sides - side
    left = tf.maximum(outside[1] // 2 - margin, 0)
    columns = image[:, :, left : left + side + 2 * margin + 1]
    begin = 0.5 * tf.cast(outside, tf.float32) - tf.cast([0, left], tf.float32)
    resized = tf.raw_ops.ScaleAndTranslate(
        images=columns,
        size=(size, size),
        scale=tf.stack([scale, scale]),
        translation=-begin * scale,
        kernel_type="keyscubic",
        antialias=True,
    )
    return tf.clip_by_value(tf.round(resized), 0.0, 255.0) / 127.5 - 1.0


def _float32_copy(network: Network) -> Network:
    with float32_policy():
        return copy_of(network, network.name)


def _labels_function(labels: Labels) -> Callable[..., dict[str, tf.Tensor]]:
    content = labels.to_json()

    # A signature needs an input with a batch axis: servers that batch look for one.
    @_traced(input_signature=[tf.TensorSpec([None], tf.int32, "row")])
    def labels_of(row):
        with tf.control_dependencies([_few(tf.size(row))]):
            return {"labels": tf.fill(tf.shape(row), content)}

    return labels_of


def _editor_signatures(
    network: Network, labels: Labels
) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
    size = labels.image_size
    classes = {"expression": labels.expressions, "lighting": labels.lightings}

    inner = {"image": [None, size, size, 3]}
    inner |= {name: [None, len(known)] for name, known in classes.items()}

    # A function of its own, so that the network is traced and stored once for all signatures.
    @_traced(input_signature=[tf.TensorSpec(shape, name=name) for name, shape in inner.items()])
    def run(image, expression, lighting):
        inputs = {"image": image, "expression": expression, "lighting": lighting}
        return network(inputs, training=False)

    decode = _decoder(size)

    def run_ids(image: tf.Tensor, **ids: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(image)[0]
        codes = {
            name: _code(ids[name], rows, name, known, labels) for name, known in classes.items()
        }
        return run(image, **codes)

    def run_names(image_bytes: tf.Tensor, **names: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = {name: _ids(names[name], name, known) for name, known in classes.items()}
        return run_ids(decode(image_bytes), **ids)

    def inputs(image: tf.TensorSpec, attribute: tf.TensorSpec) -> list[tf.TensorSpec]:
        named = [tf.TensorSpec(attribute.shape, attribute.dtype, name) for name in classes]
        return [image, *named]

    picture = tf.TensorSpec([None, None, None, 3], tf.uint8, "image")
    by_id = inputs(picture, tf.TensorSpec([None], tf.int32))
    # The width is left open, so that another one is answered with a sentence.
    by_vector = inputs(picture, tf.TensorSpec([None, None], tf.float32))
    by_name = inputs(
        tf.TensorSpec([None], tf.string, "image_bytes"), tf.TensorSpec([None], tf.string)
    )

    @_traced(input_signature=by_id)
    def serving_default(image, expression, lighting):
        edited = run_ids(prepare(image, size), expression=expression, lighting=lighting)["image"]
        return {"image": to_uint8(edited)}

    @_traced(input_signature=by_vector)
    def vectors(image, expression, lighting):
        rows, given = tf.shape(image)[0], {"expression": expression, "lighting": lighting}
        codes = {
            name: _checked_vectors(given[name], rows, name, known, labels)
            for name, known in classes.items()
        }
        return {"image": to_uint8(run(prepare(image, size), **codes)["image"])}

    @_traced(input_signature=by_name)
    def serving_bytes(image_bytes, expression, lighting):
        edited = run_names(image_bytes, expression=expression, lighting=lighting)["image"]
        return {"image_bytes": _encode(to_uint8(edited))}

    @_traced(input_signature=by_id)
    def masks_of(image, expression, lighting):
        outputs = run_ids(prepare(image, size), expression=expression, lighting=lighting)
        result = {}
        for name in ("expression_mask", "lighting_mask"):
            result[name] = mask_to_grey(outputs[name])
            result[f"{name}_values"] = tf.cast(outputs[name], tf.float32)
        return result

    @_traced(input_signature=by_name)
    def masks_bytes(image_bytes, expression, lighting):
        outputs = run_names(image_bytes, expression=expression, lighting=lighting)
        return {
            f"{name}_bytes": _encode(mask_to_grey(outputs[name]))
            for name in ("expression_mask", "lighting_mask")
        }

    signatures = {
        "serving_default": serving_default,
        "vectors": vectors,
        "serving_bytes": serving_bytes,
    }
    if isinstance(network, LeganGenerator):
        signatures |= {"masks": masks_of, "masks_bytes": masks_bytes}
    return signatures


def _scorer_signatures(
    network: Network, labels: Labels
) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
    # One answer per row and none over the batch, such as the share judged natural: a server may
    # put requests of several callers into one batch. Shares are the caller's to compute.
    decode = _decoder(labels.image_size)

    @_of_pictures(labels.image_size)
    def run(image):
        rating = tf.cast(network(image, training=False), tf.float32)
        return {"rating": rating, "natural": rating >= NATURAL}

    @_traced(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "image")])
    def serving_default(image):
        return run(prepare(image, labels.image_size))

    @_traced(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def serving_bytes(image_bytes):
        return run(decode(image_bytes))

    return {
        "serving_default": serving_default,
        "score": serving_default,
        "serving_bytes": serving_bytes,
    }


def _map_functions(network: DepthNetwork) -> tuple[Callable[..., dict[str, tf.Tensor]], ...]:
    """Returns what makes maps of tensors, and of encoded pictures.

    A map is the network's answer rounded to eight bits and nothing else: 0 where it is sure that
    nothing is there. Where to cut off what is nearly so depends on the use, and is left to it.
    """
    size, geometry = network.image_size, network.geometry

    decode = _decoder(size)

    @_of_pictures(size)
    def run(image):
        surface = to_uint8(network.to_map(image))
        # The three channels of depth are equal.
        return surface[..., :1] if geometry == "depth" else surface

    @_traced(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "image")])
    def by_tensor(image):
        return {geometry: run(prepare(image, size))}

    @_traced(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def by_bytes(image_bytes):
        return {f"{geometry}_bytes": _encode(run(decode(image_bytes)))}

    return by_tensor, by_bytes


def _of_pictures(size: int) -> Callable[..., Any]:
    """Makes a function of float32 [B, size, size, 3] one that is traced and stored once."""
    return _traced(input_signature=[tf.TensorSpec([None, size, size, 3], name="image")])


def _decoder(size: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns ``_decode`` to a size as a function that is traced and stored once."""
    return _traced(
        lambda image_bytes: _decode(image_bytes, size),
        input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")],
    )


def _encode(images: tf.Tensor) -> tf.Tensor:
    """Encodes uint8 [B, H, W, 1 or 3] to PNG strings [B]."""
    return tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.TensorSpec([], tf.string))


def _decode(image_bytes: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes PNG, JPEG or BMP strings [B] to float32 [B, size, size, 3] in [-1, 1]."""
    some = tf.debugging.Assert(tf.size(image_bytes) > 0, ["There must be at least one image."])
    with tf.control_dependencies([some, _few(tf.size(image_bytes))]):
        image_bytes = tf.identity(image_bytes)
    count = tf.size(image_bytes, out_type=tf.int64)

    def read_one(row: tf.Tensor) -> tuple[tf.Tensor, ...]:
        encoded = image_bytes[row]
        header = _read_header(encoded)
        image = tf.cond(
            _is_taken(header),
            lambda: _decode_one(encoded, size),
            lambda: tf.zeros([size, size, 3]),
        )
        return row, header, image

    # A decoder's own error does not say which picture of the batch it means, and an error in
    # map_fn ends the whole step. A data set goes on without the rows that fail; which are missing
    # is seen by their numbers. The row before them stands for an empty rest, which has no element.
    nothing = (
        tf.constant(-1, tf.int64),
        tf.zeros([3], tf.int64),
        tf.zeros([size, size, 3]),
    )
    options = tf.data.Options()
    # They would be planned anew for every request, which takes longer than decoding a picture.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    read = tf.data.Dataset.range(count).map(
        read_one, num_parallel_calls=_DECODERS, deterministic=True
    )
    read = tf.data.Dataset.from_tensors(nothing).concatenate(read.ignore_errors())
    rows, headers, images = read.batch(count + 1).with_options(options).get_single_element()
    places = rows[1:, tf.newaxis]
    found = tf.scatter_nd(places, tf.ones_like(rows[1:], tf.bool), [count])
    headers = tf.scatter_nd(places, headers[1:], [count, 3])
    with tf.control_dependencies(_picture_checks(image_bytes, found, headers)):
        return tf.ensure_shape(images[1:], [None, size, size, 3])


def _read_header(encoded: tf.Tensor) -> tf.Tensor:
    """Returns height, width and, of BMP, bits per pixel of an encoded picture, int64 [3].

    Only the header is read. Fails where that is damaged.
    """

    def png() -> tf.Tensor:
        sides = tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False)
        return tf.stack([sides[1], sides[0], _BMP_BITS])

    def jpeg() -> tf.Tensor:
        return tf.concat([tf.io.extract_jpeg_shape(encoded)[:2], [_BMP_BITS]], axis=0)

    def bmp() -> tf.Tensor:
        sides = tf.io.decode_raw(tf.strings.substr(encoded, 18, 8), tf.int32)
        bits = tf.io.decode_raw(tf.strings.substr(encoded, 28, 2), tf.uint16)
        # The height of a picture that is written from top to bottom is negative.
        return tf.stack([tf.abs(sides[1]), sides[0], tf.cast(bits[0], tf.int32)])

    header = tf.cond(
        _begins_with(encoded, _PNG),
        png,
        lambda: tf.cond(_begins_with(encoded, _JPEG), jpeg, bmp),
    )
    whole = tf.debugging.Assert(tf.reduce_all(header[:2] > 0), [header])
    with tf.control_dependencies([whole]):
        return tf.cast(header, tf.int64)


def _is_taken(headers: tf.Tensor) -> tf.Tensor:
    """Tells of headers [..., 3] whether their pictures may be decoded, bool [...]."""
    return (headers[..., 0] * headers[..., 1] <= MAX_PIXELS) & (headers[..., 2] == _BMP_BITS)


def _decode_one(encoded: tf.Tensor, size: int) -> tf.Tensor:
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    return prepare(image[tf.newaxis], size)[0]


def _begins_with(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(magic)) == magic


def _picture_checks(
    image_bytes: tf.Tensor, found: tf.Tensor, headers: tf.Tensor
) -> list[tf.Operation]:
    """Returns what fails with a sentence on each encoded picture that was not decoded.

    Args:
        image_bytes: string [B].
        found: bool [B], whether the row could be read.
        headers: int64 [B, 3], what ``_read_header`` returned, zeros where it failed.
    """
    known = tf.zeros_like(found)
    for magic in (_PNG, _JPEG, _BMP):
        known |= _begins_with(image_bytes, magic)
    height, width, bits = (tf.strings.as_string(headers[:, place]) for place in range(3))
    too_large = headers[:, 0] * headers[:, 1] > MAX_PIXELS
    problem = tf.where(
        too_large,
        tf.strings.join(
            ["the picture has ", width, " x ", height, f" pixels; at most {MAX_PIXELS:,} are "]
            + ["taken: make it smaller."]
        ),
        tf.strings.join(
            ["the BMP picture has ", bits, f" bits per pixel; it must be {_BMP_BITS}."]
        ),
    )
    problem = tf.where(found, problem, "image_bytes is cut short or damaged.")
    problem = tf.where(known, problem, "image_bytes is not a PNG, JPEG or BMP picture.")
    rows = tf.strings.as_string(tf.range(tf.size(found)))
    holds = known & found & _is_taken(headers)
    return [_require(holds, tf.strings.join(["Row ", rows, ": ", problem]))]


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
    row_names = tf.strings.as_string(tf.range(tf.shape(ids)[0]))
    given = tf.strings.as_string(ids)
    keep = f", or {KEEP} to leave it as it is" if _may_keep(known, labels) else ""
    told = f"; known are 0 to {len(known) - 1}{keep} ({', '.join(known)})."
    told = told if known else _not_edited(attribute, str(KEEP))
    unknown = tf.strings.join(["Row ", row_names, f": unknown {attribute} id ", given, told])
    checks = [
        _one_per_image(ids, rows, attribute),
        _require((ids >= KEEP) & (ids < len(known)), unknown),
        *_keep_checks(ids != KEEP, attribute, known, labels),
    ]
    with tf.control_dependencies(checks):
        return tf.one_hot(ids, len(known))


def _checked_vectors(
    given: tf.Tensor, rows: tf.Tensor, attribute: str, known: Sequence[str], labels: Labels
) -> tf.Tensor:
    """Checks float32 [rows, classes]: values in [0, 1]; a row of zeros leaves it as it is."""
    width = tf.shape(given)[1]
    told = tf.strings.join(
        [f"Each row of {attribute} must hold {len(known)} values, one for each class ("]
        + [f"{', '.join(known)}), not ", tf.strings.as_string(width), "."]
    )
    row_names = tf.strings.as_string(tf.range(tf.shape(given)[0]))
    outside = tf.strings.join(
        ["Row ", row_names, f": {attribute} holds a value that is no number from 0 to 1."]
    )
    # NaN is neither at least 0 nor at most 1.
    inside = tf.reduce_all((given >= 0.0) & (given <= 1.0), axis=1)
    checks = [
        _one_per_image(given, rows, attribute),
        tf.debugging.Assert(width == len(known), [told]),
        _require(inside, outside),
        *_keep_checks(tf.reduce_any(given != 0.0, axis=1), attribute, known, labels),
    ]
    with tf.control_dependencies(checks):
        return tf.ensure_shape(given, [None, len(known)])


def _one_per_image(given: tf.Tensor, rows: tf.Tensor, attribute: str) -> tf.Operation:
    return tf.debugging.Assert(
        tf.shape(given)[0] == rows,
        [f"There must be one {attribute} per image; images and {attribute}s given:"]
        + [rows, tf.shape(given)[0]],
    )


def _few(rows: tf.Tensor) -> tf.Operation:
    """Fails where a request has more rows than one may have."""
    given = tf.strings.as_string(rows)
    told = tf.strings.join(
        ["A request may have ", str(MAX_ROWS), " rows and this has ", given, ": send several."]
    )
    return tf.debugging.Assert(rows <= MAX_ROWS, [told])


def _may_keep(known: Sequence[str], labels: Labels) -> bool:
    return labels.keeps_unnamed or not known


def _keep_checks(
    named: tf.Tensor, attribute: str, known: Sequence[str], labels: Labels
) -> list[tf.Operation]:
    """Returns what fails where ``named`` [B] is false, if the network cannot keep an attribute."""
    if _may_keep(known, labels):
        return []
    rows = tf.strings.as_string(tf.range(tf.shape(named)[0]))
    missing = tf.strings.join(
        ["Row ", rows, f": no {attribute} given, and this model cannot leave it as it is; "]
        + [f"name one of: {', '.join(known)}."]
    )
    return [_require(named, missing)]


def _not_edited(attribute: str, to_send: str) -> str:
    return f". This model does not edit the {attribute}; send {to_send}."


def _require(holds: tf.Tensor, problem: tf.Tensor) -> tf.Operation:
    """Fails with the sentences ``problem`` [B] of the first rows where ``holds`` [B] is false."""
    sentences = tf.boolean_mask(problem, tf.logical_not(holds))[:_NAMED_ROWS]
    return tf.debugging.Assert(
        tf.reduce_all(holds), [tf.strings.reduce_join(sentences, separator=" ")]
    )
