"""What the local server can be told: TensorFlow Serving's flags, and a few of our own."""

from __future__ import annotations

import dataclasses
import os

from absl import flags

from legan_tf.errors import UserError

ANY_PORT = -1
"""As a port: any that is free."""


def _flag(default: object, help: str, minimum: int | None = None) -> object:
    return dataclasses.field(default=default, metadata={"help": help, "minimum": minimum})


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags of the local server, which has one for each of these fields.

    They are named and meant as those of ``tensorflow_model_server``, except ``host``, ``volume``,
    ``static_dir`` and the port -1, which that server does not have.
    """

    port: int = _flag(8500, "Port of gRPC; 0 for none, -1 for any that is free.", ANY_PORT)
    grpc_socket_path: str = _flag("", "Path of a UNIX socket to serve gRPC on as well.")
    rest_api_port: int = _flag(0, "Port of REST; 0 for none, -1 for any that is free.", ANY_PORT)
    rest_api_num_threads: int = _flag(
        4 * (os.cpu_count() or 1), "REST requests that are worked on at once.", 1
    )
    rest_api_timeout_in_ms: int = _flag(30_000, "How long a REST request may take.", 1)
    rest_api_enable_cors_support: bool = _flag(False, "Let pages of other origins use REST.")
    model_name: str = _flag("default", "Name of the one model to serve.")
    model_base_path: str = _flag("", "Folder of its versions, as an absolute path.")
    model_config_file: str = _flag(
        "", "ModelServerConfig as text: the models to serve, instead of the one."
    )
    model_config_file_poll_wait_seconds: float = _flag(
        0.0, "Seconds between two readings of model_config_file; 0 reads it once.", 0
    )
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "Let new labels name versions that are not loaded yet, as at the start."
    )
    file_system_poll_wait_seconds: float = _flag(
        1.0, "Seconds between two looks for new versions; 0 looks once.", 0
    )
    max_num_load_retries: int = _flag(5, "How often loading a version is tried again.", 0)
    load_retry_interval_micros: int = _flag(
        60_000_000, "Microseconds between two tries; below 0: none.", None
    )
    enable_model_warmup: bool = _flag(True, "Replay a version's warm-up requests as it is loaded.")
    enable_batching: bool = _flag(False, "Merge requests into batches.")
    batching_parameters_file: str = _flag("", "BatchingParameters as text.")
    num_request_iterations_for_warmup: int = _flag(
        0, "How often each warm-up request is run; 0 means once.", 0
    )
    saved_model_tags: str = _flag("", "Tags of the graph to load, a,b; serve by default.")
    tensorflow_intra_op_parallelism: int = _flag(
        0, "Threads of one operation; 0 for as many as fit the machine.", 0
    )
    tensorflow_inter_op_parallelism: int = _flag(
        0, "Operations at once; 0 for as many as fit the machine.", 0
    )
    grpc_max_threads: int = _flag(
        4 * (os.cpu_count() or 1), "gRPC requests that are worked on at once.", 1
    )
    grpc_channel_arguments: str = _flag("", "Arguments of the gRPC server, a=b,c=d.")
    ssl_config_file: str = _flag("", "SSLConfig as text, for TLS on gRPC.")
    monitoring_config_file: str = _flag("", "MonitoringConfig as text, for metrics on REST.")
    enable_grpc_healthcheck_service: bool = _flag(False, "Serve gRPC's health protocol.")
    host: str = _flag("127.0.0.1", "Address to listen on, ours.")
    volume: tuple[str, ...] = _flag(
        (), "HOST:CONTAINER, ours: read base paths below CONTAINER below HOST; repeatable."
    )
    static_dir: str = _flag("", "Folder of static files to serve at / of REST, ours.")


# Flags of tensorflow_model_server that are taken, for command lines to work here as they are, and
# do nothing: what they tune is not there. (use_alts_credentials is missing: to ignore it would let
# a connection seem safe.)
_IDLE_SWITCHES = (
    "enable_per_model_batching_parameters",
    "enable_profiler",
    "enable_serialization_as_tensor_content",
    "enable_signature_method_name_check",
    "flush_filesystem_caches",
    "prefer_tflite_model",
    "remove_unused_fields_from_bundle_metagraph",
    "skip_initialize_tpu",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
)
_IDLE_VALUES = (
    "mixed_precision",
    "num_load_threads",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "platform_config_file",
    "tensorflow_session_config_file",
    "tensorflow_session_parallelism",
    "thread_pool_factory_config_file",
)
_NO_EFFECT = "Taken for tensorflow_model_server's sake; without effect here."


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
    for name in _IDLE_SWITCHES:
        flags.DEFINE_bool(name, False, _NO_EFFECT, flag_values=values)
    for name in _IDLE_VALUES:
        flags.DEFINE_string(name, "", _NO_EFFECT, flag_values=values)


def without_effect(values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Returns the flags that were given and do nothing."""
    return [name for name in (*_IDLE_SWITCHES, *_IDLE_VALUES) if values[name].present]


def from_flags(values: flags.FlagValues = flags.FLAGS) -> Options:
    """Returns what the flags say."""
    given = {field.name: values[field.name].value for field in dataclasses.fields(Options)}
    return Options(**{**given, "volume": tuple(given["volume"])})


def volumes(options: Options) -> dict[str, str]:
    """Returns ``volume`` by the container's folder.

    Raises:
        UserError: One is not HOST:CONTAINER, or its host folder is missing.
    """
    mapped = {}
    for volume in options.volume:
        host, colon, container = volume.rpartition(":")
        if not colon or not host or not os.path.isabs(container):
            raise UserError(f"--volume={volume}: write HOST:CONTAINER, CONTAINER as absolute path.")
        if not os.path.isdir(host):
            raise UserError(f"--volume={volume}: {host} is no folder.")
        mapped[os.path.normpath(container)] = os.path.abspath(host)
    return mapped
