"""Facial action units as a condition holds them: their order, their scale and where they are from.

The order is that of OpenFace 2's seventeen intensities, of which GANimation makes its condition. A
condition holds 0 (not there) to 1 (as strong as it gets); files and requests have FACS intensities,
0 to 5. TensorFlow is not imported here: clients read requests without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from legan_tf.head.action_units import MEASURED

ACTION_UNITS = "action_units"
"""Name of the condition."""
NAMES = tuple(
    f"AU{number:02}" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)
"""The action units in the order of the condition (OpenFace 2; GANimation)."""
INTENSITY = 5.0
"""The FACS intensity that a condition holds as 1."""
PROTOTYPES: Mapping[str, Mapping[int, float]] = {
    "neutral": {},
    "happy": {6: 0.6, 12: 0.6},
    "smile": {6: 0.6, 12: 0.6},
    "sad": {1: 0.6, 4: 0.6, 15: 0.6},
    "surprise": {1: 0.6, 2: 0.6, 5: 0.4, 25: 0.6, 26: 0.6},
    "fear": {1: 0.6, 2: 0.6, 4: 0.6, 5: 0.6, 7: 0.6, 20: 0.6, 25: 0.6, 26: 0.6},
    "anger": {4: 0.6, 5: 0.6, 7: 0.6, 23: 0.6},
    # AU16 is not among the seventeen; 10 and 17 move the lips in its place.
    "disgust": {9: 0.6, 10: 0.6, 15: 0.6, 17: 0.6},
    # One side of the face alone, which seventeen symmetric numbers cannot say.
    "contempt": {12: 0.2, 14: 0.2},
    "squint": {4: 0.6, 6: 0.6, 7: 0.6},
    "scream": {4: 0.6, 6: 0.6, 7: 0.6, 9: 0.6, 10: 0.6, 25: 0.6, 26: 0.6},
}
"""Action units of expressions by the tables of FACS, 0 to 1: 0.6 each, 0.4 for an intensity of B,
0.2 for A (the intensities, AU25 with an open jaw, and Multi-PIE's two are ours)."""

_LIP_GAP = 0.5
"""Gap of the lips, as a share of what an open jaw makes, at which AU25 is at its strongest."""


def of_head(measured: np.ndarray) -> np.ndarray:
    """Returns the condition's action units of what the head shows.

    The head's shapes are FACS units but for four (our mapping): AU23 is read of the pressed lips
    (the head has AU24 and no AU23), AU25 of the gap that jaw and lips open, AU26 of all opening of
    the jaw, as OpenFace has no AU27; both halves of the face count alike. What exceeds the scale is
    cut off, as people who rate pictures do.

    Args:
        measured: Intensities of ``head.action_units.MEASURED``, float [..., A], from 0.

    Returns:
        float32 [..., 17] in [0, 1], in the order of ``NAMES``.
    """
    of = {number: measured[..., place] for place, number in enumerate(MEASURED)}
    jaw = of[27]
    gap = jaw + 0.25 * of[10] + 0.25 * of[16]
    read = {**of, 23: of[24], 25: gap / _LIP_GAP, 26: jaw}
    numbers = [int(name[2:]) for name in NAMES]
    units = np.stack([np.asarray(read[number], np.float32) for number in numbers], -1)
    return np.clip(units, 0.0, 1.0)


def prototype(expression: str, names: Sequence[str] = NAMES) -> np.ndarray | None:
    """Returns the action units of an expression by the tables of FACS; none without a table.

    Args:
        expression: Its name.
        names: The action units to return, some of ``NAMES``.

    Returns:
        float32 [len(names)] in [0, 1].
    """
    if expression not in PROTOTYPES:
        return None
    found = PROTOTYPES[expression]
    return np.array([found.get(int(name[2:]), 0.0) for name in names], np.float32)
