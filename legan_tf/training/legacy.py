"""What the flags of run folders of before mean today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FORMAT = "# flags of legan_tf, format 2"
"""First line of a run's ``flags.txt``; without it the file is of before."""

_OF_EVERY_RUN = {"workdir", "image_size", "train_steps", "log_every", "seed", "dry_run"}
"""Flags by which a file that a run wrote, with every one, is told from one of a person's."""
REPLACED = {"edit_lighting": "--conditions=expression leaves the lighting out"}
"""Flags that are gone, and what is given instead."""
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


def upgraded(lines: Sequence[str], flags_of: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns the flags in a flag file as they are written today.

    Args:
        lines: Its lines; only what a run has written can be of before.
        flags_of: The names of the flags of each system.
    """
    given = parsed(lines)
    if FORMAT in lines or not _OF_EVERY_RUN <= set(given):
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
    # Version 0.1 recorded the flags of all systems; what none has is left for the parser to refuse.
    others = {name for names in flags_of.values() for name in names} - {*flags_of.get(model, ())}
    return [f"--{n}={v}" for n, v in {**given, "model": model}.items() if n not in others]


def parsed(lines: Sequence[str]) -> dict[str, str]:
    """Returns the flags in lines of a flag file, their values as text."""
    found = {}
    for line in lines:
        if line.startswith("--"):
            name, equals, value = line[2:].partition("=")
            negated = not equals and name.startswith("no")
            found[name[2:] if negated else name] = value if equals else str(not negated).lower()
    return found
