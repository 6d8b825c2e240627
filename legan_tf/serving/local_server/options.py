"""The flags of the local server: some of TensorFlow Serving's, and a few of its own."""

from __future__ import annotations

import dataclasses
import os

from legan_tf.command_line import options
from legan_tf.command_line.options import Limit, between, option

ANY_PORT = -1
"""As a port: any that is free."""
MAX_REQUEST_BYTES = 2**26
"""Most bytes of a request, over gRPC and REST."""

_PORT = between(ANY_PORT, 65535)
_AT_LEAST_ONE = Limit(lambda value: value >= 1, "must be at least 1")
_THREADS = 4 * (os.cpu_count() or 1)


@dataclasses.dataclass(frozen=True)
class Options(options.Options):
    """The flags of the local server, which has one for each of these fields.

    They have the names and meanings of those of ``tensorflow_model_server``, except ``host``,
    ``volume``, ``static_dir`` and the port -1, which that server does not have. Flags of that
    server that are not here are unknown, and so refused: no flag is ignored.
    """

    port: int = option(8500, "Port of gRPC; 0 for none, -1 for any that is free.", limit=_PORT)
    rest_api_port: int = option(0, "Port of REST; 0 for none, -1 for any free one.", limit=_PORT)
    rest_api_num_threads: int = option(
        _THREADS, "REST requests that are processed at once.", limit=_AT_LEAST_ONE
    )
    rest_api_enable_cors_support: bool = option(False, "Let pages of other origins use REST.")
    model_name: str = option("default", "Name of the model, if there is one.")
    model_base_path: str = option("", "Folder of its versions, as an absolute path.")
    model_config_file: str = option(
        "", "ModelServerConfig as text: several models, instead of the one."
    )
    file_system_poll_wait_seconds: float = option(
        1.0,
        "Seconds between two polls for new versions.",
        limit=Limit(lambda value: value >= 0.01, "must be at least 0.01"),
    )
    grpc_max_threads: int = option(
        _THREADS, "gRPC requests that are processed at once.", limit=_AT_LEAST_ONE
    )
    host: str = option("127.0.0.1", "Address to listen on.")
    volume: tuple[str, ...] = option(
        (), "HOST:CONTAINER: read base paths below CONTAINER below HOST; repeatable."
    )
    static_dir: str = option("", "Folder of static files to serve at / of REST.")
