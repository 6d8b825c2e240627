"""Answers requests to ``Predict``, whichever way they came in."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from legan_tf.serving.local_server.batching import Batcher
from legan_tf.serving.local_server.codes import Code, ServingError
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.metrics import Metrics
from legan_tf.serving.local_server.servable import Signature


@dataclasses.dataclass(frozen=True)
class Question:
    """What a request asks for, but for its inputs.

    Attributes:
        model: Name of the model.
        number: The version; None for the newest.
        label: The label of the version instead, if any.
        signature: Name of the signature; none means ``serving_default``.
        deadline: When the answer is of no more use, in monotonic seconds.
        entrypoint: ``GRPC`` or ``REST``, for the metrics.
    """

    model: str
    number: int | None
    label: str
    signature: str
    deadline: float | None
    entrypoint: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a signature returned, and which it was.

    Attributes:
        outputs: Arrays by name.
        version: The version that answered.
        signature: Its signature.
    """

    outputs: dict[str, np.ndarray]
    version: int
    signature: str


class Predictor:
    """Looks up the version, runs its signature, and counts."""

    def __init__(self, manager: Manager, batcher: Batcher | None, metrics: Metrics) -> None:
        """Takes where versions come from, what merges requests if any does, and where to count."""
        self._manager = manager
        self._batcher = batcher
        self._metrics = metrics

    def predict(
        self,
        question: Question,
        inputs: Callable[[Signature], Mapping[str, np.ndarray]],
        outputs: Sequence[str] = (),
    ) -> Answer:
        """Answers a request.

        Args:
            question: What it asks for.
            inputs: Reads its inputs, once it is known what the signature takes.
            outputs: Names of the outputs that are wanted; none means all.

        Raises:
            ServingError: It cannot be answered.
        """
        started = time.monotonic()
        # What is not served has no name in the metrics.
        model, signature, status = "", "", Code.UNKNOWN
        try:
            with self._manager.lend(question.model, question.number, question.label) as loan:
                model = question.model
                chosen = loan.servable.signature(question.signature)
                signature = chosen.name
                answer = self._run(chosen, inputs(chosen), question)
                status = Code.OK
                return Answer(
                    {name: answer[name] for name in outputs or answer}, loan.version, signature
                )
        except ServingError as error:
            status = error.code
            raise
        finally:
            self._metrics.answered(
                model, signature, status.name, question.entrypoint, time.monotonic() - started
            )

    def _run(
        self, signature: Signature, inputs: Mapping[str, np.ndarray], question: Question
    ) -> dict[str, np.ndarray]:
        started = time.monotonic()
        if question.deadline is not None and started >= question.deadline:
            raise ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before it ran.")
        if self._batcher is None:
            answer = signature.run(inputs)
        else:
            answer = self._batcher.run(signature, inputs, question.deadline)
        self._metrics.ran(question.model, time.monotonic() - started)
        return answer
