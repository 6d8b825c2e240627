"""The local server: starts, stops, and holds the parts together."""

from __future__ import annotations

import concurrent.futures
import os
import re
import threading
import time

import grpc
import tensorflow as tf
from absl import logging
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from legan_tf.errors import UserError, first_line
from legan_tf.serving.local_server import batching, config, grpc_services
from legan_tf.serving.local_server.codes import ServingError
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.messages import MonitoringConfig, SSLConfig
from legan_tf.serving.local_server.metrics import Metrics
from legan_tf.serving.local_server.options import ANY_PORT, Options, volumes
from legan_tf.serving.local_server.predictor import Predictor
from legan_tf.serving.local_server.rest import LARGEST_BODY, RestServer

# Requests that wait for a thread, by thread; those beyond are refused at once.
_BACKLOG = 4
_LOOK_S = 0.1
# After the grace, for what is cut off to be told so.
_PARTING_S = 1.0
_ARGUMENTS: dict[str, int | str] = {
    "grpc.max_receive_message_length": LARGEST_BODY,
    "grpc.max_send_message_length": -1,
    # Or a second server on the same port would take some of the requests.
    "grpc.so_reuseport": 0,
}
_METRICS_PATH = "/monitoring/prometheus/metrics"
_HEALTH_SERVICES = (
    "",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)
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
        self._credentials = _credentials(options.ssl_config_file)
        self._metrics_path = _metrics_path(options.monitoring_config_file)
        if self._metrics_path and not options.rest_api_port:
            logging.warning("--monitoring_config_file is without effect without --rest_api_port.")
        if options.static_dir and not os.path.isdir(options.static_dir):
            raise UserError(f"--static_dir={options.static_dir}: is no folder.")
        parameters = batching.Parameters()
        if options.batching_parameters_file:
            parameters = batching.read_parameters(options.batching_parameters_file)
        self._arguments = _channel_arguments(options.grpc_channel_arguments)
        _set_parallelism(options)
        self._manager = Manager(
            options.file_system_poll_wait_seconds,
            options.max_num_load_retries,
            options.load_retry_interval_micros / 1e6,
            warm_ups=options.num_request_iterations_for_warmup or 1,
            warm_up=options.enable_model_warmup,
            labels_ahead=options.allow_version_labels_for_unavailable_models,
            tags=[tag.strip() for tag in options.saved_model_tags.split(",") if tag.strip()],
            on_change=self._tell_health,
            on_load=lambda *load: self._metrics.loaded(*load),
        )
        self._metrics = Metrics(self._manager.states)
        self._batcher = None
        if options.enable_batching:
            self._batcher = batching.Batcher(parameters, self._metrics)
        self._predictor = Predictor(self._manager, self._batcher, self._metrics)
        self._health = None
        self._told_ready: bool | None = None
        if options.enable_grpc_healthcheck_service:
            self._health = health.HealthServicer(
                experimental_non_blocking=True,
                experimental_thread_pool=concurrent.futures.ThreadPoolExecutor(1),
            )
        self._grpc: grpc.Server | None = None
        self._grpc_port = 0
        self._rest: RestServer | None = None
        self._asked_to_stop = False
        self._stopping = threading.Event()
        self._reader: threading.Thread | None = None

    @property
    def address(self) -> str:
        """HOST:PORT of gRPC; empty where it is off."""
        return f"{self._options.host}:{self._grpc_port}" if self._grpc_port else ""

    @property
    def rest_address(self) -> str:
        """HOST:PORT of REST; empty where it is off."""
        return f"{self._options.host}:{self._rest.port}" if self._rest else ""

    @property
    def listening(self) -> str:
        """Where it listens, for people."""
        places = {
            f"{self.address} (gRPC)": self.address,
            f"{self._options.grpc_socket_path} (gRPC)": self._options.grpc_socket_path,
            f"http://{self.rest_address} (REST)": self.rest_address,
        }
        return ", ".join(text for text, on in places.items() if on)

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
        options = self._options
        try:
            self._manager.configure(self._models)
            # Only now is it known what is missing, and only from the next line on can it be asked.
            self._tell_health()
            self._start_grpc()
            self._start_rest()
        except ServingError as error:
            self.stop(0)
            raise UserError(_advice(error)) from error
        except UserError:
            self.stop(0)
            raise
        self._manager.start()
        if options.model_config_file and options.model_config_file_poll_wait_seconds:
            self._reader = threading.Thread(target=self._reread, name="config", daemon=True)
            self._reader.start()

    def _start_grpc(self) -> None:
        options = self._options
        threads = options.grpc_max_threads
        server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            interceptors=[grpc_services.RawRequests()],
            options=list({**_ARGUMENTS, **self._arguments}.items()),
            maximum_concurrent_rpcs=threads * (1 + _BACKLOG),
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            grpc_services.PredictionService(self._manager, self._predictor), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            grpc_services.ModelService(self._manager, volumes(options)), server
        )
        if self._health is not None:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if options.port:
            port = 0 if options.port == ANY_PORT else options.port
            self._grpc_port = self._listen(server, f"{options.host}:{port}", "port")
        if options.grpc_socket_path:
            self._listen(
                server, f"unix:{os.path.abspath(options.grpc_socket_path)}", "grpc_socket_path"
            )
        server.start()
        self._grpc = server

    def _listen(self, server: grpc.Server, address: str, flag: str) -> int:
        try:
            if self._credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, self._credentials)
        except RuntimeError:
            port = 0  # What older releases return instead.
        if port:
            return port
        certificate = ", or the certificate of --ssl_config_file is damaged"
        raise UserError(
            f"--{flag}: {address} cannot be listened on: it is taken or not this machine's"
            f"{certificate if self._credentials else ''}."
        )

    def _start_rest(self) -> None:
        options = self._options
        if not options.rest_api_port:
            return
        port = 0 if options.rest_api_port == ANY_PORT else options.rest_api_port
        try:
            self._rest = RestServer(
                (options.host, port),
                self._manager,
                self._predictor,
                options.rest_api_num_threads,
                options.rest_api_timeout_in_ms / 1000,
                options.rest_api_enable_cors_support,
                options.static_dir,
                self._metrics_path,
                self.metrics,
            )
        except (OSError, OverflowError) as error:
            raise UserError(
                f"--rest_api_port: {options.host}:{port} cannot be listened on "
                f"({first_line(error)})."
            ) from error
        self._rest.start()

    def _tell_health(self) -> None:
        if self._health is None or self._stopping.is_set():
            return
        ready = not self._manager.unavailable()
        if ready is self._told_ready:
            return
        self._told_ready = ready
        status = health_pb2.HealthCheckResponse
        for service in _HEALTH_SERVICES:
            self._health.set(service, status.SERVING if ready else status.NOT_SERVING)

    def _reread(self) -> None:
        complaint = ""
        while not self._stopping.wait(self._options.model_config_file_poll_wait_seconds):
            try:
                models = config.read_models(self._options)
                # Compared with what is served, not with what the file said before: as in TensorFlow
                # Serving, the file wins over models that were asked for by a request.
                if models != self._manager.models:
                    self._manager.configure(models)
                    logging.info("Took over %s.", self._options.model_config_file)
                said = ""
            except (UserError, ServingError) as error:
                said = str(error)
            if said and said != complaint:
                logging.error("The models stay as they are: %s", said)
            complaint = said

    def metrics(self) -> bytes:
        """Returns what was counted, in Prometheus' text format."""
        return self._metrics.text()

    def wait_until_settled(self, timeout: float | None = None) -> bool:
        """Waits until no version is still to be loaded; returns whether that came in time."""
        return self._manager.wait_settled(timeout)

    def wait(self) -> None:
        """Waits until the server is asked to stop."""
        # By looking: the handler of a signal that comes just before an endless wait does not run
        # until that ends, and may not take the lock of an Event, which this thread may hold.
        while not self._asked_to_stop:
            time.sleep(_LOOK_S)

    def request_stop(self) -> None:
        """Lets ``wait`` return; safe to call from a signal's handler."""
        self._asked_to_stop = True

    def stop(self, grace: float = GRACE_S) -> None:
        """Takes no more requests, lets those that are being answered finish, and ends.

        Args:
            grace: How long all of that may take, in seconds. A model that still runs or loads then
                cannot be interrupted; its thread goes on and nobody waits for it.
        """
        deadline = time.monotonic() + grace

        def left() -> float:
            return max(0.0, deadline - time.monotonic())

        self._stopping.set()
        if self._health is not None:
            self._health.enter_graceful_shutdown()
        stopped = self._grpc.stop(grace) if self._grpc is not None else None
        if self._rest is not None:
            self._rest.stop(left())
        if stopped is not None:
            stopped.wait(left() + _PARTING_S)
        if self._batcher is not None:
            self._batcher.stop(left())
        self._manager.stop(left())
        if self._reader is not None:
            self._reader.join(left())
        self.request_stop()


