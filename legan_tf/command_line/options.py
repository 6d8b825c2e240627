"""Configurations as dataclasses whose fields are flags."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Sequence
from typing import TypeVar

from absl import flags

from legan_tf.errors import UserError

Config = TypeVar("Config")

# The flags belong to the module that calls: --helpshort lists them there.
flags.disclaim_key_flags()


@dataclasses.dataclass(frozen=True)
class Limit:
    """A condition on the value of a number.

    Attributes:
        holds: Returns whether a value fulfils it.
        text: The condition, as the end of a sentence about the flag.
    """

    holds: Callable[[float], bool]
    text: str


POSITIVE = Limit(lambda value: value > 0, "must be more than 0")
NOT_NEGATIVE = Limit(lambda value: value >= 0, "must not be negative")
BELOW_ONE = Limit(lambda value: 0 <= value < 1, "must be at least 0 and less than 1")


def between(low: float, high: float) -> Limit:
    """Returns the condition that a number is ``low`` to ``high``, both included."""
    return Limit(lambda value: low <= value <= high, f"must be {low} to {high}")


def option(
    default: object,
    help: str,
    choices: Sequence[str] = (),
    free: bool = False,
    limit: Limit | None = None,
) -> typing.Any:
    """Returns a dataclass field that is also a flag.

    Args:
        default: The default value.
        help: Description of the flag.
        choices: The allowed values; all if empty.
        free: Whether it may change when a run resumes.
        limit: The condition that a number has to fulfil.
    """
    return dataclasses.field(
        default=default,
        metadata={"help": help, "choices": tuple(choices), "free": free, "limit": limit},
    )


def fields_of(config: typing.Any) -> dict[str, tuple[dataclasses.Field, object]]:
    """Returns the options of a configuration by name: the field of each, and its default.

    Args:
        config: A dataclass of options or of groups of them, or an instance of one.

    Raises:
        ValueError: Two groups have an option of the same name.
    """
    found: dict[str, tuple[dataclasses.Field, object]] = {}
    for field in dataclasses.fields(config):
        if field.default_factory is dataclasses.MISSING:
            own = {field.name: (field, field.default)}
        else:
            group = field.default_factory()
            own = {n: (of, getattr(group, n)) for n, (of, _) in fields_of(group).items()}
        others = {of.name for of in dataclasses.fields(config)} - {field.name}
        twice = set(own) & {*found, *others}
        if twice:
            raise ValueError(f"two groups of options have {', '.join(sorted(twice))}")
        found.update(own)
    return found


def define_flags(config: type, values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag for each option of a configuration."""
    makers: dict[object, Callable[..., object]]
    makers = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, float: flags.DEFINE_float}
    for name, (field, default) in fields_of(config).items():
        text, choices = field.metadata["help"], field.metadata["choices"]
        if choices:
            flags.DEFINE_enum(name, typing.cast(str, default), choices, text, flag_values=values)
        elif isinstance(default, tuple):
            flags.DEFINE_multi_string(name, default, text, flag_values=values)
        else:
            make = makers.get(type(default), flags.DEFINE_string)
            make(name, default, text, flag_values=values)


def names(config: typing.Any) -> tuple[str, ...]:
    """Returns the names of a configuration's flags."""
    return tuple(fields_of(config))


def from_flags(config: type[Config], values: flags.FlagValues = flags.FLAGS) -> Config:
    """Returns the configuration given on the command line."""
    given = {name: values[name].value for name in names(config)}
    flat = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return config.of(**flat) if issubclass(config, ComposedOptions) else config(**flat)


def wrong_values(config: typing.Any) -> list[str]:
    """Returns a sentence for each option with a value outside its choices or its limit."""
    problems = []
    for field in dataclasses.fields(config):
        choices, limit = field.metadata["choices"], field.metadata["limit"]
        value = getattr(config, field.name)
        if choices and value not in choices:
            named = ", ".join(choice or "(empty)" for choice in choices)
            problems.append(f"--{field.name}={value}: choose from {named}")
        if limit and not limit.holds(value):
            problems.append(f"--{field.name}={value}: {limit.text}")
    return problems


