"""Messages between clients and a TensorFlow Serving server, without TensorFlow.

``tensorflow-serving-api`` has the same messages, but importing it imports TensorFlow. Here only the
fields in use are declared, by number and type, which is all that goes over the wire.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message

from legan_tf.serving.protobuf import message_classes

# Enums are int32 here, which is the same on the wire.
_MESSAGES = {
    "Int64Value": {"value": (1, "int64")},
    "Dim": {"size": (1, "int64"), "name": (2, "string")},
    "TensorShapeProto": {"dim": (2, "*Dim"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "*float"),
        "double_val": (6, "*double"),
        "int_val": (7, "*int32"),
        "string_val": (8, "*bytes"),
        "int64_val": (10, "*int64"),
        "bool_val": (11, "*bool"),
        "half_val": (13, "*int32"),
    },
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"),
        "inputs": (2, "map TensorProto"),
        "output_filter": (3, "*string"),
    },
    "PredictResponse": {"outputs": (1, "map TensorProto"), "model_spec": (2, "ModelSpec")},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "StatusProto": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "int32"),
        "status": (3, "StatusProto"),
    },
    "GetModelStatusResponse": {"model_version_status": (1, "*ModelVersionStatus")},
    "PredictLog": {"request": (1, "PredictRequest"), "response": (2, "PredictResponse")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
}
_DECLARED = message_classes("legan_tf.wire", _MESSAGES)
TensorProto = _DECLARED["TensorProto"]
PredictRequest = _DECLARED["PredictRequest"]
PredictResponse = _DECLARED["PredictResponse"]
GetModelStatusRequest = _DECLARED["GetModelStatusRequest"]
GetModelStatusResponse = _DECLARED["GetModelStatusResponse"]
PredictionLog = _DECLARED["PredictionLog"]

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

_STRING = 7
# NumPy's type by DataType, and the field of numbers that are not in tensor_content.
_NUMBERS: dict[int, tuple[np.dtype, str]] = {
    1: (np.dtype("<f4"), "float_val"),
    2: (np.dtype("<f8"), "double_val"),
    3: (np.dtype("<i4"), "int_val"),
    4: (np.dtype("u1"), "int_val"),
    9: (np.dtype("<i8"), "int64_val"),
    10: (np.dtype("?"), "bool_val"),
    19: (np.dtype("<f2"), "half_val"),
}
_CODES = {dtype: code for code, (dtype, _) in _NUMBERS.items()}
_MOST_FILLED = 1 << 26
"""Most bytes of a tensor that repeats its last value: a small message must not fill the memory."""
_STRING_BYTES = 64
"""Memory of a string beside its content, in Python and in TensorFlow."""


class WireError(ValueError):
    """A tensor cannot be read, or an array cannot be sent."""


def to_tensor(array: np.ndarray) -> Message:
    """Returns an array as a ``TensorProto``.

    Args:
        array: Of numbers, booleans, or bytes objects (dtype object: NumPy's own type of bytes
            drops zeros at their end).

    Raises:
        WireError: Arrays of this type cannot be sent.
    """
    array = np.asarray(array)
    tensor = TensorProto()
    tensor.tensor_shape.SetInParent()  # Without one the rank would be unknown, for a scalar.
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == object and all(isinstance(value, bytes) for value in array.flat):
        tensor.dtype = _STRING
        tensor.string_val.extend(array.ravel().tolist())
        return tensor
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _CODES:
        raise WireError(f"arrays of {array.dtype} cannot be sent.")
    tensor.dtype = _CODES[dtype]
    tensor.tensor_content = np.ascontiguousarray(array, dtype).tobytes()
    return tensor


def from_tensor(tensor: Message) -> np.ndarray:
    """Returns a ``TensorProto``, which is not trusted, as an array; strings become bytes objects.

    Raises:
        WireError: The type is not supported, or the number of values does not fit the shape.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise WireError(f"a tensor has the impossible shape {list(shape)}.")
    if tensor.dtype == _STRING:
        if tensor.tensor_content:
            raise WireError("strings in tensor_content cannot be read.")
        dtype: np.dtype = np.dtype(object)
        values = np.empty(len(tensor.string_val), dtype)
        values[:] = list(tensor.string_val)
    elif tensor.dtype not in _NUMBERS:
        raise WireError(f"tensors of type {tensor.dtype} cannot be read.")
    else:
        dtype, field = _NUMBERS[tensor.dtype]
        values = _numbers(tensor, dtype, field)
    size = math.prod(shape)
    if len(values) < size and not tensor.tensor_content:
        # Repetitions of the last value are not sent, nor are zeros and empty strings at the end.
        empty = b"" if tensor.dtype == _STRING else 0
        last: Any = values[-1] if len(values) else empty
        each = _STRING_BYTES + len(last) if tensor.dtype == _STRING else dtype.itemsize
        if size * each > _MOST_FILLED:
            raise WireError(f"a tensor of shape {list(shape)} holds {len(values)} values.")
        rest = np.full(size - len(values), last, dtype)
        values = np.concatenate([values, rest])
    if len(values) != size:
        raise WireError(f"a tensor of shape {list(shape)} holds {len(values)} values.")
    try:
        return values.reshape(shape)
    except ValueError as error:  # More dimensions than NumPy takes, or an empty one of huge ones.
        raise WireError(f"a tensor of {len(shape)} dimensions cannot be read.") from error


