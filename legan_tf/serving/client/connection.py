"""A gRPC channel to a server: deadlines, retries, errors."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Union

from google.protobuf.message import DecodeError, Message

from legan_tf import optional
from legan_tf.errors import UserError
from legan_tf.serving import wire
from legan_tf.serving.client import errors

Metadata = Union[Mapping[str, str], Iterable[tuple[str, str]]]
"""Names and values sent with every call, for instance ``{"authorization": "Bearer …"}``."""

MESSAGE_BYTES = 1 << 22
"""Largest request: what gRPC's servers take by default."""
_METHOD_CONFIG = {
    "name": [{}],  # Every method.
    "waitForReady": True,  # While there is no connection, until the deadline.
    # No request changes the server, so one that had already reached it does no harm.
    "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 4,
        "retryableStatusCodes": ["UNAVAILABLE"],
    },
}
_OPTIONS = (
    ("grpc.service_config", json.dumps({"methodConfig": [_METHOD_CONFIG]})),
    # Larger requests would not be sent again.
    ("grpc.per_rpc_retry_buffer_size", 2 * MESSAGE_BYTES),
    # gRPC's own 4 MiB are 5 float pictures at 256 x 256.
    ("grpc.max_receive_message_length", 1 << 26),
    # To find a restarted server soon: by default gRPC waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_PATIENCE_S = 1.0
"""Seconds without an answer until it is found out whether there is a server."""

_log = logging.getLogger(__name__)


class Call:
    """A request that has been sent; its answer is awaited by ``result``."""

    def __init__(self, connection: Connection, future: Any, spec: Message) -> None:
        """Takes gRPC's future, and the ``ModelSpec`` that was asked for."""
        self._connection = connection
        self._future = future
        self._names = connection.address, spec.name, spec.signature_name

    def result(self, answer_class: type[Message]) -> Message:
        """Returns the answer.

        Raises:
            ClientError: Of the class that fits.
        """
        grpc = self._connection.grpc
        try:
            return answer_class.FromString(self._content())
        except DecodeError as error:
            raise self.unintelligible(error) from error
        except (grpc.RpcError, grpc.FutureCancelledError):
            code, details = self._future.code().name, self._future.details() or ""
            if code == "CANCELLED":
                raise UserError("This client was closed before the answer came.") from None
            absence = self._connection.absence() if code == "DEADLINE_EXCEEDED" else ""
            if absence:
                code, details = "UNAVAILABLE", absence
            raise errors.from_status(code, details, *self._names) from None
        finally:
            self.cancel()  # Of use at Ctrl-C alone.

    def _content(self) -> bytes:
        try:
            return self._future.result(_PATIENCE_S)
        except self._connection.grpc.FutureTimeoutError:
            absence = self._connection.absence()
            if absence:
                _log.warning("%s: no server answers (%s); waiting.", self._names[0], absence)
            return self._future.result()

    def unintelligible(self, reason: Exception | str) -> errors.ServerError:
        """Returns the error for an answer that cannot be understood, with what is wrong with it."""
        return errors.unintelligible(reason, *self._names)

    def cancel(self) -> None:
        """Tells the server that the answer is not wanted any more."""
        self._future.cancel()


class Connection:
    """A channel to an address, for any number of threads.

    Attributes:
        address: ``host:port`` of gRPC.
        grpc: The module.
    """

    def __init__(self, address: str, credentials: Any, metadata: Metadata) -> None:
        """Prepares; nothing is sent before the first call.

        Args:
            address: ``host:port`` of gRPC, or another of gRPC's names (``dns:///…``, ``unix:…``).
            credentials: ``grpc.ChannelCredentials`` of an encrypted connection; None for no
                encryption.
            metadata: Sent with every call; the names are lower case on the wire.

        Raises:
            UserError: The address is none of gRPC's, or the metadata cannot be sent.
            UnavailableError: gRPC is not installed.
        """
        self.grpc: Any = optional.require("grpc", "The client")
        self.address = address
        named = re.match(r"(dns|ipv4|ipv6|unix|unix-abstract|xds):", address)
        if not named and ("//" in address or not re.search(r":\d+$", address)):
            raise UserError(f"{address!r}: give HOST:PORT of gRPC, for instance localhost:8500.")
        pairs = metadata.items() if isinstance(metadata, Mapping) else metadata
        self._metadata = [(name.lower(), value) for name, value in pairs]
        for name, value in self._metadata:
            if not (re.fullmatch("[0-9a-z_.-]+", name) and value.isascii() and value.isprintable()):
                # Not with the value: it may be a secret.
                raise UserError(
                    f"{name!r} in metadata cannot be sent: names are of letters, digits and '-', "
                    "values of printable ASCII."
                )
        self._credentials = credentials
        self._channel = self._open(_OPTIONS)

    def _open(self, options: Iterable[tuple[str, Any]]) -> Any:
        if self._credentials is None:
            return self.grpc.insecure_channel(self.address, options)
        return self.grpc.secure_channel(self.address, self._credentials, options)

    def send(self, method: str, request: Message, deadline: float) -> Call:
        """Sends a request.

        Args:
            method: Path of the method.
            request: The message, with a ``model_spec``.
            deadline: When to give up, by ``time.monotonic``.

        Raises:
            UserError: The client is closed.
        """
        left = max(0.0, deadline - time.monotonic())
        try:
            future = self._channel.unary_unary(method).future(
                request.SerializeToString(), timeout=left, metadata=self._metadata
            )
        except ValueError as error:  # Cannot invoke RPC on closed channel!
            raise UserError("This client is closed; make another one.") from error
        return Call(self, future, request.model_spec)

    def absence(self) -> str:
        """Returns why no server answers at the address; nothing if one does, or may do so."""
        with self._open((("grpc.enable_retries", 0),)) as channel:
            ask = channel.unary_unary(wire.GET_MODEL_STATUS)
            try:
                ask(b"", timeout=_PATIENCE_S, metadata=self._metadata)
            except self.grpc.RpcError as error:
                if error.code().name == "UNAVAILABLE":
                    return errors.reason_of(error.details())
        return ""

    def close(self) -> None:
        """Closes the channel and cancels its calls. Closing twice does nothing."""
        self._channel.close()