def _advice(error: ServingError) -> str:
    if "label" in error.message:
        return (
            f"{error.message}; at the start that needs "
            "--allow_version_labels_for_unavailable_models."
        )
    return f"{error.message}."


def _credentials(file: str) -> grpc.ServerCredentials | None:
    if not file:
        return None
    given = config.read_text(file, "ssl_config_file", SSLConfig())
    for name in ("server_key", "server_cert"):
        if "-----BEGIN" not in getattr(given, name):
            raise UserError(
                f"--ssl_config_file: {file}: {name} must be the PEM text itself, not a path."
            )
    if given.client_verify and not given.custom_ca:
        raise UserError(f"--ssl_config_file: {file}: client_verify needs custom_ca.")
    return grpc.ssl_server_credentials(
        [(given.server_key.encode(), given.server_cert.encode())],
        given.custom_ca.encode() or None,
        given.client_verify,
    )


def _metrics_path(file: str) -> str:
    if not file:
        return ""
    given = config.read_text(file, "monitoring_config_file", MonitoringConfig()).prometheus_config
    if not given.enable:
        return ""
    if given.path and not given.path.startswith("/"):
        raise UserError(f"--monitoring_config_file: {file}: the path must begin with /.")
    return given.path or _METRICS_PATH


def _channel_arguments(text: str) -> dict[str, int | str]:
    arguments: dict[str, int | str] = {}
    for argument in text.split(",") if text else []:
        name, equals, value = argument.partition("=")
        if not (name and equals):
            raise UserError(f"--grpc_channel_arguments: {argument!r} is not NAME=VALUE.")
        arguments[name] = int(value) if re.fullmatch(r"-?\d+", value) else value
    return arguments


def _set_parallelism(options: Options) -> None:
    threading_options = tf.config.threading
    for flag, setter in (
        ("tensorflow_intra_op_parallelism", threading_options.set_intra_op_parallelism_threads),
        ("tensorflow_inter_op_parallelism", threading_options.set_inter_op_parallelism_threads),
    ):
        threads = getattr(options, flag)
        if threads:
            try:
                setter(threads)
            except RuntimeError as error:
                raise UserError(f"--{flag}: TensorFlow runs in this process already.") from error
