"""Finds, loads and unloads the versions of the served models."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import threading
import time
from collections.abc import Iterator, Sequence

import grpc
from absl import logging
from google.protobuf.message import Message
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus

from legan_tf.serving.local_server.errors import ServingError, invalid
from legan_tf.serving.local_server.servable import Servable

_START, _LOADING = ModelVersionStatus.START, ModelVersionStatus.LOADING
_AVAILABLE, _UNLOADING = ModelVersionStatus.AVAILABLE, ModelVersionStatus.UNLOADING
_END = ModelVersionStatus.END


@dataclasses.dataclass(eq=False)
class Version:
    """A version that is or was to be served.

    Attributes:
        number: The version.
        folder: Where it is.
        state: Its state, by the numbers of ``ModelVersionStatus``.
        error: Why it could not be loaded.
        servable: The loaded version, while it is available or being unloaded.
        requests: Requests that it is answering.
        wanted: Whether it is to be served; it may answer for a while when it no longer is.
    """

    number: int
    folder: str
    state: int = _START
    error: ServingError | None = None
    servable: Servable | None = None
    requests: int = 0
    wanted: bool = True


class Manager:
    """Serves the configured models from their folders.

    One thread polls for versions, loads and unloads them, one at a time. A new version is loaded
    before the one that it replaces is unloaded, which waits for that one's last request. A version
    that cannot be loaded is tried again when it has been taken away and comes back.
    """

    def __init__(self, models: Sequence[Message], poll_seconds: float) -> None:
        """Takes a ``ModelConfig`` for each model, and the seconds between two polls of folders."""
        self._models = {model.name: model for model in models}
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        self._versions: dict[str, dict[int, Version]] = {name: {} for name in self._models}
        self._polled = False
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="versions", daemon=True)

    def start(self) -> None:
        """Starts to poll for versions and to load them."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Stops loading, and waits ``grace`` seconds for a load; loaded versions still answer."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(grace)

    def wait_until_settled(self, timeout: float | None = None) -> bool:
        """Waits until no version is still to be loaded; returns whether that came in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._stopping or (self._polled and not self._in_state(_START, _LOADING)),
                timeout,
            )

    def _in_state(self, *states: int) -> list[Version]:
        return [v for vs in self._versions.values() for v in vs.values() if v.state in states]

    def _idle(self) -> list[Version]:
        return [version for version in self._in_state(_UNLOADING) if not version.requests]

    def _available(self, model: str) -> list[Version]:
        versions = self._versions.get(model, {}).values()
        return [version for version in versions if version.state == _AVAILABLE]

    def ready(self) -> bool:
        """Returns whether every model has a version that answers."""
        with self._changed:
            return all(self._available(model) for model in self._models)

    def status(self, spec: Message) -> GetModelStatusResponse:
        """Returns the states of the known versions of a model, newest first, or of one.

        Raises:
            ServingError: NOT_FOUND: there are none; INVALID_ARGUMENT: the label is unknown.
        """
        response = GetModelStatusResponse()
        with self._changed:
            wanted = self._number(spec)
            for number, version in sorted(self._versions.get(spec.name, {}).items(), reverse=True):
                if wanted not in (None, number):
                    continue
                status = response.model_version_status.add(version=number, state=version.state)
                # Also without an error, as TensorFlow Serving does: OK is a status.
                status.status.SetInParent()
                if version.error is not None:
                    status.status.error_code = version.error.code.value[0]
                    status.status.error_message = version.error.message
        if not response.model_version_status:
            which = "any versions" if wanted is None else f"version {wanted}"
            raise ServingError(
                grpc.StatusCode.NOT_FOUND, f"Could not find {which} of model {spec.name[:100]}"
            )
        return response

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

    @contextlib.contextmanager
    def use(self, spec: Message) -> Iterator[tuple[int, Servable]]:
        """Yields the number of the version that answers a request, and the version.

        It stays loaded for as long as the context lasts.

        Args:
            spec: ``ModelSpec`` of the request.

        Raises:
            ServingError: NOT_FOUND: it does not answer; INVALID_ARGUMENT: the label is unknown.
        """
        with self._changed:
            number = self._number(spec)
            fitting = [v for v in self._available(spec.name) if number in (None, v.number)]
            if not fitting:
                name = spec.name[:100]
                which = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                raise ServingError(
                    grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {which}"
                )
            version = max(fitting, key=lambda v: v.number)
            version.requests += 1
        try:
            yield version.number, version.servable
        finally:
            with self._changed:
                version.requests -= 1
                self._changed.notify_all()

    def _work(self) -> None:
        while not self._stopping:
            for model in self._models.values():
                self._poll(model)
            with self._changed:
                self._polled = True
                waiting = self._in_state(_START)
            if waiting:
                self._load(max(waiting, key=lambda version: version.number))
            self._unload()
            with self._changed:
                self._changed.notify_all()
                if not waiting:
                    self._changed.wait_for(
                        lambda: self._stopping or self._idle(), self._poll_seconds
                    )

    def _poll(self, model: Message) -> None:
        """Compares the versions that there are with those that are known."""
        # Without the lock: a network's disk may take its time.
        folders = _version_folders(model.base_path)
        if folders is None:
            return  # Unreadable for now: what is served stays.
        newest = sorted(folders)[-(model.model_version_policy.latest.num_versions or 1) :]
        with self._changed:
            versions = self._versions[model.name]
            for number in newest:
                known = versions.get(number)
                if known is None or (
                    known.state == _END and (known.error is None or not known.wanted)
                ):
                    versions[number] = Version(number, folders[number])
            for number, version in versions.items():
                version.wanted = number in newest
                if version.state == _START and not version.wanted:
                    version.state = _END
            available = self._available(model.name)
            if not newest or any(version.wanted for version in available):
                for version in available:
                    if not version.wanted:
                        version.state = _UNLOADING
                        logging.info("Unloading %s.", version.folder)

    def _load(self, version: Version) -> None:
        with self._changed:
            version.state = _LOADING
        started = time.monotonic()
        servable, error = None, None
        try:
            servable = Servable(version.folder)
            servable.warm_up()
        except ServingError as failure:
            error = failure
        except Exception as failure:  # A bug; it must not end the thread that all models need.
            logging.exception("Loading %s failed unexpectedly.", version.folder)
            error = ServingError(grpc.StatusCode.INTERNAL, f"{type(failure).__name__}: {failure}")
        with self._changed:
            if error is None:
                version.servable, version.state = servable, _AVAILABLE
                seconds = time.monotonic() - started
                logging.info("Loaded %s in %.1f s.", version.folder, seconds)
            else:
                version.error, version.state = error, _END
                logging.error("%s cannot be loaded: %s", version.folder, error.message)

    def _unload(self) -> None:
        with self._changed:
            idle = self._idle()
            for version in idle:
                version.servable, version.state = None, _END
        if idle:
            # A graph and its weights hold each other; counting references does not free them.
            gc.collect()


def _version_folders(base_path: str) -> dict[int, str] | None:
    try:
        return {
            int(entry.name): entry.path
            for entry in os.scandir(base_path)
            if entry.name.isascii()
            and entry.name.isdigit()
            # A larger one fits neither requests nor answers.
            and int(entry.name) < 2**63
            and entry.is_dir()
        }
    except OSError as error:
        logging.error("%s: cannot be read (%s).", base_path, error.strerror)
        return None
