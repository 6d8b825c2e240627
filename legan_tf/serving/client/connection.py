"""A gRPC channel to a server: deadlines, retries, TLS, metadata, errors."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import random
import re
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Union

from legan_tf import optional
from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.serving.client import errors

Metadata = Union[Mapping[str, str], Iterable[tuple[str, str]]]
"""Names and values sent with every call, for instance ``{"authorization": "Bearer …"}``."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_LONGEST_RECONNECT_MS = 1000
_LATE = "DEADLINE_EXCEEDED", "no time was left"
_MOST_RECEIVED = 1 << 26  # Bytes; gRPC's own 4 MiB are 5 float pictures at 256 x 256.
_METADATA_KEY = re.compile(r"[0-9a-z_.-]+")

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Tls:
    """An encrypted connection.

    Attributes:
        root_certificates: PEM file of the roots that the server's certificate must come from;
            default is gRPC's.
        certificate: PEM file of the client's certificate, if the server asks for one.
        key: PEM file of the key of ``certificate``.
    """

    root_certificates: str = ""
    certificate: str = ""
    key: str = ""

    def read(self) -> dict[str, bytes | None]:
        """Returns the content of the files by the names of gRPC's arguments.

        Raises:
            UserError: A file cannot be read or is no PEM file, or one of ``certificate`` and
                ``key`` is missing.
        """
        if bool(self.certificate) != bool(self.key):
            raise UserError("A client certificate and its key belong together: give both files.")
        return {
            "root_certificates": _pem(self.root_certificates),
            "private_key": _pem(self.key),
            "certificate_chain": _pem(self.certificate),
        }


def _pem(path: str) -> bytes | None:
    if not path:
        return None
    content = storage.read_bytes(path)
    if b"-----BEGIN " not in content:
        raise UserError(f"{path}: is not a PEM file.")
    return content


