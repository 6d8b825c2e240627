"""HTTP servers by Waitress, which bounds connections, headers, bodies, threads and idle clients."""

from __future__ import annotations

import dataclasses
import http
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import waitress
from waitress import wasyncore

CONNECTIONS = 500
"""Most connections at once; they take no threads. A process may have 1,024 descriptors."""
_IDLE_S = 30
_Self = TypeVar("_Self", bound="Server")

# Requests that wait for a thread are no news.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class Refused(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status code.
    """

    def __init__(self, status: int, sentence: str) -> None:
        """Takes the status and what is wrong."""
        super().__init__(sentence)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Answer:
    """Answer to a request.

    Attributes:
        content: The body.
        content_type: Its type.
        headers: Further headers.
        status: HTTP status code.
    """

    content: bytes
    content_type: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    status: int = 200


class Server:
    """Serves what ``answer`` returns; a context manager that closes.

    Attributes:
        server_address: Host and port that it listens at.
    """

    def __init__(self, host: str, port: int, most_bytes: int, **limits: Any) -> None:
        """Begins to listen; connections wait until ``serve_forever``.

        Args:
            host: Address to listen at.
            port: Port; 0 for any.
            most_bytes: Largest body of a request.
            **limits: Settings of Waitress by its names, as ``threads``.

        Raises:
            OSError: The address cannot be listened at.
        """
        listening = socket.create_server((host, port))
        self.server_address: tuple[str, int] = listening.getsockname()
        self._sockets: dict[int, Any] = {}
        self._serving = threading.Lock()
        self._server = waitress.create_server(
            self._respond,
            map=self._sockets,
            sockets=[listening],
            max_request_body_size=most_bytes + 1,  # The smallest that it refuses.
            connection_limit=CONNECTIONS,
            channel_timeout=_IDLE_S,
            asyncore_use_poll=True,
            log_socket_errors=False,
            ident=None,
            **limits,
        )

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """Answers a request, on one of several threads.

        Args:
            environ: WSGI's environment of the request, whose body has come.

        Raises:
            Refused: It is answered by ``refusal``.
        """
        raise NotImplementedError

    def refusal(self, refused: Refused) -> Answer:
        """Returns the answer to a request that is refused: the sentence as text."""
        content = f"{refused}\n".encode(errors="replace")
        return Answer(content, "text/plain; charset=utf-8", status=refused.status)

    def _respond(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        try:
            answer = self.answer(environ)
        except Refused as refused:
            answer = self.refusal(refused)
        headers = {
            "Content-Type": answer.content_type,
            "X-Content-Type-Options": "nosniff",
            **answer.headers,
        }
        status = http.HTTPStatus(answer.status)
        start_response(f"{status.value} {status.phrase}", list(headers.items()))
        return [answer.content]

    def serve_forever(self) -> None:
        """Serves until ``shutdown``, or Ctrl-C; then up to five seconds, for requests in progress.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        with self._serving:
            self._server.run()
            if self._sockets:
                raise KeyboardInterrupt  # Waitress takes it for itself.

    def shutdown(self) -> None:
        """Ends ``serve_forever`` of any thread, within five seconds, and closes all connections."""
        # A descriptor that two threads close may be another file's by then: one closes at a time.
        if not self._serving.acquire(blocking=False):
            self._server.trigger.pull_trigger(self._close)
            self._serving.acquire()
        self._close()
        self._serving.release()

    def _close(self) -> None:
        # Threads first: with an answer they write to the trigger.
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)

    def __enter__(self: _Self) -> _Self:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes all connections and ends the threads."""
        self.shutdown()


def read_json(environ: Mapping[str, Any]) -> Any:
    """Returns the JSON of a request's body.

    Raises:
        Refused: It is something else.
    """
    # Pages of other sites cannot send this type without CORS permission.
    check_type(environ, "application/json")
    try:
        return json.loads(environ["wsgi.input"].read())
    except (ValueError, RecursionError) as error:
        raise Refused(400, "The request is not JSON.") from error


def check_type(environ: Mapping[str, Any], wanted: str) -> None:
    """Checks the type of a request's body.

    Raises:
        Refused: It is another one.
    """
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != wanted:
        raise Refused(415, f"It must be sent as {wanted}.")
