"""The kind of device that graphs are made for, which decides how they compute."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

TARGETS = ("any", "cpu", "gpu")
"""``cpu`` stands for processors with oneDNN; a graph for ``any`` device is tuned for none."""

_chosen = contextvars.ContextVar("target", default="")


def current_target() -> str:
    """Returns what graphs are made for now: by default, the devices that TensorFlow sees."""
    return _chosen.get() or ("gpu" if tf.config.list_logical_devices("GPU") else "cpu")


@contextlib.contextmanager
def graphs_for(target: str) -> Iterator[None]:
    """Makes what this thread traces be for a target, one of ``TARGETS``; it then stays so."""
    token = _chosen.set(target)
    try:
        yield
    finally:
        _chosen.reset(token)
