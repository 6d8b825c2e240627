"""The client: edits, maps and ratings by a server.

Pictures are cropped and resized here, as training does it, so that only the pixels that the network
uses go over the wire.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message

from legan_tf.data.images import to_square
from legan_tf.errors import UserError
from legan_tf.serving import inputs, wire
from legan_tf.serving.client.connection import MESSAGE_BYTES, Call, Connection, Metadata
from legan_tf.serving.client.errors import (
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
    SignatureNotFound,
    unintelligible,
    with_rows_named,
)
from legan_tf.serving.labels import DEPTH, EDITOR, SCORER, Labels

_PIXEL_BYTES = MESSAGE_BYTES - (1 << 16)
"""Pixels in a request, with room for the rest of the message."""
_IN_FLIGHT = 4
"""Requests of a call that are sent at once."""
_POLL_S = 0.2
_STATES = {0: "unknown", 10: "start", 20: "loading", 30: "available", 40: "unloading", 50: "end"}
_PURPOSES = {EDITOR: "edits pictures", SCORER: "rates pictures", DEPTH: "maps pictures"}


@dataclasses.dataclass(frozen=True)
class Scores:
    """Naturalness of pictures.

    Attributes:
        rating: From 1 (looks fake) to 10 (hyper-realistic), not clipped: float32 [B], or float32
            for one picture.
        natural: Whether the rating counts as natural: bool [B], or bool for one picture.
    """

    rating: np.ndarray | np.float32
    natural: np.ndarray | np.bool_

    @property
    def natural_share(self) -> float:
        """Share of the pictures that are judged natural, 0 to 1."""
        return float(np.mean(self.natural))


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


class Client:
    """A client of one server, for any number of threads; calls block until they are answered.

    Every call can raise ``ClientError``, of a class that says what is wrong. Targets of edits are
    given by condition, as ``expression="smile"``; see ``labels`` for those of a model. A process
    that is forked needs a client of its own.

    Attributes:
        editor: As given.
        scorer: As given.
        mapper: As given.
    """

    def __init__(
        self,
        address: str,
        editor: str = "legan",
        scorer: str | None = "quality",
        mapper: str | None = None,
        timeout: float = 30.0,
        max_batch: int = 32,
        credentials: Any = None,
        metadata: Metadata = (),
    ) -> None:
        """Prepares; nothing is sent before the first call.

        Args:
            address: ``host:port`` of gRPC.
            editor: Name under which a generator is served.
            scorer: Name under which Q is served; None if it is not.
            mapper: Name under which a depth network is served; default is the one beside the
                editor.
            timeout: Seconds for one call, with all its requests and retries.
            max_batch: Most pictures in one request.
            credentials: For an encrypted connection, as ``grpc.ssl_channel_credentials()``.
            metadata: Sent with every call, for instance ``{"authorization": "Bearer …"}``.

        Raises:
            UserError: An argument cannot be used.
            UnavailableError: gRPC is not installed.
        """
        if not timeout > 0:
            raise UserError(f"timeout must be above 0 seconds, not {timeout:g}.")
        if max_batch < 1:
            raise UserError(f"max_batch must be at least 1, not {max_batch}.")
        self.editor, self.scorer, self.mapper = editor, scorer, mapper
        self._timeout = timeout
        self._max_batch = max_batch
        self._connection = Connection(address, credentials, metadata)

    @property
    def address(self) -> str:
        """Address of the server."""
        return self._connection.address

    def __enter__(self) -> Client:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Closes the channel and cancels its calls; later calls are refused."""
        self._connection.close()

    def edit(self, images: Any, **targets: Any) -> np.ndarray:
        """Edits one picture or several, given with their targets as to ``loading.Editor``.

        Returns:
            uint8 [S, S, 3] for one picture, [B, S, S, 3] for several; S is the ``image_size`` of
            ``labels``.

        Raises:
            ClientError: The server did not do it.
            UserError: A picture or a target cannot be used.
        """
        outputs, single = self._run(self.editor, EDITOR, "serving_default", images, targets)
        edited = self._pictures(outputs, "image", 3)
        return edited[0] if single else edited

    def masks(self, images: Any, **targets: Any) -> dict[str, np.ndarray]:
        """Returns LEGAN's masks of edits, as ``edit`` makes them; other generators have none.

        Returns:
            By condition: grey pictures, stretched for viewing, white where it edits most, uint8
            [B, S, S], or [S, S] for one picture.
        """
        outputs, single = self._run(self.editor, EDITOR, "masks", images, targets)
        masks = {
            name.removesuffix("_mask"): self._pictures(outputs, name, 1)[..., 0]
            for name in outputs
            if name.endswith("_mask")
        }
        return {name: mask[0] if single else mask for name, mask in masks.items()}

    def score(self, images: Any) -> Scores:
        """Rates the naturalness of pictures, given as to ``edit``."""
        if not self.scorer:
            raise UserError("This client has no scorer; give the name under which Q is served.")
        outputs, single = self._run(self.scorer, SCORER, "serving_default", images)
        rating = self._checked(outputs, "rating", np.float32, 1)
        natural = self._checked(outputs, "natural", np.bool_, 1)
        return Scores(rating[0], natural[0]) if single else Scores(rating, natural)

    def depth(self, images: Any) -> np.ndarray:
        """Estimates depth or normal maps, by the mapper or the depth network beside the editor.

        Pictures are given as to ``edit``; for the map of an edit, give the edit.

        Returns:
            Depth, larger is nearer and 0 is background: uint8 [S, S] for one picture, [B, S, S] for
            several. Or normals n as (n + 1) * 127.5, black is background: uint8 with a last axis of
            3. ``labels().geometry`` says which.
        """
        if self.mapper:
            outputs, single = self._run(self.mapper, DEPTH, "serving_default", images)
        else:
            outputs, single = self._run(self.editor, EDITOR, "depth", images)
        if "normal" in outputs:
            maps = self._pictures(outputs, "normal", 3)
        else:
            maps = self._pictures(outputs, "depth", 1)[..., 0]
        return maps[0] if single else maps

    def labels(self, model: str | None = None) -> Labels:
        """Returns the conditions, the image size and the kind of a model's newest version.

        Args:
            model: Name it is served under; default is the editor.

        Raises:
            ClientError: The server does not answer, or the model has no labels.
        """
        return self._labels(model or self.editor, self._deadline())[0]

    def status(self, model: str | None = None) -> tuple[VersionStatus, ...]:
        """Returns the state of each version of a model that the server knows of, newest first.

        Args:
            model: Name it is served under; default is the editor.

        Raises:
            ClientError: The server does not answer.
        """
        return self._status(model or self.editor, self._deadline())

    def wait_until_available(
        self, timeout: float | None = None, models: Sequence[str] | None = None
    ) -> None:
        """Waits until the server answers for the models.

        Args:
            timeout: Seconds to wait; default is that of the client.
            models: Names they are served under; default is the client's editor, and its scorer and
                mapper, if it has them.

        Raises:
            ClientError: They are not available in time; a ``ModelNotFound`` where the server has no
                such model.
        """
        if models is None:
            models = [name for name in (self.editor, self.scorer, self.mapper) if name]
        deadline = self._deadline(timeout)
        for model in models:
            while True:
                late = time.monotonic() + _POLL_S >= deadline
                try:
                    found = self._status(model, deadline)
                    if any(version.state == "available" for version in found):
                        break
                    if late:
                        states = "; ".join(map(str, found)) or "it has no versions"
                        raise ServerUnavailable(
                            f"is not available yet ({states}); wait longer, or see its log.",
                            self.address,
                            model,
                        )
                except ModelNotFound:  # A server that has just started may not know it yet.
                    if late:
                        raise
                time.sleep(_POLL_S)

    def _deadline(self, timeout: float | None = None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else timeout)

    def _status(self, model: str, deadline: float) -> tuple[VersionStatus, ...]:
        request = wire.GetModelStatusRequest()
        request.model_spec.name = model
        call = self._connection.send(wire.GET_MODEL_STATUS, request, deadline)
        found = [
            VersionStatus(one.version, _STATES.get(one.state, "unknown"), one.status.error_message)
            for one in call.result(wire.GetModelStatusResponse).model_version_status
        ]
        return tuple(sorted(found, key=lambda status: -status.version))

    def _labels(self, model: str, deadline: float) -> tuple[Labels, int]:
        """Returns the labels of a model's newest version, and its number."""
        request = wire.predict_request(model, "labels", {"row": np.zeros(1, np.int32)})
        call = self._connection.send(wire.PREDICT, request, deadline)
        try:
            answer = _answer(call)
        except SignatureNotFound as error:
            raise SignatureNotFound(
                "it does not tell its labels; export it again with this version of the package.",
                self.address,
                model,
                "labels",
            ) from error
        try:
            return Labels.from_json(answer.outputs["labels"][0].decode()), answer.version
        except (AttributeError, IndexError, KeyError, ValueError) as error:
            raise call.unintelligible(error) from error

    def _run(
        self,
        model: str,
        kind: str,
        signature: str,
        images: Any,
        targets: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, np.ndarray], bool]:
        """Returns the outputs for all pictures, and whether a single picture was given."""
        deadline = self._deadline()
        given, single = inputs.one_by_one(images)
        labels, version = self._labels(model, deadline)
        while True:
            self._check(model, kind, signature, labels)
            ids = {} if targets is None else labels.all_ids(targets, len(given))
            wanted = [f"{one.name}_mask" for one in labels.conditions if signature == "masks"]
            # All by the version that the labels are of, whatever is published meanwhile.
            request = wire.predict_request(model, signature, {}, wanted, version)
            try:
                return self._in_chunks(request, ids, given, labels.image_size, deadline), single
            except ModelNotFound:
                before = version
                labels, version = self._labels(model, deadline)
                if version == before:
                    raise

    def _check(self, model: str, kind: str, signature: str, labels: Labels) -> None:
        names = self.address, model, signature
        if labels.kind != kind:
            wrong = f"it {_PURPOSES[labels.kind]}, and one that {_PURPOSES[kind]} is needed"
            raise SignatureNotFound(f"{wrong}; give its name.", *names)
        if signature == "depth" and not labels.geometry:
            raise SignatureNotFound(
                "it has no depth network beside it; serve one that was trained with one, or give "
                "mapper, the name of a depth network.",
                *names,
            )

    def _in_chunks(
        self,
        request: Message,
        ids: Mapping[str, np.ndarray],
        given: Sequence[Any],
        size: int,
        deadline: float,
    ) -> dict[str, np.ndarray]:
        """Returns the outputs for all pictures, by requests of limited size, a few at once."""
        step = min(self._max_batch, _PIXEL_BYTES // (3 * size * size)) or 1
        sent: collections.deque[tuple[range, Call]] = collections.deque()
        outputs: list[dict[str, np.ndarray]] = []
        try:
            for at in range(0, len(given), step):
                rows = range(at, min(at + step, len(given)))
                squares = [to_square(inputs.read(given[row]), size) for row in rows]
                request.inputs["image"].CopyFrom(wire.to_tensor(np.stack(squares)))
                for name, array in ids.items():
                    request.inputs[name].CopyFrom(wire.to_tensor(array[rows.start : rows.stop]))
                sent.append((rows, self._connection.send(wire.PREDICT, request, deadline)))
                if len(sent) == _IN_FLIGHT:
                    outputs.append(_outputs(given, *sent.popleft()))
            outputs += [_outputs(given, *one) for one in sent]
        finally:
            for _, call in sent:
                call.cancel()
        try:
            return {name: np.concatenate([one[name] for one in outputs]) for name in outputs[0]}
        except (KeyError, ValueError) as error:
            spec = request.model_spec
            raise unintelligible(error, self.address, spec.name, spec.signature_name) from error

    def _pictures(self, outputs: Mapping[str, np.ndarray], name: str, channels: int) -> np.ndarray:
        found = self._checked(outputs, name, np.uint8, 4)
        if found.shape[-1] != channels:
            raise unintelligible(f"output {name!r} has {found.shape[-1]} channels", self.address)
        return found

    def _checked(
        self, outputs: Mapping[str, np.ndarray], name: str, dtype: type, rank: int
    ) -> np.ndarray:
        array = outputs.get(name)
        if array is None or array.dtype != dtype or array.ndim != rank:
            raise unintelligible(
                f"output {name!r} is missing, or of another type or shape", self.address
            )
        return array


def _outputs(given: Sequence[Any], rows: range, call: Call) -> dict[str, np.ndarray]:
    """Returns the outputs for the pictures of a chunk."""

    def name(row: int) -> str:
        picture = given[rows[row]]
        path = f" ({os.fspath(picture)})" if isinstance(picture, (str, os.PathLike)) else ""
        return f"Row {rows[row]}{path}"

    try:
        outputs = _answer(call).outputs
    except InvalidRequest as error:
        raise with_rows_named(error, len(rows), name) from error
    if any(array.ndim == 0 or len(array) != len(rows) for array in outputs.values()):
        raise call.unintelligible(
            f"{len(rows)} pictures were sent, and the answer is of another number"
        )
    return outputs


def _answer(call: Call) -> wire.Answer:
    try:
        return wire.read_answer(call.result(wire.PredictResponse))
    except wire.WireError as error:
        raise call.unintelligible(error) from error
