"""``TensorProto`` messages of requests as arrays; requests are not trusted."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message

from legan_tf.serving.local_server.errors import ServingError, invalid

# A last value that repeats may be sent once. The array that a few sent values are repeated into is
# limited to so many bytes or strings.
_EXPANDED_BYTES = 2**26
_EXPANDED_STRINGS = 2**16
# With larger ones, products of sizes overflow 64 bits in NumPy or TensorFlow.
_LARGEST_SIZE = 2**31 - 1
_VALUES = {
    tf.float16: "half_val",
    tf.bfloat16: "half_val",
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int64: "int64_val",
    tf.uint64: "uint64_val",
    tf.uint32: "uint32_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}


def read(name: str, tensor: Message, spec: tf.TensorSpec) -> np.ndarray:
    """Reads an input.

    Args:
        name: What the signature calls it.
        tensor: A ``TensorProto`` from outside.
        spec: What the signature takes.

    Returns:
        An array of the type and a shape that ``spec`` allows; of strings as bytes objects.

    Raises:
        ServingError: INVALID_ARGUMENT: it is something else, or does not hold what it claims.
    """
    if tensor.dtype != spec.dtype.as_datatype_enum:
        try:
            found = tf.dtypes.as_dtype(tensor.dtype).name
        except TypeError:
            found = f"of the unknown type {tensor.dtype}"
        raise _invalid(f"input {name!r} is {found}, not {spec.dtype.name}.")
    shape = _shape(name, tensor.tensor_shape, spec)
    size = math.prod(shape)
    if tensor.tensor_content:
        return _from_content(name, tensor.tensor_content, shape, size, spec.dtype)
    values = getattr(tensor, _VALUES.get(spec.dtype, "int_val"))
    limit = _EXPANDED_STRINGS if spec.dtype == tf.string else _EXPANDED_BYTES // spec.dtype.size
    if len(values) > size or (size and not values) or (len(values) < size and size > limit):
        raise _invalid(f"input {name!r} of shape {list(shape)} holds {len(values)} values.")
    if spec.dtype == tf.string:
        strings = np.empty(size, object)
        strings[:] = [*values, *values[-1:] * (size - len(values))]
        return strings.reshape(shape)
    try:
        return tf.make_ndarray(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise _invalid(f"input {name!r} holds values that are no {spec.dtype.name}.") from error


def _shape(name: str, shape: Message, spec: tf.TensorSpec) -> tuple[int, ...]:
    claimed = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim[:255])
    if claimed is not None and any(not 0 <= size <= _LARGEST_SIZE for size in claimed):
        raise _invalid(f"input {name!r} has a size that is negative or too large.")
    check_shape(name, claimed, spec)
    return claimed


def check_shape(name: str, shape: tuple[int, ...] | None, spec: tf.TensorSpec) -> None:
    """Checks the shape of an input, None if it has none.

    Raises:
        ServingError: INVALID_ARGUMENT: ``spec`` does not allow it.
    """
    if shape is None or not spec.shape.is_compatible_with(shape):
        found = "no shape" if shape is None else f"the shape {list(shape[:16])}"
        raise _invalid(f"input {name!r} has {found}, not {_written(spec.shape)}.")


def _written(shape: tf.TensorShape) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in shape)
    return f"[{sizes}]"


def _from_content(
    name: str, content: bytes, shape: tuple[int, ...], size: int, dtype: tf.DType
) -> np.ndarray:
    if dtype == tf.string or size * dtype.size != len(content):
        raise _invalid(
            f"input {name!r} of shape {list(shape)} holds {len(content)} bytes of content."
        )
    if dtype == tf.bool:
        # Any other byte than 0 and 1 would be no bool to NumPy.
        return (np.frombuffer(content, np.uint8) != 0).reshape(shape)
    return np.frombuffer(content, dtype.as_numpy_dtype).reshape(shape)


def _invalid(what: str) -> ServingError:
    return invalid(f"tensor parsing error: {what}")
