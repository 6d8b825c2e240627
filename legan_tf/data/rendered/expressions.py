"""Expressions as facial actions, modelled on the action units of FACS (Ekman and Friesen)."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from legan_tf.data import attributes


@dataclasses.dataclass(frozen=True)
class Actions:
    """The strength of each facial action: 0 at rest, 1 strong.

    In ``ACTIONS`` the values are plain numbers; ``actions()`` returns float32 [N, 1, 1] each.
    """

    brow_inner: Any = 0.0  # Inner ends of the brows, up (AU1) or, negative, down (AU4).
    brow_outer: Any = 0.0  # Outer ends of the brows, up (AU2) or down.
    brow_knit: Any = 0.0  # Brows drawn together, with upright folds between them (AU4).
    lid_raise: Any = 0.0  # Upper lids up (AU5) or, negative, down; -1 closes the eye.
    lid_tighten: Any = 0.0  # Lower lids up (AU7).
    cheek_raise: Any = 0.0  # Cheeks up and full (AU6).
    nose_wrinkle: Any = 0.0  # Nose wrinkled, nostrils up (AU9).
    upper_lip: Any = 0.0  # Upper lip raised, with deep folds beside the nose (AU10).
    corner_up: Any = 0.0  # Corners of the mouth up (AU12) or, negative, down (AU15).
    corner_side: Any = 0.0  # 1: ``corner_up`` moves the person's left corner only (AU14).
    brow_side: Any = 0.0  # The person's left brow up and the right one down.
    stretch: Any = 0.0  # Mouth wider (AU20) or, negative, narrower (AU18).
    jaw_drop: Any = 0.0  # Jaw down (AU26, AU27).
    teeth_upper: Any = 0.0  # How much of the opening the upper teeth take.
    teeth_lower: Any = 0.0  # How much of the opening the lower teeth take.
    lip_press: Any = 0.0  # Lips thin and tight (AU23, AU24) or, negative, full.
    chin_raise: Any = 0.0  # Chin and lower lip pushed up (AU17).


# fmt: off
_EXPRESSIONS = ("neutral", "smile", "happy", "surprise", "fear", "sad", "anger", "disgust",
                "contempt", "squint", "scream")
_STRENGTHS = {  # One column for each expression.
    "brow_inner":   (    0,     0,   0.1,   1.0,  0.95,  0.85,  -1.0,  -0.6,     0, -0.45, -0.35),
    "brow_outer":   (    0,     0,  0.15,   1.0,  0.15, -0.55,  0.15,  -0.3,     0, -0.35,  -0.2),
    "brow_knit":    (    0,     0,     0,     0,   0.6,  0.45,   1.0,   0.5,     0,  0.35,   0.5),
    "lid_raise":    (    0,  -0.1, -0.12,  0.75,  0.85, -0.32,   0.1,  -0.3, -0.25, -0.62, -0.72),
    "lid_tighten":  (    0,  0.35,  0.45,     0,   0.2,     0,   0.4,   0.5,  0.15,   0.8,   0.7),
    "cheek_raise":  (    0,  0.75,  0.95,     0,     0,     0,     0,   0.5,   0.2,  0.45,   0.6),
    "nose_wrinkle": (    0,     0,     0,     0,     0,     0,  0.15,   1.0,     0,  0.15,   0.6),
    "upper_lip":    (    0,  0.25,  0.25,     0,     0,     0,     0,   1.0,     0,     0,   0.5),
    "corner_up":    (    0,  0.85,   1.0,     0,  -0.5, -0.95, -0.25,  -0.3,  0.95,   0.1,     0),
    "corner_side":  (    0,     0,     0,     0,     0,     0,     0,     0,   1.0,     0,     0),
    "brow_side":    (    0,     0,     0,     0,     0,     0,     0,     0,  0.65,     0,     0),
    "stretch":      (    0,  0.75,  0.85, -0.45,  0.65,  -0.1,  -0.1,     0,   0.1,   0.1,   0.3),
    "jaw_drop":     (    0,   0.2,  0.42,  0.95,  0.38,     0,     0,   0.1,     0,     0,   1.5),
    "teeth_upper":  (    0,  0.95,  0.55,  0.12,     0,     0,     0,   0.9,     0,     0,  0.26),
    "teeth_lower":  (    0,     0,     0,     0,   0.6,     0,     0,     0,     0,     0,  0.07),
    "lip_press":    (    0,  0.15,  0.15,     0,   0.2, -0.15,  0.95,     0,  0.35,   0.3,     0),
    "chin_raise":   (    0,     0,     0,     0,     0,   0.9,   0.3,   0.3,     0,     0,     0),
}
# fmt: on
ACTIONS = {
    expression: Actions(**dict(zip(_STRENGTHS, map(float, column))))
    for expression, column in zip(_EXPRESSIONS, zip(*_STRENGTHS.values()))
}
"""Every expression of ``attributes.MULTIPIE_EXPRESSIONS`` and ``AFFECTNET_EXPRESSIONS``."""
SHOWN_BY: dict[str, Callable[[Actions], bool]] = {
    # With one corner alone it is contempt.
    "Smiling": lambda shown: shown.corner_up > 0.5 and not shown.corner_side,
    "Mouth_Slightly_Open": lambda shown: shown.jaw_drop > 0,
    "Narrow_Eyes": lambda shown: shown.lid_raise < -0.5,
}
"""Binary attributes that follow from an expression, by their names in CelebA."""


def shown_attributes(expression: str) -> dict[str, int]:
    """Returns 1 or 0 for each attribute of ``SHOWN_BY`` under an expression."""
    return {name: int(shown(ACTIONS[expression])) for name, shown in SHOWN_BY.items()}


@functools.lru_cache(maxsize=65536)
def _performed(person: int, expression: str) -> tuple[float, ...]:
    """Returns a person's strength of each action: the expression's, varied at random."""
    rng = np.random.default_rng([7002, person, zlib.crc32(expression.encode())])
    strength = rng.uniform(0.88, 1.12)
    values = dataclasses.astuple(ACTIONS[expression])
    return tuple(v * strength * f for v, f in zip(values, rng.uniform(0.9, 1.1, len(values))))


def actions(persons: Sequence[int], expressions: Sequence[str]) -> Actions:
    """Returns the actions of N people under N expressions, float32 [N, 1, 1] each.

    Raises:
        ValueError: An expression has no rendered form.
    """
    for name in expressions:
        if name not in ACTIONS:
            known = ", ".join(dict.fromkeys(attributes.MULTIPIE_EXPRESSIONS + tuple(ACTIONS)))
            raise ValueError(f"There is no rendered expression {name!r}; choose from {known}.")
    if len(persons) != len(expressions):
        raise ValueError(f"{len(persons)} people cannot perform {len(expressions)} expressions.")
    table = np.asarray(
        [_performed(int(p), str(e)) for p, e in zip(persons, expressions)], np.float32
    )
    names = [field.name for field in dataclasses.fields(Actions)]
    return Actions(**{n: table[:, i, None, None] for i, n in enumerate(names)})
