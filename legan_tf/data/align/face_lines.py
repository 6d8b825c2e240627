"""Face lines: at which heights the pictures of a data set have eyes and mouth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from legan_tf.data.align.landmark_finder import make_finder
from legan_tf.data.images import to_square
from legan_tf.optional import UnavailableError

Lines = tuple[float, float]
"""Heights of eyes and mouth in the middle square of a picture, as shares of its side."""

_LEAST_SIDE = 48  # The finder sees no face in less.
_SEEN = 192  # Side that a picture is enlarged to, for the finder.
_TOLERANCE = 0.1


def measure(pictures: Iterable[np.ndarray]) -> Lines | None:
    """Returns the median lines of pictures, uint8 [S, S, 3]; None where few show a face."""
    pictures = [picture for picture in pictures if min(picture.shape[:2]) >= _LEAST_SIDE]
    found = [lines for lines in map(_lines, pictures) if lines]
    if not found or len(found) * 2 < len(pictures):
        return None
    eyes, mouth = np.median(found, axis=0)
    return round(float(eyes), 3), round(float(mouth), 3)


def misplaced(picture: np.ndarray, wanted: Lines) -> Lines | None:
    """Returns the lines of a picture's face where they are plainly others than those wanted.

    Args:
        picture: uint8 [H, W, 3]; its middle square counts.
        wanted: The lines of the pictures that a network was trained on.

    Returns:
        The lines; None where they fit, or there is no face or no finder.
    """
    lines = _lines(picture)
    if lines is None or np.max(np.abs(np.subtract(lines, wanted))) <= _TOLERANCE:
        return None
    return lines


def _lines(picture: np.ndarray) -> Lines | None:
    side = min(picture.shape[:2])
    if side < _LEAST_SIDE:
        return None
    size = max(side, _SEEN)
    try:
        face = make_finder().find(to_square(picture, size))
    except UnavailableError:
        return None
    if face is None:
        return None
    eyes = (face.left_eye + face.right_eye)[1] / 2
    return (eyes + 0.5) / size, (face.mouth[1] + 0.5) / size
