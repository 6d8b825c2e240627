"""Errors that tell a person what to do about them."""

from __future__ import annotations


class UserError(ValueError):
    """Invalid input of a user; the message says what is wrong, where, and what to do.

    Every designed error of the package derives from it. The scripts print its message without a
    traceback and exit with status 2.
    """


def first_line(error: BaseException) -> str:
    """Returns the first line of what an error says, to be put into a sentence; else its name."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
