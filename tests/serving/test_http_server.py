"""What all HTTP servers of the package take and refuse, over real connections."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from legan_tf.serving.http_server import CONNECTIONS, Answer, Refused, Server

MOST = 1000
HIDDEN = b"GET /hidden HTTP/1.1\r\nConnection: close\r\n\r\n"


class Echo(Server):
    """Says what was asked; /wait waits for ``go``."""

    go = threading.Event()

    def answer(self, environ):
        if environ["PATH_INFO"] == "/refused":
            raise Refused(507, "This is refused: é.")
        if environ["PATH_INFO"] == "/wait":
            self.go.wait(60)
        said = environ["REQUEST_METHOD"].encode(), environ["wsgi.input"].read()
        return Answer(b" ".join(said), "text/plain", {"X-Path": environ["PATH_INFO"]})


@pytest.fixture(scope="module")
def server():
    with Echo("127.0.0.1", 0, MOST) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)
        assert not thread.is_alive()


def said_to(server, content: bytes, repeat: bytes = b"") -> bytes:
    """What a server says to ``content``, then ``repeat`` without end, until it closes."""
    with socket.create_connection(server.server_address, timeout=20) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(content)
            while repeat:
                connection.sendall(repeat)
            connection.shutdown(socket.SHUT_WR)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                said += part
        return said


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.[01] (\d+)", said)]


def test_a_request_is_answered_and_a_refusal_is_a_sentence(server):
    close = b"Connection: close\r\n\r\n"
    body = bytes(range(97, 107)) * (MOST // 10)
    length = b"Content-Length: %d\r\n" % len(body)
    said = said_to(server, b"POST /a%20b HTTP/1.1\r\n" + length + close + body)
    head, _, content = said.partition(b"\r\n\r\n")
    assert statuses(said) == [200] and content == b"POST " + body
    assert b"X-Path: a b" not in head and b"X-Path: /a b" in head
    assert b"X-Content-Type-Options: nosniff" in head and b"waitress" not in head
    said = said_to(server, b"GET /refused HTTP/1.1\r\n" + close)
    assert statuses(said) == [507] and said.endswith("This is refused: é.\n".encode())


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MOST + 1), 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    ],
)
def test_what_is_no_proper_request_is_refused(server, request_bytes, status, capfd):
    assert statuses(said_to(server, request_bytes)) == [status]
    assert "Traceback" not in capfd.readouterr().err


def test_what_has_no_end_is_ended(server):
    head = b"POST / HTTP/1.1\r\n"
    for start, repeat, status in (
        (head + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\naaaaa\r\n", 413),
        (head + b"Content-Length: 999999999\r\n\r\n", bytes(2**16), 413),
        (head, b"X-Long: " + b"a" * 60_000 + b"\r\n", 431),
        (b"", b"a" * 60_000, 431),
    ):
        # The answer may be lost, as what was sent after it is not read.
        assert statuses(said_to(server, start, repeat)) in ([], [status])
    assert statuses(said_to(server, HIDDEN)) == [200]


@pytest.mark.parametrize(
    ("headers", "answered"),
    [
        ((), [200, 200]),  # Both meant.
        ((b"Content-Length: %d" % len(HIDDEN),), [200]),
        ((b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(HIDDEN)), [400]),
        ((b"Content-Length: 0", b"Content-Length: %d" % len(HIDDEN)), [400]),
        ((b"Content-Length : 0", b"Content-Length: %d" % len(HIDDEN)), [400]),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_no_request_hides_in_the_body_of_another(server, method, headers, answered):
    request = b"\r\n".join([method + b" / HTTP/1.1", *headers, b"", HIDDEN])
    assert statuses(said_to(server, request)) == answered


def test_many_that_send_slowly_keep_nobody_out_and_take_no_threads(server):
    head = b"POST / HTTP/1.1\r\nContent-Length: 999\r\n\r\n"
    threads = threading.active_count()
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(server.server_address, timeout=20))
            for _ in range(CONNECTIONS - 50)
        ]
        for place, connection in enumerate(slow):
            connection.sendall((b"", b"GET / HTTP/1.1\r\nX-Long: ", head)[place % 3])
        for _ in range(5):
            for connection in slow:
                connection.sendall(b"a")
            began = time.monotonic()
            assert statuses(said_to(server, HIDDEN)) == [200]
            assert time.monotonic() - began < 5
        assert threading.active_count() <= threads


def test_it_ends_while_requests_are_answered_and_clients_are_connected():
    with Echo("127.0.0.1", 0, MOST, threads=2) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        with socket.create_connection(running.server_address, timeout=20) as waiting:
            waiting.sendall(b"GET /wait HTTP/1.1\r\n\r\n")
            time.sleep(0.2)
            running.shutdown()
            thread.join(10)
            assert not thread.is_alive() and waiting.recv(1) == b""
        Echo.go.set()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(running.server_address, timeout=20)


PROGRAM = """
import signal
from legan_tf.serving.http_server import Server
signal.signal(signal.SIGINT, signal.default_int_handler)
with Server("127.0.0.1", 0, 1) as server:
    try:
        print(server.server_address[1], flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_ends_it_while_clients_are_connected():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=-1, stderr=-1, text=True)
    try:
        port = int(process.stdout.readline())
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "interrupted\n", "")
    for connection in connections:
        connection.close()
