"""Residual field: carries what a fit leaves at the landmarks over all vertices of a head."""

from __future__ import annotations

import functools

import numpy as np
from scipy.spatial.distance import cdist

from legan_tf.head import face_mesh
from legan_tf.head.face_points import FacePoints, parted_lips
from legan_tf.head.morphable_head import MorphableHead

_CARRIED = ("face", "side", "head", "mouth_socket", "eye_socket")
_CLOSE, _LOOSE = 0.02, 0.15  # Smoothing at lips and lids, and elsewhere.
_ROWS = 2048  # Vertices that are measured at once.
_REACH, _FADE = 1.5, 4.0  # cm from the landmarks where the field begins to fade, and how fast.


class ResidualField:
    """Radial-basis field with a linear kernel, in the shape in which the lips are apart.

    Upper and lower lip are far from each other there, so each follows its own landmarks.
    """

    def __init__(self, head: MorphableHead, face_points: FacePoints) -> None:
        """Computes the matrix from residuals to weights, and the distances."""
        place = parted_lips(head)
        marks = face_points.places(place)
        count = len(marks)
        close = (*face_mesh.LIPS, *face_mesh.LEFT_EYE, *face_mesh.RIGHT_EYE)
        smoothing = np.where(np.isin(face_points.numbers, close), _CLOSE, _LOOSE)
        system = np.zeros((count + 1, count + 1))
        system[:count, :count] = np.diag(smoothing) - cdist(marks, marks)
        system[count, :count] = system[:count, count] = 1
        self._vertices = head.vertices_of(*_CARRIED)
        self._weights = np.linalg.inv(system)[:, :count]
        self._distance = np.empty((len(self._vertices), count), np.float32)
        for start in range(0, len(self._vertices), _ROWS):
            rows = slice(start, start + _ROWS)
            self._distance[rows] = cdist(place[self._vertices[rows]], marks)
        nearest = self._distance.min(1)[:, None]
        self._fade = np.exp(-np.clip(nearest - _REACH, 0, None) / _FADE)
        self._above = face_points.rows_of(face_mesh.UNDER_NOSE)
        self._below = face_points.rows_of(face_mesh.UNDER_LIP)
        self._upper = head.vertices_of("upper_teeth")
        self._lower = head.vertices_of("lower_teeth")
        self._between = head.vertices_of("gums", "tongue")
        self._count = len(head.neutral)

    def carry(self, residual: np.ndarray) -> np.ndarray:
        """Returns how far each vertex moves.

        Args:
            residual: float [P, 2] at the landmarks.

        Returns:
            float64 [V, 2], in the unit of the residual: smooth over the skin, one shift for each
            row of teeth, none for the eyes.
        """
        moved = np.zeros((self._count, 2))
        weights = self._weights @ residual
        carried = weights[-1] - self._distance @ weights[:-1].astype(np.float32)
        moved[self._vertices] = carried * self._fade
        moved[self._upper] = residual[self._above].mean(0)
        moved[self._lower] = residual[self._below].mean(0)
        moved[self._between] = residual[np.r_[self._above, self._below]].mean(0)
        return moved


@functools.lru_cache(maxsize=2)
def residual_field(head: MorphableHead, face_points: FacePoints) -> ResidualField:
    """Returns the residual field of a head and points on it; the same for the same arguments."""
    return ResidualField(head, face_points)
