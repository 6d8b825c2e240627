"""Requests and answers of REST: JSON as arrays and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from legan_tf.serving.local_server.errors import ServingError, invalid
from legan_tf.serving.local_server.servable import Signature, check_shape


def read_body(body: bytes) -> dict[str, Any]:
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
        signature: What they are for.

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
    try:
        # As objects: in an array of text, each would take the room of the longest.
        objects = np.array(value, dtype=object)
    except (ValueError, RecursionError) as error:
        raise _misfit(name, spec.dtype) from error
    array = (_strings if spec.dtype == tf.string else _numbers)(name, objects, spec.dtype)
    check_shape(name, array.shape, spec)
    return array


def _misfit(name: str, dtype: tf.DType) -> ServingError:
    return invalid(
        f"input {name!r} holds values that are no {dtype.name}, or rows of different lengths."
    )


def _numbers(name: str, objects: np.ndarray, dtype: tf.DType) -> np.ndarray:
    wanted = dtype.as_numpy_dtype
    kinds = set(map(type, objects.flat))
    if not kinds:
        return objects.astype(wanted)
    if dtype == tf.bool:
        fits = kinds == {bool}
    elif dtype.is_integer:
        fits = kinds == {int} and (objects.min() >= dtype.min and objects.max() <= dtype.max)
    else:
        fits = kinds <= {int, float}
    if not fits:
        raise _misfit(name, dtype)
    if dtype == tf.bool or dtype.is_integer:
        return objects.astype(wanted)
    try:
        with np.errstate(over="ignore"):  # What is too large for the type becomes infinite.
            return objects.astype(np.float64).astype(wanted)
    except OverflowError as error:  # An integer beyond all floats.
        raise _misfit(name, dtype) from error


def _strings(name: str, objects: np.ndarray, dtype: tf.DType) -> np.ndarray:
    array = np.empty(objects.size, object)
    array[:] = [_bytes(name, value, dtype) for value in objects.flat]
    return array.reshape(objects.shape)


def _bytes(name: str, value: Any, dtype: tf.DType) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
            return base64.b64decode(value["b64"], validate=True)
    except ValueError as error:
        raise invalid(f"input {name!r} holds damaged base64 or text.") from error
    if isinstance(value, list):
        raise _misfit(name, dtype)
    raise invalid(f'input {name!r} holds something else than strings and {{"b64": "..."}}.')


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
