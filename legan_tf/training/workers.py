"""This process among the workers that train together, from ``TF_CONFIG``."""

from __future__ import annotations

import dataclasses
import json
import os
import socket

from legan_tf.errors import UserError

VARIABLE = "TF_CONFIG"
_TRAINING = ("chief", "worker")
"""The jobs of a cluster that train, in the order in which workers are counted."""


@dataclasses.dataclass(frozen=True)
class Worker:
    """One of the workers that train together; here this process.

    Attributes:
        addresses: ``host:port`` of every worker, the chief's first; empty for a process alone.
        index: Its own number among them.
    """

    addresses: tuple[str, ...] = ()
    index: int = 0

    @property
    def count(self) -> int:
        """Number of workers that train together."""
        return max(len(self.addresses), 1)

    @property
    def is_chief(self) -> bool:
        """Whether this one writes the run folder."""
        return self.index == 0

    def check_port(self) -> None:
        """Checks that this worker can listen at its address.

        Raises:
            UserError: Its port is taken, or is none.
        """
        address = self.addresses[self.index]
        with socket.socket() as trial:
            # As gRPC does, so that the port of a run that has just ended is free.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("", int(address.rpartition(":")[2])))
            except (OSError, OverflowError) as error:
                reason = getattr(error, "strerror", None) or error
                raise UserError(
                    f"{VARIABLE}: this worker cannot listen at {address} ({reason}): end what "
                    "uses the port, or name another one in the TF_CONFIG of every worker."
                ) from error


def this_worker() -> Worker:
    """Returns this worker from ``TF_CONFIG``; a single one without it.

    Raises:
        UserError: ``TF_CONFIG`` is malformed; the message says how.
    """
    text = os.environ.get(VARIABLE, "")
    if not text.strip():
        return Worker()
    try:
        config = json.loads(text)
        jobs = config.get("cluster") or {}
        workers = {job: [str(address) for address in jobs.get(job, [])] for job in _TRAINING}
        addresses = [address for job in _TRAINING for address in workers[job]]
        if len(addresses) < 2 and "ps" not in jobs:
            return Worker()
        job, index = config["task"]["type"], int(config["task"]["index"])
    except json.JSONDecodeError as error:
        raise UserError(f"{VARIABLE}: is not JSON: {error}.") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{VARIABLE}={text}: write {{"cluster": {{"worker": ["HOST:PORT", ...]}}, "task": '
            '{"type": "worker", "index": 0}} with the index of each worker.'
        ) from error
    if "ps" in jobs:
        raise UserError(f"{VARIABLE}: there are no parameter servers here: leave out the job ps.")
    if job not in _TRAINING:
        raise UserError(
            f"{VARIABLE}: a task of type {job!r} has no work here; give chief or worker."
        )
    if not 0 <= index < len(workers[job]):
        raise UserError(
            f"{VARIABLE}: its cluster has no {job} with the index {index}; they count from 0."
        )
    for address in addresses:
        if not address.rpartition(":")[2].isdecimal():
            raise UserError(f"{VARIABLE}: {address!r} is no address: write HOST:PORT.")
    if len(set(addresses)) < len(addresses):
        raise UserError(f"{VARIABLE}: two workers have the same address; give each its own.")
    return Worker(tuple(addresses), index + (len(workers["chief"]) if job == "worker" else 0))
