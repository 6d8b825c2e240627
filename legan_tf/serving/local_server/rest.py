"""The REST interface, the metrics and the static files, over HTTP."""

from __future__ import annotations

import http.server
import io
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

from legan_tf.serving.local_server import json_tensors
from legan_tf.serving.local_server.errors import STATUS_CODES, ServingError, invalid
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.options import ANY_PORT, MAX_REQUEST_BYTES, Options
from legan_tf.serving.local_server.prediction import Predictor

# A connection that is kept open holds a thread.
_MAX_CONNECTIONS = 256
_IDLE_S = 30.0
# How long a request, whose whole body is in memory, waits for a thread.
_THREAD_WAIT_S = 1.0
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


class RestServer(http.server.ThreadingHTTPServer):
    """Serves HTTP with one thread for each connection, and a limited number of them."""

    request_queue_size = 128
    daemon_threads = True
    # Idle connections would hold the end up; ``stop`` waits for requests.
    block_on_close = False

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
        self._connections = threading.BoundedSemaphore(_MAX_CONNECTIONS)
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

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread for a connection, or closes it if there are too many."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Ends a connection."""
        self._connections.release()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs a bug; it ends its connection only."""
        logging.exception("A connection failed unexpectedly.")


class _DeadlineReader(io.RawIOBase):
    """Raw reader of a connection; raises TimeoutError at a deadline for the whole request."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not come in time")
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        except socket.timeout as error:  # In Python 3.9 that is no TimeoutError yet.
            raise TimeoutError("the request did not come in time") from error


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of a connection."""

    protocol_version = "HTTP/1.1"
    server_version = "legan-tf-local-server"
    sys_version = ""
    # Headers and content are two packets: else the second waits 40 ms for the first one's receipt.
    disable_nagle_algorithm = True
    server: RestServer

    def setup(self) -> None:
        super().setup()
        self._reader = _DeadlineReader(self.connection)
        self.rfile = io.BufferedReader(self._reader, 2**16)

    def handle_one_request(self) -> None:
        self._reader.deadline = time.monotonic() + _IDLE_S
        # One request at a time: the thread is that of the connection.
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

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
        self.connection.settimeout(self.server.timeout_s)
        self.send_response(int(status))
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        if self.server.options.rest_api_enable_cors_support:
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
            self.send_header("Access-Control-Allow-Headers", "Content-Type")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

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
            raise ServingError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many requests are being answered."
            )
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

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "The request has no Content-Length.")
        # Compared as text first: it may have any number of digits.
        if len(length) > 12 or int(length) > MAX_REQUEST_BYTES:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body is larger than {MAX_REQUEST_BYTES} bytes; send fewer pictures at once.",
            )
        self._reader.deadline = time.monotonic() + self.server.timeout_s
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionError("the body is cut short")
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
