"""TensorFlow Serving's configuration files: which models are served, and where the metrics are."""

from __future__ import annotations

import os
from collections.abc import Mapping

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from legan_tf.errors import UserError
from legan_tf.serving.local_server.options import Options
from legan_tf.serving.protobuf import message_classes

_METRICS_PATH = "/monitoring/prometheus/metrics"
# tensorflow-serving-api lacks it.
_MonitoringConfig = message_classes(
    "legan_tf.local_server",
    {
        "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
        "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
    },
)["MonitoringConfig"]


def read_models(options: Options) -> list[Message]:
    """Returns a ``ModelConfig`` for each model, whose base path is a folder of this machine.

    Raises:
        UserError: There is no model, or one cannot be served as asked for; names the flag.
    """
    volumes = _volumes(options)
    config = model_server_config_pb2.ModelServerConfig()
    if options.model_config_file:
        source = f"--model_config_file: {options.model_config_file}"
        _read_text(source, options.model_config_file, config)
        if config.WhichOneof("config") == "custom_model_config":
            raise UserError(f"{source}: custom_model_config is not known; use model_config_list.")
    elif options.model_base_path:
        source = "--model_base_path"
        config.model_config_list.config.add(
            name=options.model_name,
            base_path=options.model_base_path,
            model_platform="tensorflow",
        )
    else:
        raise UserError(
            "No model to serve: give --model_config_file=FILE, or --model_name=NAME with "
            "--model_base_path=FOLDER, the folder that holds the numbered versions."
        )
    models: dict[str, Message] = {}
    for model in config.model_config_list.config:
        try:
            if model.name in models:
                raise UserError(f"The model {model.name!r} is listed more than once.")
            _check(model)
            model.base_path = _local_path(model, volumes)
        except UserError as error:
            raise UserError(f"{source}: {error}") from error
        models[model.name] = model
    return list(models.values())


def read_metrics_path(file: str) -> str:
    """Returns the path of the metrics that a ``MonitoringConfig`` names; empty for none.

    Raises:
        UserError: The file cannot be used.
    """
    source = f"--monitoring_config_file: {file}"
    config = _read_text(source, file, _MonitoringConfig()).prometheus_config
    if config.path and not config.path.startswith("/"):
        raise UserError(f"{source}: the path must begin with /.")
    return (config.path or _METRICS_PATH) if config.enable else ""


def _read_text(source: str, file: str, message: Message) -> Message:
    """Reads a message in the text format into ``message``."""
    try:
        with open(file, encoding="utf-8") as stream:
            return text_format.Parse(stream.read(), message)
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: is not text.") from error
    except text_format.ParseError as error:
        cause = str(error).split(" : ", 1)[-1].rstrip(".")
        name = message.DESCRIPTOR.name
        raise UserError(f"{source}, line {error.GetLine()}: is no {name} ({cause}).") from error


def _check(model: Message) -> None:
    if not model.name:
        raise UserError('A model has no name; write name: "...".')
    if model.model_platform != "tensorflow":
        raise UserError(
            f"The model {model.name!r} has the platform {model.model_platform!r}; "
            'write model_platform: "tensorflow".'
        )
    if model.model_version_policy.WhichOneof("policy_choice") not in (None, "latest"):
        raise UserError(
            f"The model {model.name!r} chooses its versions otherwise than by "
            "model_version_policy { latest { num_versions: N } }, which alone is known here."
        )


def _volumes(options: Options) -> dict[str, str]:
    """Returns the folders of this machine by those of the container that they stand for."""
    volumes = {}
    for volume in options.volume:
        host, colon, container = volume.rpartition(":")
        if not colon or not host or not os.path.isabs(container):
            raise UserError(f"--volume={volume}: write HOST:CONTAINER, CONTAINER as absolute path.")
        if not os.path.isdir(host):
            raise UserError(f"--volume={volume}: {host} is no folder.")
        volumes[os.path.normpath(container)] = os.path.abspath(host)
    return volumes


def _local_path(model: Message, volumes: Mapping[str, str]) -> str:
    if not os.path.isabs(model.base_path):
        raise UserError(
            f"The model {model.name!r} needs an absolute path as its base path, not "
            f"{model.base_path!r}."
        )
    path = os.path.normpath(model.base_path)
    # Of nested ones the deepest is meant.
    for container, host in sorted(volumes.items(), key=lambda pair: -len(pair[0])):
        if os.path.commonpath([container, path]) == container:
            path = os.path.normpath(os.path.join(host, os.path.relpath(path, container)))
            break
    if not os.path.isdir(path):
        raise UserError(f"The model {model.name!r} has the base path {path}, which is no folder.")
    return path
