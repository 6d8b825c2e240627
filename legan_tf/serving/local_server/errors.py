"""The error that a request is answered with, and TensorFlow's errors as such."""

from __future__ import annotations

import re

import grpc
import tensorflow as tf

_MAX_CHARACTERS = 1024
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
"""Status codes by number."""
# TensorFlow puts the model's own message between a stack trace and the names of nodes.
_BEFORE = re.compile(r"^.*<stack traces unavailable>\n|^Graph execution error:\s*", re.DOTALL)
_AFTER = re.compile(r"\n?\s*\[\[\{\{.*$|\s*\[Op:[^\]]*\]\s*(name:.*)?$", re.DOTALL)


class ServingError(Exception):
    """A request cannot be answered, or a version cannot be loaded.

    Attributes:
        code: Status code; gRPC and TensorFlow have the same ones.
        message: One sentence, cut at 1 KB, which gRPC's trailers always hold.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        """Initialises it with the code and the sentence."""
        if len(message) > _MAX_CHARACTERS:
            message = message[: _MAX_CHARACTERS - 3] + "..."
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> ServingError:
    """Returns the error of a request that is wrong in itself."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def from_tensorflow(error: tf.errors.OpError) -> ServingError:
    """Returns an error of TensorFlow with its code and the model's own message."""
    return ServingError(
        STATUS_CODES[error.error_code], strip_trace(error.message) or type(error).__name__
    )


def strip_trace(message: str) -> str:
    """Removes what TensorFlow puts around a model's own message."""
    return _AFTER.sub("", _BEFORE.sub("", message)).strip()
