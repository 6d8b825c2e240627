"""The mask of a face: the convex hull of its landmarks, as in LEGAN's perceptual set."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError


def hull_mask(outline: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Returns the pixels of an aligned picture whose centre is inside a face's convex hull.

    Args:
        outline: float [n, 2], points in the original.
        transform: float [6], as ``alignment.similarity_from_points`` returns it.
        size: Height and width of the aligned picture.

    Returns:
        bool [size, size].

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
