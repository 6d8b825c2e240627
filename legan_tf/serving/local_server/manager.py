"""Which versions are loaded, kept and let go, as the folders and the configuration change."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from absl import logging

from legan_tf.serving.local_server.codes import Code, ServingError
from legan_tf.serving.local_server.config import ModelConfig
from legan_tf.serving.local_server.servable import DEFAULT_TAGS, Servable


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
        state: How far it is.
        error: Why loading it failed the last time, if it did.
        servable: What answers, while it is available or being unloaded.
        users: Requests that are being answered by it.
        attempts: How often loading it has failed.
        due: When loading it is tried next, in monotonic seconds.
        aspired: Whether it is to be served; it may stay for a while when it no longer is.
    """

    number: int
    folder: str
    state: State = State.START
    error: ServingError | None = None
    servable: Servable | None = None
    users: int = 0
    attempts: int = 0
    due: float = 0.0
    aspired: bool = True


@dataclasses.dataclass(frozen=True)
class Loan:
    """A version that answers a request, and stays as long as the request lasts.

    Attributes:
        model: Name of the model.
        version: The version.
        servable: What answers.
    """

    model: str
    version: int
    servable: Servable


class Manager:
    """Serves the configured models from their folders.

    One thread looks for versions, loads and unloads them, one at a time. A new version is loaded
    before the one that it takes the place of is let go, and that one only goes when its last
    request is answered.
    """

    def __init__(
        self,
        poll_seconds: float,
        retries: int,
        retry_seconds: float,
        warm_up: bool = True,
        warm_ups: int = 1,
        labels_ahead: bool = False,
        tags: Sequence[str] = (),
        on_change: Callable[[], None] = lambda: None,
        on_load: Callable[[str, float, bool], None] = lambda folder, seconds, loaded: None,
    ) -> None:
        """Takes how to work.

        Args:
            poll_seconds: Time between two looks at the folders; 0 looks once.
            retries: How often loading a version is tried again.
            retry_seconds: Time between two tries.
            warm_up: Whether to answer a version's warm-up requests before it is offered.
            warm_ups: How often each of them is run.
            labels_ahead: Whether a new label may name a version that is not loaded yet.
            tags: Tags of the graph to load; none means ``serve``.
            on_change: Called, without the lock, when a version may have begun or ceased to answer.
            on_load: Called after each try with the folder, the seconds it took, and its success.
        """
        self._poll_seconds = poll_seconds
        self._retries = retries
        self._retry_seconds = max(0.0, retry_seconds)
        self._warm_up = warm_up
        self._warm_ups = warm_ups
        self._labels_ahead = labels_ahead
        self._tags = list(tags) or DEFAULT_TAGS
        self._on_change = on_change
        self._on_load = on_load
        self._changed = threading.Condition()
        self._models: dict[str, ModelConfig] = {}
        self._versions: dict[str, dict[int, Version]] = collections.defaultdict(dict)
        self._poll_due = 0.0
        self._unpolled = False
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="versions", daemon=True)

    def start(self) -> None:
        """Begins to look and to load."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Ends looking and loading; what is loaded still answers.

        Args:
            grace: How long to wait for a version that is being loaded, in seconds.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(grace)

    @property
    def models(self) -> list[ModelConfig]:
        """The models that are served, in the order of the configuration."""
        with self._changed:
            return list(self._models.values())

    def configure(self, models: Sequence[ModelConfig]) -> None:
        """Sets which models are served; others are let go.

        Raises:
            ServingError: FAILED_PRECONDITION: a label names a version that is not available.
                NOT_FOUND: a model's folder is missing. Nothing is changed then.
        """
        wanted = {model.name: model for model in models}
        with self._changed:
            for model in models:
                self._check(model)
            self._models = wanted
            self._poll_due = 0.0
            self._unpolled = True
            self._changed.notify_all()

    def _check(self, model: ModelConfig) -> None:
        known = self._models.get(model.name)
        if not os.path.isdir(model.base_path):
            raise ServingError(
                Code.NOT_FOUND,
                f"Could not find base path {model.base_path} for servable {model.name}",
            )
        for label, number in model.labels.items():
            version = self._versions[model.name].get(number)
            if version is not None and version.state == State.AVAILABLE:
                continue
            moved = known is not None and known.labels.get(label, number) != number
            if moved or not self._labels_ahead:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label {label!r} to version {number} of model "
                    f"{model.name}, which is not currently available for inference",
                )

    def wait_settled(self, timeout: float | None = None) -> bool:
        """Waits until no version waits to be loaded for the first time or again.

        Returns:
            Whether that came to be in time.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._stopping or (not self._unpolled and not self._pending()), timeout
            )

    def _pending(self) -> list[Version]:
        return [
            version
            for versions in self._versions.values()
            for version in versions.values()
            if version.aspired and version.state in (State.START, State.LOADING)
        ]

    def unavailable(self) -> list[str]:
        """Returns the configured models of which no version answers."""
        with self._changed:
            return [name for name in self._models if not self._available(name)]

    def _available(self, model: str) -> list[Version]:
        return [v for v in self._versions[model].values() if v.state == State.AVAILABLE]

    def states(self) -> list[tuple[str, Version]]:
        """Returns a copy of each known version, with the name of its model."""
        with self._changed:
            return [
                (name, dataclasses.replace(version, servable=None))
                for name, versions in sorted(self._versions.items())
                for _, version in sorted(versions.items())
            ]

    def status(self, model: str, number: int | None = None, label: str = "") -> list[Version]:
        """Returns copies of the known versions of a model, newest first, or of one.

        Raises:
            ServingError: NOT_FOUND: there are none; INVALID_ARGUMENT: the label is unknown.
        """
        with self._changed:
            if label:
                number = self._labelled(model, label)
            versions = self._versions.get(model, {})
            found = [versions[n] for n in sorted(versions, reverse=True) if number in (None, n)]
            if not found:
                which = "any versions" if number is None else f"version {number}"
                raise ServingError(Code.NOT_FOUND, f"Could not find {which} of model {model[:100]}")
            return [dataclasses.replace(version, servable=None) for version in found]

    def _labelled(self, model: str, label: str) -> int:
        config = self._models.get(model)
        if config is None or label not in config.labels:
            raise ServingError(
                Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label[:100]}"
            )
        return config.labels[label]

    @contextlib.contextmanager
    def lend(self, model: str, number: int | None = None, label: str = "") -> Iterator[Loan]:
        """Lends a version for a request: the one asked for, or the newest that answers.

        Raises:
            ServingError: NOT_FOUND: it does not answer; INVALID_ARGUMENT: the label is unknown.
        """
        with self._changed:
            if label:
                number = self._labelled(model, label)
            available = self._available(model) if model in self._versions else []
            fitting = [v for v in available if number in (None, v.number)]
            if not fitting:
                shown = model[:100]
                which = f"Latest({shown})" if number is None else f"Specific({shown}, {number})"
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {which}")
            version = max(fitting, key=lambda v: v.number)
            version.users += 1
        try:
            yield Loan(model, version.number, version.servable)
        finally:
            with self._changed:
                version.users -= 1
                if not version.users and version.state == State.UNLOADING:
                    self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self._idle_seconds())
                if self._stopping:
                    return
                poll = time.monotonic() >= self._poll_due
            if poll:
                self._poll()
            self._load_next()
            if self._unload():
                # A graph and its weights hold each other; counting references does not free them.
                gc.collect()
            with self._changed:
                self._changed.notify_all()
            self._on_change()

    def _has_work(self) -> bool:
        now = time.monotonic()
        return (
            self._stopping
            or now >= self._poll_due
            or any(version.due <= now for version in self._pending())
            or any(self._idle_ones())
        )

    def _idle_seconds(self) -> float | None:
        due = min([self._poll_due, *(version.due for version in self._pending())])
        return None if due == float("inf") else max(0.0, due - time.monotonic())

    def _idle_ones(self) -> Iterator[Version]:
        for versions in self._versions.values():
            for version in versions.values():
                if version.state == State.UNLOADING and not version.users:
                    yield version

    def _poll(self) -> None:
        with self._changed:
            models = dict(self._models)
            self._poll_due = (
                time.monotonic() + self._poll_seconds if self._poll_seconds > 0 else float("inf")
            )
        # Looked up without the lock: a network's disk may take its time.
        found = {name: _version_folders(model.base_path) for name, model in models.items()}
        with self._changed:
            if models != self._models:
                return
            self._unpolled = False
            for name in list(self._versions):
                self._aspire(name, found.get(name, {}), models.get(name))
            for name in models.keys() - self._versions.keys():
                self._aspire(name, found[name], models[name])

    def _aspire(self, name: str, folders: dict[int, str] | None, model: ModelConfig | None) -> None:
        if folders is None:
            return  # Unreadable for now: what is served stays.
        aspired = set(model.aspired(list(folders))) if model is not None else set()
        versions = self._versions[name]
        for number in aspired:
            known = versions.get(number)
            # One that failed is tried anew once it has been taken away, not before.
            over = known is not None and known.state == State.END
            if known is None or (over and (known.error is None or not known.aspired)):
                versions[number] = Version(number, folders[number])
            else:
                known.aspired = True
        for number, version in versions.items():
            if number not in aspired:
                version.aspired = False
                if version.state in (State.START, State.LOADING):
                    version.state = State.END
        ready = any(version.aspired for version in self._available(name))
        for version in self._available(name):
            # What no longer is to be served goes on until what is to take its place answers.
            if not version.aspired and (ready or not aspired):
                version.state = State.UNLOADING
                logging.info("Unloading version %d of %s.", version.number, name)

    def _load_next(self) -> None:
        with self._changed:
            now = time.monotonic()
            due = [
                (version, name)
                for name, versions in self._versions.items()
                for version in versions.values()
                if version in self._pending() and version.due <= now
            ]
            if not due:
                return
            version, name = min(due, key=lambda d: (d[0].attempts, -d[0].number))
            version.state = State.LOADING
        started = time.monotonic()
        servable, error = None, None
        try:
            servable = Servable(version.folder, self._tags)
            if self._warm_up:
                servable.warm_up(self._warm_ups)
        except ServingError as failure:
            error = failure
        except Exception as failure:  # A bug; it must not end the thread that all models need.
            logging.exception("Loading %s failed unexpectedly.", version.folder)
            error = ServingError(Code.INTERNAL, f"{type(failure).__name__}: {failure}")
        seconds = time.monotonic() - started
        self._on_load(version.folder, seconds, error is None)
        with self._changed:
            version.error = error
            if version.state == State.END:
                return  # No longer asked for.
            if error is None:
                version.servable, version.state = servable, State.AVAILABLE
                logging.info("Loaded %s in %.1f s.", version.folder, seconds)
                # What it takes the place of is let go without waiting for the next look.
                self._poll_due = 0.0 if self._poll_seconds > 0 else self._poll_due
                self._retire(name)
                return
            version.attempts += 1
            version.due = time.monotonic() + self._retry_seconds
            again = version.attempts <= self._retries
            if not again:
                version.state = State.END
            logging.error(
                "Loading %s failed (try %d of %d): %s",
                version.folder,
                version.attempts,
                self._retries + 1,
                error.message,
            )

    def _retire(self, name: str) -> None:
        for version in self._available(name):
            if not version.aspired:
                version.state = State.UNLOADING
                logging.info("Unloading version %d of %s.", version.number, name)

    def _unload(self) -> bool:
        with self._changed:
            done = list(self._idle_ones())
            for version in done:
                version.servable, version.state = None, State.END
        return bool(done)


def _version_folders(base_path: str) -> dict[int, str] | None:
    try:
        return {
            int(entry.name): entry.path
            for entry in os.scandir(base_path)
            if entry.name.isascii()
            and entry.name.isdigit()
            # No request could ask for a larger one, no answer tell it.
            and int(entry.name) < 2**63
            and entry.is_dir()
        }
    except OSError as error:
        logging.error("%s: cannot be looked into (%s).", base_path, error.strerror)
        return None
