"""Identity parameters: what stays the same of a person under any expression and light."""

from __future__ import annotations

import functools
import types
from collections.abc import Sequence
from typing import Any

import numpy as np


def _palette(colours: str) -> np.ndarray:
    """Returns linear RGB in [0, 1], float32 [n, 3], of sRGB colours in hexadecimal digits."""
    srgb = np.asarray([list(bytes.fromhex(colour)) for colour in colours.split()], np.float32)
    share = srgb / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


# From light to dark; a person's tone lies anywhere between two neighbours.
_SKIN_TONES = _palette("f7dac8 eec5a8 e0ae8a c69068 a06e4c 784e34 563828")
_DARK_HAIR = _palette("181413 2c201a 462e20")
_LIGHT_HAIR = _palette("62422a 8c643e be9660 debe88 703620 b0aaa4")
_DARK_EYES = _palette("342014 54341c 6e4e28")
_LIGHT_EYES = _palette("745e32 587046 5480a8 788c96")
_BACKGROUNDS = _palette("969ca2 788696 a8a094 6c746c 5c626e babab6 887876")
# volume at the sides, volume on top, lowest y of the hair, thickness over the skull, waviness,
# half-width of the face opening at eye level, density. Lengths in face units.
_HAIR_STYLES = {
    "bald": (0.00, 0.00, 0.45, 0.005, 0.000, 0.80, 0.0),
    "buzz": (0.015, 0.02, 0.12, 0.01, 0.000, 0.665, 0.72),
    "short": (0.05, 0.10, 0.08, 0.045, 0.004, 0.655, 1.0),
    "parted": (0.07, 0.14, 0.00, 0.06, 0.006, 0.645, 1.0),
    "curly": (0.15, 0.24, -0.05, 0.08, 0.022, 0.640, 1.0),
    "tied": (0.02, 0.06, 0.02, 0.03, 0.002, 0.665, 1.0),
    "bob": (0.17, 0.16, -0.62, 0.075, 0.004, 0.615, 1.0),
    "long": (0.18, 0.14, -1.60, 0.07, 0.010, 0.600, 1.0),
    "wavy": (0.23, 0.18, -1.60, 0.085, 0.024, 0.605, 1.0),
}
_STYLES_OF_MEN = ("bald", "buzz", "short", "short", "parted", "parted", "curly")
_STYLES_OF_WOMEN = ("tied", "parted", "bob", "bob", "long", "long", "wavy", "curly")


class IdentityParameters(types.SimpleNamespace):
    """The parameters of N people, one attribute for each key of ``_draw``.

    Every scalar is float32 [N, 1, 1], every colour linear RGB float32 [N, 1, 1, 3], waves
    are [N, 1, 1, K, 3]. Lengths are in face units: half the width of the picture at scale 1.
    """


def _between(points: np.ndarray, position: float) -> np.ndarray:
    """Returns the colour at ``position`` in [0, 1] along a row of colours."""
    at = position * (len(points) - 1)
    low = min(int(at), len(points) - 2)
    return points[low] + (at - low) * (points[low + 1] - points[low])


