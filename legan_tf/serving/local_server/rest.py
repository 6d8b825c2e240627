"""The REST interface, the metrics and the static files, over HTTP."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import grpc
from absl import logging
from google.protobuf.message import Message
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus
from tensorflow_serving.apis.model_pb2 import ModelSpec

from legan_tf.serving import http_server
from legan_tf.serving.local_server import json_tensors
from legan_tf.serving.local_server.errors import STATUS_CODES, ServingError, invalid
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.options import ANY_PORT, MAX_REQUEST_BYTES, Options
from legan_tf.serving.local_server.prediction import Predictor

MAX_BODIES_BYTES = 4 * MAX_REQUEST_BYTES
"""Most bytes of all requests that are being sent or answered."""
# How long a request waits for the memory of its body, and from when on one that is being sent may
# be cut off for others.
_ROOM_S = 3.0
_SLOW_S = 2.0
# How long a request, whose whole body is in memory, waits for a thread.
_THREAD_WAIT_S = 1.0
_TOO_MANY = "Too many requests are being answered."
_MODELS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,18})|/labels/([^/:]+))?(:predict)?")
_HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    # Only an unknown signature and the like, which TensorFlow Serving calls invalid over REST.
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}
# Not by the module mimetypes: its answers depend on the files of the system.
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class Refusal(Exception):
    """A request that is refused with a status of HTTP that gRPC has no code for."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        """Initialises it with the status and the sentence."""
        super().__init__(message)
        self.status = status


class RestServer(http_server.Server):
    """Serves HTTP, with a limit to the memory of all bodies."""

    def __init__(
        self, options: Options, manager: Manager, predictor: Predictor, metrics_path: str
    ) -> None:
        """Binds the address; an empty ``metrics_path`` serves no metrics.

        Raises:
            OSError: The address cannot be listened on.
        """
        self.options = options
        self.manager = manager
        self.predictor = predictor
        self.metrics_path = metrics_path
        self.timeout_s = options.rest_api_timeout_in_ms / 1000
        self.working = threading.BoundedSemaphore(options.rest_api_num_threads)
        self.stopping = False
        self.changed = threading.Condition()
        self.busy = 0
        self._bodies: dict[socket.socket, int] = {}
        port = 0 if options.rest_api_port == ANY_PORT else options.rest_api_port
        super().__init__((options.host, port), _Handler)

    def start(self) -> None:
        """Starts to answer."""
        threading.Thread(target=self.serve_forever, args=(0.1,), name="rest", daemon=True).start()

    def stop(self, grace: float) -> None:
        """Refuses new requests, and waits ``grace`` seconds for those in progress."""
        self.shutdown()
        self.server_close()
        with self.changed:
            self.stopping = True
            self.changed.wait_for(lambda: not self.busy, grace)

    def make_room(self, connection: socket.socket, count: int) -> None:
        """Waits until so many more bytes of the body of a request may be held.

        Raises:
            TimeoutError: Other bodies fill the memory.
        """
        deadline = time.monotonic() + _ROOM_S
        with self.changed:
            while sum(self._bodies.values()) + count > MAX_BODIES_BYTES:
                self.close_slowest(_SLOW_S, self._bodies)
                if time.monotonic() >= deadline:
                    raise TimeoutError("there is no room for the request")
                self.changed.wait(0.1)
            self._bodies[connection] = self._bodies.get(connection, 0) + count

    def forget_body(self, connection: socket.socket) -> None:
        """Gives the room for the body of a connection's request back."""
        with self.changed:
            if self._bodies.pop(connection, 0):
                self.changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs a bug; it ends its connection only."""
        logging.exception("A connection failed unexpectedly.")


class _Handler(http_server.Handler):
    """Answers the requests of a connection."""

    server_version = "legan-tf-local-server"
    server: RestServer

    def setup(self) -> None:
        super().setup()
        self.send_s = self.server.timeout_s

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        finally:
            # Not before: an exception holds the body until it is handled.
            self.server.forget_body(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        logging.debug("%s %s", self.address_string(), format % args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuses a request, and ends the connection."""
        # The rest of what it sends would be read as the next request.
        self.close_connection = True
        self.request_version = self.protocol_version  # Or the answer would have no headers.
        self._send(code, *_json({"error": message or HTTPStatus(code).phrase}))

    def do_GET(self) -> None:
        self._answer(self._get)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_OPTIONS(self) -> None:
        self._answer(self._preflight)

    def _answer(self, answer: Callable[[], tuple[str, bytes]]) -> None:
        with self.server.changed:
            if self.server.stopping:
                self.close_connection = True
                return
            self.server.busy += 1
        try:
            self._check_framing()
            self._send(HTTPStatus.OK, *answer())
        except ServingError as error:
            status = _HTTP_STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
            self._send(status, *_json({"error": error.message}))
        except Refusal as error:
            self.send_error(error.status, str(error))
        except OSError:  # Of the connection, which it ends.
            raise
        except Exception as error:  # A bug: its traceback is for the log, not for the client.
            logging.exception("A request failed unexpectedly.")
            content = _json({"error": type(error).__name__})
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, *content)
        finally:
            with self.server.changed:
                self.server.busy -= 1
                self.server.changed.notify_all()

    def _check_framing(self) -> None:
        """Refuses a request whose end another server on the way may see elsewhere."""
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.defects or len(lengths) > 1 or "Transfer-Encoding" in self.headers:
            raise Refusal(
                HTTPStatus.BAD_REQUEST,
                "The headers are damaged, or give the body's length otherwise than by one "
                "Content-Length.",
            )
        if lengths and self.command != "POST":
            self.close_connection = True  # Its body is not read.

    def _send(self, status: int, content_type: str, content: bytes) -> None:
        headers = {"Content-Type": content_type, "Cache-Control": "no-cache"}
        if self.server.options.rest_api_enable_cors_support:
            headers["Access-Control-Allow-Origin"] = "*"
            headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            headers["Access-Control-Allow-Headers"] = "Content-Type"
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            headers["Retry-After"] = "1"
        self.send(status, headers, content)

    def _path(self) -> str:
        return self.path.split("?", 1)[0].split("#", 1)[0]

    def _get(self) -> tuple[str, bytes]:
        server, path = self.server, self._path()
        if path and path == server.metrics_path:
            return "text/plain; version=0.0.4; charset=utf-8", server.predictor.metrics()
        if not path.startswith("/v1/"):
            return _static_file(server.options.static_dir, path)
        spec, predict = self._model(path)
        if predict:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Predict is asked with POST.")
        versions = server.manager.status(spec).model_version_status
        return _json({"model_version_status": [_version_status(version) for version in versions]})

    def _post(self) -> tuple[str, bytes]:
        server = self.server
        body = self._body()
        spec, predict = self._model(self._path())
        if not predict:
            raise self._malformed()
        deadline = time.monotonic() + server.timeout_s
        # Before it is parsed, which takes many times the memory of the body.
        if not server.working.acquire(timeout=min(_THREAD_WAIT_S, server.timeout_s)):
            raise ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, _TOO_MANY)
        try:
            content = json_tensors.read_body(body)
            answer = server.predictor.predict(
                spec,
                content.get("signature_name", ""),
                lambda signature: json_tensors.read_inputs(content["inputs"], signature),
                deadline=deadline,
                api=("predict", "REST"),
            )
            return _json({"outputs": json_tensors.plain_outputs(answer.outputs)})
        finally:
            server.working.release()

    def _preflight(self) -> tuple[str, bytes]:
        if not self.server.options.rest_api_enable_cors_support:
            raise Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "Other origins may ask only with --rest_api_enable_cors_support.",
            )
        return "text/plain", b""

    def _body(self) -> bytearray:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "The request has no Content-Length.")
        # Compared as text first: it may have any number of digits.
        if len(length) > 12 or int(length) > MAX_REQUEST_BYTES:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body is larger than {MAX_REQUEST_BYTES} bytes; send fewer pictures at once.",
            )
        body = bytearray()
        try:
            # As it comes: what is announced and does not come takes no room.
            for chunk in self.body(int(length), self.server.timeout_s):
                try:
                    self.server.make_room(self.connection, len(chunk))
                except TimeoutError as error:
                    raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, _TOO_MANY) from error
                body += chunk
        except TimeoutError as error:
            raise Refusal(
                HTTPStatus.REQUEST_TIMEOUT, "The body of the request did not come in time."
            ) from error
        return body

    def _model(self, path: str) -> tuple[Message, bool]:
        """Returns the ``ModelSpec`` of a path, and whether it is to predict."""
        match = _MODELS.fullmatch(path)
        if match is None:
            raise self._malformed()
        name, version, label, predict = match.groups()
        unquote = urllib.parse.unquote
        spec = ModelSpec(name=unquote(name), version_label=unquote(label or ""))
        if version:
            spec.version.value = int(version)
        return spec, bool(predict)

    def _malformed(self) -> ServingError:
        return invalid(f"Malformed request: {self.command} {self._path()[:200]}")


def _json(content: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(content).encode()


def _version_status(version: Message) -> dict[str, Any]:
    return {
        "version": str(version.version),
        "state": ModelVersionStatus.State.Name(version.state),
        "status": {
            "error_code": STATUS_CODES[version.status.error_code].name,
            "error_message": version.status.error_message,
        },
    }


def _static_file(static_dir: str, path: str) -> tuple[str, bytes]:
    """Returns the type and content of a file below ``static_dir``; other paths are refused."""
    missing = Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
    wanted = urllib.parse.unquote(path)
    if not static_dir or "\0" in wanted:
        raise missing
    # Links are followed first: it is their targets that have to be below the folder.
    static_dir = os.path.realpath(static_dir)
    file = os.path.realpath(os.path.join(static_dir, wanted.lstrip("/")))
    if os.path.isdir(file):
        file = os.path.realpath(os.path.join(file, "index.html"))
    if os.path.commonpath([static_dir, file]) != static_dir:
        raise missing
    try:
        with open(file, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise missing from error
    content_type = _CONTENT_TYPES.get(os.path.splitext(file)[1].lower(), "application/octet-stream")
    return content_type, content
