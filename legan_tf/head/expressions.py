"""Expressions by name, as weights of expression shapes."""

from __future__ import annotations

from legan_tf.errors import UserError

PRESETS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {
        "mouthSmile": 0.46,
        "mouthLowerDown": 0.43,
        "mouthUpperUp": 0.23,
        "jawOpen": 0.09,
        "cheekSquint": 0.2,
        "eyeSquint": 0.12,
    },
    "smile_closed": {"mouthSmile": 0.5, "cheekSquint": 0.2, "eyeSquint": 0.12},
    # AU1 + 2 + 5 + 26, Ekman and Friesen's prototype.
    "surprise": {
        "jawOpen": 0.42,
        "browInnerUp": 1.0,
        "browOuterUp": 0.9,
        "eyeWide": 0.7,
        "mouthFunnel": 0.25,
    },
    # AU4 + 5 + 7 + 23 + 24, with a trace of 9 and 17: brows down, a glare, lips pressed. No AU15,
    # with which it looks sad.
    "anger": {
        "browDown": 1.7,
        "eyeWide": 0.35,
        "eyeSquint": 0.6,
        "noseSneer": 0.7,
        "mouthPress": 0.9,
        "mouthShrugLower": 0.15,
    },
    "scream": {
        "jawOpen": 0.8,
        "mouthLowerDown": 0.3,
        "mouthUpperUp": 0.3,
        "mouthFunnel": 0.3,
        "eyeSquint": 0.5,
        "browDown": 0.4,
    },
    "disgust": {
        "noseSneer": 1.1,
        "mouthUpperUp": 0.6,
        "browDown": 0.8,
        "eyeSquint": 0.6,
        "cheekSquint": 0.5,
        "mouthFrown": 0.3,
        "mouthLowerDown": 0.35,
    },
    "sadness": {
        "browInnerUp": 0.8,
        "browDown": 0.3,
        "mouthFrown": 0.75,
        "mouthShrugLower": 0.45,
        "eyeSquint": 0.3,
        "eyeBlink": 0.15,
    },
    "fear": {
        "browInnerUp": 0.9,
        "browOuterUp": 0.5,
        "browDown": 0.35,
        "eyeWide": 0.6,
        "mouthStretch": 0.6,
        "jawOpen": 0.18,
        "mouthLowerDown": 0.35,
    },
    "squint": {"eyeSquint": 1.0, "cheekSquint": 0.5, "browDown": 0.3},
    "eyes_closed": {"eyeBlink": 1.0},
}
"""Weights of expression shapes by name of the expression; both halves where no half is named."""


def expression_units(name: str) -> dict[str, float]:
    """Returns the weights of expression shapes of a named expression at strength 1.

    Raises:
        UserError: The name is unknown.
    """
    try:
        return dict(PRESETS[name])
    except KeyError:
        raise UserError(
            f"{name!r} is no expression that is known; known are {', '.join(PRESETS)}."
        ) from None
