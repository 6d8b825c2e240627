"""From pictures to the input of a network, and from its output to files, in the graph."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from legan_tf.graph_ops.resizing import resize
from legan_tf.serving.graph_checks import at_most_max_rows, require, row_names

MAX_PIXELS = 2**25
"""Encoded pictures with more are refused before they are decoded: a small file can hold a huge
picture."""
DECODERS = 4
"""Pictures of a batch that are decoded at once, each of which may take 3 * MAX_PIXELS bytes."""
# GIF is not taken: TensorFlow unpacks all its frames before it looks at any, so that a small file
# could fill the memory.
_PNG, _JPEG, _BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
_BMP_BITS = 24
"""Bits per pixel of the BMP pictures that TensorFlow reads as colours."""
_KERNEL_RADIUS = 2.0
"""Radius of the bicubic kernel, in pixels of the larger grid."""


def prepare(image: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the middle square of pictures, resized, as network input.

    The same as ``data.images.to_square`` in the training input, up to rounding: bicubic with
    antialiasing, of the middle square to fractions of a pixel, rounded to eight bits.

    Args:
        image: uint8 [B, H, W, 3].
        size: Height and width to resize to.

    Returns:
        float32 [B, size, size, 3] in [-1, 1].
    """
    shape = tf.shape(image)
    side, width = tf.minimum(shape[1], shape[2]), shape[2]
    has_pixels = tf.debugging.Assert(
        tf.size(image) > 0,
        ["Images, height and width must each be at least 1; given:", shape[:3]],
    )
    with tf.control_dependencies([has_pixels, at_most_max_rows(shape[0])]):
        reach = tf.math.ceil(_KERNEL_RADIUS * tf.maximum(1.0, tf.cast(side, tf.float32) / size))
    # `size` rows of the whole width are held as floats, which for a long strip is a thousand times
    # the picture. So only the columns around the middle are taken.
    outside = tf.maximum((width - side) // 2 - tf.cast(reach, tf.int32) - 1, 0)
    columns = image[:, :, outside : width - outside]
    resized = resize(columns, (size, size), "bicubic", middle=True)
    return tf.clip_by_value(tf.round(resized), 0.0, 255.0) / 127.5 - 1.0


def prepare_differentiably(image: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the middle square of pictures, resized as ``prepare`` does but not rounded.

    Args:
        image: float32 [B, H, W, 3] in [-1, 1].
        size: Height and width of the result.

    Returns:
        float32 [B, size, size, 3] in [-1, 1]; ``image`` as it is where that is its size.
    """
    if image.shape[1:3] == [size, size]:
        return image
    return tf.clip_by_value(resize(image, (size, size), "bicubic", middle=True), -1.0, 1.0)


def encode_png(images: tf.Tensor) -> tf.Tensor:
    """Encodes uint8 [B, H, W, 1 or 3] to PNG strings [B]."""
    return tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.TensorSpec([], tf.string))


def decoder(size: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns ``decode`` to a size as a function that is traced and stored once."""
    return tf.function(
        lambda image_bytes: decode(image_bytes, size),
        input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")],
        autograph=False,
    )


def decode(image_bytes: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes PNG, JPEG or BMP strings [B] to float32 [B, size, size, 3] in [-1, 1]."""
    some = tf.debugging.Assert(tf.size(image_bytes) > 0, ["There must be at least one image."])
    with tf.control_dependencies([some, at_most_max_rows(tf.size(image_bytes))]):
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

    # A decoder's own error does not say which picture of the batch is damaged, and an error in
    # map_fn ends the whole step. A data set skips the rows that fail, and the row numbers show
    # which. The row before them is for batches without any good picture: no element is no batch.
    nothing = (
        tf.constant(-1, tf.int64),
        tf.zeros([3], tf.int64),
        tf.zeros([size, size, 3]),
    )
    options = tf.data.Options()
    # Both would run for every request, which takes longer than decoding a picture.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    read = tf.data.Dataset.range(count).map(
        read_one, num_parallel_calls=DECODERS, deterministic=True
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
    """Returns whether pictures with these headers [..., 3] may be decoded, bool [...]."""
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
    """Returns operations that fail with a message for each picture that was not decoded.

    Args:
        image_bytes: string [B].
        found: bool [B], whether the row could be read.
        headers: int64 [B, 3] of ``_read_header``, zeros where it failed.
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
    holds = known & found & _is_taken(headers)
    return [require(holds, tf.strings.join([row_names(found), problem]))]