@dataclasses.dataclass(frozen=True)
class Options:
    """A group of options; a group adds its own rules in ``problems``."""

    def problems(self) -> list[str]:
        """Returns a sentence for each rule that the values break."""
        return wrong_values(self)

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        refuse(self.problems())

    def to_flagfile(self) -> str:
        """Returns the text of a flag file that gives these values."""
        lines = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            text = str(value).lower() if isinstance(value, bool) else str(value)
            lines.append(f"--{field.name}={text}\n")
        return "".join(lines)


def group(kind: type[Options], **defaults: object) -> typing.Any:
    """Returns a field of ``ComposedOptions`` that holds a group, with other defaults if given."""
    return dataclasses.field(default_factory=lambda: kind(**defaults))


Composed = TypeVar("Composed", bound="ComposedOptions")


@dataclasses.dataclass(frozen=True)
class ComposedOptions:
    """Options in groups: every field is one, and the options of all have different names.

    An option can be read without its group: ``config.width`` is ``config.hourglass.width``.
    """

    @classmethod
    def of(cls: type[Composed], **values: object) -> Composed:
        """Returns a configuration with options by name; the others keep their defaults.

        Raises:
            TypeError: There is no such option.
        """
        return cls().replace(**values)

    def replace(self: Composed, **values: object) -> Composed:
        """Returns the configuration with other values of some options.

        Raises:
            TypeError: There is no such option.
        """
        rest, groups = dict(values), {}
        for field in dataclasses.fields(self):
            old = getattr(self, field.name)
            own = {name: rest.pop(name) for name in names(old) if name in rest}
            groups[field.name] = dataclasses.replace(old, **own) if own else old
        if rest:
            raise TypeError(f"{type(self).__name__} has no option {', '.join(rest)}")
        return type(self)(**groups)

    def values(self) -> dict[str, typing.Any]:
        """Returns the value of every option, by name."""
        return {name: getattr(self, name) for name in names(self)}

    def converted(self, other: type[Composed], **values: object) -> Composed:
        """Returns another configuration with the options that it shares, and with ``values``."""
        own = self.values()
        shared = {name: own[name] for name in names(other) if name in own}
        return other.of(**{**shared, **values})

    def __getattr__(self, name: str) -> typing.Any:
        """Returns an option, or a property, of the group that has it."""
        if not name.startswith("_"):
            for field in dataclasses.fields(self):
                held = self.__dict__.get(field.name)
                if held is not None and hasattr(held, name):
                    return getattr(held, name)
        raise AttributeError(f"{type(self).__name__} has no option {name!r}")

    def problems(self) -> list[str]:
        """Returns a sentence for each rule that the values break."""
        groups = (getattr(self, field.name) for field in dataclasses.fields(self))
        return [problem for held in groups for problem in held.problems()]

    def check(self) -> None:
        """Checks every value and every rule between values.

        Raises:
            UserError: Something does not fit; the message names the flags and is complete.
        """
        refuse(self.problems())

    def to_flagfile(self) -> str:
        """Returns the text of a flag file that gives these values."""
        return "".join(getattr(self, f.name).to_flagfile() for f in dataclasses.fields(self))


def refuse(problems: Sequence[str]) -> None:
    """Raises one error for all problems of a configuration.

    Raises:
        UserError: There are problems.
    """
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise UserError(f"{len(problems)} of the flags do not fit:\n  " + "\n  ".join(problems))


def parse_crop(text: str) -> tuple[float, float, float, float] | None:
    """Returns ``left,top,right,bottom`` as fractions; None if empty.

    Raises:
        UserError: They are not four fractions in order; the message names --crop.
    """
    if not text:
        return None
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        left = top = right = bottom = 0.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise UserError(
            f"--crop={text}: give left,top,right,bottom as fractions, for example 0.2,0.1,0.8,0.9"
        )
    return left, top, right, bottom


def listed(text: str) -> list[str]:
    """Returns the words of a flag with a comma-separated list."""
    return [word.strip() for word in text.split(",") if word.strip()]
