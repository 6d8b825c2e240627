"""The REST interface and the static files, over HTTP."""

from __future__ import annotations

import base64
import json
import mimetypes
import pathlib
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus
from tensorflow_serving.apis.model_pb2 import ModelSpec

from legan_tf.serving import http_server
from legan_tf.serving.http_server import Answer, Refused
from legan_tf.serving.local_server.grpc_services import STATUS_CODES
from legan_tf.serving.local_server.loaded_model import Signature, invalid
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.options import ANY_PORT, MAX_REQUEST_BYTES, Options
from legan_tf.serving.wire import sentence_of

_MODELS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,18})|/labels/([^/:]+))?(:predict)?")
_HTTP_STATUS = {
    tf.errors.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    # Only an unknown signature and the like, which TensorFlow Serving calls invalid over REST.
    tf.errors.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    tf.errors.NOT_FOUND: HTTPStatus.NOT_FOUND,
}
# Of its own: the module's answers depend on the files of the system.
_MIME_TYPES = mimetypes.MimeTypes()


class RestServer(http_server.Server):
    """Answers the requests of REST."""

    def __init__(self, options: Options, manager: Manager) -> None:
        """Binds the address.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._manager = manager
        self._headers = {"Cache-Control": "no-cache"}
        if options.rest_api_enable_cors_support:
            self._headers |= {
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
                "Access-Control-Allow-Headers": "Content-Type",
            }
        folder = pathlib.Path(options.static_dir)
        self._files = {
            f"/{file.relative_to(folder).as_posix()}": file
            for file in (folder.rglob("*") if options.static_dir else ())
            if file.is_file() and not file.is_symlink()
        }
        port = 0 if options.rest_api_port == ANY_PORT else options.rest_api_port
        threads = options.rest_api_num_threads
        super().__init__(options.host, port, MAX_REQUEST_BYTES, threads=threads)

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """Answers with a prediction, a status or a static file."""
        method = environ["REQUEST_METHOD"]
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        if method == "OPTIONS":
            return Answer(b"", "text/plain", self._headers)
        file = self._files.get("/index.html" if path == "/" else path)
        if file is not None and method == "GET":
            kind = _MIME_TYPES.guess_type(file.name)[0] or "application/octet-stream"
            return Answer(file.read_bytes(), kind, self._headers)
        if not path.startswith("/v1/"):
            raise Refused(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
        match = _MODELS.fullmatch(path)
        if match is None or (method, match[4]) not in (("POST", ":predict"), ("GET", None)):
            raise Refused(HTTPStatus.BAD_REQUEST, f"Malformed request: {method} {path[:200]}")
        spec = ModelSpec(name=match[1], version_label=match[3])
        if match[2]:
            spec.version.value = int(match[2])
        try:
            return self._predict(spec, environ) if match[4] else self._status(spec)
        except tf.errors.OpError as error:
            status = _HTTP_STATUS.get(error.error_code, HTTPStatus.INTERNAL_SERVER_ERROR)
            raise Refused(status, sentence_of(error.message)) from error

    def refusal(self, refused: Refused) -> Answer:
        """Returns the sentence as JSON."""
        return self._json({"error": str(refused)}, refused.status)

    def _predict(self, spec: Message, environ: Mapping[str, Any]) -> Answer:
        try:
            content = json.loads(environ["wsgi.input"].read(), object_hook=_bytes_of_base64)
        except (ValueError, RecursionError) as error:
            raise invalid("JSON Parse error: the body is no JSON, or has wrong base64.") from error
        if not isinstance(content, dict) or "inputs" not in content or "instances" in content:
            raise invalid("the body needs 'inputs', which alone is supported here.")
        name, given = content.get("signature_name", ""), content["inputs"]
        if not isinstance(name, str):
            raise invalid("'signature_name' is no string.")
        _, loaded = self._manager.find(spec)  # Held until it has run.
        signature = loaded.signature(name)
        if not isinstance(given, dict):  # Of a signature with one input: that input itself.
            given = dict.fromkeys(signature.inputs, given) if len(signature.inputs) == 1 else {}
        outputs = signature.run(read_inputs(given, signature))
        columns = {name: _plain(name, array) for name, array in outputs.items()}
        bare = columns if len(columns) != 1 else next(iter(columns.values()))
        return self._json({"outputs": bare})

    def _status(self, spec: Message) -> Answer:
        versions = [
            {
                "version": str(version.version),
                "state": ModelVersionStatus.State.Name(version.state),
                "status": {
                    "error_code": STATUS_CODES[version.status.error_code].name,
                    "error_message": version.status.error_message,
                },
            }
            for version in self._manager.status(spec).model_version_status
        ]
        return self._json({"model_version_status": versions})

    def _json(self, values: Any, status: int = HTTPStatus.OK) -> Answer:
        return Answer(json.dumps(values).encode(), "application/json", self._headers, status)


def read_inputs(given: Mapping[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    """Returns the values of JSON as arrays of the types of the signature's inputs.

    Raises:
        tf.errors.InvalidArgumentError: Values are of another type, or rows of different lengths.
    """
    arrays = dict.fromkeys(given, np.empty(0))  # Inputs that it has not are refused by ``run``.
    for name, spec in signature.inputs.items():
        if name not in given:
            continue
        values, dtype = given[name], spec.dtype
        try:
            # Integers as the widest: TensorFlow cuts those that are too large for a type.
            array = np.asarray(tf.constant(values, tf.int64 if dtype.is_integer else dtype))
            if dtype.is_integer and not np.array_equal(array.astype(dtype.as_numpy_dtype), array):
                raise ValueError("out of range")
        except (TypeError, ValueError) as error:
            raise invalid(
                f"input {name!r} holds values that are no {dtype.name}, or rows of different "
                "lengths."
            ) from error
        arrays[name] = array.astype(dtype.as_numpy_dtype)
    return arrays


def _bytes_of_base64(values: dict[str, Any]) -> Any:
    if values.keys() == {"b64"} and isinstance(values["b64"], str):
        return base64.b64decode(values["b64"], validate=True)
    return values


def _plain(name: str, array: np.ndarray) -> Any:
    """Returns what to write as JSON; strings become base64 where the output's name says bytes."""
    if array.dtype != object:
        return array.tolist()

    def plain(value: bytes) -> Any:
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode("utf-8", "replace")

    return np.vectorize(plain, otypes=[object])(array).tolist()
