"""Which models are served, of which versions, and what labels these have."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from legan_tf.errors import UserError
from legan_tf.serving.local_server.options import Options, volumes


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A model to serve.

    Attributes:
        name: Name that requests use.
        base_path: Folder of its versions, on this machine.
        latest: How many of the newest versions to serve; 0 for all.
        specific: The versions to serve instead, if any.
        labels: Versions by label.
    """

    name: str
    base_path: str
    latest: int = 1
    specific: frozenset[int] = frozenset()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def aspired(self, versions: Sequence[int]) -> list[int]:
        """Returns which of the versions that exist are to be served, ascending."""
        versions = sorted(versions)
        if self.specific:
            return [version for version in versions if version in self.specific]
        return versions[-self.latest :]


def read_text(file: str, flag: str, message: Message) -> Message:
    """Reads a message in the text format.

    Args:
        file: The file.
        flag: The flag that named it, for the error.
        message: What to read into.

    Raises:
        UserError: The file cannot be read, or does not hold such a message.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            return text_format.Parse(stream.read(), message)
    except OSError as error:
        raise UserError(f"--{flag}: {file}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--{flag}: {file}: is not text.") from error
    except text_format.ParseError as error:
        what = str(error).split(" : ", 1)[-1].rstrip(".")
        name = message.DESCRIPTOR.name
        raise UserError(
            f"--{flag}: {file}, line {error.GetLine()}: is no {name} ({what})."
        ) from error


def read_models(options: Options) -> list[ModelConfig]:
    """Returns the models that the flags ask for.

    Raises:
        UserError: None is asked for, or the file cannot be used.
    """
    if options.model_config_file:
        config = model_server_config_pb2.ModelServerConfig()
        read_text(options.model_config_file, "model_config_file", config)
        try:
            return from_message(config, volumes(options))
        except UserError as error:
            raise UserError(f"--model_config_file: {options.model_config_file}: {error}") from error
    if not options.model_base_path:
        raise UserError(
            "No model to serve: give --model_config_file=FILE, or --model_name=NAME with "
            "--model_base_path=FOLDER, the folder that holds the numbered versions."
        )
    try:
        base_path = _local(options.model_name, options.model_base_path, volumes(options))
    except UserError as error:
        raise UserError(f"--model_base_path: {error}") from error
    return [ModelConfig(options.model_name, base_path)]


def from_message(config: Message, mapped: Mapping[str, str]) -> list[ModelConfig]:
    """Returns the models of a ``ModelServerConfig``.

    Args:
        config: The message.
        mapped: Folders of this machine by the folders that stand for them in base paths.

    Raises:
        UserError: A model cannot be served as asked for.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise UserError("custom_model_config is not known here; use model_config_list.")
    models: dict[str, ModelConfig] = {}
    for model in config.model_config_list.config:
        if not model.name:
            raise UserError('A model has no name; write name: "...".')
        if model.name in models:
            raise UserError(f"The model {model.name!r} is listed more than once.")
        if model.model_platform != "tensorflow":
            raise UserError(
                f"The model {model.name!r} has the platform {model.model_platform!r}; "
                'write model_platform: "tensorflow".'
            )
        models[model.name] = ModelConfig(
            model.name,
            _local(model.name, model.base_path, mapped),
            labels=dict(model.version_labels),
            **_policy(model),
        )
    return list(models.values())


def _policy(model: Message) -> dict[str, object]:
    policy = model.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return {"latest": 0}
    if kind == "specific":
        if not policy.specific.versions:
            raise UserError(f"The model {model.name!r} asks for specific versions, but names none.")
        return {"specific": frozenset(policy.specific.versions)}
    return {"latest": policy.latest.num_versions or 1}


def _local(model: str, base_path: str, mapped: Mapping[str, str]) -> str:
    if not os.path.isabs(base_path):
        raise UserError(
            f"The model {model!r} needs an absolute path as its base path, not {base_path!r}."
        )
    path = os.path.normpath(base_path)
    # The deepest first: it was meant more closely.
    for container, host in sorted(mapped.items(), key=lambda pair: -len(pair[0])):
        if os.path.commonpath([container, path]) == container:
            return os.path.normpath(os.path.join(host, os.path.relpath(path, container)))
    return path
