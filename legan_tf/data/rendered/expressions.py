"""Expressions as facial actions: what the muscles do, in the spirit of FACS action units."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Sequence

import numpy as np

from legan_tf.data import attributes


@dataclasses.dataclass(frozen=True)
class Actions:
    """How far each facial action goes; 0 is the face at rest, 1 a strong action.

    In ``ACTIONS`` the values are plain numbers; ``actions()`` returns float32 [N, 1, 1] each.
    """

    brow_inner: float = 0.0
    """Inner ends of the brows, up (AU1) or, negative, down (AU4)."""
    brow_outer: float = 0.0
    """Outer ends of the brows, up (AU2) or down."""
    brow_knit: float = 0.0
    """Brows drawn together, with upright folds between them (AU4)."""
    lid_raise: float = 0.0
    """Upper lids up (AU5) or, negative, down; -1 closes the eye."""
    lid_tighten: float = 0.0
    """Lower lids up (AU7)."""
    cheek_raise: float = 0.0
    """Cheeks up and full (AU6)."""
    nose_wrinkle: float = 0.0
    """Nose wrinkled, nostrils up (AU9)."""
    upper_lip: float = 0.0
    """Upper lip raised, with deep folds beside the nose (AU10)."""
    corner_up: float = 0.0
    """Corners of the mouth up (AU12) or, negative, down (AU15)."""
    corner_side: float = 0.0
    """How one-sided ``corner_up`` is: 1 moves the person's left corner only (AU14)."""
    brow_side: float = 0.0
    """The person's left brow up and the right one down."""
    stretch: float = 0.0
    """Mouth wider (AU20) or, negative, narrower (AU18)."""
    jaw_drop: float = 0.0
    """Jaw down (AU26, AU27)."""
    teeth_upper: float = 0.0
    """How much of the opening the upper teeth take."""
    teeth_lower: float = 0.0
    """How much of the opening the lower teeth take."""
    lip_press: float = 0.0
    """Lips thin and tight (AU23, AU24) or, negative, full."""
    chin_raise: float = 0.0
    """Chin and lower lip pushed up (AU17)."""


ACTIONS = {
    "neutral": Actions(),
    "smile": Actions(
        lid_raise=-0.10,
        lid_tighten=0.35,
        cheek_raise=0.75,
        corner_up=0.85,
        stretch=0.75,
        upper_lip=0.25,
        jaw_drop=0.20,
        teeth_upper=0.95,
        lip_press=0.15,
    ),
    "happy": Actions(
        brow_inner=0.10,
        brow_outer=0.15,
        lid_raise=-0.12,
        lid_tighten=0.45,
        cheek_raise=0.95,
        corner_up=1.0,
        stretch=0.85,
        upper_lip=0.25,
        jaw_drop=0.42,
        teeth_upper=0.55,
        lip_press=0.15,
    ),
    "surprise": Actions(
        brow_inner=1.0,
        brow_outer=1.0,
        lid_raise=0.75,
        stretch=-0.45,
        jaw_drop=0.95,
        teeth_upper=0.12,
    ),
    "fear": Actions(
        brow_inner=0.95,
        brow_outer=0.15,
        brow_knit=0.6,
        lid_raise=0.85,
        lid_tighten=0.2,
        stretch=0.65,
        corner_up=-0.5,
        jaw_drop=0.38,
        teeth_lower=0.6,
        lip_press=0.2,
    ),
    "sad": Actions(
        brow_inner=0.85,
        brow_outer=-0.55,
        brow_knit=0.45,
        lid_raise=-0.32,
        corner_up=-0.95,
        stretch=-0.1,
        chin_raise=0.9,
        lip_press=-0.15,
    ),
    "anger": Actions(
        brow_inner=-1.0,
        brow_outer=0.15,
        brow_knit=1.0,
        lid_raise=0.1,
        lid_tighten=0.4,
        nose_wrinkle=0.15,
        stretch=-0.1,
        corner_up=-0.25,
        lip_press=0.95,
        chin_raise=0.3,
    ),
    "disgust": Actions(
        brow_inner=-0.6,
        brow_outer=-0.3,
        brow_knit=0.5,
        lid_raise=-0.3,
        lid_tighten=0.5,
        cheek_raise=0.5,
        nose_wrinkle=1.0,
        upper_lip=1.0,
        corner_up=-0.3,
        jaw_drop=0.10,
        teeth_upper=0.9,
        chin_raise=0.3,
    ),
    "contempt": Actions(
        brow_side=0.65,
        lid_raise=-0.25,
        lid_tighten=0.15,
        corner_up=0.95,
        corner_side=1.0,
        cheek_raise=0.2,
        stretch=0.1,
        lip_press=0.35,
    ),
    "squint": Actions(
        brow_inner=-0.45,
        brow_outer=-0.35,
        brow_knit=0.35,
        lid_raise=-0.62,
        lid_tighten=0.8,
        cheek_raise=0.45,
        nose_wrinkle=0.15,
        corner_up=0.1,
        stretch=0.1,
        lip_press=0.3,
    ),
    "scream": Actions(
        brow_inner=-0.35,
        brow_outer=-0.2,
        brow_knit=0.5,
        lid_raise=-0.72,
        lid_tighten=0.7,
        cheek_raise=0.6,
        nose_wrinkle=0.6,
        upper_lip=0.5,
        stretch=0.3,
        jaw_drop=1.5,
        teeth_upper=0.26,
        teeth_lower=0.07,
    ),
}
"""Every expression of ``attributes.MULTIPIE_EXPRESSIONS`` and ``AFFECTNET_EXPRESSIONS``."""


@functools.lru_cache(maxsize=65536)
def _performed(person: int, expression: str) -> tuple[float, ...]:
    """How this person performs this expression: a bit stronger or weaker, each action apart."""
    rng = np.random.default_rng([7002, person, zlib.crc32(expression.encode())])
    strength = rng.uniform(0.88, 1.12)
    values = dataclasses.astuple(ACTIONS[expression])
    return tuple(v * strength * f for v, f in zip(values, rng.uniform(0.9, 1.1, len(values))))


def actions(persons: Sequence[int], expressions: Sequence[str]) -> Actions:
    """Returns what the faces of these people do under these expressions.

    Args:
        persons: N people.
        expressions: N names, one for each person.

    Returns:
        Actions whose fields are float32 [N, 1, 1].

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
