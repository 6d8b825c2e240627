"""The local server: reads the configuration, listens over gRPC and REST, stops."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time

import grpc
from absl import logging

from legan_tf.errors import UserError, first_line
from legan_tf.serving.local_server import config_files, grpc_services
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.options import ANY_PORT, MAX_REQUEST_BYTES, Options
from legan_tf.serving.local_server.prediction import Predictor
from legan_tf.serving.local_server.rest import RestServer

# Requests that wait for a thread, by thread; those beyond are refused at once.
_BACKLOG = 4
_POLL_S = 0.1
# Seconds after the grace in which clients that are cut off receive their error.
_CUT_OFF_S = 1.0
_GRPC_ARGUMENTS = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", -1),
    # Or a second server on the same port would take some of the requests.
    ("grpc.so_reuseport", 0),
)
GRACE_S = 8.0
"""Seconds that requests in progress may take when the server stops; Docker kills after ten."""


class LocalServer:
    """Serves SavedModels with TensorFlow Serving's protocol, for development and tests.

    A context manager that starts on entering and stops on leaving.
    """

    def __init__(self, options: Options) -> None:
        """Reads the configuration.

        Raises:
            UserError: An option cannot be used; the message names it.
        """
        options.check()
        self._options = options
        self._manager = Manager(
            config_files.read_models(options), options.file_system_poll_wait_seconds
        )
        self._metrics_path = ""
        if options.monitoring_config_file:
            self._metrics_path = config_files.read_metrics_path(options.monitoring_config_file)
        if self._metrics_path and not options.rest_api_port:
            logging.warning("--monitoring_config_file is without effect without --rest_api_port.")
        if options.static_dir and not os.path.isdir(options.static_dir):
            raise UserError(f"--static_dir={options.static_dir}: is no folder.")
        self._predictor = Predictor(self._manager)
        self._grpc: grpc.Server | None = None
        self._grpc_port = 0
        self._rest: RestServer | None = None
        self._stop_requested = False

    @property
    def address(self) -> str:
        """HOST:PORT of gRPC; empty where it is off."""
        return f"{self._options.host}:{self._grpc_port}" if self._grpc_port else ""

    @property
    def rest_address(self) -> str:
        """HOST:PORT of REST; empty where it is off."""
        return f"{self._options.host}:{self._rest.server_port}" if self._rest else ""

    @property
    def listening(self) -> str:
        """The addresses that it listens on, as text."""
        places = [f"{self.address} (gRPC)"] if self.address else []
        places += [f"http://{self.rest_address} (REST)"] if self.rest_address else []
        return ", ".join(places)

    def __enter__(self) -> LocalServer:
        """Starts."""
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stops."""
        self.stop()

    def start(self) -> None:
        """Begins to listen, and to load the models; returns once it listens.

        Raises:
            UserError: An address is taken.
        """
        try:
            self._start_grpc()
            self._start_rest()
        except UserError:
            self.stop(0)
            raise
        self._manager.start()

    def _start_grpc(self) -> None:
        options = self._options
        if not options.port:
            return
        threads = options.grpc_max_threads
        server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            options=_GRPC_ARGUMENTS,
            maximum_concurrent_rpcs=threads * (1 + _BACKLOG),
        )
        services = grpc_services.Services(
            self._manager, self._predictor, options.enable_grpc_healthcheck_service
        )
        server.add_generic_rpc_handlers((services,))
        address = f"{options.host}:{0 if options.port == ANY_PORT else options.port}"
        try:
            self._grpc_port = server.add_insecure_port(address)
        except RuntimeError:
            pass  # Older releases of gRPC return 0 instead.
        if not self._grpc_port:
            raise UserError(
                f"--port: {address} cannot be listened on: it is taken or not this machine's."
            )
        server.start()
        self._grpc = server

    def _start_rest(self) -> None:
        options = self._options
        if not options.rest_api_port:
            return
        try:
            self._rest = RestServer(options, self._manager, self._predictor, self._metrics_path)
        except OSError as error:
            raise UserError(
                f"--rest_api_port: {options.host}:{options.rest_api_port} cannot be listened on "
                f"({first_line(error)})."
            ) from error
        self._rest.start()

    def wait_until_settled(self, timeout: float | None = None) -> bool:
        """Waits until no version is still to be loaded; returns whether that came in time."""
        return self._manager.wait_until_settled(timeout)

    def wait(self) -> None:
        """Waits until the server is asked to stop."""
        # In steps: the handler of a signal that comes just before an endless wait does not run
        # until that ends, and may not take the lock of an Event, which this thread may hold.
        while not self._stop_requested:
            time.sleep(_POLL_S)

    def request_stop(self) -> None:
        """Lets ``wait`` return; safe to call from a signal's handler."""
        self._stop_requested = True

    def stop(self, grace: float = GRACE_S) -> None:
        """Refuses new requests, waits for those in progress, and ends.

        Args:
            grace: Seconds that all of it may take. A model that still runs or loads then cannot be
                interrupted: its thread goes on, and is not waited for.
        """
        deadline = time.monotonic() + grace

        def left() -> float:
            return max(0.0, deadline - time.monotonic())

        stopped: threading.Event | None = self._grpc.stop(grace) if self._grpc else None
        if self._rest is not None:
            self._rest.stop(left())
        if stopped is not None:
            stopped.wait(left() + _CUT_OFF_S)
        self._manager.stop(left())
        self.request_stop()
