"""The 20 lights of a Multi-PIE recording, as directions and strengths."""

from __future__ import annotations

import dataclasses

import numpy as np

from legan_tf.data import attributes
from legan_tf.head.light import FLASHES

AMBIENT = 0.34
"""Strength of the room's light, present in every shot."""

FLASH = 0.95
"""Strength of one flash at right angles to the skin."""


@dataclasses.dataclass(frozen=True)
class Light:
    """The light of one shot.

    Attributes:
        azimuth: Degrees to the viewer's right of the camera.
        elevation: Degrees above head height.
        flash: Strength of the flash; 0 where only the room's light is on.
    """

    azimuth: float = 0.0
    elevation: float = 0.0
    flash: float = 0.0

    @property
    def direction(self) -> np.ndarray:
        """Unit vector to the flash, x right, y up, z to the viewer."""
        a, e = np.deg2rad(self.azimuth), np.deg2rad(self.elevation)
        return np.asarray([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], np.float32)


_FLASHES = [Light(*place, FLASH) for place in FLASHES]

LIGHTS = dict(zip(attributes.MULTIPIE_SHOTS, [Light(), *_FLASHES, Light()]))
"""The light of every name in ``attributes.MULTIPIE_SHOTS``: two shots without flash, between them
13 flashes around the head at its height and 5 from above."""


def light(name: str) -> Light:
    """Returns the light of a shot.

    Raises:
        ValueError: There is no such shot.
    """
    if name not in LIGHTS:
        raise ValueError(f"There is no rendered light {name!r}; choose from shot00 to shot19.")
    return LIGHTS[name]
