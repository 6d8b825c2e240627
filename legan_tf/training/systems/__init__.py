"""The trainable systems: one module each, found by ``--model=NAME``.

A module of this package that registers a ``System`` is all that a new system needs.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Sequence

from absl import flags

from legan_tf.command_line import options
from legan_tf.command_line.flagfiles import expand_flagfiles, find_flagfile
from legan_tf.errors import UserError
from legan_tf.training.system import SYSTEMS, System

DEFAULT = "legan"

# The flags belong to the program: --helpshort lists them there.
flags.disclaim_key_flags()

_RECORDED = {
    "mask_channels",
    "margin",
    "identity_width",
    "classifier_width",
    "pixel_weight",
    "depth_weight",
}
"""Flags of six systems: a ``flags.txt`` that has them all is of version 0.1, whose runs recorded
every flag of every system."""

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)


def names() -> tuple[str, ...]:
    """Returns the names of the systems."""
    return tuple(SYSTEMS)


def get(name: str) -> type[System]:
    """Returns a system.

    Raises:
        UserError: There is none of that name.
    """
    if name not in SYSTEMS:
        raise UserError(f"--model={name}: choose from {', '.join(SYSTEMS)}")
    return SYSTEMS[name]


def needs() -> dict[str, tuple[str, ...]]:
    """Returns the columns of a manifest that each system learns from, by its name.

    Systems that extend another one are left out: they need the same columns, and maps.
    """
    return {
        name: system.needs
        for name, system in SYSTEMS.items()
        if not any(issubclass(system, other) for other in SYSTEMS.values() if other is not system)
    }


def select_flags(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Defines the flags of the system that a command line names.

    Args:
        argv: The command line.
        values: Where to define them.

    Returns:
        The command line, its flag files expanded, without flags of systems that a later
        ``--model`` replaces, and without flags that a run of version 0.1 recorded and that do not
        concern the system.

    Raises:
        UserError: There is no such system, or a flag of another one is given.
    """
    program, *arguments = argv
    tokens = _tokens(arguments)
    system, added = _resolve(tokens)
    flags.DEFINE_enum(
        "model",
        system.model,
        names(),
        f"What to train. The other flags here are those of --model={system.model}.",
        flag_values=values,
    )
    options.define_flags(system, values)
    own = options.names(system)
    kept, refused = [], []
    for token in tokens:
        owners = _owners(token.name)
        if token.name in own or not owners and token.name != "model":
            kept += token.arguments
        elif owners and not token.recorded and token.model not in owners:
            refused.append(_refusal(token.name, system))
    if refused:
        raise UserError("\n  ".join(refused))
    return [program, f"--model={system.model}", *added, *kept]


def from_flags(values: flags.FlagValues = flags.FLAGS) -> System:
    """Returns the system with the options that the parsed command line gave."""
    return options.from_flags(get(values["model"].value), values)


def from_flagfile(path: str) -> System:
    """Reads a flag file, for example the ``flags.txt`` of a run.

    Raises:
        UserError: The file is missing, or holds something that is no flag of its system.
    """
    path = find_flagfile(path)
    values = flags.FlagValues()
    try:
        values(select_flags(["", f"--flagfile={path}"], values))
    except (flags.Error, UserError) as error:
        raise UserError(f"{path}: {error}") from error
    return from_flags(values)


def recorded_flags(path: str) -> tuple[type[System], dict[str, str]]:
    """Reads the flags that a run recorded, also where the file has flags that are not known here.

    Args:
        path: Its ``flags.txt``.

    Returns:
        The system, and the text of each of its options in the file, by name.

    Raises:
        UserError: There is no such system.
    """
    with open(path, encoding="utf-8") as file:
        tokens = _tokens_of(file.read().splitlines(), "")
    system, _ = _resolve(tokens)
    own = options.names(system)
    return system, {token.name: token.value for token in tokens if token.name in own}


@dataclasses.dataclass(frozen=True)
class _Token:
    """A flag on a command line, or an argument that is none.

    Attributes:
        name: The flag, without the ``no`` of a false one; empty for another argument.
        value: Its value as text; empty for a boolean one without.
        arguments: The arguments that it was written as.
        model: The last ``--model`` before it.
        recorded: Whether it stands in a ``flags.txt`` of version 0.1.
    """

    name: str
    value: str
    arguments: tuple[str, ...]
    model: str
    recorded: bool = False


