"""The local server: starts, stops, and holds the parts together."""

from __future__ import annotations

import concurrent.futures
import threading

import grpc
from absl import logging
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from legan_tf.errors import UserError
from legan_tf.serving.local_server import config, grpc_services
from legan_tf.serving.local_server.codes import ServingError
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.options import ANY_PORT, Options, volumes
from legan_tf.serving.local_server.predictor import Predictor

# Requests that wait for a thread, by thread; those beyond are refused at once.
_BACKLOG = 4
GRACE_S = 8.0
"""How long requests that are being answered may take when the server stops, in seconds. Docker
kills after ten."""


class LocalServer:
    """Serves SavedModels as ``tensorflow_model_server`` does, for development and tests.

    A context manager that starts on entering and stops on leaving.
    """

    def __init__(self, options: Options) -> None:
        """Reads the configuration.

        Raises:
            UserError: An option cannot be used; the message names it.
        """
        self._options = options
        self._models = config.read_models(options)
        self._manager = Manager(
            options.file_system_poll_wait_seconds,
            options.max_num_load_retries,
            options.load_retry_interval_micros / 1e6,
            options.enable_model_warmup,
            options.allow_version_labels_for_unavailable_models,
        )
        self._predictor = Predictor(self._manager)
        self._grpc: grpc.Server | None = None
        self._grpc_port = 0
        self._asked_to_stop = threading.Event()

    @property
    def listening(self) -> str:
        """Where it listens, for people."""
        return f"{self.address} (gRPC)"

    @property
    def address(self) -> str:
        """HOST:PORT of gRPC."""
        return f"{self._options.host}:{self._grpc_port}"

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
            UserError: An address is taken, or a model cannot be served as configured.
        """
        try:
            self._manager.configure(self._models)
        except ServingError as error:
            raise UserError(_advice(error)) from error
        self._start_grpc()
        self._manager.start()

    def _start_grpc(self) -> None:
        options = self._options
        threads = options.grpc_max_threads
        server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                # Or a second server on the same port would take some of the requests.
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=threads * (1 + _BACKLOG),
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            grpc_services.PredictionService(self._manager, self._predictor), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            grpc_services.ModelService(self._manager, volumes(options)), server
        )
        if options.port:
            port = 0 if options.port == ANY_PORT else options.port
            try:
                self._grpc_port = server.add_insecure_port(f"{options.host}:{port}")
            except RuntimeError as error:
                raise UserError(
                    f"--port={options.port}: {options.host}:{port} cannot be listened on; "
                    "is another server running there?"
                ) from error
        server.start()
        self._grpc = server

    def wait_until_settled(self, timeout: float | None = None) -> bool:
        """Waits until no version is still to be loaded; returns whether that came in time."""
        return self._manager.wait_settled(timeout)

    def wait(self) -> None:
        """Waits until the server is asked to stop."""
        self._asked_to_stop.wait()

    def request_stop(self) -> None:
        """Lets ``wait`` return; safe to call from a signal's handler."""
        self._asked_to_stop.set()

    def stop(self, grace: float = GRACE_S) -> None:
        """Takes no more requests, lets those that are being answered finish, and ends.

        Args:
            grace: How long these may take, in seconds.
        """
        if self._grpc is not None:
            self._grpc.stop(grace).wait()
        self._manager.stop()
        self._asked_to_stop.set()
        logging.info("Stopped.")


def _advice(error: ServingError) -> str:
    if "label" in error.message:
        return (
            f"{error.message}; at the start that needs "
            "--allow_version_labels_for_unavailable_models."
        )
    return f"{error.message}."
