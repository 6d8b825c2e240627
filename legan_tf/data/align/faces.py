"""A face as its landmarks tell it: eyes, mouth, outline, and how far it is turned."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.spatial import ConvexHull, QhullError

IBUG_POINTS = 68
"""Points of ibug's scheme, which dlib uses too."""

# Where ibug's scheme has what; left is the left of the picture.
_IBUG_LEFT_EYE = slice(36, 42)
_IBUG_RIGHT_EYE = slice(42, 48)
_IBUG_MOUTH_CORNERS = (48, 54)
_IBUG_OUTLINE = slice(0, 27)  # Jaw and eyebrows; the convex hull of all 68 has no other corner.


@dataclasses.dataclass(frozen=True)
class Face:
    """One face of a picture. Points are (x, y) in pixels; the centre of the first is (0, 0).

    Attributes:
        left_eye: float64 [2], centre of the eye on the left of the picture.
        right_eye: float64 [2], centre of the other.
        mouth: float64 [2], middle between the corners of the mouth.
        outline: float64 [n, 2], points whose convex hull is the face, n = 0 where unknown.
        yaw: How far the face is turned to the side, in degrees; above 0 where it looks to the
            right of the picture; NaN where unknown.
        faces: How many faces the picture shows.
    """

    left_eye: np.ndarray
    right_eye: np.ndarray
    mouth: np.ndarray
    outline: np.ndarray
    yaw: float = math.nan
    faces: int = 1


def from_ibug(points: np.ndarray) -> Face:
    """Makes a face of ibug's 68 points, float [68, 2]."""
    points = np.asarray(points, np.float64)
    return Face(
        left_eye=points[_IBUG_LEFT_EYE].mean(0),
        right_eye=points[_IBUG_RIGHT_EYE].mean(0),
        mouth=points[list(_IBUG_MOUTH_CORNERS)].mean(0),
        outline=points[_IBUG_OUTLINE],
    )


def yaw_from_pairs(left: np.ndarray, right: np.ndarray) -> float:
    """Measures how far a head is turned to the side, from points that mirror each other.

    The line between the two of a pair goes straight across the head, whatever the head's shape,
    however it nods or tilts; turning is what takes that line out of the plane of the picture.

    Args:
        left: float [n, 3], points of the side of the face that is on the left of a picture taken
            from the front; z is depth, larger is further away, in the unit of x and y.
        right: float [n, 3], their mirror points.

    Returns:
        Degrees from -90 to 90; above 0 where the face looks to the right of the picture.
    """
    x, y, z = np.sum(np.asarray(right, np.float64) - np.asarray(left, np.float64), axis=0)
    return math.degrees(math.atan2(z, math.hypot(x, y)))


def hull_mask(outline: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Finds the pixels of an aligned picture that are inside a face's convex hull.

    Args:
        outline: float [n, 2], points in the original.
        transform: float [6], as ``position.similarity_from_points`` returns it.
        size: Height and width of the aligned picture.

    Returns:
        bool [size, size]; a pixel is inside where its centre is.

    Raises:
        ValueError: The points are all on one line, so that nothing is inside.
    """
    affine = np.asarray(transform, np.float64).reshape(2, 3)
    points = np.linalg.solve(affine[:, :2], (outline - affine[:, 2]).T).T
    try:
        hull = ConvexHull(points)
    except QhullError as error:
        raise ValueError("The outline of a face must enclose something.") from error
    y, x = np.mgrid[:size, :size]
    edges = hull.equations  # Rows (a, b, c): a x + b y + c is above 0 beyond that edge.
    beyond = edges[:, 0, None, None] * x + edges[:, 1, None, None] * y + edges[:, 2, None, None]
    return np.all(beyond <= 0, axis=0)