@functools.lru_cache(maxsize=65536)
def _draw(person: int) -> dict[str, Any]:
    """Draws the parameters of one person, which depend on the number alone."""
    rng = np.random.default_rng([7001, person])

    def spread(middle: float, deviation: float) -> float:
        return middle + deviation * float(np.clip(rng.normal(), -2.2, 2.2))

    def within(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    man = rng.random() < 0.5
    male = within(0.6, 1.0) if man else within(0.0, 0.4)
    age = within(0.0, 1.0) ** 1.5
    tone = within(0.0, 1.0)
    skin = 0.82 * _between(_SKIN_TONES, tone) * (1 + rng.normal(0, [0.03, 0.02, 0.03]))
    dark_haired = rng.random() < 0.35 + 0.9 * tone
    palette = _DARK_HAIR if dark_haired else _LIGHT_HAIR
    hair = palette[rng.integers(len(palette))] * within(0.8, 1.25)
    if age > 0.75 and rng.random() < 0.6:
        hair = _between(np.stack([hair, _LIGHT_HAIR[-1]]), within(0.4, 1.0))
    eyes = _LIGHT_EYES if rng.random() < 0.75 - 1.1 * tone else _DARK_EYES
    style = str(rng.choice(_STYLES_OF_MEN if man else _STYLES_OF_WOMEN))
    side, top, end, thick, wave, opening, density = _HAIR_STYLES[style]
    long_hair = end < -0.3
    lip_redness = within(0.0, 0.35) if man else within(0.2, 1.0)
    lip = skin * np.array([0.86, 0.56, 0.56], np.float32)
    lip = (
        lip
        + lip_redness
        * (np.array([0.42, 0.07, 0.08], np.float32) * (0.45 + skin.mean()) - lip)
        * 0.75
    )
    facial_hair = rng.random() if man else 1.0
    beard = within(0.65, 0.95) if facial_hair < 0.22 else 0.0
    moustache = beard if beard else (within(0.6, 0.9) if facial_hair < 0.3 else 0.0)
    width = spread(0.715 + 0.02 * male, 0.028)
    fringe = within(0.10, 0.26) if style in ("bob", "parted", "curly") and rng.random() < 0.4 else 0
    return {
        # pose
        "shift_x": spread(0, 0.018),
        "shift_y": spread(0, 0.015),
        "scale": spread(0.965, 0.018),
        "roll": np.deg2rad(spread(0, 1.8)),
        "yaw": np.deg2rad(spread(0, 2.4)),
        # skull
        "width": width,
        "forehead": spread(0.92, 0.025),
        "jaw": spread(0.86 + 0.07 * male, 0.035),
        "roundness": spread(2.25, 0.12),
        "squareness": spread(2.45 + 0.35 * male, 0.2),
        "chin_y": spread(-0.855 - 0.04 * male, 0.03),
        "chin": spread(0.085 + 0.03 * male, 0.02),
        "cleft": max(0.0, spread(-0.004, 0.012)) * male,
        "cheek": spread(0.06, 0.016),
        "gaunt": max(0.0, spread(0.015 + 0.02 * age, 0.012)),
        "brow_ridge": spread(0.018 + 0.03 * male, 0.008),
        "neck": spread(0.42 + 0.10 * male, 0.025),
        "ear_size": spread(1.0, 0.09),
        "ear_out": spread(0.035, 0.018),
        # eyes
        "eye_x": spread(0.335, 0.014),
        "eye_width": spread(0.158 - 0.006 * male, 0.008),
        "eye_open": spread(1.06 - 0.12 * male - 0.08 * age, 0.10),
        "eye_tilt": spread(0.05, 0.045),
        "eye_depth": spread(0.075 + 0.015 * male, 0.014),
        "iris": spread(0.074, 0.003),
        "lid_crease": within(0.25, 1.0),
        "eye_bag": max(0.0, spread(0.15 + 0.6 * age, 0.2)),
        "lashes": within(0.25, 0.5) if man else within(0.6, 1.0),
        # brows
        "brow_y": spread(0.232 - 0.035 * male, 0.018),
        "brow_arch": spread(0.055 - 0.03 * male, 0.018),
        "brow_tilt": spread(0.01, 0.03),
        "brow_thick": spread(0.033 + 0.016 * male, 0.007),
        "brow_length": spread(0.215, 0.014),
        "brow_density": within(0.6, 0.95),
        # nose
        "nose_tip_y": spread(-0.04, 0.03),
        "nose_width": spread(0.155 + 0.02 * male + 0.03 * tone, 0.016),
        "nose_height": spread(0.25 + 0.02 * male, 0.025),
        "nose_hump": spread(0.0, 0.014),
        "nose_bridge": spread(0.058, 0.009),
        # mouth
        "mouth_width": spread(0.262 + 0.012 * male, 0.018),
        "lip_upper": max(0.028, spread(0.062 - 0.016 * male + 0.016 * tone, 0.011)),
        "lip_lower": max(0.040, spread(0.084 - 0.014 * male + 0.016 * tone, 0.012)),
        "lip_bow": within(0.1, 0.45),
        "lip_curve": spread(0.0, 0.010),
        # asymmetry
        "skew_eye": spread(0, 0.006),
        "skew_brow": spread(0, 0.007),
        "skew_mouth": spread(0, 0.005),
        "skew_nose": spread(0, 0.012),
        "skew_face": spread(0, 0.015),
        # skin and hair
        "age": age,
        "freckles": within(0.3, 0.9) if tone < 0.4 and rng.random() < 0.25 else 0.0,
        "blush": within(0.1, 0.6),
        "stubble": within(0.1, 0.45) if man and rng.random() < 0.6 else 0.0,
        "beard": beard,
        "moustache": moustache,
        "gloss": within(0.5, 1.2),
        "hair_side": side * within(0.8, 1.2),
        "hair_top": top * within(0.8, 1.2),
        "hair_end": end + (within(-0.15, 0.2) if long_hair else within(-0.05, 0.05)),
        "hair_thick": thick,
        "hair_wave": wave,
        "hair_opening": opening * width / 0.73,
        "hair_density": density,
        "hairline": spread(0.86, 0.035) + (0.06 * age if man else 0.0),
        "hairline_peak": within(0.04, 0.16) if long_hair else spread(0, 0.05) - 0.1 * age * man,
        "hairline_square": within(1.9, 2.5) if long_hair else within(2.2, 3.6),
        "hair_part": within(-0.35, 0.35),
        "fringe": fringe,
        # colours
        "skin": skin,
        "lip": lip,
        "hair": hair,
        "brow": hair * within(0.5, 0.75) * np.array([1.0, 0.95, 0.92], np.float32),
        "eye": eyes[rng.integers(len(eyes))] * within(0.8, 1.2),
        "background": _BACKGROUNDS[rng.integers(len(_BACKGROUNDS))] * within(0.7, 1.15),
        # texture: frequency x, frequency y, phase of each wave
        "skin_waves": np.stack(
            [rng.normal(0, 1, 8), rng.normal(0, 1, 8), rng.uniform(0, 2 * np.pi, 8)], axis=-1
        )
        * np.array([5, 6, 8, 10, 16, 30, 60, 90], np.float32)[:, None] ** [1, 1, 0],
        "hair_waves": np.stack(
            [
                np.geomspace(13, 120, 5) * rng.uniform(0.8, 1.2, 5),
                rng.normal(0, 2.5, 5),
                rng.uniform(0, 2 * np.pi, 5),
            ],
            axis=-1,
        ),
    }


def identity_parameters(persons: Sequence[int]) -> IdentityParameters:
    """Returns the parameters of N people; the same whole number, 0 or more, is the same person."""
    drawn = [_draw(int(person)) for person in persons]
    stacked = {}
    for name in drawn[0]:
        values = np.asarray([parameters[name] for parameters in drawn], np.float32)
        stacked[name] = values.reshape((len(drawn), 1, 1) + values.shape[1:])
    return IdentityParameters(**stacked)
