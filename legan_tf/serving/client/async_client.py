"""The client for ``asyncio``.

Pictures are cropped and resized here, as training does it, so that only the pixels that the network
uses go over the wire.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.errors import UserError
from legan_tf.serving import inputs
from legan_tf.serving.client.chunks import ChunkedPredictor, Job
from legan_tf.serving.client.connection import Connection, Metadata, Tls
from legan_tf.serving.client.errors import unintelligible
from legan_tf.serving.client.served_models import ServedModels, VersionStatus
from legan_tf.serving.labels import DEPTH, EDITOR, SCORER, Attribute, Labels

_GRACE_S = 0.1
"""Time after the deadline in which a request may still report its own error."""


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
class Masks:
    """Masks of LEGAN as grey pictures, stretched for viewing: white where it edits most.

    Attributes:
        expression: Mask of the expression, uint8 [B, S, S], or [S, S] for one picture.
        lighting: Mask of the lighting, likewise.
    """

    expression: np.ndarray
    lighting: np.ndarray


class AsyncClient:
    """A client of one server, for ``asyncio``; see ``Client`` for programs without it.

    It belongs to the event loop of its first call. All calls share one channel; any number may run
    at once. Every call can raise ``ClientError``, of a class that says what is wrong.

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
            timeout: Seconds for one call, with all its requests and retries.
            max_batch: Most pictures in one request.
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
        self._timeout = timeout
        self._models = ServedModels(self._connection)
        self._predictor = ChunkedPredictor(self._models, max_batch)

    @property
    def address(self) -> str:
        """Address of the server."""
        return self._connection.address

    async def __aenter__(self) -> AsyncClient:
        """Returns itself."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes."""
        await self.close()

    async def close(self) -> None:
        """Closes the channel and cancels its calls; later calls are refused."""
        await self._connection.close()

    async def edit(
        self,
        images: Any,
        expression: Attribute | Sequence[Attribute] = None,
        lighting: Attribute | Sequence[Attribute] = None,
    ) -> np.ndarray:
        """Edits one picture or several, given with their targets as to ``loading.Editor``.

        Returns:
            uint8 [S, S, 3] for one picture, [B, S, S, 3] for several; S is the ``image_size`` of
            ``labels``.

        Raises:
            ClientError: The server did not do it.
            UserError: A picture or a target cannot be used.
        """
        targets = {"expression": expression, "lighting": lighting}
        outputs, single = await self._run(self.editor, EDITOR, "serving_default", images, targets)
        edited = self._pictures(outputs, "image", 3)
        return edited[0] if single else edited

    async def masks(
        self,
        images: Any,
        expression: Attribute | Sequence[Attribute] = None,
        lighting: Attribute | Sequence[Attribute] = None,
    ) -> Masks:
        """Returns LEGAN's masks of edits, as ``edit`` makes them; other generators have none."""
        targets = {"expression": expression, "lighting": lighting}
        names = ("expression_mask", "lighting_mask")
        outputs, single = await self._run(self.editor, EDITOR, "masks", images, targets, names)
        masks = [self._pictures(outputs, name, 1)[..., 0] for name in names]
        return Masks(*(mask[0] if single else mask for mask in masks))

    async def score(self, images: Any) -> Scores:
        """Rates the naturalness of pictures, given as to ``edit``."""
        if not self.scorer:
            raise UserError("This client has no scorer; give the name under which Q is served.")
        outputs, single = await self._run(self.scorer, SCORER, "serving_default", images)
        rating = self._checked(outputs, "rating", np.float32, 1)
        natural = self._checked(outputs, "natural", np.bool_, 1)
        return Scores(rating[0], natural[0]) if single else Scores(rating, natural)

    async def depth(self, images: Any) -> np.ndarray:
        """Estimates depth or normal maps, by the mapper or the depth network beside the editor.

        Pictures are given as to ``edit``; for the map of an edit, give the edit.

        Returns:
            Depth, larger is nearer and 0 is background: uint8 [S, S] for one picture, [B, S, S] for
            several. Or normals n as (n + 1) * 127.5, black is background: uint8 with a last axis of
            3. ``labels().geometry`` says which.
        """
        if self.mapper:
            outputs, single = await self._run(self.mapper, DEPTH, "serving_default", images)
        else:
            outputs, single = await self._run(self.editor, EDITOR, "depth", images)
        if "normal" in outputs:
            maps = self._pictures(outputs, "normal", 3)
        else:
            maps = self._pictures(outputs, "depth", 1)[..., 0]
        return maps[0] if single else maps

    async def labels(self, model: str | None = None) -> Labels:
        """Returns the classes, the image size and the kind of a model's newest version.

        Args:
            model: Name it is served under; default is the editor.

        Raises:
            ClientError: The server does not answer, or the model has no labels.
        """
        known = await self._models.ask_labels(model or self.editor, self._deadline())
        return known.labels

    async def status(self, model: str | None = None) -> tuple[VersionStatus, ...]:
        """Returns the state of each version of a model that the server knows of, newest first.

        Args:
            model: Name it is served under; default is the editor.

        Raises:
            ClientError: The server does not answer.
        """
        return await self._models.status(model or self.editor, self._deadline())

    async def wait_until_available(
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
            await self._models.wait_until_available(model, deadline)

    def _deadline(self, timeout: float | None = None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else timeout)

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
        pictures, single = inputs.one_by_one(images)
        given: Mapping[str, Any] = targets or {}
        listed = {
            name: target
            if target is None or isinstance(target, str) or np.ndim(target) == 0
            else list(target)
            for name, target in given.items()
        }
        job = Job(model, kind, signature, pictures, listed, outputs, deadline)
        try:
            # Waiting for other calls and reading files have no deadline of their own. Requests
            # have one, and report their own error.
            result = await asyncio.wait_for(
                self._predictor.run(job), deadline - time.monotonic() + _GRACE_S
            )
        except asyncio.TimeoutError as error:
            raise self._connection.deadline_error(model, signature) from error
        return result, single

    def _pictures(self, outputs: Mapping[str, np.ndarray], name: str, channels: int) -> np.ndarray:
        pictures = self._checked(outputs, name, np.uint8, 4)
        if pictures.shape[-1] != channels:
            raise unintelligible(f"output {name!r} has {pictures.shape[-1]} channels", self.address)
        return pictures

    def _checked(
        self, outputs: Mapping[str, np.ndarray], name: str, dtype: type, rank: int
    ) -> np.ndarray:
        array = outputs.get(name)
        if array is None or array.dtype != dtype or array.ndim != rank:
            raise unintelligible(
                f"output {name!r} is missing, or of another type or shape", self.address
            )
        return array
