"""Answers requests to ``Predict``, whichever way they came in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from legan_tf.serving.local_server.codes import Code, ServingError
from legan_tf.serving.local_server.manager import Loan, Manager
from legan_tf.serving.local_server.servable import Signature


class Predictor:
    """Looks up the version, runs its signature."""

    def __init__(self, manager: Manager) -> None:
        """Takes where versions come from."""
        self._manager = manager

    def predict(
        self,
        model: str,
        number: int | None,
        label: str,
        signature: str,
        inputs: Callable[[Signature], Mapping[str, np.ndarray]],
        outputs: Sequence[str] = (),
        deadline: float | None = None,
    ) -> tuple[dict[str, np.ndarray], Loan, Signature]:
        """Answers a request.

        Args:
            model: Name of the model.
            number: The version, or the newest.
            label: The label of the version instead, if any.
            signature: Name of the signature; none means ``serving_default``.
            inputs: Reads the inputs of the request, once it is known what the signature takes.
            outputs: Names of the outputs that are wanted; none means all.
            deadline: When the answer is of no more use, in monotonic seconds.

        Returns:
            The outputs, and who made them.

        Raises:
            ServingError: It cannot be answered.
        """
        if not model:
            raise ServingError(Code.INVALID_ARGUMENT, "The request names no model.")
        with self._manager.lend(model, number, label) as loan:
            chosen = loan.servable.signature(signature)
            arrays = inputs(chosen)
            if deadline is not None and time.monotonic() >= deadline:
                raise ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before it ran.")
            answer = chosen.run(arrays)
            return {name: answer[name] for name in outputs or answer}, loan, chosen
