"""The flags of the local server: some of TensorFlow Serving's, and a few of its own."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from absl import flags

ANY_PORT = -1
"""As a port: any that is free."""
MAX_REQUEST_BYTES = 2**26
"""Most bytes of a request, over gRPC and REST."""


def _flag(default: Any, help: str, minimum: float | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "minimum": minimum})


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags of the local server, which has one for each of these fields.

    They have the names and meanings of those of ``tensorflow_model_server``, except ``host``,
    ``volume``, ``static_dir`` and the port -1, which that server does not have. Flags of that
    server that are not here are unknown, and so refused: no flag is ignored.
    """

    port: int = _flag(8500, "Port of gRPC; 0 for none, -1 for any that is free.", ANY_PORT)
    rest_api_port: int = _flag(0, "Port of REST; 0 for none, -1 for any that is free.", ANY_PORT)
    rest_api_num_threads: int = _flag(
        4 * (os.cpu_count() or 1), "REST requests that are processed at once.", 1
    )
    rest_api_timeout_in_ms: int = _flag(30_000, "Most milliseconds of a REST request.", 1)
    rest_api_enable_cors_support: bool = _flag(False, "Let pages of other origins use REST.")
    model_name: str = _flag("default", "Name of the model, if there is one.")
    model_base_path: str = _flag("", "Folder of its versions, as an absolute path.")
    model_config_file: str = _flag(
        "", "ModelServerConfig as text: several models, instead of the one."
    )
    file_system_poll_wait_seconds: float = _flag(
        1.0, "Seconds between two polls for new versions.", 0.01
    )
    grpc_max_threads: int = _flag(
        4 * (os.cpu_count() or 1), "gRPC requests that are processed at once.", 1
    )
    monitoring_config_file: str = _flag("", "MonitoringConfig as text, for metrics on REST.")
    enable_grpc_healthcheck_service: bool = _flag(False, "Serve gRPC's health protocol.")
    host: str = _flag("127.0.0.1", "Address to listen on.")
    volume: tuple[str, ...] = _flag(
        (), "HOST:CONTAINER: read base paths below CONTAINER below HOST; repeatable."
    )
    static_dir: str = _flag("", "Folder of static files to serve at / of REST.")


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines a flag for each field of ``Options``."""
    for field in dataclasses.fields(Options):
        name, default, text = field.name, field.default, field.metadata["help"]
        if isinstance(default, bool):
            flags.DEFINE_bool(name, default, text, flag_values=values)
        elif isinstance(default, (int, float)):
            define = flags.DEFINE_integer if isinstance(default, int) else flags.DEFINE_float
            define(name, default, text, lower_bound=field.metadata["minimum"], flag_values=values)
        elif isinstance(default, tuple):
            flags.DEFINE_multi_string(name, [], text, flag_values=values)
        else:
            flags.DEFINE_string(name, default, text, flag_values=values)


def from_flags(values: flags.FlagValues = flags.FLAGS) -> Options:
    """Returns the options that the flags have."""
    given = {field.name: values[field.name].value for field in dataclasses.fields(Options)}
    return Options(**{**given, "volume": tuple(given["volume"])})
