"""The REST interface, the metrics and the folder of static files, over HTTP."""

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

import google.protobuf
from absl import logging
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from legan_tf.serving.local_server import grpc_services, json_tensors
from legan_tf.serving.local_server.codes import Code, ServingError
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.predictor import Predictor, Question

LARGEST_BODY = 2**26
"""Most bytes of a request, over gRPC as well."""
# A connection that is kept open holds a thread.
_MOST_CONNECTIONS = 256
_IDLE_S = 30.0
# For a thread to become free, with a whole body in memory.
_PATIENCE_S = 1.0
_MODELS = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d{1,18})|/labels/([^/:]+))?(/metadata|:predict)?"
)
_STATUS = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    Code.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    Code.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    # Only an unknown signature and the like, which TensorFlow Serving calls invalid over REST.
    Code.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    Code.ABORTED: HTTPStatus.CONFLICT,
    Code.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    Code.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
}
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
}
_ALL_FIELDS = (
    {"including_default_value_fields": True}
    if int(google.protobuf.__version__.split(".")[0]) < 5
    else {"always_print_fields_with_no_presence": True}
)


class Refusal(Exception):
    """An answer that HTTP has a status for, but TensorFlow no code."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        """Takes the status and the sentence."""
        super().__init__(message)
        self.status = status


class RestServer:
    """Serves HTTP in threads of its own."""

    def __init__(
        self,
        address: tuple[str, int],
        manager: Manager,
        predictor: Predictor,
        threads: int,
        timeout: float,
        cors: bool,
        static_dir: str,
        metrics_path: str,
        metrics: Callable[[], bytes],
    ) -> None:
        """Takes what to serve.

        Args:
            address: Host and port to listen on.
            manager: Where versions come from.
            predictor: What runs them.
            threads: Requests to predict that are worked on at once.
            timeout: How long a request may take, in seconds.
            cors: Whether pages of other origins may ask.
            static_dir: Folder to serve at /; none if empty.
            metrics_path: Path of the metrics; none if empty.
            metrics: Returns them.

        Raises:
            OSError: The address cannot be listened on.
        """
        self.manager = manager
        self.predictor = predictor
        self.working = threading.BoundedSemaphore(threads)
        self.timeout = timeout
        self.cors = cors
        self.static_dir = os.path.realpath(static_dir) if static_dir else ""
        self.metrics_path = metrics_path
        self.metrics = metrics
        self._server = _Server(address, self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="rest", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_address[1]

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Takes no more requests, and waits for those that are being answered.

        Args:
            grace: How long these may take, in seconds.
        """
        self._server.shutdown()
        self._server.server_close()
        self._server.finish(grace)


class _Server(http.server.ThreadingHTTPServer):
    """One thread for each connection, and not too many of them."""

    request_queue_size = 128
    daemon_threads = True
    # Idle connections would hold the end up; ``finish`` waits for what matters.
    block_on_close = False

    def __init__(self, address: tuple[str, int], rest: RestServer) -> None:
        self.rest = rest
        self.stopping = False
        self.changed = threading.Condition()
        self.busy = 0
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.changed:
            full = len(self._connections) >= _MOST_CONNECTIONS
            if not full:
                self._connections.add(request)
        if not full:
            super().process_request(request, client_address)
            return
        request.settimeout(1.0)
        try:
            request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n")
        except OSError:
            pass  # It is refused either way.
        super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self.changed:
            self._connections.discard(request)
        super().shutdown_request(request)

    def finish(self, grace: float) -> None:
        with self.changed:
            self.stopping = True
            self.changed.wait_for(lambda: not self.busy, grace)
            left = list(self._connections)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It ended by itself.

    def handle_error(self, request: Any, client_address: Any) -> None:
        logging.exception("A connection failed unexpectedly.")


