"""Predictions for any number of pictures, in requests of limited size.

A new version of the model may be published between two requests. If it has other classes or another
size, all requests of the call are made anew, so that all outputs are of one size.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from typing import Any

import numpy as np

from legan_tf.data import images
from legan_tf.errors import UserError
from legan_tf.serving import inputs, wire
from legan_tf.serving.client.errors import (
    ClientError,
    InvalidRequest,
    SignatureNotFound,
    unintelligible,
    with_rows_named,
)
from legan_tf.serving.client.served_models import KnownLabels, ServedModels
from legan_tf.serving.labels import DEPTH, EDITOR, SCORER, Attribute, Labels

_MESSAGE_BYTES = (4 << 20) - (1 << 16)
"""Pixels in a request: what gRPC takes by default, with room for the rest of the message."""
_PARALLEL_OF_CALL, _PARALLEL = 4, 8
"""Requests in flight at once, of one call and of all calls."""
_PURPOSES = {EDITOR: "edits pictures", SCORER: "rates pictures", DEPTH: "maps pictures"}


@dataclasses.dataclass(frozen=True)
class Job:
    """A signature of a model to be run on a list of pictures.

    Attributes:
        model: Name it is served under.
        kind: Kind that the model must be of.
        signature: Name of the signature.
        pictures: As ``inputs.one_by_one`` returns them.
        targets: By attribute, one target for all pictures or a list of one each.
        outputs: Names of the outputs wanted; all if empty.
        deadline: When to give up, by ``time.monotonic``.
    """

    model: str
    kind: str
    signature: str
    pictures: list[Any]
    targets: dict[str, Attribute | list[Attribute]]
    outputs: tuple[str, ...]
    deadline: float

    def ids(self, labels: Labels, rows: range) -> dict[str, np.ndarray]:
        """Returns the ids of the targets of some rows, by attribute."""
        return {
            name: labels.ids(
                name,
                target[rows.start : rows.stop] if isinstance(target, list) else target,
                len(rows),
            )
            for name, target in self.targets.items()
        }

    def row_name(self, row: int) -> str:
        """Returns what to call a picture in an error."""
        picture = self.pictures[row]
        path = f" ({os.fspath(picture)})" if isinstance(picture, (str, os.PathLike)) else ""
        return f"Row {row}{path}"


class _OutdatedLabels(Exception):
    """The server now has a version with other labels than those that a request was made by."""


class ChunkedPredictor:
    """Runs jobs; any number may run at once."""

    def __init__(self, models: ServedModels, max_batch: int) -> None:
        """Takes the server's models and the most pictures in one request."""
        self._models = models
        self._address = models.connection.address
        self._max_batch = max_batch
        self._slots: asyncio.Semaphore | None = None

    async def run(self, job: Job) -> dict[str, np.ndarray]:
        """Returns the outputs for all pictures, in order.

        Raises:
            ClientError: The server did not do it.
            UserError: A picture or a target cannot be used.
        """
        known = await self._models.labels(job.model, job.deadline)
        try:
            self._check(job, known.labels)
        except UserError:
            # The server may have a newer version than the labels are from.
            known = await self._models.ask_labels(job.model, job.deadline)
            self._check(job, known.labels)
        while True:
            try:
                return await self._predict(job, known)
            except _OutdatedLabels:
                known = await self._models.labels(job.model, job.deadline)
                self._check(job, known.labels)

    def _check(self, job: Job, labels: Labels) -> None:
        if labels.kind != job.kind:
            raise SignatureNotFound(
                f"it {_PURPOSES[labels.kind]}, and one that {_PURPOSES[job.kind]} is needed; give "
                "its name.",
                self._address,
                job.model,
            )
        if job.signature == "depth" and not labels.geometry:
            raise SignatureNotFound(
                "it has no depth network beside it; serve one that was trained with one, or give "
                "mapper, the name of a depth network.",
                self._address,
                job.model,
                job.signature,
            )
        job.ids(labels, range(len(job.pictures)))

    async def _predict(self, job: Job, known: KnownLabels) -> dict[str, np.ndarray]:
        """Returns the outputs for all pictures, a few chunks at a time; one failure ends all."""
        side, everything = known.labels.image_size, range(len(job.pictures))
        size = max(1, min(self._max_batch, _MESSAGE_BYTES // (3 * side * side)))
        chunks = [everything[at : at + size] for at in range(0, len(everything), size)]
        waiting = iter(enumerate(chunks))
        outputs: list[dict[str, np.ndarray]] = [{}] * len(chunks)
        if self._slots is None:  # Not before: Python 3.9 binds it to the loop it is made in.
            self._slots = asyncio.Semaphore(_PARALLEL)
        slots = self._slots

        async def work() -> None:
            for place, rows in waiting:
                async with slots:
                    outputs[place] = await self._predict_chunk(job, rows, known)

        workers = [
            asyncio.ensure_future(work()) for _ in range(min(_PARALLEL_OF_CALL, len(chunks)))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        try:
            return {name: np.concatenate([one[name] for one in outputs]) for name in outputs[0]}
        except (KeyError, ValueError) as error:
            raise unintelligible(error, self._address, job.model, job.signature) from error

    async def _predict_chunk(
        self, job: Job, rows: range, known: KnownLabels
    ) -> dict[str, np.ndarray]:
        """Returns the outputs for some rows.

        Raises:
            _OutdatedLabels: Ids and size of the request are not those of the current version.
        """
        request = await asyncio.to_thread(_request, job, rows, known.labels)
        try:
            answer = await self._models.predict(request, job.deadline, job.model, job.signature)
        except (InvalidRequest, SignatureNotFound) as error:
            # A newer version may have fewer classes or signatures than the request assumes.
            if await self._has_changed(job, known):
                raise _OutdatedLabels from error
            raise with_rows_named(error, len(rows), lambda row: job.row_name(rows[row])) from error
        if any(array.ndim == 0 or len(array) != len(rows) for array in answer.outputs.values()):
            reason = f"{len(rows)} pictures were sent, and the answer is of another number"
            raise unintelligible(reason, self._address, job.model, job.signature)
        newest = await self._models.labels(job.model, job.deadline)
        if answer.version != newest.version or self._models.connection.losses != newest.losses:
            newest = await self._models.ask_labels(job.model, job.deadline, answer.version)
        if newest.version != answer.version or not newest.same_inputs(known):
            raise _OutdatedLabels
        return answer.outputs

    async def _has_changed(self, job: Job, known: KnownLabels) -> bool:
        try:
            newest = await self._models.ask_labels(job.model, job.deadline)
        except ClientError:
            return False  # The first error is the better explanation.
        return not newest.same_inputs(known)


def _request(job: Job, rows: range, labels: Labels) -> bytes:
    """Reads pictures and returns the request for them."""
    size = labels.image_size
    batch = np.empty((len(rows), size, size, 3), np.uint8)
    for place, row in enumerate(rows):
        batch[place] = images.to_square(inputs.read(job.pictures[row]), size)
    return wire.predict_request(
        job.model, job.signature, {"image": batch, **job.ids(labels, rows)}, job.outputs
    ).SerializeToString()
