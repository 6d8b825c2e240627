"""Clients that hold a server up, over real connections, for the tests of servers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def trickling(address: tuple[str, int], start: bytes, count: int) -> Iterator[None]:
    """Keeps connections that send ``start``, and then a letter each ten times a second."""
    connections = [socket.create_connection(address, timeout=20) for _ in range(count)]
    stop = threading.Event()

    def send(content: bytes) -> None:
        for connection in connections:
            with contextlib.suppress(OSError):  # The server has closed it.
                connection.sendall(content)

    def trickle() -> None:
        while not stop.wait(0.1):
            send(b"a")

    send(start)
    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for connection in connections:
            connection.close()


def said_to(address: tuple[str, int], content: bytes, repeat: bytes = b"") -> bytes:
    """Returns what a server says to ``content``, then ``repeat`` without end, until it closes."""
    with socket.create_connection(address, timeout=20) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(content)
            while repeat:
                connection.sendall(repeat)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                said += part
        return said
