"""Expressions: how a person shows each of them, as weights of the head's expression shapes."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable

import numpy as np

from legan_tf.data import attributes
from legan_tf.head.action_units import MEASURED, action_units_of
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.furrows import FURROWS
from legan_tf.head.head_file import load_head
from legan_tf.head.morphable_head import without_side

EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {
        "mouthSmile": 0.7,
        "mouthLowerDown": 0.45,
        "mouthUpperUp": 0.35,
        "jawOpen": 0.1,
        "cheekSquint": 0.6,
        "eyeSquint": 0.25,
    },
    "happy": {
        "mouthSmile": 0.85,
        "mouthLowerDown": 0.5,
        "mouthUpperUp": 0.4,
        "jawOpen": 0.22,
        "cheekSquint": 0.75,
        "eyeSquint": 0.35,
        "browInnerUp": 0.1,
    },
    "surprise": {
        "jawOpen": 0.5,
        "browInnerUp": 1.3,
        "browOuterUp": 1.3,
        "eyeWide": 0.9,
        "mouthFunnel": 0.3,
    },
    "fear": {
        "browInnerUp": 1.25,
        "browOuterUp": 0.6,
        "browDown": 0.4,
        "eyeWide": 1.1,
        "mouthStretch": 1.0,
        "jawOpen": 0.25,
        "mouthLowerDown": 0.55,
    },
    "sad": {
        "browInnerUp": 1.25,
        "browDown": 0.35,
        "mouthFrown": 1.1,
        "mouthShrugLower": 0.75,
        "eyeSquint": 0.3,
        "eyeBlink": 0.22,
    },
    "anger": {
        "browDown": 1.8,
        "eyeWide": 0.3,
        "eyeSquint": 0.6,
        "noseSneer": 0.6,
        "mouthPress": 1.0,
        "mouthFrown": 0.25,
        "mouthShrugLower": 0.25,
    },
    "disgust": {
        "noseSneer": 1.2,
        "mouthUpperUp": 0.8,
        "browDown": 0.8,
        "eyeSquint": 0.6,
        "cheekSquint": 0.5,
        "mouthFrown": 0.35,
        "mouthLowerDown": 0.35,
    },
    "contempt": {
        "mouthSmile_L": 0.7,
        "mouthDimple_L": 0.6,
        "cheekSquint_L": 0.25,
        "browOuterUp_L": 0.45,
        "browDown_R": 0.3,
        "mouthPress": 0.3,
        "eyeBlink": 0.12,
    },
    "squint": {"eyeSquint": 1.1, "cheekSquint": 0.6, "browDown": 0.6, "eyeBlink": 0.3},
    "scream": {
        "jawOpen": 0.95,
        "mouthLowerDown": 0.5,
        "mouthUpperUp": 0.5,
        "mouthStretch": 0.4,
        "eyeSquint": 0.8,
        "eyeBlink": 0.35,
        "browDown": 0.7,
        "noseSneer": 0.6,
        "cheekSquint": 0.6,
    },
}
"""Weights of expression shapes by name of the expression, every one of
``attributes.MULTIPIE_EXPRESSIONS`` and ``AFFECTNET_EXPRESSIONS``; both halves where no half is
named. Prototypes of the Facial Action Coding System."""

SHOWN_BY: dict[str, Callable[[dict[str, float]], bool]] = {
    "Smiling": lambda units: units.get("mouthSmile", 0) > 0.4,
    "Mouth_Slightly_Open": lambda units: (
        units.get("jawOpen", 0) > 0.05 or units.get("mouthUpperUp", 0) > 0.4
    ),
    "Narrow_Eyes": lambda units: units.get("eyeSquint", 0) + units.get("eyeBlink", 0) > 1,
}
"""Binary attributes that follow from an expression, by their names in CelebA."""

_PERFORMED = 7102
_MOST = 2.1  # Of a weight: farther the skin folds over itself.
_RESTING_LIDS = 0.07  # Weight of eyeBlink of awake eyes.
_FOLD_DEPTH = 9.0  # Log gain per cm of a furrow's depth.
_LEARNED_SMILE = 0.46  # Weight of mouthSmile in the smile that folds were learned from.


def shown_attributes(weights: np.ndarray) -> dict[str, int]:
    """Returns 1 or 0 for each attribute of ``SHOWN_BY``, by weights of the head's shapes."""
    weight_of: dict[str, float] = {}
    for name, weight in zip(load_head().expression_names, weights.tolist()):
        # Of two halves the weaker counts: with one corner up it is contempt.
        whole = without_side(name)
        weight_of[whole] = min(weight_of.get(whole, weight), weight)
    return {name: int(shown(weight_of)) for name, shown in SHOWN_BY.items()}


