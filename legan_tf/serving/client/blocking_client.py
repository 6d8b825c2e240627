"""The client for programs without ``asyncio``; its calls block until they are answered."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from legan_tf.errors import UserError
from legan_tf.serving.client.async_client import AsyncClient
from legan_tf.serving.client.connection import check_not_forked

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

_CLOSE_S = 5.0


def _blocking(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Client, P], R]:
    """Returns a method of ``AsyncClient`` as one of ``Client``, with its documentation."""

    @functools.wraps(method)
    def call(self: Client, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(lambda: method(self._client, *args, **kwargs))

    return call


class Client:
    """A client of one server; calls block until they are answered.

    It may be used from several threads at once. A process that is forked after the first call
    cannot use it. See ``AsyncClient`` for its attributes and for what the methods take, return and
    raise.
    """

    def __init__(self, address: str, **options: Any) -> None:
        """Prepares; nothing is sent before the first call.

        Args:
            address: ``host:port`` of gRPC.
            **options: ``editor``, ``scorer``, ``mapper``, ``timeout``, ``max_batch``, ``tls`` and
                ``metadata``; see ``AsyncClient``.

        Raises:
            UserError: An argument cannot be used.
            UnavailableError: gRPC is not installed.
        """
        self._client = AsyncClient(address, **options)
        self.editor, self.mapper = self._client.editor, self._client.mapper
        self.scorer = self._client.scorer
        self._lock = threading.Lock()
        self._closed = False
        self._running: set[concurrent.futures.Future] = set()
        self._finalizer: weakref.finalize | None = None

    @property
    def address(self) -> str:
        """Address of the server."""
        return self._client.address

    def __enter__(self) -> Client:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Closes the channel and cancels its calls; later calls are refused."""
        with self._lock:
            self._closed = True
            closing = self._finalizer() if self._finalizer else None
        if closing is not None:
            concurrent.futures.wait([closing], _CLOSE_S)

    edit = _blocking(AsyncClient.edit)
    masks = _blocking(AsyncClient.masks)
    score = _blocking(AsyncClient.score)
    depth = _blocking(AsyncClient.depth)
    labels = _blocking(AsyncClient.labels)
    status = _blocking(AsyncClient.status)
    wait_until_available = _blocking(AsyncClient.wait_until_available)

    def _run(self, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        check_not_forked()
        with self._lock:
            if self._closed:
                raise UserError("This client is closed; make another one.")
            future = _background.start(call)
            self._running.add(future)
            if self._finalizer is None:
                # After the start: at the end of the program, the latest finalizer runs first.
                self._finalizer = weakref.finalize(self, _close, self._client, self._running)
        future.add_done_callback(self._running.discard)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise UserError("This client was closed before the answer came.") from None
        except BaseException:
            future.cancel()  # Ctrl-C: the answer is not wanted any more.
            raise


def _close(
    client: AsyncClient, running: set[concurrent.futures.Future]
) -> concurrent.futures.Future | None:
    """Begins to close a client; returns the future of its end, if the loop still runs."""
    for future in list(running):
        future.cancel()
    return _background.close(client)


class _BackgroundLoop:
    """An event loop on a thread of its own, for all clients of the process.

    A loop that gRPC was used in cannot be closed, since gRPC's own thread may still wake it: one
    for each client would leak its descriptors.
    """

    _loop: asyncio.AbstractEventLoop  # Since the thread was started.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._thread: threading.Thread | None = None

    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and not self._ended

    def start(self, call: Callable[[], Coroutine[Any, Any, R]]) -> concurrent.futures.Future[R]:
        with self._lock:
            if self._ended:
                raise UserError("The program is ending; clients cannot be used any more.")
            if self._thread is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="legan_tf clients", daemon=True
                )
                self._thread.start()
                # A loop that still runs at the end of the program would crash it.
                weakref.finalize(self, self.stop)
            return asyncio.run_coroutine_threadsafe(call(), self._loop)

    def close(self, client: AsyncClient) -> concurrent.futures.Future | None:
        # Without the lock: garbage collection closes clients on any thread at any time.
        if not self._runs():
            return None
        return asyncio.run_coroutine_threadsafe(client.close(), self._loop)

    def stop(self) -> None:
        """Waits for clients that are being closed, and stops the loop for good."""
        thread = self._thread
        with self._lock:
            if thread is None or not self._runs():
                return
            self._ended = True
            asyncio.run_coroutine_threadsafe(self._finish(), self._loop)
        thread.join(2 * _CLOSE_S)

    async def _finish(self) -> None:
        try:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                await asyncio.wait(others, timeout=_CLOSE_S)
        finally:
            self._loop.stop()


_background = _BackgroundLoop()


def _restart_after_fork() -> None:
    """Gives a forked process a loop of its own: the thread is not in it."""
    global _background
    _background = _BackgroundLoop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_after_fork)