class Connection:
    """A channel to an address. It belongs to the event loop of its first call.

    Attributes:
        address: ``host:port`` of gRPC.
        losses: How often the server was lost. After a loss, another server may answer.
    """

    def __init__(self, address: str, tls: Tls | None, metadata: Metadata) -> None:
        """Prepares; nothing is sent before the first call.

        Args:
            address: ``host:port`` of gRPC, or another of gRPC's names (``dns:///…``, ``unix:…``).
            tls: For an encrypted connection.
            metadata: Sent with every call; the names are lower case on the wire.

        Raises:
            UserError: The address, the metadata or a file cannot be used.
            UnavailableError: gRPC is not installed.
        """
        self._grpc = optional.require("grpc", "The client")
        self.address = _checked_address(address)
        self._metadata = _checked_metadata(metadata)
        self._tls = None if tls is None else tls.read()
        self._channel = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        # Not seeded: clients that lost the same server must not retry in step.
        self._jitter = random.Random()
        self._failure: tuple[str, str] | None = None  # Last status while no server answers.
        self._watching: asyncio.Task | None = None
        self.losses = 0

    async def call(
        self, method: str, request: bytes, deadline: float, model: str, signature: str = ""
    ) -> bytes:
        """Sends a request and returns the answer; retries while no server answers.

        Only ``UNAVAILABLE`` is retried, which TensorFlow Serving also answers while its queue is
        full. No request changes the server, so one that had already reached it does no harm.

        Args:
            method: Path of the method.
            request: Serialized message.
            deadline: When to give up, by ``time.monotonic``.
            model: For errors.
            signature: For errors.

        Raises:
            ClientError: Of the class that fits.
        """
        send = self._open().unary_unary(method)
        pause = _FIRST_PAUSE_S
        status = self._failure or _LATE
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = await send(request, timeout=left, metadata=self._metadata)
            except self._grpc.aio.AioRpcError as error:
                code, details = error.code().name, error.details() or ""
            else:
                self._failure = None
                return answer
            if code == "DEADLINE_EXCEEDED":
                # A last attempt as short as a pause does not prove that the server is there.
                if status[0] != "UNAVAILABLE" or left > _LONGEST_PAUSE_S:
                    status = code, details
                break
            status = code, details
            if code == "UNAVAILABLE" and not errors.is_full(details):
                self._note_loss(status, deadline - time.monotonic())
            else:
                self._failure = None
            if code != "UNAVAILABLE":
                break
            left = deadline - time.monotonic()
            await asyncio.sleep(min(pause * self._jitter.uniform(0.5, 1), left))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        raise errors.from_status(*status, self.address, model, signature)

    def deadline_error(self, model: str, signature: str) -> errors.ClientError:
        """Returns the error for a call that had no time left to be sent or to be read."""
        status = self._failure or _LATE
        return errors.from_status(*status, self.address, model, signature)

    def _note_loss(self, status: tuple[str, str], left: float) -> None:
        self.losses += 1
        if self._failure is None:
            reason = errors.sentence_of(status[1]).rstrip(".")
            _log.warning(
                "%s: no server answers (%s); trying for another %.0f s.",
                self.address,
                reason,
                left,
            )
        self._failure = status

    def _open(self):
        loop = asyncio.get_running_loop()
        check_not_forked()
        if self._closed:
            raise UserError("This client is closed; make another one.")
        if self._channel is None:
            self._loop = loop
            self._channel = self._new_channel()
            self._watching = loop.create_task(self._watch(self._channel))
            _note_use(self)
        elif self._loop is not loop:
            raise UserError(
                "An AsyncClient belongs to the event loop of its first call; make one for each "
                "loop, or use Client."
            )
        return self._channel

    def _new_channel(self):
        options = [
            ("grpc.max_receive_message_length", _MOST_RECEIVED),
            # To find a restarted server soon: by default gRPC waits up to two minutes.
            ("grpc.initial_reconnect_backoff_ms", int(1000 * _FIRST_PAUSE_S)),
            ("grpc.max_reconnect_backoff_ms", _LONGEST_RECONNECT_MS),
        ]
        if self._tls is None:
            return self._grpc.aio.insecure_channel(self.address, options)
        credentials = self._grpc.ssl_channel_credentials(**self._tls)
        return self._grpc.aio.secure_channel(self.address, credentials, options)

    async def _watch(self, channel) -> None:
        """Counts losses between calls too, where a server is replaced."""
        ready = self._grpc.ChannelConnectivity.READY
        state = channel.get_state()
        while True:
            await channel.wait_for_state_change(state)
            if state is ready:
                self.losses += 1
            state = channel.get_state()

    async def close(self) -> None:
        """Closes the channel and cancels its calls. Closing twice does nothing."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            await channel.close()


_OPENED: weakref.WeakSet[Connection] = weakref.WeakSet()
_KEPT: list[Connection] = []
"""Connections of the parent in a forked process: freeing them would call gRPC."""
_used = _inherits = False


def _note_use(connection: Connection) -> None:
    global _used
    _used = True
    _OPENED.add(connection)


def check_not_forked() -> None:
    """Raises ``UserError`` in a process that was forked after a client had been used.

    gRPC's threads are not in the child, and the sockets by which they wake each other are shared
    with the parent: using them would stop the parent's calls. Closing a channel ends neither.
    """
    if _inherits:
        raise UserError(
            "This process was forked after a client had been used, which gRPC does not survive: "
            "fork before the first call, or start processes by multiprocessing's 'spawn'."
        )


def _after_fork() -> None:
    global _inherits
    _inherits = _used
    _KEPT.extend(_OPENED)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _checked_address(address: str) -> str:
    if "//" in address and not re.match(r"(dns|ipv4|ipv6|unix|xds):", address):
        raise UserError(f"{address!r} is a URL; give HOST:PORT of gRPC, for instance {_EXAMPLE}.")
    if not re.search(r":\d+$", address) and not re.match(r"(dns|unix|unix-abstract|xds):", address):
        raise UserError(
            f"{address!r} has no port; give HOST:PORT of gRPC, for instance {_EXAMPLE}."
        )
    return address


_EXAMPLE = "localhost:8500"


def _checked_metadata(metadata: Metadata) -> tuple[tuple[str, str], ...]:
    pairs = metadata.items() if isinstance(metadata, Mapping) else metadata
    checked = tuple((str(key).lower(), value) for key, value in pairs)
    for key, value in checked:
        if not _METADATA_KEY.fullmatch(key) or key.startswith("grpc-") or key.endswith("-bin"):
            raise UserError(f"{key!r} cannot be a name in metadata: use letters, digits and '-'.")
        if not (isinstance(value, str) and value.isascii() and value.isprintable()):
            # Not the value itself: it may be a secret.
            raise UserError(f"The value of {key!r} in metadata must be printable ASCII text.")
    return checked
