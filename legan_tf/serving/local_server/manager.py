"""Finds, loads and unloads the versions of the served models."""

from __future__ import annotations

import dataclasses
import gc
import os
import re
import threading
import time
from collections.abc import Sequence

import tensorflow as tf
from absl import logging
from google.protobuf.message import Message
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus

from legan_tf.serving.local_server.loaded_model import LoadedModel, invalid
from legan_tf.serving.publishing import WARMUP_FILE


@dataclasses.dataclass(frozen=True)
class Version:
    """State of a version.

    Attributes:
        state: By the numbers of ``ModelVersionStatus``.
        loaded: What answers requests, while it is available.
        error: Why it could not be loaded, while its folder is there.
    """

    state: int
    loaded: LoadedModel | None = None
    error: str = ""


_LOADING = Version(ModelVersionStatus.LOADING)
_END = Version(ModelVersionStatus.END)


class Manager:
    """Serves the newest versions of the configured models.

    A new version is loaded before the one that it replaces is dropped, whose last requests keep it
    in memory. A version that cannot be loaded is tried again when it has been taken away and comes
    back.
    """

    def __init__(self, models: Sequence[Message], poll_seconds: float) -> None:
        """Takes a ``ModelConfig`` for each model, and the seconds between two polls of folders."""
        self._models = {model.name: model for model in models}
        self._poll_seconds = poll_seconds
        # The inner mappings are replaced and never changed: other threads read them.
        self._versions: dict[str, dict[int, Version]] = {name: {} for name in self._models}
        self._stopped = threading.Event()

    def start(self) -> None:
        """Loads what there is, and then polls for other versions on a thread."""
        self._update()
        threading.Thread(target=self._poll, name="versions", daemon=True).start()

    def stop(self) -> None:
        """Loads no more versions; those that are loaded still answer."""
        self._stopped.set()

    def ready(self) -> bool:
        """Returns whether every model has a version that answers."""
        return all(map(self._available, self._models))

    def status(self, spec: Message) -> GetModelStatusResponse:
        """Returns the states of the known versions of a model, newest first, or of one.

        Raises:
            tf.errors.OpError: There are none, or the label is unknown.
        """
        response = GetModelStatusResponse()
        wanted = self._number(spec)
        for number, version in sorted(self._versions.get(spec.name, {}).items(), reverse=True):
            if wanted in (None, number):
                status = response.model_version_status.add(version=number, state=version.state)
                # Also without an error, as TensorFlow Serving does: OK is a status.
                status.status.SetInParent()
                if version.error:
                    status.status.error_code = tf.errors.DATA_LOSS
                    status.status.error_message = version.error
        if not response.model_version_status:
            which = "any versions" if wanted is None else f"version {wanted}"
            sentence = f"Could not find {which} of model {spec.name[:100]}"
            raise tf.errors.NotFoundError(None, None, sentence)
        return response

    def find(self, spec: Message) -> tuple[int, LoadedModel]:
        """Returns the version that answers a request, and its number.

        Args:
            spec: ``ModelSpec`` of the request.

        Raises:
            tf.errors.OpError: None answers, or the label is unknown.
        """
        wanted = self._number(spec)
        available = self._available(spec.name)
        number = max(available, default=None) if wanted is None else wanted
        if number not in available:
            name = spec.name[:100]
            which = f"Latest({name})" if wanted is None else f"Specific({name}, {wanted})"
            sentence = f"Servable not found for request: {which}"
            raise tf.errors.NotFoundError(None, None, sentence)
        return number, available[number]

    def _available(self, model: str) -> dict[int, LoadedModel]:
        versions = self._versions.get(model, {})
        return {number: version.loaded for number, version in versions.items() if version.loaded}

    def _number(self, spec: Message) -> int | None:
        """Returns the version that a ``ModelSpec`` names; None for the newest."""
        if not spec.name:
            raise invalid("Missing ModelSpec: the request names no model.")
        if not spec.version_label:
            return spec.version.value if spec.HasField("version") else None
        model = self._models.get(spec.name)
        if model is None or spec.version_label not in model.version_labels:
            raise invalid(f"Unrecognized servable version label: {spec.version_label[:100]}")
        return model.version_labels[spec.version_label]

    def _poll(self) -> None:
        while not self._stopped.wait(self._poll_seconds):
            self._update()

    def _update(self) -> None:
        """Loads the newest versions of each model, then drops the others."""
        for name, model in self._models.items():
            folders = _version_folders(model.base_path)
            if folders is None:
                continue  # Unreadable for now: what is served stays.
            newest = sorted(folders, reverse=True)
            newest = newest[: model.model_version_policy.latest.num_versions or 1]
            for number, version in self._versions[name].items():
                if number not in folders and version.error:
                    self._set(name, number, _END)
            for number in newest:
                if self._versions[name].get(number, _END) is _END:
                    self._set(name, number, _LOADING)
                    self._set(name, number, _load(folders[number]))
            available = self._available(name)
            outdated = [number for number in available if number not in newest]
            if outdated and (len(outdated) < len(available) or not newest):
                for number in outdated:
                    logging.info("Unloading version %d of %s.", number, name)
                    self._set(name, number, _END)
                del available
                # A graph and its weights hold each other; counting references does not free them.
                gc.collect()

    def _set(self, model: str, number: int, version: Version) -> None:
        self._versions[model] = {**self._versions[model], number: version}


def _load(folder: str) -> Version:
    started = time.monotonic()
    try:
        loaded = LoadedModel(folder)
        loaded.warm_up(os.path.join(folder, WARMUP_FILE))
    except Exception as error:  # A damaged file fails in whatever reads it first.
        message = f"{folder}: cannot be loaded: {type(error).__name__}: {error}"
        logging.error(message)
        return Version(ModelVersionStatus.END, error=message)
    logging.info("Loaded %s in %.1f s.", folder, time.monotonic() - started)
    return Version(ModelVersionStatus.AVAILABLE, loaded)


def _version_folders(base_path: str) -> dict[int, str] | None:
    try:
        return {
            int(entry.name): entry.path
            for entry in os.scandir(base_path)
            # Larger numbers fit neither requests nor answers.
            if re.fullmatch("[0-9]{1,18}", entry.name) and entry.is_dir()
        }
    except OSError as error:
        logging.error("%s: cannot be read (%s).", base_path, error.strerror)
        return None
