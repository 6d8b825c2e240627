"""Runs Predict requests, for gRPC and REST alike."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import grpc
import numpy as np

from legan_tf.serving.local_server.errors import ServingError
from legan_tf.serving.local_server.manager import Manager, ModelSpec
from legan_tf.serving.local_server.metrics import Metrics
from legan_tf.serving.local_server.servable import Signature


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer to a Predict request.

    Attributes:
        outputs: Arrays by name.
        version: The version that answered.
        signature: The name of its signature.
    """

    outputs: dict[str, np.ndarray]
    version: int
    signature: str


class Predictor:
    """Looks up the version, runs its signature, and counts the request."""

    def __init__(self, manager: Manager, metrics: Metrics) -> None:
        """Initialises it with the source of versions, and what counts requests."""
        self._manager = manager
        self._metrics = metrics

    def predict(
        self,
        spec: ModelSpec,
        signature_name: str,
        read_inputs: Callable[[Signature], Mapping[str, np.ndarray]],
        outputs: Sequence[str] = (),
        deadline: float | None = None,
        entrypoint: str = "GRPC",
    ) -> Prediction:
        """Runs a signature.

        Args:
            spec: Which model.
            signature_name: Name of the signature; empty for the default one.
            read_inputs: Returns the inputs of the request for the signature that was found.
            outputs: Names of the outputs to return; none for all.
            deadline: Time from which on it is not run any more, in monotonic seconds.
            entrypoint: ``GRPC`` or ``REST``, for the metrics.

        Raises:
            ServingError: The request cannot be answered.
        """
        started = time.monotonic()
        model, name, status = "", "", grpc.StatusCode.UNKNOWN
        try:
            with self._manager.use(spec) as (version, servable):
                model = spec.name
                signature = servable.signature(signature_name)
                name = signature.name
                inputs = read_inputs(signature)
                if deadline is not None and time.monotonic() >= deadline:
                    raise ServingError(
                        grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline passed before it ran."
                    )
                answer = signature.run(inputs)
                status = grpc.StatusCode.OK
                wanted = {key: answer[key] for key in outputs or answer}
                return Prediction(wanted, version, name)
        except ServingError as error:
            status = error.code
            raise
        finally:
            seconds = time.monotonic() - started
            self._metrics.add_request(model, name, status.name, entrypoint, seconds)
