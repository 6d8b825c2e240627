"""The trainable systems: one module each, found by ``--model=NAME``.

A module of this package that registers a ``System`` is all that a new system needs.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from absl import flags

from legan_tf.command_line import options
from legan_tf.command_line.flagfiles import expand_flagfiles, find_flagfile
from legan_tf.errors import UserError
from legan_tf.training import legacy
from legan_tf.training.system import SYSTEMS, System

DEFAULT = "legan"

# The flags belong to the program: --helpshort lists them there.
flags.disclaim_key_flags()

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


def needs() -> dict[str, dict[str, tuple[str, ...]]]:
    """Returns the columns of a manifest that each system learns from, by its name and flags.

    Systems that extend another one are left out: they need the same columns, and maps.
    """
    return {
        name: {"": system.columns, **system.alternatives}
        for name, system in SYSTEMS.items()
        if system.base is None
    }


def select_flags(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Defines the flags of the system that a command line names.

    Args:
        argv: The command line.
        values: Where to define them.

    Returns:
        The command line, its flag files expanded, without flags of a system that a later
        ``--model`` replaces.

    Raises:
        UserError: There is no such system, or a flag of another one is given.
    """
    program, *arguments = _expanded(argv)
    # First --model alone, then the flags of that system: what is left is of other systems.
    chosen = flags.FlagValues()
    text = "What to train. The other flags here are those of --model={}."
    flags.DEFINE_string("model", DEFAULT, text, flag_values=chosen)
    chosen([program, *arguments], known_only=True)
    system = get(str(chosen["model"].value))
    flags.DEFINE_enum("model", system.model, names(), text.format(system.model), flag_values=values)
    options.define_flags(system, values)
    own, kept, refused, model = options.names(system), [], [], ""
    rest = iter(arguments)
    for argument in rest:
        written, equals, value = argument.partition("=")
        name = written.lstrip("-") if argument.startswith("-") else ""
        taken = [argument]
        if name.startswith("no") and name not in own and (_owners(name[2:]) or _gone(name[2:])):
            name = name[2:]
        elif not equals and (name == "model" or _takes_value(name)):
            # Written apart: --mask_channels 3.
            taken += [after for after in [next(rest, None)] if after is not None]
            value = taken[-1] if len(taken) > 1 else ""
        if name == "model":
            model = value
        owners = _owners(name)
        if _gone(name):
            refused.append(f"--{name} is gone: {_gone(name)}")
        elif not owners or name in own:
            kept += taken
        elif model not in owners:
            refused.append(_refusal(name, system))
    if refused:
        raise UserError("\n  ".join(refused))
    return [program, *kept]


def from_flags(values: flags.FlagValues = flags.FLAGS) -> System:
    """Returns the system with the options that the parsed command line gave."""
    return options.from_flags(get(str(values["model"].value)), values)


def from_flagfile(path: str) -> System:
    """Reads a flag file, for example the ``flags.txt`` of a run.

    Raises:
        UserError: The file is missing, or holds something that is no flag of its system.
    """
    path = find_flagfile(path)
    values = flags.FlagValues()
    try:
        values(select_flags([path, f"--flagfile={path}"], values))
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
    given = legacy.parsed(_expanded([path, f"--flagfile={path}"])[1:])
    system = get(given.get("model", DEFAULT))
    own = options.names(system)
    return system, {name: value for name, value in given.items() if name in own}


def _expanded(argv: Sequence[str]) -> list[str]:
    """The command line with its flag files expanded, those of runs of before as written today."""
    flags_of = {model: options.names(system) for model, system in SYSTEMS.items()}
    return expand_flagfiles(argv, lambda _, lines: legacy.upgraded(lines, flags_of))


def _owners(name: str) -> list[str]:
    """The systems that have a flag."""
    return [model for model, system in SYSTEMS.items() if name in options.names(system)]


def _gone(name: str) -> str:
    """What is given instead of a flag that was removed; empty if it was not."""
    return "" if _owners(name) else legacy.REPLACED.get(name, "")


def _takes_value(name: str) -> bool:
    """Whether a flag of a system may have its value after a space: all but truth values do."""
    of = [options.fields_of(SYSTEMS[model])[name][1] for model in _owners(name)]
    return bool(of) and not isinstance(of[0], bool)


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
    return system.of(**values)
