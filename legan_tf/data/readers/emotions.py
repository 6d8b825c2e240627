"""One set of names for the eight emotions that data sets call by number, noun or adjective."""

from __future__ import annotations

from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS

_OTHER_WORDS = {
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "fearful": "fear",
    "disgusted": "disgust",
    "angry": "anger",
    "contemptuous": "contempt",
}
_NAMES = {
    **{name: name for name in AFFECTNET_EXPRESSIONS},
    **_OTHER_WORDS,
    **{str(number): name for number, name in enumerate(AFFECTNET_EXPRESSIONS)},
}


def emotion(word: str) -> str:
    """Returns AffectNet's name for an emotion, given as name or id; empty if it is none."""
    return _NAMES.get(word.strip().lower(), "")