def _tokens(arguments: Sequence[str]) -> list[_Token]:
    """The flags on a command line and in the flag files that it names, in their order."""
    tokens: list[_Token] = []
    typed: list[str] = []
    rest = list(arguments)

    def add(more: Sequence[str]) -> None:
        tokens.extend(_tokens_of(more, tokens[-1].model if tokens else ""))

    while rest:
        argument = rest.pop(0)
        name, equals, _ = argument.partition("=")
        if argument == "--":
            typed += [argument, *rest]
            break
        if name.lstrip("-") != "flagfile":
            typed.append(argument)
            continue
        add(typed)
        typed = []
        add(expand_flagfiles(["", argument, *(() if equals else rest[:1])])[1:])
        rest = rest if equals else rest[1:]
    add(typed)
    return tokens


def _tokens_of(arguments: Sequence[str], model: str) -> list[_Token]:
    """The flags in a row of arguments, all of one flag file or all typed."""
    tokens: list[_Token] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        written, equals, value = argument.partition("=")
        if argument == "--":
            tokens.append(_Token("", "", (argument, *rest), model))
            break
        if not argument.startswith("-"):
            tokens.append(_Token("", "", (argument,), model))
            continue
        name = written.lstrip("-")
        negated = name[2:] if name.startswith("no") else ""
        name = negated if _owners(negated) else name
        as_written = [argument]
        takes_value = name == "model" or (_owners(name) and not _is_boolean(name))
        if not equals and takes_value and rest:
            value = rest.pop(0)
            as_written.append(value)
        if name == "model":
            model = value
        tokens.append(_Token(name, value, tuple(as_written), model))
    if {token.name for token in tokens} >= _RECORDED:
        return [dataclasses.replace(token, recorded=True) for token in tokens]
    return tokens


def _is_boolean(name: str) -> bool:
    system = SYSTEMS[_owners(name)[0]]
    return isinstance(getattr(system, name), bool)


def _resolve(tokens: Sequence[_Token]) -> tuple[type[System], list[str]]:
    """The system that flags name, and flags to add.

    In version 0.1 depth guidance had no name of its own: ``--model=stargan`` with options of the
    depth network was guided by it, with a weight of 0 where none was given.
    """
    given = {token.name: token for token in tokens}
    system = get(given["model"].value if "model" in given else DEFAULT)
    guided = SYSTEMS.get(f"depth_{system.model}")
    if guided is None:
        return system, []
    of_depth = set(options.names(guided)) - set(options.names(system))
    typed = {token.name for token in tokens if not token.recorded}
    weight = given.get("depth_weight")
    if of_depth & typed:
        return guided, [] if weight else ["--depth_weight=0"]
    if weight is None or weight.value.strip() in ("0", "0.0"):
        return system, []
    return guided, []


def _owners(name: str) -> list[str]:
    """The systems that have a flag."""
    return [model for model, system in SYSTEMS.items() if name in options.names(system)]


def _refusal(name: str, system: type[System]) -> str:
    owners = _owners(name)
    if not owners:
        return f"--{name}: no system has such an option."
    return f"--{name} belongs to {', '.join(owners)}, not to {system.model}."


def table() -> str:
    """Returns the systems as a Markdown table."""
    rows = [
        f"| `{name}` | {(system.__doc__ or '').splitlines()[0].rstrip('.')} |"
        for name, system in SYSTEMS.items()
    ]
    return "\n".join(["| `--model` | System |", "|---|---|", *rows])


def make(model: str = DEFAULT, **values: object) -> System:
    """Returns a system with options.

    Args:
        model: Its name.
        **values: Options by name; the others keep their defaults.

    Raises:
        UserError: There is no such system, or it has no such option.
    """
    system = get(model)
    unknown = [name for name in values if name not in options.names(system)]
    if unknown:
        raise UserError("\n  ".join(_refusal(name, system) for name in unknown))
    return system(**values)


__all__ = [
    "DEFAULT",
    "SYSTEMS",
    "from_flagfile",
    "from_flags",
    "get",
    "make",
    "names",
    "needs",
    "recorded_flags",
    "select_flags",
    "table",
]
