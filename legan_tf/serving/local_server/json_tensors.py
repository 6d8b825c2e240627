"""Requests and answers of REST: JSON as arrays and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from legan_tf.serving.local_server.errors import invalid
from legan_tf.serving.local_server.servable import Signature, check_shape


def read_body(body: bytes | bytearray) -> dict[str, Any]:
    """Reads the body of a request to predict: ``inputs``, and perhaps ``signature_name``.

    Raises:
        ServingError: INVALID_ARGUMENT: it is something else.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid("JSON Parse error: the body is no JSON.") from error
    if not isinstance(content, dict):
        raise invalid("the body is no JSON object.")
    if "inputs" not in content or "instances" in content:
        raise invalid("the body needs 'inputs', which alone is supported here.")
    if not isinstance(content.get("signature_name", ""), str):
        raise invalid("'signature_name' is no string.")
    return content


def read_inputs(inputs: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Reads the inputs of a signature.

    Args:
        inputs: All rows of each input by its name, or bare if the signature has one input.
        signature: The signature that takes them.

    Raises:
        ServingError: INVALID_ARGUMENT: they do not fit the signature.
    """
    if not isinstance(inputs, dict):
        if len(signature.inputs) != 1:
            names = ", ".join(sorted(signature.inputs))
            raise invalid(
                f"the signature {signature.name!r} has several inputs; name them: {names}."
            )
        inputs = dict.fromkeys(signature.inputs, inputs)
    signature.check_names(inputs)
    return {name: _array(name, inputs[name], spec) for name, spec in signature.inputs.items()}


def _array(name: str, value: Any, spec: tf.TensorSpec) -> np.ndarray:
    is_text = spec.dtype == tf.string
    try:
        # As objects: in an array of text, each would take the room of the longest.
        objects = np.array(value, dtype=object)
        array = _strings(objects) if is_text else _numbers(objects, spec.dtype)
    except (ValueError, OverflowError, RecursionError) as error:
        wanted = 'strings and {"b64": "..."} of whole base64' if is_text else spec.dtype.name
        raise invalid(
            f"input {name!r} holds values that are no {wanted}, or rows of different lengths."
        ) from error
    check_shape(name, array.shape, spec)
    return array


def _numbers(objects: np.ndarray, dtype: tf.DType) -> np.ndarray:
    kinds = set(map(type, objects.flat))
    allowed = {bool} if dtype == tf.bool else {int} if dtype.is_integer else {int, float}
    if not kinds <= allowed:
        raise ValueError
    if kinds and dtype.is_integer and (objects.min() < dtype.min or objects.max() > dtype.max):
        raise ValueError
    if dtype.is_floating:
        objects = objects.astype(np.float64)
    with np.errstate(over="ignore"):  # What is too large for the type becomes infinite.
        return objects.astype(dtype.as_numpy_dtype)


def _strings(objects: np.ndarray) -> np.ndarray:
    array = np.empty(objects.size, object)
    array[:] = [_bytes(value) for value in objects.flat]
    return array.reshape(objects.shape)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        return base64.b64decode(value["b64"], validate=True)
    raise ValueError


def plain_outputs(outputs: Mapping[str, np.ndarray]) -> Any:
    """Returns what to write as JSON: all rows of each output by its name, or bare if there is one.

    Args:
        outputs: Arrays by name; those of strings whose name ends in ``_bytes`` become base64.
    """
    columns = {name: _plain(name, array) for name, array in outputs.items()}
    return columns if len(columns) != 1 else next(iter(columns.values()))


def _plain(name: str, array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    plain = np.empty(array.size, object)
    plain[:] = [
        {"b64": base64.b64encode(value).decode()}
        if name.endswith("_bytes")
        else value.decode("utf-8", "replace")
        for value in array.ravel()
    ]
    return plain.reshape(array.shape).tolist()
