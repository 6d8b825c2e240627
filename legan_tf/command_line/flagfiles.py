"""Flag files: finding them by path or by the name of a shipped one, and expanding them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from legan_tf.errors import UserError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SUFFIX = ".flags"


def shipped_folder(name: str) -> str:
    """Returns the path of a folder that is shipped with the package.

    Args:
        name: ``configs`` or ``scripts``; in the installed package the folder is in ``legan_tf/``,
            in a checkout beside it.
    """
    installed = os.path.join(_PACKAGE, name)
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(_PACKAGE), name)


def find_flagfile(name: str) -> str:
    """Returns the path of a flag file.

    Args:
        name: A path, or the name of a shipped file, with or without ``configs/`` before it. A file
            of that name in the working directory has precedence.

    Raises:
        UserError: There is no such file; the message lists the shipped ones.
    """
    path = os.path.expanduser(name)
    if os.path.exists(path) and not os.path.isdir(path):
        return path
    configs = shipped_folder("configs")
    shipped = sorted(file for file in os.listdir(configs) if file.endswith(_SUFFIX))
    if os.path.basename(path) in shipped and os.path.dirname(path) in ("", "configs"):
        return os.path.join(configs, os.path.basename(path))
    raise UserError(
        f"--flagfile={name}: there is no such flag file; give a path or one of those that are "
        f"shipped: {', '.join(shipped)}"
    )


Amend = Callable[[str, Sequence[str]], Sequence[str]]
"""Maps the path of a flag file and its lines to the flags that they stand for."""


def expand_flagfiles(argv: Sequence[str], amend: Amend = lambda _, lines: lines) -> list[str]:
    """Replaces every ``--flagfile=NAME`` by the flags in that file, as absl does.

    Names are resolved by ``find_flagfile``, also those in flag files that include another. An
    expanded command line is returned as it is.

    Args:
        argv: The command line; arguments after ``--`` stay as they are.
        amend: Applied to the lines of each file.

    Raises:
        UserError: A file is missing, cannot be read or includes itself.
    """
    return _expand(argv, (), amend)


def _expand(arguments: Sequence[str], including: tuple[str, ...], amend: Amend) -> list[str]:
    expanded: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        flag, equals, name = argument.partition("=")
        if argument == "--":
            return [*expanded, argument, *rest]
        if flag not in ("--flagfile", "-flagfile"):
            expanded.append(argument)
            continue
        path = find_flagfile(name.strip() if equals else next(rest, ""))
        if os.path.realpath(path) in including:
            raise UserError(f"--flagfile={path}: this flag file includes itself")
        try:
            with open(path, encoding="utf-8") as file:
                lines = [line.strip() for line in file]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--flagfile={path}: it cannot be read ({error})") from error
        amended = amend(path, lines)
        flags = [line for line in amended if line and not line.startswith(("#", "//"))]
        expanded += _expand(flags, (*including, os.path.realpath(path)), amend)
    return expanded