def check_expression(name: str) -> None:
    """Raises ValueError where an expression has no rendered form."""
    if name not in EXPRESSIONS:
        known = ", ".join(dict.fromkeys(attributes.MULTIPIE_EXPRESSIONS + tuple(EXPRESSIONS)))
        raise ValueError(f"There is no rendered expression {name!r}; choose from {known}.")


@functools.lru_cache(maxsize=4096)
def units(number: int, expression: str, snapshots: bool = False) -> np.ndarray:
    """Returns how a person shows an expression: weights of the head's shapes, float64 [E].

    Strength and the weight of each shape vary from person to person, a little from left to right.

    Args:
        number: The person.
        expression: Its name.
        snapshots: Whether they vary as in life: weak to strong, shapes that one shows and another
            does not, one side more than the other.

    Raises:
        ValueError: The expression has no rendered form.
    """
    check_expression(expression)
    rng = np.random.default_rng([_PERFORMED, number, zlib.crc32(expression.encode())])
    head = load_head()
    weights = head.expression_vector(EXPRESSIONS[expression])
    if snapshots:
        names = [without_side(name) for name in head.expression_names]
        own = dict(zip(dict.fromkeys(names), rng.uniform(0.4, 1.4, len(names))))
        sides = {"_L": 1 + rng.normal(0, 0.08), "_R": 1 + rng.normal(0, 0.08)}
        ways = [own[n] * sides.get(full[-2:], 1) for n, full in zip(names, head.expression_names)]
        weights *= rng.uniform(0.5, 1.25) * np.array(ways)
        if expression == "scream":  # With open, narrow or shut eyes.
            weights += head.expression_vector({"eyeBlink": rng.uniform(0, 0.8)})
    else:
        weights *= rng.uniform(0.88, 1.12) * rng.uniform(0.9, 1.1, len(weights))
    resting = head.expression_vector({"eyeBlink": _RESTING_LIDS})
    weights += resting * np.random.default_rng([_PERFORMED, number]).uniform(0.5, 1.5)
    blinks = head.expression_vector({"eyeBlink": 1.0}) > 0
    return np.clip(weights, 0, np.where(blinks, 1.0, _MOST))


def action_units(weights: np.ndarray) -> np.ndarray:
    """Returns the intensity of each of ``action_units.MEASURED``, float32 [A]."""
    intensities = action_units_of(weights, load_head().expression_names)
    return np.array([intensities[number] for number in MEASURED], np.float32)


def folds(weights: np.ndarray) -> np.ndarray:
    """Returns the log gain of light by the folds of an expression at the vertices, float32 [V]."""
    head = load_head()
    gain = np.zeros(len(head.neutral), np.float32)
    for unit, low, full, drawn in _furrows():
        weight = weights[unit]
        share = np.clip((weight - low) / (full - low), 0, 1.3)
        if share > 0:
            gain -= np.float32(share) * drawn
    smile = [head.expression_index(f"mouthSmile{side}") for side in ("_L", "_R")]
    skin = head.vertices_of("face")
    quotient = load_statistics(head).expressions["smile"].quotient
    gain[skin] += np.float32(min(weights[smile].mean() / _LEARNED_SMILE, 1.0)) * quotient
    return np.clip(gain, -0.8, 0.5)


@functools.lru_cache(maxsize=1)
def _furrows() -> list[tuple[int, float, float, np.ndarray]]:
    """Returns shape, first and full weight, and depth at the vertices, of every furrow."""
    head = load_head()
    skin = head.vertices_of("face")
    found = []
    for furrow in FURROWS:
        for side in (1, -1) if furrow.mirrored else (0,):
            line = np.array(furrow.line) * (side or 1, 1)
            place = np.linspace(0, len(line) - 1, 60)
            points = np.stack(
                [np.interp(place, range(len(line)), line[:, axis]) for axis in range(2)], -1
            )
            away = np.linalg.norm(head.neutral[skin, None, :2] - points[None], axis=-1).min(1)
            drawn = np.zeros(len(head.neutral), np.float32)
            width = max(furrow.width, 0.11)
            drawn[skin] = _FOLD_DEPTH * furrow.depth * np.exp(-((away / width) ** 2) / 2)
            for end in ("_L", "_R", ""):
                wanted = {1: ("_L", ""), -1: ("_R", ""), 0: ("_L", "_R", "")}[side]
                name = furrow.unit + end
                if end in wanted and name in head.expression_names:
                    half = 0.5 if side == 0 and end else 1.0
                    index = head.expression_index(name)
                    found.append((index, furrow.from_weight, furrow.full_weight, half * drawn))
    return found
