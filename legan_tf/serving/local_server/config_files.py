"""TensorFlow Serving's configuration files: which models are served, and where the metrics are."""

from __future__ import annotations

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A model to serve.

    Attributes:
        name: Name that requests use.
        base_path: Folder of its versions, on this machine.
        num_versions: How many of the newest versions to serve.
        version_labels: Versions by label.
    """

    name: str
    base_path: str
    num_versions: int = 1
    version_labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def read_models(options: Options) -> list[ModelConfig]:
    """Returns the models that the flags ask for.

    Raises:
        UserError: There is none, or one cannot be served as asked for; names the flag.
    """
    file, volumes = options.model_config_file, _volumes(options)
    if not file and not options.model_base_path:
        raise UserError(
            "No model to serve: give --model_config_file=FILE, or --model_name=NAME with "
            "--model_base_path=FOLDER, the folder that holds the numbered versions."
        )
    try:
        if not file:
            path = _local_path(options.model_name, options.model_base_path, volumes)
            return [ModelConfig(options.model_name, path)]
        config = model_server_config_pb2.ModelServerConfig()
        _read_text(file, config)
        if config.WhichOneof("config") == "custom_model_config":
            raise UserError(f"{file}: custom_model_config is not known; use model_config_list.")
        models: dict[str, ModelConfig] = {}
        for model in config.model_config_list.config:
            if model.name in models:
                raise UserError(f"{file}: The model {model.name!r} is listed more than once.")
            try:
                models[model.name] = _model(model, volumes)
            except UserError as error:
                raise UserError(f"{file}: {error}") from error
        return list(models.values())
    except UserError as error:
        flag = "model_config_file" if file else "model_base_path"
        raise UserError(f"--{flag}: {error}") from error


def read_metrics_path(file: str) -> str:
    """Returns the path of the metrics that a ``MonitoringConfig`` names; empty for none.

    Raises:
        UserError: The file cannot be used.
    """
    try:
        config = _read_text(file, _MonitoringConfig()).prometheus_config
        if not config.enable:
            return ""
        if config.path and not config.path.startswith("/"):
            raise UserError(f"{file}: the path must begin with /.")
        return config.path or _METRICS_PATH
    except UserError as error:
        raise UserError(f"--monitoring_config_file: {error}") from error


def _read_text(file: str, message: Message) -> Message:
    """Reads a message in the text format into ``message``."""
    try:
        with open(file, encoding="utf-8") as stream:
            return text_format.Parse(stream.read(), message)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is not text.") from error
    except text_format.ParseError as error:
        cause = str(error).split(" : ", 1)[-1].rstrip(".")
        name = message.DESCRIPTOR.name
        raise UserError(f"{file}, line {error.GetLine()}: is no {name} ({cause}).") from error


def _model(model: Message, volumes: Mapping[str, str]) -> ModelConfig:
    if not model.name:
        raise UserError('A model has no name; write name: "...".')
    if model.model_platform != "tensorflow":
        raise UserError(
            f"The model {model.name!r} has the platform {model.model_platform!r}; "
            'write model_platform: "tensorflow".'
        )
    policy = model.model_version_policy
    if policy.WhichOneof("policy_choice") not in (None, "latest"):
        raise UserError(
            f"The model {model.name!r} chooses its versions otherwise than by "
            "model_version_policy { latest { num_versions: N } }, which alone is known here."
        )
    path = _local_path(model.name, model.base_path, volumes)
    return ModelConfig(
        model.name, path, policy.latest.num_versions or 1, dict(model.version_labels)
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


def _local_path(model: str, base_path: str, volumes: Mapping[str, str]) -> str:
    if not os.path.isabs(base_path):
        raise UserError(
            f"The model {model!r} needs an absolute path as its base path, not {base_path!r}."
        )
    path = os.path.normpath(base_path)
    # Of nested ones the deepest is meant.
    for container, host in sorted(volumes.items(), key=lambda pair: -len(pair[0])):
        if os.path.commonpath([container, path]) == container:
            path = os.path.normpath(os.path.join(host, os.path.relpath(path, container)))
            break
    if not os.path.isdir(path):
        raise UserError(f"The model {model!r} has the base path {path}, which is no folder.")
    return path
