"""Counts and latencies of Predict, under TensorFlow Serving's names, for Prometheus."""

from __future__ import annotations

import re

import prometheus_client

_MICROSECONDS = tuple(10 * 1.8**n for n in range(33))
# The library ends the names of counters with what TensorFlow Serving's do not have.
_TOTAL = re.compile(rb"^((?:# (?:HELP|TYPE) )?:tensorflow:\S+?)_total\b", re.MULTILINE)


class Metrics:
    """Counts into a registry of its own, so that several servers can live in one process."""

    def __init__(self) -> None:
        """Begins with zeros."""
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

    def add_request(
        self, model: str, signature: str, status: str, entrypoint: str, seconds: float
    ) -> None:
        """Counts a request; ``entrypoint`` is GRPC or REST.

        The names of a model or signature that is not served are given as "": made-up ones would
        fill the memory.
        """
        self._requests.labels(model, signature, status).inc()
        api = "Predict" if entrypoint == "GRPC" else "predict"
        self._latency.labels(model, api, entrypoint).observe(seconds * 1e6)

    def text(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return _TOTAL.sub(rb"\1", prometheus_client.generate_latest(self._registry))
