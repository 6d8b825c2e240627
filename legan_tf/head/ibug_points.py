"""iBUG's 68 points in place of a finder's 468: the head tells where the others are."""

from __future__ import annotations

import dataclasses

import numpy as np

from legan_tf.head import face_mesh
from legan_tf.head.face_points import FacePoints, eyes_distance, upright_axes
from legan_tf.head.fit import fit_head
from legan_tf.head.morphable_head import MorphableHead
from legan_tf.head.residual_field import ResidualField

_JAW = 17
"""The first points of iBUG's are the outline of the jaw, which is no place on the skin."""
_CHIN = 8


def from_ibug(head: MorphableHead, face_points: FacePoints, points: np.ndarray) -> np.ndarray:
    """Returns the finder's points that a fit to iBUG's points has.

    Args:
        head: The head.
        face_points: The finder's points on it.
        points: float [68, 2], in pixels of the picture.

    Returns:
        float64 [468, 2].

    Raises:
        FitError: The head does not follow the points.
    """
    marks = [_CHIN, *range(_JAW, len(face_mesh.IBUG))]
    numbers = np.array(face_mesh.IBUG)[marks]
    on_head = np.isin(numbers, face_points.numbers)
    numbers, given = numbers[on_head], np.asarray(points, np.float64)[marks][on_head]
    order = np.argsort(numbers)
    numbers, given = numbers[order], given[order]
    rows = np.searchsorted(face_points.numbers, numbers)
    few = dataclasses.replace(
        face_points,
        numbers=numbers,
        vertices=face_points.vertices[rows],
        weights=face_points.weights[rows],
        residual=face_points.residual[rows],
    )
    sparse = np.zeros((face_mesh.POINTS, 2))
    sparse[numbers] = given
    fitted = fit_head(head, few, ResidualField(head, few), sparse)
    places = face_points.places(fitted.vertices())[:, :2]
    scale, upright = eyes_distance(sparse), upright_axes(sparse)
    # Points that do not lie on the head are where they are in the mean face.
    corners = [face_mesh.LEFT_EYE_CORNERS[0], face_mesh.RIGHT_EYE_CORNERS[0]]
    found = face_points.mean_face * scale @ upright.T + sparse[corners].mean(0)
    found[face_points.numbers] = places
    found[numbers] = given
    return found
