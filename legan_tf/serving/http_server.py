"""HTTP server whose threads and memory clients cannot exhaust by sending slowly, or a lot."""

from __future__ import annotations

import contextlib
import http.server
import io
import socket
import threading
import time
from collections.abc import Container, Iterator, Mapping
from typing import Any

MAX_CONNECTIONS = 256
"""Each holds a thread."""
_HEADERS_S = 30.0
_MAX_HEADER_BYTES = 2**17
_CHUNK_BYTES = 2**16
# How long a new connection waits for the end of the one that makes room for it.
_ROOM_S = 1.0


class Refused(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, status: int, sentence: str) -> None:
        """Takes the status and what is wrong."""
        super().__init__(sentence)
        self.status = status


class Server(http.server.ThreadingHTTPServer):
    """A thread for each connection; of too many, the one that its client holds up longest ends."""

    request_queue_size = 128
    daemon_threads = True
    # Idle connections would hold the end up.
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        """Binds the address.

        Raises:
            OSError: It cannot be listened on.
        """
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._lock = threading.Lock()
        self._awaited: dict[socket.socket, float] = {}
        self._held: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread for a connection, or closes it if there is no room."""
        room = self._connections.acquire(blocking=False)
        if not room:
            self.close_slowest()
            room = self._connections.acquire(timeout=_ROOM_S)
        if room:
            with self._lock:
                self._held.add(request)
            super().process_request(request, client_address)
        else:
            super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Ends a connection, and gives its place back once.

        An interrupt while its thread starts ends it both there and in the thread.
        """
        with self._lock:
            held = request in self._held
            self._held.discard(request)
        if held:
            self._connections.release()
        super().shutdown_request(request)

    @contextlib.contextmanager
    def awaiting(self, connection: socket.socket, since: float) -> Iterator[None]:
        """Marks a connection, inside, as one that waits for its client since that time."""
        with self._lock:
            self._awaited[connection] = since
        try:
            yield
        finally:
            with self._lock:
                self._awaited.pop(connection, None)

    def close_slowest(
        self, least_s: float = 0.0, among: Container[socket.socket] | None = None
    ) -> None:
        """Closes the connection whose client is waited for longest, if any.

        Args:
            least_s: Spares those that are waited for since fewer seconds.
            among: Spares others than these; None for all.
        """
        with self._lock:
            slow = [c for c in self._awaited if among is None or c in among]
            if not slow:
                return
            slowest = min(slow, key=self._awaited.__getitem__)
            if time.monotonic() - self._awaited[slowest] < least_s:
                return
            del self._awaited[slowest]
        with contextlib.suppress(OSError):  # It has just ended by itself.
            slowest.shutdown(socket.SHUT_RDWR)


class _Reader(io.RawIOBase):
    """Raw reader of a connection, with a deadline and a size for the whole of what is read."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection

    def begin(self, seconds: float, size: int) -> None:
        """Begins to read at most ``size`` bytes within so many seconds."""
        self._since = time.monotonic()
        self._deadline = self._since + seconds
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the request did not come in time")
        if self._left <= 0:
            raise ConnectionError("the request is too long")
        self._connection.settimeout(seconds)
        try:
            with self._server.awaiting(self._connection, self._since):
                count = self._connection.recv_into(buffer)
        except socket.timeout as error:  # In Python 3.9 that is no TimeoutError yet.
            raise TimeoutError("the request did not come in time") from error
        self._left -= count
        return count


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of a connection.

    Attributes:
        send_s: Seconds in which a client has to take an answer.
    """

    protocol_version = "HTTP/1.1"
    sys_version = ""
    # Headers and content are two packets: else the second waits 40 ms for the first one's receipt.
    disable_nagle_algorithm = True
    server: Server
    send_s = 30.0

    def setup(self) -> None:
        """Prepares to read and write."""
        super().setup()
        self._reader = _Reader(self.server, self.connection)
        self.rfile = io.BufferedReader(self._reader, _CHUNK_BYTES)

    def handle_one_request(self) -> None:
        """Answers a request whose headers come in time."""
        self._reader.begin(_HEADERS_S, _MAX_HEADER_BYTES)
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def body(self, length: int, seconds: float) -> Iterator[bytes]:
        """Yields the body of a request as it comes.

        Args:
            length: Its size in bytes.
            seconds: Time in which all of it has to come.

        Raises:
            ConnectionError: It breaks off.
            TimeoutError: It does not come in time.
        """
        self._reader.begin(seconds, length)
        while length:
            chunk = self.rfile.read1(min(length, _CHUNK_BYTES))
            if not chunk:
                raise ConnectionError("the body is cut short")
            length -= len(chunk)
            yield chunk

    def send(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Sends an answer; ``Content-Length`` and ``Connection: close`` are added as they are due.

        Raises:
            OSError: The client does not take it.
        """
        self.connection.settimeout(self.send_s)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        with self.server.awaiting(self.connection, time.monotonic()):
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
