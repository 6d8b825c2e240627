"""Lights that a face can be shown under: a lamp far away, and light from everywhere."""

from __future__ import annotations

import dataclasses

import numpy as np

from legan_tf.errors import UserError

FLASHES = (
    *((azimuth, 0.0) for azimuth in range(-90, 91, 15)),
    *((-70, 42.0), (-35, 50.0), (0, 55.0), (35, 50.0), (70, 42.0)),
)
"""Azimuth and elevation of Multi-PIE's 18 flashes, shots 01 to 18, in degrees: 13 around the head
at its height and 5 from above. Shots 00 and 19 are taken without a flash."""

_AMBIENT = 0.06
_ROOM = 0.26  # Share of the room's light in a shot of Multi-PIE.


@dataclasses.dataclass(frozen=True)
class Light:
    """A lamp far away, and light from everywhere in front of the face.

    Attributes:
        azimuth: Degrees of the lamp to the picture's right of the camera: above 0 the right half
            of the face is bright, below 0 the left half; 90 is beside the face, more behind it.
        elevation: Degrees of the lamp above the camera; below 0 it stands lower.
        strength: How far the picture is taken to this light, as an exponent of the change: 0 leaves
            it as it is, 1 is the light itself, more exaggerates.
        ambient: Share of the light that comes from everywhere, 0 to 1; 1 is soft light alone.
    """

    azimuth: float = 0.0
    elevation: float = 0.0
    strength: float = 1.0
    ambient: float = _AMBIENT

    @property
    def direction(self) -> np.ndarray:
        """Unit vector to the lamp, float64 [3], x right, y up, z to the viewer."""
        azimuth, elevation = np.radians(self.azimuth), np.radians(self.elevation)
        level = np.cos(elevation)
        return np.array(
            [np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level], np.float64
        )


SOFT = Light(ambient=1.0)
"""Light from everywhere in front of the face."""

LIGHTS = {
    "left": Light(-60, 20),
    "right": Light(60, 20),
    "above": Light(0, 55),
    "below": Light(0, -35),
    "front": Light(0, 0),
    "above left": Light(-40, 40),
    "above right": Light(40, 40),
    "soft": SOFT,
    "shot00": SOFT,
    **{
        f"shot{number:02d}": Light(azimuth, elevation, ambient=_ROOM)
        for number, (azimuth, elevation) in enumerate(FLASHES, 1)
    },
    "shot19": SOFT,
}
"""Lights by name: what is bright in the picture, or the number of a shot of Multi-PIE."""

_LIMITS = {
    "azimuth": (-180.0, 180.0),
    "elevation": (-90.0, 90.0),
    "strength": (0.0, 2.0),
    "ambient": (0.0, 1.0),
}
_FORM = "azimuth=-60,elevation=20"


def parse_light(text: str) -> Light:
    """Returns the light that a name or numbers tell.

    Args:
        text: A name of ``LIGHTS``, words joined by a space or ``_``; or numbers by name, as in
            ``azimuth=-60,elevation=20``, also ``strength`` and ``ambient``. Those left out are the
            defaults of ``Light``.

    Raises:
        UserError: It is none of both, or a number is out of its range.
    """
    name = text.strip().lower().replace("_", " ")
    if name in LIGHTS:
        return LIGHTS[name]
    if "=" not in text:
        names = ", ".join(known for known in LIGHTS if not known.startswith("shot"))
        raise UserError(
            f"--lighting={text} is no light that is known; known are {names}, shot00 to shot19, "
            f"and directions in degrees such as {_FORM}."
        )
    values: dict[str, float] = {}
    for item in text.split(","):
        key, equals, number = (part.strip() for part in item.partition("="))
        if key not in _LIMITS or not equals:
            raise UserError(
                f"--lighting={text}: {item.strip()!r} is none of {', '.join(_LIMITS)}; write it as "
                f"{_FORM}."
            )
        if key in values:
            raise UserError(f"--lighting={text}: {key} is given twice; give it once.")
        low, high = _LIMITS[key]
        try:
            values[key] = float(number)
        except ValueError:
            raise UserError(
                f"--lighting={text}: {number!r} is no number; write it as {_FORM}."
            ) from None
        if not low <= values[key] <= high:
            raise UserError(f"--lighting={text}: {key} {number} is not within {low:g} to {high:g}.")
    return Light(**values)
