"""Requests and answers of REST: JSON as arrays and back."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from legan_tf.serving.local_server import tensors
from legan_tf.serving.local_server.codes import Code, ServingError
from legan_tf.serving.local_server.servable import Signature

_MANY_DIMENSIONS = 32


def read_body(body: bytes) -> dict[str, Any]:
    """Reads the body of a request to predict.

    Returns:
        The object, with exactly one of ``instances`` and ``inputs``.

    Raises:
        ServingError: INVALID_ARGUMENT: it is something else.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid("JSON Parse error: the body is no JSON") from error
    if not isinstance(content, dict):
        raise _invalid("the body is no JSON object")
    if ("instances" in content) == ("inputs" in content):
        raise _invalid("the body needs either 'instances' or 'inputs'")
    if not isinstance(content.get("signature_name", ""), str):
        raise _invalid("'signature_name' is no string")
    return content


def read_inputs(content: Mapping[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    """Reads the inputs of a signature.

    Args:
        content: See ``read_body``. ``instances`` lists one object of named values for each row, or
            the bare values if the signature has one input; ``inputs`` holds, by name or bare, all
            rows of each input.
        signature: What they are for.

    Raises:
        ServingError: INVALID_ARGUMENT: they do not fit the signature.
    """
    if "inputs" in content:
        columns = content["inputs"]
        if not _named(columns):
            columns = {_only(signature): columns}
    else:
        rows = content["instances"]
        if not isinstance(rows, list) or not rows:
            raise _invalid("'instances' is no list, or an empty one")
        if _named(rows[0]):
            if any(not _named(row) or row.keys() != rows[0].keys() for row in rows):
                raise _invalid("the objects in 'instances' do not have the same names")
            columns = {name: [row[name] for row in rows] for name in rows[0]}
        else:
            columns = {_only(signature): rows}
    signature.check_names(columns)
    return {name: _array(name, columns[name], spec) for name, spec in signature.inputs.items()}


def _named(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {"b64"}


def _only(signature: Signature) -> str:
    if len(signature.inputs) != 1:
        names = ", ".join(sorted(signature.inputs))
        raise _invalid(f"the signature {signature.name!r} has several inputs; name them: {names}")
    return next(iter(signature.inputs))


def _array(name: str, value: Any, spec: tf.TensorSpec) -> np.ndarray:
    array = _strings(name, value) if spec.dtype == tf.string else _numbers(name, value, spec.dtype)
    tensors.check_shape(name, array.shape, spec)
    return array


def _numbers(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    wrong = f"input {name!r} holds values that are no {dtype.name}, or rows of different lengths"
    try:
        # As objects: in an array of text, each would take the room of the longest.
        array = np.array(value, dtype=object)
    except (ValueError, RecursionError) as error:
        raise _invalid(wrong) from error
    wanted = dtype.as_numpy_dtype
    kinds = set(map(type, array.flat))
    if not kinds:
        return array.astype(wanted)
    if dtype == tf.bool:
        fits = kinds == {bool}
    elif dtype.is_integer:
        fits = kinds == {int} and (array.min() >= dtype.min and array.max() <= dtype.max)
    else:
        fits = kinds <= {int, float}
    if not fits:
        raise _invalid(wrong)
    if dtype == tf.bool or dtype.is_integer:
        return array.astype(wanted)
    try:
        with np.errstate(over="ignore"):  # What is too large for the type becomes infinite.
            return array.astype(np.float64).astype(wanted)
    except OverflowError as error:  # An integer beyond all floats.
        raise _invalid(wrong) from error


def _strings(name: str, value: Any) -> np.ndarray:
    shape = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        if not level or len(shape) > _MANY_DIMENSIONS:
            break
        level = level[0]
    flat = [value]
    for size in shape:
        if any(not isinstance(part, list) or len(part) != size for part in flat):
            raise _invalid(f"input {name!r} has rows of different lengths")
        flat = [item for part in flat for item in part]
    array = np.empty(len(flat), object)
    array[:] = [_bytes(name, item) for item in flat]
    return array.reshape(shape)


def _bytes(name: str, value: Any) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
            return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"input {name!r} holds damaged base64 or text") from error
    raise _invalid(f'input {name!r} holds something else than strings and {{"b64": "..."}}')


def write_outputs(outputs: Mapping[str, np.ndarray], by_row: bool) -> bytes:
    """Writes an answer in the form of its request.

    Args:
        outputs: Arrays by name; those of strings whose name ends in ``_bytes`` as base64.
        by_row: Whether one object for each row is wanted, or all rows of each output.

    Raises:
        ServingError: FAILED_PRECONDITION: the outputs do not have the same number of rows.
    """
    columns = {name: _plain(name, array) for name, array in outputs.items()}
    if not by_row:
        answer: Any = columns if len(columns) != 1 else next(iter(columns.values()))
        return json.dumps({"outputs": answer}).encode()
    if len({array.shape[:1] for array in outputs.values()}) != 1 or not all(
        array.ndim for array in outputs.values()
    ):
        raise ServingError(
            Code.FAILED_PRECONDITION,
            "The outputs do not have the same number of rows; ask with 'inputs'.",
        )
    if len(columns) == 1:
        return json.dumps({"predictions": next(iter(columns.values()))}).encode()
    rows = len(next(iter(columns.values())))
    return json.dumps(
        {"predictions": [{name: c[row] for name, c in columns.items()} for row in range(rows)]}
    ).encode()


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


def _invalid(what: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, f"{what}.")
