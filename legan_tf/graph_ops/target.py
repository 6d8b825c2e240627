"""The kind of device that graphs are made for, which decides how they compute."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from legan_tf.errors import UserError

TARGETS = ("any", "cpu", "gpu")
"""``cpu`` stands for processors with oneDNN; a graph for ``any`` device suits both kinds."""

_chosen = contextvars.ContextVar("target", default="")


def current_target() -> str:
    """Returns what graphs are made for now: by default, the devices that TensorFlow sees."""
    import tensorflow as tf  # Here, since the help of scripts needs the names alone.

    return _chosen.get() or ("gpu" if tf.config.list_logical_devices("GPU") else "cpu")


@contextlib.contextmanager
def graphs_for(target: str) -> Iterator[None]:
    """Traces functions of this thread for a target, one of ``TARGETS``, which they keep.

    Raises:
        UserError: It is none of these.
    """
    if target not in TARGETS:
        raise UserError(f"target={target}: must be one of {', '.join(TARGETS)}.")
    token = _chosen.set(target)
    try:
        yield
    finally:
        _chosen.reset(token)
