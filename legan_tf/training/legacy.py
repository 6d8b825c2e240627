"""What the flags of run folders of before mean today."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from legan_tf.training.run_folder import FLAGS_FILE

FORMAT = "# flags of legan_tf, format 2"
"""First line of a run's ``flags.txt``; without it the file is of before."""

_OF_EVERY_RUN = {"workdir", "image_size", "dry_run"}
"""Flags by which a file that a run wrote is told from one of the same name that a person wrote."""
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
    given = parsed(lines)
    if os.path.basename(path) != FLAGS_FILE or FORMAT in lines or not _OF_EVERY_RUN <= set(given):
        return list(lines)
    model = given.get("model", "legan")
    guided = f"depth_{model}"
    if set(given) >= _OF_SIX_SYSTEMS and guided in flags_of:
        model = model if given["depth_weight"] in ("0", "0.0") else guided
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
