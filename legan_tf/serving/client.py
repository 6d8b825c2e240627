"""Clients of a server that serves exported networks: edit, rate and map pictures; no TensorFlow.

``AsyncClient`` does the work, ``Client`` runs one on an event loop in the background. Pictures are
squared and resized here, as training does it, so that no more goes over the wire than the network
looks at.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from legan_tf.data import images as pixels
from legan_tf.errors import UserError, first_line
from legan_tf.serving import inputs, wire
from legan_tf.serving.client_calls import Connection, Metadata, Tls, check_not_forked
from legan_tf.serving.client_errors import (
    ClientError,
    InvalidRequest,
    ModelNotFound,
    ServerError,
    ServerUnavailable,
    SignatureNotFound,
    with_rows_named,
)
from legan_tf.serving.labels import DEPTH, EDITOR, SCORER, Attribute, Labels

_MESSAGE_BYTES = (4 << 20) - (1 << 16)
"""Of pixels in a request: what gRPC takes by default, with room for the rest of the message."""
_IN_FLIGHT = 4
"""Chunks of one call that are under way at once."""
_MOST_IN_FLIGHT = 8
"""Chunks of all calls that are: a thousand calls at once are not to overload the server."""
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.05, 1.0
_BEGINNING_S = 2.0
_STOP_S = 5.0
_LATE_S = 0.1
_STATES = {0: "unknown", 10: "start", 20: "loading", 30: "available", 40: "unloading", 50: "end"}
_CAN = {
    EDITOR: "edits pictures",
    SCORER: "rates pictures",
    DEPTH: "maps pictures",
}


@dataclasses.dataclass(frozen=True)
class Scores:
    """How natural people would find pictures.

    Attributes:
        rating: From 1 (looks fake) to 10 (hyper-realistic), not bounded to it: float32 [B], or
            float32 for one picture.
        natural: Whether the rating counts as natural: bool [B], or bool for one picture.
    """

    rating: np.ndarray | np.float32
    natural: np.ndarray | np.bool_

    @property
    def natural_share(self) -> float:
        """The share of the pictures that are judged natural, 0 to 1."""
        return float(np.mean(self.natural))


@dataclasses.dataclass(frozen=True)
class Masks:
    """Where LEGAN edits pictures, stretched to be looked at: white most, black least.

    Attributes:
        expression: Of the expression, uint8 [B, S, S], or [S, S] for one picture.
        lighting: Of the lighting, likewise.
    """

    expression: np.ndarray
    lighting: np.ndarray


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """How a version of a model stands.

    Attributes:
        version: Its number.
        state: ``start``, ``loading``, ``available``, ``unloading``, ``end`` or ``unknown``.
        error: What went wrong with it, or nothing.
    """

    version: int
    state: str
    error: str = ""


@dataclasses.dataclass(frozen=True)
class _Known:
    """The labels that a model has by what is known now."""

    labels: Labels
    version: int
    losses: int

    def same(self, other: _Known) -> bool:
        """Whether pictures and ids that are made for the one are right for the other."""
        one, two = (dataclasses.replace(k.labels, architecture="") for k in (self, other))
        return one == two

    def same_form(self, other: _Known) -> bool:
        """Whether what the one and the other make can stand in one array."""
        one, two = ((k.labels.image_size, k.labels.geometry) for k in (self, other))
        return one == two


@dataclasses.dataclass(frozen=True)
class _Job:
    """What is asked of a model for a list of pictures."""

    model: str
    kind: str
    signature: str
    pictures: list[Any]
    targets: dict[str, Attribute | list[Attribute]]
    outputs: tuple[str, ...]
    deadline: float

    def ids(self, labels: Labels, start: int, stop: int) -> dict[str, np.ndarray]:
        """Returns the ids of the targets of the pictures from ``start`` to ``stop``."""
        ids = {}
        for name, asked in self.targets.items():
            asked = asked[start:stop] if isinstance(asked, list) else asked
            ids[name] = labels.ids(name, asked, stop - start)
        return ids

    def name(self, row: int) -> str:
        """Returns what to call a picture in an error."""
        picture = self.pictures[row]
        path = f" ({os.fspath(picture)})" if isinstance(picture, (str, os.PathLike)) else ""
        return f"Row {row}{path}"


@dataclasses.dataclass(frozen=True)
class _Part:
    """The answer for the pictures from ``start`` to ``stop``, by what was known then."""

    start: int
    stop: int
    known: _Known
    outputs: dict[str, np.ndarray]


class AsyncClient:
    """A client of one server, for ``asyncio``; see ``Client`` for programs without it.

    It belongs to the event loop of its first call. All calls share one channel; any number may be
    under way at once. Every call can raise ``ClientError``, of a class that says what is wrong.

    Attributes:
        editor: Name under which a generator is served.
        scorer: Name under which Q is served, or None.
        mapper: Name under which a depth network is served, or None.
    """

    def __init__(
        self,
        address: str,
        editor: str = "legan",
        scorer: str | None = "quality",
        mapper: str | None = None,
        timeout: float = 30.0,
        max_batch: int = 32,
        tls: Tls | None = None,
        metadata: Metadata = (),
    ) -> None:
        """Prepares; nothing is sent before the first call.

        Args:
            address: ``host:port`` of gRPC.
            editor: Name under which a generator is served.
            scorer: Name under which Q is served; None if it is not.
            mapper: Name under which a depth network is served; default is the one beside the
                editor.
            timeout: Seconds for one call, with all its chunks and what is tried again.
            max_batch: The most pictures in one request.
            tls: For an encrypted connection; default is none.
            metadata: Sent with every call, for instance ``{"authorization": "Bearer …"}``.

        Raises:
            UserError: An argument cannot be used.
            UnavailableError: gRPC is not installed.
        """
        if not timeout > 0:
            raise UserError(f"timeout must be above 0 seconds, not {timeout:g}.")
        if max_batch < 1:
            raise UserError(f"max_batch must be at least 1, not {max_batch}.")
        self._connection = Connection(address, tls, metadata)
        self.editor, self.scorer, self.mapper = editor, scorer, mapper
        self._timeout, self._max_batch = timeout, max_batch
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self._slots: asyncio.Semaphore | None = None

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._connection.address

    async def __aenter__(self) -> AsyncClient:
        """Returns itself."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes."""
        await self.close()

    async def close(self) -> None:
        """Ends the channel and the calls that are under way; later calls are refused."""
        await self._connection.close()

    async def edit(
        self,
        images: Any,
        expression: Attribute | Sequence[Attribute] = None,
        lighting: Attribute | Sequence[Attribute] = None,
    ) -> np.ndarray:
        """Edits one picture or several.

        Args:
            images: A path, a PIL image, or an array [H, W, 3] for one picture; a list of these or
                an array [B, H, W, 3] for several. Arrays are uint8, or float in [-1, 1], which is
                rounded to eight bits. Any size: the middle square is resized.
            expression: Target expression by name or id, one for all pictures or one each; None
                leaves it as it is.
            lighting: Target lighting, likewise.

        Returns:
            uint8 [S, S, 3] for one picture, [B, S, S, 3] for several; S is the ``image_size`` of
            ``labels``.

        Raises:
            ClientError: The server did not do it.
            UserError: A picture cannot be read or has a wrong shape or range, or a target is
                unknown, or left out where the model cannot leave it as it is.
        """
        targets = {"expression": expression, "lighting": lighting}
        made, one = await self._run(self.editor, EDITOR, "serving_default", images, targets)
        edited = self._pictures(made, "image", 3)
        return edited[0] if one else edited

    async def masks(
        self,
        images: Any,
        expression: Attribute | Sequence[Attribute] = None,
        lighting: Attribute | Sequence[Attribute] = None,
    ) -> Masks:
        """Returns where LEGAN edits pictures; other generators have no masks.

        Args:
            images: See ``edit``, as the next ones.
            expression: Target expressions.
            lighting: Target lightings.

        Raises:
            UserError: See ``edit``.
        """
        targets = {"expression": expression, "lighting": lighting}
        wanted = ("expression_mask", "lighting_mask")
        made, one = await self._run(self.editor, EDITOR, "masks", images, targets, wanted)
        masks = [self._pictures(made, name, 1)[..., 0] for name in wanted]
        return Masks(*(mask[0] if one else mask for mask in masks))

    async def score(self, images: Any) -> Scores:
        """Rates how natural people would find pictures.

        Args:
            images: See ``edit``.

        Raises:
            UserError: See ``edit``.
        """
        if not self.scorer:
            raise UserError("This client has no scorer; give the name under which Q is served.")
        made, one = await self._run(self.scorer, SCORER, "serving_default", images)
        rating = self._checked(made, "rating", np.float32, 1)
        natural = self._checked(made, "natural", np.bool_, 1)
        return Scores(rating[0], natural[0]) if one else Scores(rating, natural)

    async def depth(self, images: Any) -> np.ndarray:
        """Makes depth or normal maps, by the mapper or the depth network beside the editor.

        Args:
            images: See ``edit``. For the map of an edit, give the edit.

        Returns:
            Depth, larger is nearer and 0 is nothing there: uint8 [S, S] for one picture,
            [B, S, S] for several. Or normals n as (n + 1) * 127.5, black is nothing there: uint8
            with a last axis of 3. Which of them, ``labels().geometry`` says.

        Raises:
            UserError: See ``edit``.
        """
        if self.mapper:
            made, one = await self._run(self.mapper, DEPTH, "serving_default", images)
        else:
            made, one = await self._run(self.editor, EDITOR, "depth", images)
        if "normal" in made:
            maps = self._pictures(made, "normal", 3)
        else:
            maps = self._pictures(made, "depth", 1)[..., 0]
        return maps[0] if one else maps

    async def labels(self, model: str | None = None) -> Labels:
        """Returns the classes, the image size and the kind of a model, as the server has them now.

        Args:
            model: Name it is served under; default is the editor.

        Raises:
            ClientError: The server does not tell.
        """
        model = model or self.editor
        known = await self._ask_labels(model, self._deadline())
        self._known[model] = known
        return known.labels

    async def status(self, model: str | None = None) -> tuple[VersionStatus, ...]:
        """Returns how each version of a model stands that the server knows of, newest first.

        Args:
            model: Name it is served under; default is the editor.

        Raises:
            ClientError: The server does not tell.
        """
        return await self._status(model or self.editor, self._deadline())

    async def wait_until_available(
        self, timeout: float | None = None, models: Sequence[str] | None = None
    ) -> None:
        """Waits until the server is there and answers for the models.

        Args:
            timeout: Seconds to wait; default is that of the client.
            models: Names they are served under; default is the client's editor, and its scorer and
                mapper, if it has them.

        Raises:
            ClientError: They are not available in time; a ``ModelNotFound`` where the server is
                there and has no such model.
        """
        if models is None:
            models = [name for name in (self.editor, self.scorer, self.mapper) if name]
        deadline = self._deadline(timeout)
        for model in models:
            await self._wait_for(model, deadline)

    async def _wait_for(self, model: str, deadline: float) -> None:
        pause = _FIRST_LOOK_S
        while True:
            try:
                found = await self._status(model, deadline)
                if any(version.state == "available" for version in found):
                    return
                error = ServerUnavailable(
                    f"is not available yet ({_told(found)}); wait longer, or see the server's log.",
                    self.address,
                    model,
                )
            except ModelNotFound as not_found:
                error = not_found  # A server that has just begun may not know it yet.
            if time.monotonic() + pause >= deadline:
                raise error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK_S)

    async def _status(self, model: str, deadline: float) -> tuple[VersionStatus, ...]:
        request = wire.GetModelStatusRequest()
        request.model_spec.name = model
        content = await self._connection.call(
            wire.GET_MODEL_STATUS, request.SerializeToString(), deadline, model
        )
        try:
            answer = wire.GetModelStatusResponse.FromString(content)
        except DecodeError as error:
            raise self._not_understood(error, model, "") from error
        found = (
            VersionStatus(
                version.version,
                _STATES.get(version.state, "unknown"),
                version.status.error_message,
            )
            for version in answer.model_version_status
        )
        return tuple(sorted(found, key=lambda status: -status.version))

    async def _run(
        self,
        model: str,
        kind: str,
        signature: str,
        images: Any,
        targets: Mapping[str, Attribute | Sequence[Attribute]] | None = None,
        outputs: tuple[str, ...] = (),
    ) -> tuple[dict[str, np.ndarray], bool]:
        """Returns the outputs for all pictures, and whether a single picture was given."""
        deadline = self._deadline()
        pictures, one = inputs.one_by_one(images)
        job = _Job(model, kind, signature, pictures, _one_each(targets), outputs, deadline)
        try:
            # What waits for other calls or for files has no deadline of its own. A request has,
            # and is to tell by itself what became of it.
            made = await asyncio.wait_for(self._do(job), deadline - time.monotonic() + _LATE_S)
        except asyncio.TimeoutError as error:
            raise self._connection.late(model, signature) from error
        return made, one

    async def _do(self, job: _Job) -> dict[str, np.ndarray]:
        """Returns the outputs for all pictures."""
        pictures = job.pictures
        known = await self._checked_labels(job)
        rows = self._rows(known)
        parts = await self._chunks(
            job, [(at, min(at + rows, len(pictures))) for at in range(0, len(pictures), rows)]
        )
        while True:
            # Where a version of another size came in between, what was done before it is not fit
            # to stand beside what was done after.
            newest = self._known[job.model]
            fit = [part for part in parts if part.known.same_form(newest)]
            if len(fit) == len(parts):
                break
            unfit = [(part.start, part.stop) for part in parts if not part.known.same_form(newest)]
            parts = fit + await self._chunks(job, unfit)
        parts.sort(key=lambda part: part.start)
        names = parts[0].outputs
        try:
            return {name: np.concatenate([part.outputs[name] for part in parts]) for name in names}
        except (KeyError, ValueError) as error:
            raise self._not_understood(error, job.model, job.signature) from error

    async def _chunks(self, job: _Job, chunks: list[tuple[int, int]]) -> list[_Part]:
        """Has chunks done, several at a time; the first failure ends them all."""
        waiting, parts = iter(chunks), []
        if self._slots is None:  # Not before: Python 3.9 binds it to the loop it is made in.
            self._slots = asyncio.Semaphore(_MOST_IN_FLIGHT)

        async def work() -> None:
            for start, stop in waiting:
                while start < stop:
                    known = await self._labels_of(job.model, job.deadline)
                    end = min(stop, start + self._rows(known))
                    async with self._slots:
                        part = await self._chunk(job, start, end, known)
                    if part is not None:
                        parts.append(part)
                        start = end

        workers = [asyncio.ensure_future(work()) for _ in range(min(_IN_FLIGHT, len(chunks)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return parts

    async def _chunk(self, job: _Job, start: int, stop: int, known: _Known) -> _Part | None:
        """Has pictures done; returns nothing if what was known of the model has changed."""
        request = await asyncio.to_thread(self._request, job, start, stop, known)
        try:
            content = await self._predict(request, job.deadline, job.model, job.signature)
        except (InvalidRequest, SignatureNotFound) as error:
            # A newer version may know less than the one that the request was made for.
            if await self._has_changed(job, known):
                return None
            raise with_rows_named(error, stop - start, lambda row: job.name(start + row)) from error
        answer = await asyncio.to_thread(self._read, content, job.model, job.signature)
        if any(array.ndim == 0 or len(array) != stop - start for array in answer.outputs.values()):
            told = f"{stop - start} pictures were sent, and the answer is of another number"
            raise self._not_understood(told, job.model, job.signature)
        if answer.version != known.version or self._connection.losses != known.losses:
            fresh = await self._ask_labels(job.model, job.deadline, answer.version)
            self._known[job.model] = fresh
            if fresh.version != answer.version or not fresh.same(known):
                return None
            known = fresh
        return _Part(start, stop, known, answer.outputs)

    async def _predict(self, request: bytes, deadline: float, model: str, signature: str) -> bytes:
        """Sends a request; where the model is not there yet, waits for it as for a server."""
        losses, pause, refused_at, came = self._connection.losses, _FIRST_LOOK_S, 0.0, False
        while True:
            try:
                return await self._connection.call(
                    wire.PREDICT, request, deadline, model, signature
                )
            except ModelNotFound as error:
                refused_at = refused_at or time.monotonic()
                try:
                    states = {version.state for version in await self._status(model, deadline)}
                except ModelNotFound:
                    # A server that has just begun may not even have looked for models.
                    begun = self._connection.losses != losses
                    states = {"start"} if begun else set()
                    if time.monotonic() - refused_at > _BEGINNING_S:
                        raise error from None
                if came or not states & {"start", "loading", "available"}:
                    raise
                if time.monotonic() + pause >= deadline:
                    raise
                came = "available" in states  # It came between the two questions: once more.
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK_S)

    def _request(self, job: _Job, start: int, stop: int, known: _Known) -> bytes:
        """Reads pictures and makes the request of them."""
        size = known.labels.image_size
        batch = np.empty((stop - start, size, size, 3), np.uint8)
        for row in range(start, stop):
            batch[row - start] = pixels.to_square(inputs.read(job.pictures[row]), size)
        ids = job.ids(known.labels, start, stop)
        request = wire.predict_request(
            job.model, job.signature, {"image": batch, **ids}, job.outputs
        )
        return request.SerializeToString()

    def _read(self, content: bytes, model: str, signature: str) -> wire.Answer:
        try:
            return wire.read_answer(wire.PredictResponse.FromString(content))
        except (DecodeError, wire.WireError) as error:
            raise self._not_understood(error, model, signature) from error

    def _rows(self, known: _Known) -> int:
        """Returns how many pictures fit into one request."""
        size = known.labels.image_size
        return max(1, min(self._max_batch, _MESSAGE_BYTES // (3 * size * size)))

    async def _checked_labels(self, job: _Job) -> _Known:
        """Returns what is known of a model once it is sure that it can do the job."""
        cached = job.model in self._known
        known = await self._labels_of(job.model, job.deadline)
        try:
            self._check(job, known.labels)
        except UserError:
            if not cached:
                raise
            # What was true when it was asked for: the server may have a newer version.
            known = self._known[job.model] = await self._ask_labels(job.model, job.deadline)
            self._check(job, known.labels)
        return known

    async def _labels_of(self, model: str, deadline: float) -> _Known:
        """Returns what is known of a model, asking once where several want to know."""
        async with self._asking.setdefault(model, asyncio.Lock()):
            if model not in self._known:
                self._known[model] = await self._ask_labels(model, deadline)
            return self._known[model]

    def _check(self, job: _Job, labels: Labels) -> None:
        if labels.kind != job.kind:
            raise SignatureNotFound(
                f"it {_CAN[labels.kind]}, and one that {_CAN[job.kind]} is needed; give its name.",
                self.address,
                job.model,
            )
        if job.signature == "depth" and not labels.geometry:
            raise SignatureNotFound(
                "it has no depth network beside it; serve one that was trained with one, or give "
                "mapper, the name of a depth network.",
                self.address,
                job.model,
                job.signature,
            )
        job.ids(labels, 0, len(job.pictures))

    async def _has_changed(self, job: _Job, known: _Known) -> bool:
        try:
            fresh = await self._ask_labels(job.model, job.deadline)
        except ClientError:
            return False  # What the server said first is the better reason.
        self._known[job.model] = fresh
        return not fresh.same(known)

    async def _ask_labels(self, model: str, deadline: float, version: int | None = None) -> _Known:
        """Asks the server for the labels, of the version given if it still has it."""
        losses = self._connection.losses
        request = wire.predict_request(
            model, "labels", {"row": np.zeros(1, np.int32)}, version=version
        )
        try:
            content = await self._predict(request.SerializeToString(), deadline, model, "labels")
        except ModelNotFound:
            if version is None:
                raise
            return await self._ask_labels(model, deadline)
        except SignatureNotFound as error:
            raise SignatureNotFound(
                "it does not tell its labels; export it again with this version of the package.",
                self.address,
                model,
                "labels",
            ) from error
        answer = self._read(content, model, "labels")
        try:
            labels = Labels.from_json(answer.outputs["labels"][0].decode())
        except (AttributeError, IndexError, KeyError, ValueError) as error:
            raise self._not_understood(error, model, "labels") from error
        return _Known(labels, answer.version, losses)

    def _pictures(self, made: Mapping[str, np.ndarray], name: str, channels: int) -> np.ndarray:
        pictures = self._checked(made, name, np.uint8, 4)
        if pictures.shape[-1] != channels:
            raise self._not_understood(f"output {name!r} has {pictures.shape[-1]} channels")
        return pictures

    def _checked(
        self, made: Mapping[str, np.ndarray], name: str, dtype: type, rank: int
    ) -> np.ndarray:
        if name not in made or made[name].dtype != dtype or made[name].ndim != rank:
            raise self._not_understood(f"output {name!r} is missing, or of another type or shape")
        return made[name]

    def _deadline(self, timeout: float | None = None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else timeout)

    def _not_understood(self, reason: object, model: str = "", signature: str = "") -> ServerError:
        told = first_line(reason) if isinstance(reason, Exception) else reason
        return ServerError(
            f"the answer cannot be understood ({told}); is this a server of this package's models?",
            self.address,
            model,
            signature,
        )


def _one_each(
    targets: Mapping[str, Attribute | Sequence[Attribute]] | None,
) -> dict[str, Attribute | list[Attribute]]:
    """Returns targets by attribute, lists where they were given for each picture."""
    return {
        name: asked
        if asked is None or isinstance(asked, str) or np.ndim(asked) == 0
        else list(asked)
        for name, asked in (targets or {}).items()
    }


def _told(versions: Sequence[VersionStatus]) -> str:
    told = [f"version {v.version}: {v.state}{v.error and f', {v.error}'}" for v in versions]
    return "; ".join(told) or "it has no versions"


class Client:
    """A client of one server; calls wait for their answers.

    It may be used from several threads at once. A process that is forked after the first call
    cannot use it. See ``AsyncClient`` for its attributes and for what the methods take, return and
    raise.
    """

    def __init__(self, address: str, **options: Any) -> None:
        """Prepares; nothing is sent before the first call.

        Args:
            address: ``host:port`` of gRPC.
            **options: ``editor``, ``scorer``, ``mapper``, ``timeout``, ``max_batch``, ``tls`` and
                ``metadata``; see ``AsyncClient``.

        Raises:
            UserError: An argument cannot be used.
            UnavailableError: gRPC is not installed.
        """
        self._client = AsyncClient(address, **options)
        self.editor, self.mapper = self._client.editor, self._client.mapper
        self.scorer = self._client.scorer
        self._lock = threading.Lock()
        self._closed = False
        self._under_way: set[concurrent.futures.Future] = set()
        self._end: weakref.finalize | None = None

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._client.address

    def __enter__(self) -> Client:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Ends the channel and the calls that are under way; later calls are refused."""
        with self._lock:
            self._closed = True
            ended = self._end() if self._end else None
        if ended is not None:
            concurrent.futures.wait([ended], _STOP_S)

    def edit(
        self,
        images: Any,
        expression: Attribute | Sequence[Attribute] = None,
        lighting: Attribute | Sequence[Attribute] = None,
    ) -> np.ndarray:
        """Edits one picture or several; see ``AsyncClient.edit``."""
        return self._run(self._client.edit, images, expression, lighting)

    def masks(
        self,
        images: Any,
        expression: Attribute | Sequence[Attribute] = None,
        lighting: Attribute | Sequence[Attribute] = None,
    ) -> Masks:
        """Returns where LEGAN edits pictures; see ``AsyncClient.masks``."""
        return self._run(self._client.masks, images, expression, lighting)

    def score(self, images: Any) -> Scores:
        """Rates how natural people would find pictures; see ``AsyncClient.score``."""
        return self._run(self._client.score, images)

    def depth(self, images: Any) -> np.ndarray:
        """Makes depth or normal maps; see ``AsyncClient.depth``."""
        return self._run(self._client.depth, images)

    def labels(self, model: str | None = None) -> Labels:
        """Returns the classes, the image size and the kind of a model; see ``AsyncClient``."""
        return self._run(self._client.labels, model)

    def status(self, model: str | None = None) -> tuple[VersionStatus, ...]:
        """Returns how each version of a model stands; see ``AsyncClient.status``."""
        return self._run(self._client.status, model)

    def wait_until_available(
        self, timeout: float | None = None, models: Sequence[str] | None = None
    ) -> None:
        """Waits until the server answers for the models; see ``AsyncClient``."""
        self._run(self._client.wait_until_available, timeout, models)

    def _run(self, method: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
        check_not_forked()
        with self._lock:
            if self._closed:
                raise UserError("This client is closed; make another one.")
            future = _background.start(method, *arguments)
            self._under_way.add(future)
            if self._end is None:
                # After the start: at the end of the program, the latest ends first.
                self._end = weakref.finalize(self, _end, self._client, self._under_way)
        future.add_done_callback(self._under_way.discard)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise UserError("This client was closed before the answer came.") from None
        except BaseException:
            future.cancel()  # Ctrl-C: the call is not to go on without anyone who waits for it.
            raise


def _end(
    client: AsyncClient, under_way: set[concurrent.futures.Future]
) -> concurrent.futures.Future | None:
    """Begins to close a client, and returns what to wait for, if anything can be done."""
    for future in list(under_way):
        future.cancel()
    return _background.close(client)


class _Background:
    """An event loop on a thread of its own, for all clients of the process.

    A loop that gRPC was used in cannot be closed, since gRPC's own thread may still wake it: one
    for each client would leave its descriptors open for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and not self._ended

    def start(
        self, method: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any
    ) -> concurrent.futures.Future:
        with self._lock:
            if self._ended:
                raise UserError("The program is ending; clients cannot be used any more.")
            if self._thread is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="legan_tf clients", daemon=True
                )
                self._thread.start()
                # A loop that still runs at the end of the program would crash it.
                weakref.finalize(self, self.stop)
            return asyncio.run_coroutine_threadsafe(method(*arguments), self._loop)

    def close(self, client: AsyncClient) -> concurrent.futures.Future | None:
        # Without the lock: freeing a client closes it, on any thread and whatever that is doing.
        if not self._runs():
            return None
        return asyncio.run_coroutine_threadsafe(client.close(), self._loop)

    def stop(self) -> None:
        """Lets the clients that are being closed finish, and ends the loop for good."""
        with self._lock:
            if not self._runs():
                return
            self._ended = True
            asyncio.run_coroutine_threadsafe(self._finish(), self._loop)
        self._thread.join(2 * _STOP_S)

    async def _finish(self) -> None:
        try:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:
                await asyncio.wait(others, timeout=_STOP_S)
        finally:
            self._loop.stop()


_background = _Background()


def _begin_anew() -> None:
    """The thread is not in a forked process, which may begin its own if gRPC was not used yet."""
    global _background
    _background = _Background()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
