"""The 20 lights of a Multi-PIE recording, as directions and strengths."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from legan_tf.data import attributes, csv_text
from legan_tf.errors import UserError
from legan_tf.head.light import FLASHES

AMBIENT = 0.42
"""Strength of the room's light, present in every shot."""

FLASH = 1.15
"""Strength of one flash at right angles to the skin."""


@dataclasses.dataclass(frozen=True)
class Light:
    """The light of one shot.

    Attributes:
        azimuth: Degrees to the viewer's right of the camera.
        elevation: Degrees above head height.
        flash: Strength of the flash; 0 where only the room's light is on.
        ambient: Strength of the room's light.
    """

    azimuth: float = 0.0
    elevation: float = 0.0
    flash: float = 0.0
    ambient: float = AMBIENT

    @property
    def direction(self) -> np.ndarray:
        """Unit vector to the flash, x right, y up, z to the viewer."""
        a, e = np.deg2rad(self.azimuth), np.deg2rad(self.elevation)
        return np.asarray([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], np.float32)


_FLASHES = [Light(*place, FLASH) for place in FLASHES]

LIGHTS = dict(zip(attributes.MULTIPIE_SHOTS, [Light(), *_FLASHES, Light()]))
"""The light of every name in ``attributes.MULTIPIE_SHOTS``: two shots without flash, between them
13 flashes around the head at its height and 5 from above."""


def light(name: str, others: Mapping[str, Light] | None = None) -> Light:
    """Returns the light of a shot, or of a set of others by name.

    Raises:
        ValueError: There is no such light.
    """
    known = others or LIGHTS
    if name not in known:
        names = ", ".join(others) if others else "shot00 to shot19"
        raise ValueError(f"There is no rendered light {name!r}; choose from {names}.")
    return known[name]


@functools.lru_cache(maxsize=4)
def read_lights(path: str) -> dict[str, Light]:
    """Reads a set of lights.

    Args:
        path: CSV with a column ``name`` and any of the fields of ``Light``; an empty cell is its
            default.

    Raises:
        UserError: It cannot be read, or a line is no light; the message names file and line.
    """
    try:
        table = csv_text.read_table(path)
    except UserError as error:
        raise UserError(f"--lights: {error}") from error
    fields = [field.name for field in dataclasses.fields(Light)]
    unknown = set(table.columns) - {"name", *fields}
    if "name" not in table.columns or unknown:
        raise UserError(
            f"--lights={path}: needs a column name, and may have {', '.join(fields)}"
            + (f"; it has {', '.join(sorted(unknown))} too." if unknown else ".")
        )
    found: dict[str, Light] = {}
    for number, line in table.lines:
        name = line["name"].strip()
        if not name or name in found:
            raise UserError(f"--lights={path}, line {number}: give each light a name of its own.")
        try:
            values = {field: float(line[field]) for field in fields if line.get(field, "").strip()}
        except ValueError as error:
            raise UserError(f"--lights={path}, line {number}: {error}.") from error
        if (
            not all(map(np.isfinite, values.values()))
            or min(values.get("flash", 0), values.get("ambient", 0)) < 0
        ):
            raise UserError(
                f"--lights={path}, line {number}: numbers must be finite, and strengths 0 or more."
            )
        found[name] = Light(**values)
    if not found:
        raise UserError(f"--lights={path}: has no light.")
    return found
