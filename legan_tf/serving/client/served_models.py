"""The models of a server: their status, their labels and their answers."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import numpy as np
from google.protobuf.message import DecodeError

from legan_tf.serving import wire
from legan_tf.serving.client.connection import Connection
from legan_tf.serving.client.errors import (
    ClientError,
    ModelNotFound,
    ServerUnavailable,
    SignatureNotFound,
    unintelligible,
)
from legan_tf.serving.labels import Labels

_FIRST_POLL_S, _LONGEST_POLL_S = 0.05, 1.0
_STARTUP_S = 2.0
"""Time after a loss of the server in which the next one may not have looked for models yet."""
_STATES = {0: "unknown", 10: "start", 20: "loading", 30: "available", 40: "unloading", 50: "end"}


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """State of a version of a model.

    Attributes:
        version: Its number.
        state: ``start``, ``loading``, ``available``, ``unloading``, ``end`` or ``unknown``.
        error: Why it is not available, or nothing.
    """

    version: int
    state: str
    error: str = ""

    def __str__(self) -> str:
        """Returns the state in words."""
        return f"version {self.version}: {self.state}" + (f", {self.error}" if self.error else "")


@dataclasses.dataclass(frozen=True)
class KnownLabels:
    """Labels of a model and where they are from.

    Attributes:
        labels: The labels.
        version: Version of the model that they describe.
        losses: ``Connection.losses`` when they were asked for. Another server in the same place may
            mean another model by the same version.
    """

    labels: Labels
    version: int
    losses: int

    def same_inputs(self, other: KnownLabels) -> bool:
        """Returns whether pictures and ids prepared for one are right for the other."""
        one, two = (dataclasses.replace(known.labels, architecture="") for known in (self, other))
        return one == two


class ServedModels:
    """The models behind a connection. Labels are cached until ``ask_labels`` is called again.

    Models are given by the name they are served under, deadlines by ``time.monotonic``.
    """

    def __init__(self, connection: Connection) -> None:
        """Prepares; nothing is sent before the first call."""
        self.connection = connection
        self._known: dict[str, KnownLabels] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def status(self, model: str, deadline: float) -> tuple[VersionStatus, ...]:
        """Returns the state of each version that the server knows of, newest first.

        Raises:
            ClientError: The server does not answer.
        """
        request = wire.GetModelStatusRequest()
        request.model_spec.name = model
        content = await self.connection.call(
            wire.GET_MODEL_STATUS, request.SerializeToString(), deadline, model
        )
        try:
            answer = wire.GetModelStatusResponse.FromString(content)
        except DecodeError as error:
            raise unintelligible(error, self.connection.address, model) from error
        found = [
            VersionStatus(one.version, _STATES.get(one.state, "unknown"), one.status.error_message)
            for one in answer.model_version_status
        ]
        return tuple(sorted(found, key=lambda status: -status.version))

    async def wait_until_available(self, model: str, deadline: float) -> None:
        """Waits until the server is there and some version of the model is available.

        Raises:
            ClientError: It is not in time; ``ModelNotFound`` where the server has no such model.
        """
        pause = _FIRST_POLL_S
        while True:
            try:
                found = await self.status(model, deadline)
                if any(version.state == "available" for version in found):
                    return
                states = "; ".join(map(str, found)) or "it has no versions"
                error: ClientError = ServerUnavailable(
                    f"is not available yet ({states}); wait longer, or see the server's log.",
                    self.connection.address,
                    model,
                )
            except ModelNotFound as not_found:
                error = not_found  # A server that has just started may not know it yet.
            if time.monotonic() + pause >= deadline:
                raise error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)

    async def labels(self, model: str, deadline: float) -> KnownLabels:
        """Returns the cached labels of a model, asking once where several calls need them.

        Raises:
            ClientError: See ``ask_labels``.
        """
        async with self._locks.setdefault(model, asyncio.Lock()):
            return self._known.get(model) or await self.ask_labels(model, deadline)

    async def ask_labels(
        self, model: str, deadline: float, version: int | None = None
    ) -> KnownLabels:
        """Asks for the labels of a model, and caches them: of a version if the server still has it.

        Raises:
            ClientError: The server does not answer, or the model has no labels.
        """
        losses = self.connection.losses
        request = wire.predict_request(
            model, "labels", {"row": np.zeros(1, np.int32)}, version=version
        )
        try:
            answer = await self.predict(request.SerializeToString(), deadline, model, "labels")
        except ModelNotFound:
            if version is None:
                raise
            return await self.ask_labels(model, deadline)
        except SignatureNotFound as error:
            raise SignatureNotFound(
                "it does not tell its labels; export it again with this version of the package.",
                self.connection.address,
                model,
                "labels",
            ) from error
        try:
            labels = Labels.from_json(answer.outputs["labels"][0].decode())
        except (AttributeError, IndexError, KeyError, ValueError) as error:
            raise unintelligible(error, self.connection.address, model, "labels") from error
        self._known[model] = KnownLabels(labels, answer.version, losses)
        return self._known[model]

    async def predict(
        self, request: bytes, deadline: float, model: str, signature: str
    ) -> wire.Answer:
        """Returns the answer to a ``PredictRequest``, waiting while the model is being loaded.

        Raises:
            ClientError: Of the class that fits.
        """
        content = await self._predict(request, deadline, model, signature)
        try:
            return await asyncio.to_thread(_read, content)
        except (DecodeError, wire.WireError) as error:
            raise unintelligible(error, self.connection.address, model, signature) from error

    async def _predict(self, request: bytes, deadline: float, model: str, signature: str) -> bytes:
        losses, pause, refused_at = self.connection.losses, _FIRST_POLL_S, 0.0
        was_available = False
        while True:
            try:
                return await self.connection.call(wire.PREDICT, request, deadline, model, signature)
            except ModelNotFound as error:
                refused_at = refused_at or time.monotonic()
                try:
                    states = {version.state for version in await self.status(model, deadline)}
                except ModelNotFound:
                    restarted = self.connection.losses != losses
                    states = {"start"} if restarted else set()
                    if time.monotonic() - refused_at > _STARTUP_S:
                        raise error from None
                if was_available or not states & {"start", "loading", "available"}:
                    raise
                if time.monotonic() + pause >= deadline:
                    raise
                # It became available between the two requests: one more attempt.
                was_available = "available" in states
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)


def _read(content: bytes) -> wire.Answer:
    return wire.read_answer(wire.PredictResponse.FromString(content))
