"""Gradients of our own, and doing without them."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

_left_to_tensorflow = contextvars.ContextVar("left_to_tensorflow", default=False)


def own_gradient(function: Callable[..., tuple[Any, Callable]]) -> Callable[..., Any]:
    """As ``tf.custom_gradient`` for positional tensors, but ``left_to_tensorflow`` switches it off.

    Args:
        function: Returns what it computes and its gradient. What it computes must be
            differentiable for TensorFlow too, to the same values.
    """
    with_own = tf.custom_gradient(function)

    @functools.wraps(function)
    def apply(*inputs: tf.Tensor) -> Any:
        return function(*inputs)[0] if _left_to_tensorflow.get() else with_own(*inputs)

    return apply


@contextlib.contextmanager
def left_to_tensorflow() -> Iterator[None]:
    """What this thread traces meanwhile has only the gradients that TensorFlow finds by itself.

    It stays so afterwards. For graphs that are written: TensorFlow also writes the graph of each
    gradient of our own, and warns at every load of those within it.
    """
    token = _left_to_tensorflow.set(True)
    try:
        yield
    finally:
        _left_to_tensorflow.reset(token)
