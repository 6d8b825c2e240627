"""The codes that answers carry, and the error that becomes one."""

from __future__ import annotations

import enum

_LONGEST = 1024


class Code(enum.IntEnum):
    """Status codes, by the numbers that gRPC and TensorFlow share."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ServingError(Exception):
    """A request cannot be answered, or a version not loaded.

    Attributes:
        code: Why, for programs.
        message: Why, for people; cut at 1 KB, which is what fits into gRPC's trailers for sure.
    """

    def __init__(self, code: Code, message: str) -> None:
        """Takes the code and the sentence."""
        if len(message) > _LONGEST:
            message = message[: _LONGEST - 3] + "..."
        super().__init__(message)
        self.code = code
        self.message = message