def _numbers(tensor: Message, dtype: np.dtype, field: str) -> np.ndarray:
    """Returns the numbers of a tensor, from its raw content or the field of their type."""
    content = tensor.tensor_content
    if content:
        if len(content) % dtype.itemsize:
            raise WireError(f"{len(content)} bytes are no whole number of {dtype} values.")
        values = np.frombuffer(content, dtype)
        # A byte that is neither 0 nor 1 is no boolean to NumPy.
        return values.view(np.uint8) != 0 if field == "bool_val" else values
    sent = getattr(tensor, field)
    values = np.fromiter(sent, np.int32 if field in ("int_val", "half_val") else dtype, len(sent))
    if field == "half_val":
        return values.astype(np.uint16).view(dtype)
    return values.astype(dtype, copy=False)


@dataclasses.dataclass(frozen=True)
class Answer:
    """Answer of a server to ``Predict``.

    Attributes:
        outputs: Arrays by name.
        version: Version of the model that answered.
    """

    outputs: dict[str, np.ndarray]
    version: int


def predict_request(
    model: str,
    signature: str,
    inputs: Mapping[str, np.ndarray],
    outputs: Sequence[str] = (),
    version: int | None = None,
) -> Message:
    """Returns the ``PredictRequest`` for a signature of a model.

    Args:
        model: Name it is served under.
        signature: Name of the signature.
        inputs: Arrays by input name; see ``to_tensor``.
        outputs: Names of the outputs to answer with; default is all.
        version: Version of the model; default is the server's choice.

    Raises:
        WireError: See ``to_tensor``.
    """
    request = PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    request.output_filter.extend(outputs)
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(to_tensor(array))
    return request


def read_answer(response: Message) -> Answer:
    """Reads a ``PredictResponse``.

    Raises:
        WireError: See ``from_tensor``; the message names the output.
    """
    outputs = {}
    for name in sorted(response.outputs):
        try:
            outputs[name] = from_tensor(response.outputs[name])
        except WireError as error:
            raise WireError(f"output {name!r}: {error}") from error
    return Answer(outputs, response.model_spec.version.value)


def sentence_of(details: str) -> str:
    """Returns the message of an error without TensorFlow's additions.

    Args:
        details: For instance ``assertion failed: [Row 1: …] [[{{node …}}]]``.
    """
    text = re.sub(
        r"\{\{function_node .*?\}\}", "", details.rpartition("stack traces unavailable>")[2]
    )
    text = re.split(r"\s*\[\[\{\{|\s*\[Op:", text, maxsplit=1)[0]
    _, asserted, sentence = text.rpartition("assertion failed: ")
    if asserted:
        # The values of an assertion come one by one: [sentence] [3] [2].
        sentence = sentence.strip().removeprefix("[").removesuffix("]").replace("] [", " ")
    sentence = sentence.strip().removeprefix("Graph execution error:")
    lines = [line.strip() for line in sentence.splitlines() if line.strip()]
    return " ".join(lines) or "no reason given"
