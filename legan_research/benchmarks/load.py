"""Load test of a server by concurrent clients, each a process without TensorFlow."""

from __future__ import annotations

import dataclasses
import multiprocessing
import queue
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier

import numpy as np

from legan_tf.command_line.cli import Progress
from legan_tf.serving import Client

_START_S = 120.0  # Eight interpreters start slowly on two cores.


@dataclasses.dataclass(frozen=True)
class Load:
    """The result of a load test in which each client sends one request after another.

    Attributes:
        clients: Number of concurrent clients.
        rows: Images in each request.
        seconds: Time from the first request to the last answer.
        latencies_s: Latency of every request in seconds, sorted.
    """

    clients: int
    rows: int
    seconds: float
    latencies_s: np.ndarray

    @property
    def images_per_s(self) -> float:
        """Throughput of all clients together."""
        return self.rows * len(self.latencies_s) / self.seconds

    def as_row(self, what: str) -> str:
        """Returns a row of the Markdown table with the head ``HEAD``."""
        p50, p95, p99 = 1000 * np.percentile(self.latencies_s, [50, 95, 99])
        return (
            f"| {what} | {self.clients} | {self.rows} | {len(self.latencies_s):,} | {p50:.0f} | "
            f"{p95:.0f} | {p99:.0f} | {self.images_per_s:.1f} |"
        )


HEAD = (
    "| | clients | pictures a request | requests | p50, ms | p95, ms | p99, ms | pictures/s |\n"
    "|---|---|---|---|---|---|---|---|"
)


def load(
    address: str,
    model: str,
    size: int,
    clients: int,
    rows: int,
    seconds: float,
    what: str,
    timeout: float = 120.0,
) -> Load:
    """Runs a load test.

    Args:
        address: Address of the server, HOST:PORT.
        model: Name of the served editor.
        size: Height and width of the images sent.
        clients: Number of concurrent clients.
        rows: Images in each request.
        seconds: Duration.
        what: Label of the progress line.
        timeout: Seconds that a client waits for an answer.

    Raises:
        RuntimeError: A client failed; its message is on stderr.
    """
    # A forked process would inherit locks of gRPC's and TensorFlow's threads.
    context = multiprocessing.get_context("spawn")
    ready, answers = context.Barrier(clients + 1), context.Queue()
    processes = [
        context.Process(
            target=_run_client,
            args=(address, model, size, rows, seconds, timeout, seed, ready, answers),
        )
        for seed in range(clients)
    ]
    try:
        for process in processes:
            process.start()
        _start_together(processes, ready)
        progress = Progress(round(seconds), what)
        began, seen = time.monotonic(), []
        while len(seen) < clients:
            try:
                seen.append(answers.get(timeout=1.0))
            except queue.Empty:
                _refuse_failed(processes)
            progress.update(min(round(seconds) - 1, int(time.monotonic() - began)))
        progress.update(round(seconds))
    finally:
        for process in processes:
            process.terminate()
            process.join()
    latencies, took = zip(*seen)
    return Load(clients, rows, max(took), np.sort(np.concatenate(latencies)))


def _start_together(processes: list[BaseProcess], ready: Barrier) -> None:
    """Starts all clients at once, when each has received its first answer."""
    until = time.monotonic() + _START_S
    while ready.n_waiting < len(processes) and time.monotonic() < until:
        _refuse_failed(processes)
        time.sleep(0.05)
    ready.wait(1.0)


def _refuse_failed(processes: list[BaseProcess]) -> None:
    if any(process.exitcode for process in processes):
        raise RuntimeError("a client failed; its message is on stderr")


def _run_client(address, model, size, rows, seconds, timeout, seed, ready, answers) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (rows, size, size, 3), np.uint8)
    with Client(address, editor=model, timeout=timeout) as client:
        labels = client.labels(model)
        targets = {"expression": labels.expressions[-1], "lighting": labels.lightings[-1]}
        client.edit(images, **targets)
        ready.wait(_START_S)
        latencies, start = [], time.monotonic()
        while (began := time.monotonic()) < start + seconds:
            client.edit(images, **targets)
            latencies.append(time.monotonic() - began)
    answers.put((np.array(latencies), time.monotonic() - start))