class _Reader(io.RawIOBase):
    """Reads a connection until a deadline, which each byte that trickles in does not push back."""

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
    # Headers and content are two packets: without it the second waits for the client's word on the
    # first, 40 ms.
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._reader = _Reader(self.connection)
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
        """Answers what is no HTTP, or a method that is not known here."""
        self.close_connection = True
        self.request_version = self.protocol_version  # Or the answer would have no headers.
        self._send(code, "application/json", _error(message or HTTPStatus(code).phrase))

    def do_GET(self) -> None:
        self._answer(self._get)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_OPTIONS(self) -> None:
        self._answer(self._preflight)

    def _answer(self, make: Callable[[], tuple[str, bytes]]) -> None:
        with self.server.changed:
            if self.server.stopping:
                self.close_connection = True
                return
            self.server.busy += 1
        try:
            kind, content, status = "application/json", b"", HTTPStatus.OK
            try:
                self._check_framing()
                kind, content = make()
            except ServingError as error:
                status = _STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
                content = _error(error.message)
            except Refusal as error:
                # What it still sends would be read as the next request.
                self.close_connection = True
                status, content = error.status, _error(str(error))
            except (ConnectionError, TimeoutError):
                raise
            except Exception as error:  # A bug: its traceback is for the log, not for the client.
                logging.exception("A request failed unexpectedly.")
                status, content = HTTPStatus.INTERNAL_SERVER_ERROR, _error(type(error).__name__)
            self._send(status, kind, content)
        finally:
            with self.server.changed:
                self.server.busy -= 1
                self.server.changed.notify_all()

    def _check_framing(self) -> None:
        """Refuses what another server on the way may see the end of elsewhere."""
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.defects or len(lengths) > 1 or "Transfer-Encoding" in self.headers:
            raise Refusal(
                HTTPStatus.BAD_REQUEST,
                "The headers are damaged, or tell the body's length otherwise than by one "
                "Content-Length.",
            )
        if lengths and self.command != "POST":
            self.close_connection = True  # Its body is not read.

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.connection.settimeout(self.server.rest.timeout)
        self.send_response(int(status))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        if self.server.rest.cors:
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
        rest, path = self.server.rest, self._path()
        if path == rest.metrics_path:
            return "text/plain; version=0.0.4; charset=utf-8", rest.metrics()
        if path.startswith("/v1/"):
            spec, what = self._model(path)
            if what == ":predict":
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Predict is asked with POST.")
            told = _metadata if what == "/metadata" else _status
            return "application/json", json.dumps(told(rest.manager, spec), indent=1).encode()
        return _file(rest.static_dir, path)

    def _post(self) -> tuple[str, bytes]:
        rest = self.server.rest
        body = self._body()
        spec, what = self._model(self._path())
        if what != ":predict":
            raise self._malformed()
        deadline = time.monotonic() + rest.timeout
        # Before it is parsed, which takes many times the memory of the body.
        if not rest.working.acquire(timeout=min(_PATIENCE_S, rest.timeout)):
            raise ServingError(Code.RESOURCE_EXHAUSTED, "Too many requests are being answered.")
        try:
            content = json_tensors.read_body(body)
            question = Question(
                *spec, content.get("signature_name", ""), deadline=deadline, entrypoint="REST"
            )
            answer = rest.predictor.predict(
                question, lambda signature: json_tensors.read_inputs(content, signature)
            )
            written = json_tensors.write_outputs(answer.outputs, "instances" in content)
        finally:
            rest.working.release()
        return "application/json", written

    def _preflight(self) -> tuple[str, bytes]:
        if not self.server.rest.cors:
            raise Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "Other origins may ask only with --rest_api_enable_cors_support.",
            )
        return "text/plain", b""

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "The request tells no Content-Length.")
        # Compared as text first: it may have any number of digits.
        if len(length) > 12 or int(length) > LARGEST_BODY:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body is larger than {LARGEST_BODY} bytes; send fewer pictures at once.",
            )
        self._reader.deadline = time.monotonic() + self.server.rest.timeout
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionError("the body is cut short")
        return body

    def _model(self, path: str) -> tuple[tuple[str, int | None, str], str]:
        match = _MODELS.fullmatch(path)
        if match is None:
            raise self._malformed()
        name, version, label, what = match.groups()
        number = int(version) if version else None
        spec = (urllib.parse.unquote(name), number, urllib.parse.unquote(label or ""))
        return spec, what or ""

    def _malformed(self) -> ServingError:
        return ServingError(
            Code.INVALID_ARGUMENT, f"Malformed request: {self.command} {self._path()[:200]}"
        )


def _error(message: str) -> bytes:
    return json.dumps({"error": message}).encode()


def _fill(spec: Message, wanted: tuple[str, int | None, str]) -> None:
    name, number, label = wanted
    spec.name = name
    if label:
        spec.version_label = label
    elif number is not None:
        spec.version.value = number


def _status(manager: Manager, wanted: tuple[str, int | None, str]) -> dict[str, Any]:
    request = get_model_status_pb2.GetModelStatusRequest()
    _fill(request.model_spec, wanted)
    return _plain(grpc_services.status(manager, request))


def _metadata(manager: Manager, wanted: tuple[str, int | None, str]) -> dict[str, Any]:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    _fill(request.model_spec, wanted)
    response = grpc_services.metadata(manager, request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    return {
        "model_spec": _plain(response.model_spec),
        "metadata": {"signature_def": _plain(signatures)},
    }


def _plain(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True, **_ALL_FIELDS)


def _file(static_dir: str, path: str) -> tuple[str, bytes]:
    """Returns the type and the content of a file below a folder, whatever the path says."""
    missing = Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
    wanted = urllib.parse.unquote(path)
    if not static_dir or "\0" in wanted:
        raise missing
    # Links are followed first: where they lead to is what has to be below the folder.
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
    kind = _TYPES.get(os.path.splitext(file)[1].lower(), "application/octet-stream")
    return kind, content
