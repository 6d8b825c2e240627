"""What the server counts, as Prometheus reads it.

Names that begin with ``:tensorflow:`` are TensorFlow Serving's, with its labels (and the signature
on ``request_count``); latencies are in microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import prometheus_client
from prometheus_client.core import GaugeMetricFamily, Metric

from legan_tf.serving.local_server.manager import Version

_MICROSECONDS = tuple(10 * 1.8**n for n in range(33))
_ROWS = tuple(float(2**n) for n in range(11))
# The library ends the names of counters with what TensorFlow Serving's do not have.
_TOTAL = re.compile(rb"^((?:# (?:HELP|TYPE) )?:tensorflow:\S+?)_total\b", re.MULTILINE)


class Metrics:
    """Counts into a registry of its own, so that several servers can live in one process."""

    def __init__(self, states: Callable[[], Iterable[tuple[str, Version]]]) -> None:
        """Takes what returns the known versions, with the names of their models."""
        self._registry = registry = prometheus_client.CollectorRegistry()
        self._states = states
        self._requests = prometheus_client.Counter(
            ":tensorflow:serving:request_count",
            "Requests to Predict.",
            ("model_name", "signature", "status"),
            registry=registry,
        )
        self._latency = self._histogram(
            "request_latency",
            "Time in the server, in microseconds.",
            _MICROSECONDS,
            ("model_name", "API", "entrypoint"),
        )
        self._runtime = self._histogram(
            "runtime_latency",
            "Time in the model, in microseconds; with batching also in the queue.",
            _MICROSECONDS,
            ("model_name", "API", "runtime"),
        )
        self._loads = prometheus_client.Counter(
            ":tensorflow:cc:saved_model:load_attempt_count",
            "Tries to load a version.",
            ("model_path", "status"),
            registry=registry,
        )
        self._load_latency = prometheus_client.Counter(
            ":tensorflow:cc:saved_model:load_latency",
            "Time that loading took, in microseconds.",
            ("model_path",),
            registry=registry,
        )
        self._queuing = self._histogram(
            "batching_session:queuing_latency", "Wait for a batch.", _MICROSECONDS
        )
        self._input_rows = self._histogram(
            "batching_session:input_batch_size", "Rows of a request.", _ROWS
        )
        self._rows = self._histogram(
            "batching_session:processed_batch_size", "Rows of a batch, padded.", _ROWS
        )
        self._padding = self._histogram(
            "batching_session:padding_size", "Rows that were padded.", (0.0, *_ROWS)
        )
        self._queue = prometheus_client.Gauge(
            "local_server_queued_requests", "Requests that wait for a batch.", registry=registry
        )
        registry.register(self)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()
    ) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            f":tensorflow:serving:{name}", text, labels, buckets=buckets, registry=self._registry
        )

    def collect(self) -> Iterable[Metric]:
        """Returns the states of the versions, asked for anew by each reading."""
        states = GaugeMetricFamily(
            "local_server_version_state",
            "State of a version, as ModelVersionStatus numbers it: 30 is available.",
            labels=("model_name", "version"),
        )
        for name, version in self._states():
            states.add_metric((name, str(version.number)), int(version.state))
        yield states

    def answered(
        self, model: str, signature: str, status: str, entrypoint: str, seconds: float
    ) -> None:
        """Counts a request. Names that are not served go as "", or they would fill memory."""
        self._requests.labels(model, signature, status).inc()
        api = "Predict" if entrypoint == "GRPC" else "predict"
        self._latency.labels(model, api, entrypoint).observe(seconds * 1e6)

    def ran(self, model: str, seconds: float) -> None:
        """Counts a run of a signature."""
        self._runtime.labels(model, "Predict", "TF2").observe(seconds * 1e6)

    def loaded(self, folder: str, seconds: float, success: bool) -> None:
        """Counts a try to load a version."""
        self._loads.labels(folder, "success" if success else "fail").inc()
        if success:
            self._load_latency.labels(folder).inc(seconds * 1e6)

    def queued(self, requests: int) -> None:
        """Tells how many requests wait for a batch."""
        self._queue.set(requests)

    def dequeued(self, rows: int, seconds: float) -> None:
        """Counts a request that goes into a batch after a wait."""
        self._input_rows.observe(rows)
        self._queuing.observe(seconds * 1e6)

    def batched(self, rows: int, padding: int) -> None:
        """Counts a batch."""
        self._rows.observe(rows + padding)
        self._padding.observe(padding)

    def text(self) -> bytes:
        """Returns everything in the text format."""
        return _TOTAL.sub(rb"\1", prometheus_client.generate_latest(self._registry))
