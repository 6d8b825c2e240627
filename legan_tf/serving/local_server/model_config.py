"""TensorFlow Serving's configuration of models: which are served, and from where."""

from __future__ import annotations

import os
from collections.abc import Sequence

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.serving.local_server.options import Options


def read_models(options: Options) -> list[Message]:
    """Returns a ``ModelConfig`` for each model, whose base path is a folder of this machine.

    Raises:
        UserError: There is no model, or one cannot be served as asked for; names the flag.
    """
    volumes = _volumes(options)
    config = model_server_config_pb2.ModelServerConfig()
    if options.model_config_file:
        source = f"--model_config_file: {options.model_config_file}"
        try:
            text_format.Parse(storage.read_bytes(options.model_config_file), config)
        except UnicodeDecodeError as error:
            raise UserError(f"{source}: is not text.") from error
        except text_format.ParseError as error:
            cause = str(error).split(" : ", 1)[-1].rstrip(".")
            raise UserError(
                f"{source}, line {error.GetLine()}: is no ModelServerConfig ({cause})."
            ) from error
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


def _volumes(options: Options) -> list[tuple[str, str]]:
    """Returns the folders of the container and those of this machine for them, deepest first."""
    volumes = []
    for volume in options.volume:
        host, colon, container = volume.rpartition(":")
        if not colon or not os.path.isabs(container):
            raise UserError(f"--volume={volume}: write HOST:CONTAINER, CONTAINER as absolute path.")
        if not os.path.isdir(host):
            raise UserError(f"--volume={volume}: {host} is no folder.")
        volumes.append((os.path.normpath(container), os.path.abspath(host)))
    return sorted(volumes, key=lambda pair: -len(pair[0]))


def _local_path(model: Message, volumes: Sequence[tuple[str, str]]) -> str:
    if not os.path.isabs(model.base_path):
        raise UserError(
            f"The model {model.name!r} needs an absolute path as its base path, not "
            f"{model.base_path!r}."
        )
    path = os.path.normpath(model.base_path)
    for container, host in volumes:
        if os.path.commonpath([container, path]) == container:
            path = os.path.normpath(os.path.join(host, os.path.relpath(path, container)))
            break
    if not os.path.isdir(path):
        raise UserError(f"The model {model.name!r} has the base path {path}, which is no folder.")
    return path
