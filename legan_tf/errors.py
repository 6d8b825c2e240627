"""Errors for users, whose messages say what to do."""

from __future__ import annotations


class UserError(ValueError):
    """Invalid input of a user; the message says what is wrong, where, and what to do.

    Base class of all errors of the package. The scripts print its message without a traceback and
    exit with status 2.
    """


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, without its full stop; else its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
