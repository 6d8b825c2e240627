"""Finds, loads and unloads the versions of the served models."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import gc
import os
import threading
import time
from collections.abc import Iterator, Sequence

import grpc
from absl import logging

from legan_tf.serving.local_server.config_files import ModelConfig
from legan_tf.serving.local_server.errors import ServingError, invalid
from legan_tf.serving.local_server.servable import Servable


class State(enum.IntEnum):
    """States of a version, by the numbers of ``ModelVersionStatus``."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(eq=False)
class Version:
    """A version that is or was to be served.

    Attributes:
        number: The version.
        folder: Where it is.
        state: Where it is in its life cycle.
        error: Why it could not be loaded.
        servable: The loaded version, while it is available or being unloaded.
        requests: Requests that it is answering.
        aspired: Whether it is to be served; it may answer for a while when it no longer is.
    """

    number: int
    folder: str
    state: State = State.START
    error: ServingError | None = None
    servable: Servable | None = None
    requests: int = 0
    aspired: bool = True


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The model that a request is for.

    Attributes:
        name: Its name.
        version: Its version; None for the newest.
        label: The label of the version instead, if any.
    """

    name: str
    version: int | None = None
    label: str = ""


class Manager:
    """Serves the configured models from their folders.

    One thread looks for versions, loads and unloads them, one at a time. A new version is loaded
    before the one that it replaces is unloaded, which waits for that one's last request. A version
    that cannot be loaded is tried again when it has been taken away and comes back.
    """

    def __init__(self, models: Sequence[ModelConfig], poll_seconds: float) -> None:
        """Initialises it with the models, and the seconds between two looks at their folders."""
        self._models = {model.name: model for model in models}
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        self._versions: dict[str, dict[int, Version]] = {name: {} for name in self._models}
        self._polled = False
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="versions", daemon=True)

    def start(self) -> None:
        """Begins to look for versions and to load them."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Ends looking and loading; what is loaded still answers.

        Args:
            grace: Seconds to wait for a version that is being loaded.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(grace)

    def wait_until_settled(self, timeout: float | None = None) -> bool:
        """Waits until no version is still to be loaded; returns whether that came in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    self._stopping
                    or (self._polled and not self._in_state(State.START, State.LOADING))
                ),
                timeout,
            )

    def _in_state(self, *states: State) -> list[Version]:
        return [v for vs in self._versions.values() for v in vs.values() if v.state in states]

    def _idle(self) -> list[Version]:
        return [version for version in self._in_state(State.UNLOADING) if not version.requests]

    def _available(self, model: str) -> list[Version]:
        versions = self._versions.get(model, {}).values()
        return [version for version in versions if version.state == State.AVAILABLE]

    def ready(self) -> bool:
        """Returns whether every model has a version that answers."""
        with self._changed:
            return all(self._available(model) for model in self._models)

    def status(self, spec: ModelSpec) -> list[Version]:
        """Returns copies of the known versions of a model, newest first, or of one.

        Raises:
            ServingError: NOT_FOUND: there are none; INVALID_ARGUMENT: the label is unknown.
        """
        with self._changed:
            number = self._number(spec)
            versions = self._versions.get(spec.name, {})
            found = [versions[n] for n in sorted(versions, reverse=True) if number in (None, n)]
            if not found:
                which = "any versions" if number is None else f"version {number}"
                raise ServingError(
                    grpc.StatusCode.NOT_FOUND,
                    f"Could not find {which} of model {spec.name[:100]}",
                )
            return [dataclasses.replace(version, servable=None) for version in found]

    def _number(self, spec: ModelSpec) -> int | None:
        if not spec.label:
            return spec.version
        model = self._models.get(spec.name)
        if model is None or spec.label not in model.version_labels:
            raise invalid(f"Unrecognized servable version label: {spec.label[:100]}")
        return model.version_labels[spec.label]

    @contextlib.contextmanager
    def use(self, spec: ModelSpec) -> Iterator[tuple[int, Servable]]:
        """Yields the number of the version that answers a request, and the version.

        It stays loaded for as long as the context lasts.

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
        while True:
            for model in self._models.values():
                self._poll(model)
            with self._changed:
                self._polled = True
                waiting = sorted(self._in_state(State.START), key=lambda v: -v.number)
            if waiting:
                self._load(waiting[0])
            self._unload()
            with self._changed:
                self._changed.notify_all()
                if not waiting:
                    self._changed.wait_for(
                        lambda: self._stopping or self._idle(), self._poll_seconds
                    )
                if self._stopping:
                    return

    def _poll(self, model: ModelConfig) -> None:
        """Compares the versions that there are with those that are known."""
        # Without the lock: a network's disk may take its time.
        folders = _version_folders(model.base_path)
        if folders is None:
            return  # Unreadable for now: what is served stays.
        aspired = sorted(folders)[-model.num_versions :]
        with self._changed:
            versions = self._versions[model.name]
            for number in aspired:
                known = versions.get(number)
                ended = known is not None and known.state == State.END
                if known is None or (ended and (known.error is None or not known.aspired)):
                    versions[number] = Version(number, folders[number])
                else:
                    known.aspired = True
            for number, version in versions.items():
                if number not in aspired:
                    version.aspired = False
                    if version.state == State.START:
                        version.state = State.END
            available = self._available(model.name)
            replaced = not aspired or any(version.aspired for version in available)
            for version in available:
                if not version.aspired and replaced:
                    version.state = State.UNLOADING
                    logging.info("Unloading %s.", version.folder)

    def _load(self, version: Version) -> None:
        with self._changed:
            version.state = State.LOADING
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
                version.servable, version.state = servable, State.AVAILABLE
                seconds = time.monotonic() - started
                logging.info("Loaded %s in %.1f s.", version.folder, seconds)
            else:
                version.error, version.state = error, State.END
                logging.error("%s cannot be loaded: %s", version.folder, error.message)

    def _unload(self) -> None:
        with self._changed:
            idle = self._idle()
            for version in idle:
                version.servable, version.state = None, State.END
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
