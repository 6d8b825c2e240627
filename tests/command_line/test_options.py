"""Options in groups: given and read by name, each a flag, and written down as such."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from absl import flags

from legan_tf.command_line import options
from legan_tf.command_line.options import (
    POSITIVE,
    ComposedOptions,
    Options,
    between,
    group,
    option,
)
from legan_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Size(Options):
    """A group with a property and a rule of its own."""

    width: int = option(4, "Width.", limit=POSITIVE)
    height: int = option(3, "Height.")

    @property
    def area(self) -> int:
        return self.width * self.height

    def problems(self) -> list[str]:
        flat = ["--height: must not be width"] if self.height == self.width else []
        return super().problems() + flat


@dataclasses.dataclass(frozen=True)
class Paint(Options):
    """A group with one flag of each kind."""

    colour: str = option("red", "Colour.", ("red", "blue"))
    share: float = option(0.5, "Share.", limit=between(0, 1))
    shiny: bool = option(False, "Shine.", free=True)
    words: tuple[str, ...] = option((), "Words.")


@dataclasses.dataclass(frozen=True)
class Box(ComposedOptions):
    """Two groups, one with other defaults."""

    size: Size = group(Size, height=7)
    paint: Paint = group(Paint)


@dataclasses.dataclass(frozen=True)
class Crate(Box):
    """A group of the same name takes the place of the other one."""

    size: Size = group(Size, height=9)


@dataclasses.dataclass(frozen=True)
class Sheet(ComposedOptions):
    """Has one group of the box's."""

    size: Size = group(Size)


def parsed(kind: type, *arguments: str):
    values = flags.FlagValues()
    options.define_flags(kind, values)
    values(["program", *arguments])
    return options.from_flags(kind, values), values


def test_options_are_given_by_name_and_keep_the_defaults_of_their_group():
    assert Box().size == Size(4, 7) and Box().paint == Paint()
    assert Box.of(width=2, shiny=True) == Box(Size(2, 7), Paint(shiny=True))
    assert Crate.of(width=2).size == Size(2, 9)
    assert options.names(Box) == ("width", "height", "colour", "share", "shiny", "words")
    with pytest.raises(TypeError, match="Box has no option depth, hue"):
        Box.of(width=2, depth=1, hue=3)


def test_replace_leaves_the_original_and_what_is_not_named():
    box = Box.of(width=2)
    assert box.replace(share=0.25) == Box(Size(2, 7), Paint(share=0.25))
    assert box == Box(Size(2, 7))
    assert box.replace() == box
    assert box.replace(share=0.25).size is box.size


def test_options_and_properties_are_read_without_their_group():
    box = Box.of(width=5)
    assert (box.width, box.area, box.colour) == (5, 35, "red")
    assert box.values() == {
        **{"width": 5, "height": 7, "colour": "red"},
        **{"share": 0.5, "shiny": False, "words": ()},
    }
    with pytest.raises(AttributeError, match="Box has no option 'depth'"):
        _ = box.depth
    assert copy.deepcopy(box) == pickle.loads(pickle.dumps(box)) == box


def test_another_configuration_takes_what_it_shares():
    box = Box.of(width=5, height=6, share=0.25)
    assert box.converted(Sheet) == Sheet(Size(5, 6))
    assert box.converted(Sheet, height=1) == Sheet(Size(5, 1))
    # Also what is the default there.
    assert Sheet.of(height=3).converted(Crate) == Crate(Size(4, 3))


def test_an_option_in_two_groups_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Frame(Options):
        width: int = option(1, "Width of the frame.")

    @dataclasses.dataclass(frozen=True)
    class Framed(Box):
        frame: Frame = group(Frame)

    with pytest.raises(ValueError, match="two groups of options have width"):
        options.names(Framed)

    @dataclasses.dataclass(frozen=True)
    class Area(Options):
        size: int = option(1, "An option with the name of a group.")

    @dataclasses.dataclass(frozen=True)
    class Measured(Box):
        area: Area = group(Area)

    with pytest.raises(ValueError, match="two groups of options have size"):
        options.names(Measured)


def test_flags_have_the_defaults_of_their_group():
    box, values = parsed(Box, "--width=2", "--shiny", "--words=a", "--words=b")
    assert box == Box.of(width=2, shiny=True, words=("a", "b"))
    assert values["height"].default == 7 and "Height." in values.get_help()
    assert parsed(Box)[0] == Box()
    with pytest.raises(flags.IllegalFlagValueError, match="colour=green"):
        parsed(Box, "--colour=green")
    # A group alone is a configuration, too.
    assert parsed(Size, "--height=1")[0] == Size(4, 1)


def test_what_is_written_down_gives_the_same():
    box = Box.of(width=2, share=1 / 3, shiny=True)
    lines = box.to_flagfile().splitlines()
    assert lines[:2] == ["--width=2", "--height=7"] and "--shiny=true" in lines
    assert parsed(Box, *(line for line in lines if "words" not in line))[0] == box


def test_rules_of_all_groups_are_told_together():
    Box().check()
    with pytest.raises(UserError, match="^--width=0: must be more than 0$"):
        Box.of(width=0).check()
    with pytest.raises(UserError) as error:
        Box.of(width=7, colour="green", share=1.5).check()
    assert str(error.value).splitlines() == [
        "3 of the flags do not fit:",
        "  --height: must not be width",
        "  --colour=green: choose from red, blue",
        "  --share=1.5: must be 0 to 1",
    ]
