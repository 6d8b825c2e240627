"""Names of the facial attributes that the two papers edit."""

from __future__ import annotations

MULTIPIE_EXPRESSIONS = ("neutral", "smile", "surprise", "squint", "disgust", "scream")
"""The six expressions of Multi-PIE, LEGAN's 6-way expression code (supplement, Table 2)."""

AFFECTNET_EXPRESSIONS = (
    "neutral",
    "happy",
    "sad",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
)
"""The eight categorical expressions of AffectNet, in the data set's own order of ids."""

MULTIPIE_SHOTS = tuple(f"shot{i:02d}" for i in range(20))
"""The 20 illuminations of a Multi-PIE recording; 00 and 19 are both taken without a flash."""


def lightings(merge_flashless: bool = True) -> tuple[str, ...]:
    """Returns the lighting classes.

    Args:
        merge_flashless: Multi-PIE's shots 00 and 19 are taken under the same light. Merged, they
            are one class and 19 remain; else two of the 20 classes are the same light.

    Returns:
        19 or 20 names.
    """
    return MULTIPIE_SHOTS[:-1] if merge_flashless else MULTIPIE_SHOTS


_EMOTION_NAMES = {
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "fearful": "fear",
    "disgusted": "disgust",
    "angry": "anger",
    "contemptuous": "contempt",
    **{name: name for name in AFFECTNET_EXPRESSIONS},
    **{str(number): name for number, name in enumerate(AFFECTNET_EXPRESSIONS)},
}


def emotion(word: str) -> str:
    """Returns AffectNet's name of an emotion that is given as id, noun or adjective.

    Returns:
        One of ``AFFECTNET_EXPRESSIONS``; empty if the word is none of them.
    """
    return _EMOTION_NAMES.get(word.strip().lower(), "")
