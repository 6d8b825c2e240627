"""Custom gradients that can be switched off."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

_disabled = contextvars.ContextVar("disabled", default=False)


def custom_gradient(function: Callable[..., tuple[Any, Callable]]) -> Callable[..., Any]:
    """``tf.custom_gradient`` for positional tensors; ``without_custom_gradients`` switches it off.

    Args:
        function: Returns its value and its gradient. TensorFlow must be able to differentiate the
            value by itself, with the same result.
    """
    with_gradient = tf.custom_gradient(function)

    @functools.wraps(function)
    def apply(*inputs: tf.Tensor) -> Any:
        return function(*inputs)[0] if _disabled.get() else with_gradient(*inputs)

    return apply


@contextlib.contextmanager
def without_custom_gradients() -> Iterator[None]:
    """Traces functions of this thread with TensorFlow's own gradients, which they keep.

    For graphs that are saved: TensorFlow would save the graph of each custom gradient too, and at
    every load warn of the custom gradients inside it.
    """
    token = _disabled.set(True)
    try:
        yield
    finally:
        _disabled.reset(token)
