from __future__ import annotations

import socket

from legan_tf.serving.http_server import MAX_CONNECTIONS, Handler, Server


def test_a_connection_that_ends_twice_gives_its_place_back_once():
    server = Server(("127.0.0.1", 0), Handler)
    try:
        one, other = socket.socketpair()
        with server._lock:
            server._held.add(one)
        assert server._connections.acquire(blocking=False)
        server.shutdown_request(one)
        server.shutdown_request(one)
        places = sum(
            server._connections.acquire(blocking=False) for _ in range(MAX_CONNECTIONS + 1)
        )
        assert places == MAX_CONNECTIONS
        other.close()
    finally:
        server.server_close()
