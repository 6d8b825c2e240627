"""The local server: reads the configuration, loads the models, listens over gRPC and REST."""

from __future__ import annotations

import concurrent.futures
import os
import threading

import grpc

from legan_tf.errors import UserError
from legan_tf.serving.local_server import model_config
from legan_tf.serving.local_server.grpc_services import Services
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.options import ANY_PORT, MAX_REQUEST_BYTES, Options
from legan_tf.serving.local_server.rest import RestServer

# Requests that wait for a thread, by thread; those beyond are refused at once.
_BACKLOG = 4
_GRPC_ARGUMENTS = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", -1),
    # Or a second server on the same port would take some of the requests.
    ("grpc.so_reuseport", 0),
)


class LocalServer:
    """Serves SavedModels with TensorFlow Serving's protocol, for development and tests.

    A context manager: it begins to answer on entering, once the models are loaded, and ends on
    leaving, requests in progress included.

    Attributes:
        address: HOST:PORT of gRPC; empty where it is off.
        rest_address: HOST:PORT of REST; empty where it is off.
    """

    def __init__(self, options: Options) -> None:
        """Reads the configuration and takes the ports.

        Raises:
            UserError: An option cannot be used; the message names it.
        """
        options.check()
        if options.static_dir and not os.path.isdir(options.static_dir):
            raise UserError(f"--static_dir={options.static_dir}: is no folder.")
        self._manager = Manager(
            model_config.read_models(options), options.file_system_poll_wait_seconds
        )
        self.address = self.rest_address = ""
        self._grpc: grpc.Server | None = None
        self._rest: RestServer | None = None
        if options.port:
            self._grpc = self._bind_grpc(options)
        if options.rest_api_port:
            try:
                self._rest = RestServer(options, self._manager)
            except OSError as error:
                raise UserError(
                    f"--rest_api_port: {options.host}:{options.rest_api_port} cannot be listened "
                    f"on ({error.strerror})."
                ) from error
            self.rest_address = f"{options.host}:{self._rest.server_address[1]}"

    def _bind_grpc(self, options: Options) -> grpc.Server:
        threads = options.grpc_max_threads
        server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            handlers=[Services(self._manager)],
            options=_GRPC_ARGUMENTS,
            maximum_concurrent_rpcs=threads * (1 + _BACKLOG),
        )
        address = f"{options.host}:{0 if options.port == ANY_PORT else options.port}"
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise UserError(
                f"--port: {address} cannot be listened on: it is taken or not this machine's."
            ) from error
        self.address = f"{options.host}:{port}"
        return server

    def __enter__(self) -> LocalServer:
        """Loads the models and begins to answer."""
        self._manager.start()
        if self._grpc is not None:
            self._grpc.start()
        if self._rest is not None:
            serve = self._rest.serve_forever
            threading.Thread(target=serve, name="rest", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends."""
        if self._grpc is not None:
            self._grpc.stop(0).wait()
        if self._rest is not None:
            self._rest.shutdown()
        self._manager.stop()
