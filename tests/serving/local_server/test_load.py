"""Clients that send slowly, or a lot, or are many, do not keep the others from an answer."""

from __future__ import annotations

import gc
import http.client
import json
import os
import pathlib
import runpy
import socket
import threading
import time

import pytest

from legan_tf.serving.http_server import MAX_CONNECTIONS
from legan_tf.serving.local_server.options import MAX_REQUEST_BYTES
from legan_tf.serving.local_server.rest import MAX_BODIES_BYTES

clients = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "slow_clients.py"))
PREDICT = b"POST /v1/models/tiny:predict HTTP/1.1\r\n"


def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def predict(address, seconds=20):
    connection = http.client.HTTPConnection(*address, timeout=seconds)
    try:
        connection.request("POST", "/v1/models/tiny:predict", json.dumps({"inputs": [[1.5, 2]]}))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


ANSWER = (200, {"outputs": [[1.5, 2]]})


@pytest.fixture
def address(publish, serve):
    publish(1)
    host, port = serve(rest_api_port=-1).server.rest_address.split(":")
    return host, int(port)


@pytest.mark.parametrize(
    "start", [b"", b"GET /v1", PREDICT + b"X-Long: ", PREDICT + b"Content-Length: 99999\r\n\r\n"]
)
def test_many_that_send_slowly_do_not_keep_others_out(address, start):
    threads = threading.active_count()
    with clients["trickling"](address, start, MAX_CONNECTIONS + 20):
        for _ in range(5):
            began = time.monotonic()
            assert predict(address) == ANSWER
            assert time.monotonic() - began < 5
            # One of the threads is that of the slow clients.
            assert threading.active_count() <= threads + MAX_CONNECTIONS + 1


def test_bodies_of_many_take_no_more_memory_than_four_and_end_for_others(address, until):
    head = PREDICT + b"Content-Length: %d\r\n\r\n" % MAX_REQUEST_BYTES
    content = bytes(MAX_REQUEST_BYTES - 1)
    assert predict(address) == ANSWER
    before = resident()

    def send():
        with socket.create_connection(address, timeout=20) as connection:
            try:
                connection.sendall(head)
                connection.sendall(content)  # Without a copy: the clients are in this process.
                ended.append(connection.recv(100))
            except OSError:
                ended.append(b"")

    ended: list[bytes] = []
    sending = [threading.Thread(target=send) for _ in range(8)]
    for thread in sending:
        thread.start()
    most = 0
    began = time.monotonic()
    while time.monotonic() - began < 3:
        most = max(most, resident() - before)
        time.sleep(0.05)
    assert most < 1.5 * MAX_BODIES_BYTES
    assert predict(address) == ANSWER
    until(lambda: len(ended) >= 4)  # For the others.


def test_what_is_sent_in_no_time_is_told(publish, serve):
    publish(1)
    running = serve(rest_api_port=-1, rest_api_timeout_in_ms=300)
    host, port = running.server.rest_address.split(":")
    said = clients["said_to"]((host, int(port)), PREDICT + b"Content-Length: 100\r\n\r\n{")
    assert said.startswith(b"HTTP/1.1 408 ") and b"did not come in time" in said
    assert b"Connection: close" in said


def test_what_has_no_end_is_ended(address):
    chunked = PREDICT + b"Transfer-Encoding: chunked\r\n\r\n"
    for start, repeat, status in (
        (chunked, b"5\r\naaaaa\r\n", b"400"),
        (PREDICT + b"Content-Length: 99999999999\r\n\r\n", bytes(2**16), b"413"),
        (PREDICT, b"X-Long: " + b"a" * 60_000 + b"\r\n", b""),
        (PREDICT + b"X-Long: ", b"a" * 60_000, b"431"),
        (b"", b"a" * 60_000, b"414"),
    ):
        said = clients["said_to"](address, start, repeat)
        # The answer may be lost, as what was sent after it is not read.
        assert not said or said.startswith(b"HTTP/1.1 " + status), said[:100]
    assert predict(address) == ANSWER
