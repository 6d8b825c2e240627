"""Runs Predict requests of gRPC and REST, with their metrics under TensorFlow Serving's names."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

import grpc
import numpy as np
import prometheus_client
from google.protobuf.message import Message

from legan_tf.serving.local_server.errors import ServingError
from legan_tf.serving.local_server.manager import Manager
from legan_tf.serving.local_server.servable import Signature
from legan_tf.serving.wire import Answer

_MICROSECONDS = tuple(10 * 1.8**n for n in range(33))
# The library ends the names of counters with what TensorFlow Serving's do not have.
_TOTAL = re.compile(rb"^((?:# (?:HELP|TYPE) )?:tensorflow:\S+?)_total\b", re.MULTILINE)


class Predictor:
    """Looks up the version, runs its signature, and counts the request."""

    def __init__(self, manager: Manager) -> None:
        """Takes the source of versions."""
        self._manager = manager
        # Of its own, so that several servers can live in one process.
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            ":tensorflow:serving:request_count",
            "Requests to Predict.",
            ("model_name", "signature", "status"),
            registry=self._registry,
        )
        self._latency = prometheus_client.Histogram(
            ":tensorflow:serving:request_latency",
            "Time in the server, in microseconds.",
            ("model_name", "API", "entrypoint"),
            buckets=_MICROSECONDS,
            registry=self._registry,
        )

    def predict(
        self,
        spec: Message,
        signature_name: str,
        read_inputs: Callable[[Signature], Mapping[str, np.ndarray]],
        outputs: Sequence[str] = (),
        deadline: float | None = None,
        api: tuple[str, str] = ("Predict", "GRPC"),
    ) -> Answer:
        """Runs a signature.

        Args:
            spec: ``ModelSpec`` of the model.
            signature_name: Name of the signature; empty for the default one.
            read_inputs: Returns the inputs of the request for the signature that was found.
            outputs: Names of the outputs to return; none for all.
            deadline: Time from which on it is not run any more, in monotonic seconds.
            api: Labels ``API`` and ``entrypoint`` of the metrics.

        Raises:
            ServingError: The request cannot be answered.
        """
        started = time.monotonic()
        # The names of a model or signature that is not served are counted as "": made-up ones
        # would fill the memory.
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
                answer = Answer(signature.run(inputs, outputs), version)
                status = grpc.StatusCode.OK
                return answer
        except ServingError as error:
            status = error.code
            raise
        finally:
            self._requests.labels(model, name, status.name).inc()
            self._latency.labels(model, *api).observe((time.monotonic() - started) * 1e6)

    def metrics(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return _TOTAL.sub(rb"\1", prometheus_client.generate_latest(self._registry))
