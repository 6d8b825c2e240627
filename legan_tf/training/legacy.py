"""What the flags of run folders of before mean today."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

FORMAT = "# flags of legan_tf, format 2"
"""First line of a run's ``flags.txt``; without it the file is of before."""
FLAGS_FILE = "flags.txt"

_OF_SIX_SYSTEMS = {
    "mask_channels",
    "margin",
    "identity_width",
    "classifier_width",
    "pixel_weight",
    "depth_weight",
}
"""Flags of six systems: a file that has them all is of version 0.1, whose runs recorded every flag
of every system, and had no name for editors that a depth network guides."""


def upgraded(path: str, lines: Sequence[str], flags_of: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns the flags in a flag file as they are written today.

    Args:
        path: The file; only a run's ``flags.txt`` can be of before.
        lines: Its lines.
        flags_of: The names of the flags of each system.
    """
    if os.path.basename(path) != FLAGS_FILE or FORMAT in lines:
        return list(lines)
    given = parsed(lines)
    model = given.get("model", "legan")
    if set(given) >= _OF_SIX_SYSTEMS:
        guided = f"depth_{model}"
        if guided in flags_of and float(given["depth_weight"]) != 0:
            model = guided
    if given.pop("edit_lighting", "true") == "false":
        given["conditions"] = "expression"
    if given.get("adversarial") == "hinge":
        # R1 was of the sum over patches, and is of their mean.
        patches = (int(given["image_size"]) // 2 ** int(given["d_depth"])) ** 2
        given["penalty_weight"] = str(float(given["penalty_weight"]) * patches**2)
    own = {name: value for name, value in given.items() if name in flags_of.get(model, ())}
    return [f"--model={model}", *(f"--{name}={value}" for name, value in own.items())]


def parsed(lines: Sequence[str]) -> dict[str, str]:
    """Returns the flags in lines of a flag file, their values as text."""
    found = {}
    for line in lines:
        if line.startswith("--"):
            name, equals, value = line[2:].partition("=")
            negated = not equals and name.startswith("no")
            found[name[2:] if negated else name] = value if equals else str(not negated).lower()
    return found
