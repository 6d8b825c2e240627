"""Action units of the Facial Action Coding System and the expression shapes that show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.errors import UserError
from legan_tf.head.morphable_head import SIDES

SHAPES = {
    1: {"browInnerUp": 1.0},
    2: {"browOuterUp": 1.0},
    4: {"browDown": 1.0},
    5: {"eyeWide": 1.0},
    6: {"cheekSquint": 1.0},
    7: {"eyeSquint": 1.0},
    9: {"noseSneer": 1.0},
    10: {"mouthUpperUp": 1.0},
    12: {"mouthSmile": 1.0},
    14: {"mouthDimple": 1.0},
    15: {"mouthFrown": 1.0},
    16: {"mouthLowerDown": 1.0},
    17: {"mouthShrugLower": 1.0},
    18: {"mouthPucker": 1.0},
    20: {"mouthStretch": 1.0},
    22: {"mouthFunnel": 1.0},
    24: {"mouthPress": 1.0},
    26: {"jawOpen": 0.4},
    27: {"jawOpen": 1.0},
    28: {"mouthRollUpper": 1.0, "mouthRollLower": 1.0},
    43: {"eyeBlink": 1.0},
    45: {"eyeBlink": 1.0},
}
"""Weights of the expression shapes that one action unit at intensity 1 sets, by its number."""

MEASURED = tuple(number for number in SHAPES if number not in (26, 43))
"""Action units whose intensity ``action_units_of`` tells, those that no other one's shapes show."""

_FORM = "write them as AU12=.8,AU6=.5"


def parse_action_units(text: str) -> dict[str, float]:
    """Returns the weights of expression shapes for action units, written ``AU12=.8,AU6=.5``.

    Args:
        text: Action units with their intensities, 0 to 1 (up to 2 exaggerates).

    Raises:
        UserError: It is written in another way, or an action unit is unknown.
    """
    intensities: dict[int | str, float] = {}
    for item in text.split(","):
        name, equals, value = item.partition("=")
        number = name.strip().upper().removeprefix("AU").lstrip("0")
        if not equals or not number.isdecimal():
            raise UserError(f"--action_units={text}: {item.strip()!r} is none; {_FORM}.")
        try:
            intensity = float(value)
        except ValueError:
            raise UserError(
                f"--action_units={text}: {value.strip()!r} is no number; {_FORM}."
            ) from None
        if not 0 <= intensity <= 2:
            raise UserError(
                f"--action_units={text}: {value.strip()} is not within 0 to 2; 1 is the full "
                "strength of an action unit."
            )
        if int(number) in intensities:
            raise UserError(f"--action_units={text}: AU{number} is given twice; give it once.")
        intensities[int(number)] = intensity
    return units_of_action_units(intensities)


def units_of_action_units(intensities: Mapping[int | str, float]) -> dict[str, float]:
    """Returns the weights of expression shapes for action units.

    Args:
        intensities: Intensity by number of the action unit, or by its name, ``AU12``. Where several
            set the same shape, the largest weight counts.

    Raises:
        UserError: An action unit is unknown.
    """
    units: dict[str, float] = {}
    numbers = {f"AU{number}": number for number in SHAPES}
    for key, intensity in intensities.items():
        name = f"AU{key}" if isinstance(key, int) else str(key)
        if name not in numbers:
            raise UserError(f"{name} is not known; known are {', '.join(numbers)}.")
        number = numbers[name]
        for name, weight in SHAPES[number].items():
            units[name] = max(units.get(name, 0.0), weight * intensity)
    return units


def action_units_of(expression: np.ndarray, names: Sequence[str]) -> dict[int, float]:
    """Returns the intensities of action units that an expression shows.

    The inverse of ``units_of_action_units`` for the action units in ``MEASURED``; AU27 stands for
    all opening of the jaw, AU45 for all closing of the eyes.

    Args:
        expression: Weights of the expression shapes, ``[E]``.
        names: Names of the shapes, E of them; both halves count alike.

    Returns:
        Intensity by number, from 0, for each of ``MEASURED``.
    """
    weight_of = dict(zip(names, np.asarray(expression, np.float64).tolist()))

    def mean_of_halves(name: str) -> float:
        halves = [weight_of[name + side] for side in SIDES if name + side in weight_of]
        return sum(halves) / len(halves) if halves else weight_of.get(name, 0.0)

    intensities = {}
    for number in MEASURED:
        shares = [mean_of_halves(name) / weight for name, weight in SHAPES[number].items()]
        intensities[number] = max(sum(shares) / len(shares), 0.0)
    return intensities
