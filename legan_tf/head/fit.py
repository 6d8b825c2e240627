"""Fit of a morphable head to the landmarks of one picture.

Identity and expression by regularized least squares under a weak-perspective camera: Gaussian
priors, as in Blanz and Vetter, "Face recognition based on fitting a 3D morphable model" (2003).
What the head cannot follow is kept as a residual of each landmark.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.optimize import lsq_linear

from legan_tf.errors import UserError
from legan_tf.head import face_mesh
from legan_tf.head.camera_fit import Camera, closest_camera
from legan_tf.head.face_points import FacePoints, eyes_distance, upright_axes
from legan_tf.head.morphable_head import MorphableHead, without_side
from legan_tf.head.residual_field import ResidualField

MAX_ERROR = 0.03
"""Median distance of the landmarks, as a share of the eyes' distance, of a fit that is used."""
MAX_YAW = 60.0
"""Degrees to the side from where half of the face is not seen."""

_ITERATIONS = 5
_LANDMARK_DEVIATION = 0.03  # Of the eyes' distance.
_IDENTITY_LIMIT, _EXPRESSION_LIMIT = 3.0, 1.2
_NEUTRAL_DEVIATION, _EXPRESSIVE_DEVIATION = 0.3, 0.6
_CLOSED_JAW_DEVIATION = 0.06  # A neutral face is not to be explained by a pucker.
_PARTED_LIPS = 0.03  # Distance of the inner lips from where the jaw counts as open.
_SMILE = 0.15  # Of the mouthSmile shapes, from where expressions are less unlikely.
# The shapes that a fit may use; others, such as a pucker, explain what is identity.
_FREE = (
    *("browDown", "browInnerUp", "browOuterUp", "cheekSquint", "eyeBlink", "eyeSquint", "eyeWide"),
    *("jawOpen", "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile"),
    *("mouthStretch", "mouthUpperUp", "noseSneer"),
)


class FitError(UserError):
    """A face that the head cannot follow."""


@dataclasses.dataclass(frozen=True, eq=False)
class FittedHead:
    """A head in a picture.

    Attributes:
        head: The head.
        face_points: The finder's points on it.
        field: What carries residuals of landmarks over its vertices.
        points: float64 [468 or more, 2], the finder's points in the picture.
        camera: The camera of the picture.
        identity: float64 [I], in standard deviations.
        expression: float64 [E], weights of the expression shapes.
        residual: float64 [P, 2], from the head's points to the finder's, in the picture's
            directions, as shares of the eyes' distance.
        error: Median distance of the landmarks that the head leaves, as a share of the eyes'
            distance.
    """

    head: MorphableHead
    face_points: FacePoints
    field: ResidualField
    points: np.ndarray
    camera: Camera
    identity: np.ndarray
    expression: np.ndarray
    residual: np.ndarray
    error: float

    @functools.cached_property
    def scale(self) -> float:
        """Distance of the eyes' outer corners, in pixels."""
        return eyes_distance(self.points)

    @functools.cached_property
    def upright(self) -> np.ndarray:
        """Rotation [2, 2] from upright directions to those of the picture."""
        return upright_axes(self.points)

    @property
    def yaw(self) -> float:
        """Degrees to the side, above 0 where the face looks to the right of the picture."""
        rotation = self.camera.rotation
        return float(np.degrees(np.arctan2(rotation[0, 2], rotation[0, 0])))

    def vertices(
        self,
        expression: np.ndarray | None = None,
        residual: np.ndarray | None = None,
        teeth: int = 0,
    ) -> np.ndarray:
        """Returns the head's vertices in the picture.

        Args:
            expression: float [E]; that of the fit if None.
            residual: float [P, 2]; that of the fit if None.
            teeth: Which set of teeth.

        Returns:
            float64 [V, 3], x right, y down, z to the viewer, in pixels.
        """
        expression = self.expression if expression is None else expression
        residual = self.residual if residual is None else residual
        shown = self.camera.project(
            self.head.shape(self.identity, expression, teeth).astype(np.float64)
        )
        shown[:, :2] += self.scale * self.field.carry(residual)
        return shown

    def places(self, vertices: np.ndarray) -> np.ndarray:
        """Returns the places [P, 2] of the finder's points on vertices in the picture."""
        return self.face_points.places(vertices)[:, :2]


def fit_head(
    head: MorphableHead,
    face_points: FacePoints,
    field: ResidualField,
    points: np.ndarray,
    expressive: bool | None = None,
) -> FittedHead:
    """Fits a head to a finder's points.

    Args:
        head: The head.
        face_points: The finder's points on it.
        field: What carries residuals over the head.
        points: float [468 or more, 2 or 3], in pixels of the picture.
        expressive: Whether the picture shows an expression, so that strong shapes are likely;
            None to tell by the points.

    Returns:
        The fit.

    Raises:
        FitError: The points are not those of a face that the head can follow.
    """
    points = np.asarray(points, np.float64)[:, :2]
    if not np.isfinite(points).all() or eyes_distance(points) < 1:
        raise FitError("The face's landmarks are not those of a face.")
    if expressive is None:
        first = _fit(head, face_points, field, points, _NEUTRAL_DEVIATION)
        smile = first.expression[_indices(head, "mouthSmile")].mean()
        expressive = bool(smile > _SMILE or lips_apart(points) > _PARTED_LIPS)
        if not expressive:
            return _checked(first)
    deviation = _EXPRESSIVE_DEVIATION if expressive else _NEUTRAL_DEVIATION
    return _checked(_fit(head, face_points, field, points, deviation))


def lips_apart(points: np.ndarray) -> float:
    """Returns how far the lips are apart in the middle, as a share of the eyes' distance."""
    upper, lower = points[13, :2], points[14, :2]
    down = upright_axes(points)[:, 1]
    return float((lower - upper) @ down) / eyes_distance(points)


def _checked(fitted: FittedHead) -> FittedHead:
    if abs(fitted.yaw) > MAX_YAW:
        raise FitError(
            f"The face is turned by {abs(fitted.yaw):.0f} degrees to the side; up to "
            f"{MAX_YAW:.0f} can be edited."
        )
    if fitted.error > MAX_ERROR:
        raise FitError(
            f"The head does not follow the face: its landmarks are {fitted.error:.3f} of the "
            f"eyes' distance away in the median, more than {MAX_ERROR:g}."
        )
    return fitted


def _fit(
    head: MorphableHead,
    face_points: FacePoints,
    field: ResidualField,
    points: np.ndarray,
    deviation: float,
) -> FittedHead:
    scale, upright = eyes_distance(points), upright_axes(points)
    free = _indices(head, *_FREE)
    neutral = face_points.places(head.neutral.astype(np.float64))
    modes = _places_of_modes(head, face_points)
    shapes = modes[len(head.identity) :][free]
    modes = modes[: len(head.identity)]
    weights = _weights(face_points)
    root = np.sqrt(weights)[:, None] / _LANDMARK_DEVIATION
    seen = points[face_points.numbers]
    # A mean neutral face has no expression, since the mean residual is no part of what is fitted.
    aim = seen - scale * face_points.residual @ upright.T
    priors = np.full(len(free), deviation)
    if lips_apart(points) <= _PARTED_LIPS:
        priors[free == head.expression_index("jawOpen")] = _CLOSED_JAW_DEVIATION
    identity, expression = face_points.identity, np.zeros(len(head.expressions))
    low = np.r_[np.full(len(modes), -_IDENTITY_LIMIT), np.zeros(len(free))]
    high = np.r_[np.full(len(modes), _IDENTITY_LIMIT), np.full(len(free), _EXPRESSION_LIMIT)]
    for step in range(_ITERATIONS):
        body = neutral + np.tensordot(identity, modes, 1)
        body += np.tensordot(expression[free], shapes, 1)
        camera = closest_camera(body, aim, weights)
        rows = camera.scale * camera.rotation[:2] / scale
        misses = ((aim - camera.shift) / scale - neutral @ rows.T) * root
        moves = np.concatenate([modes, shapes]) @ rows.T * root
        matrix = np.concatenate(
            [moves.reshape(len(moves), -1).T, np.diag(np.r_[np.ones(len(modes)), 1 / priors])]
        )
        target = np.concatenate([misses.ravel(), face_points.identity, np.zeros(len(free))])
        # The factor of the normal equations has the same solution and is small.
        factor = np.linalg.cholesky(matrix.T @ matrix)
        target = np.linalg.solve(factor, matrix.T @ target)
        last = step == _ITERATIONS - 1
        solved = lsq_linear(factor.T, target, (low, high), "bvls", max_iter=None if last else 60).x
        identity = solved[: len(modes)]
        expression = np.zeros(len(head.expressions))
        expression[free] = solved[len(modes) :]
    body = neutral + np.tensordot(identity, modes, 1) + np.tensordot(expression[free], shapes, 1)
    camera = closest_camera(body, aim, weights)
    shown = camera.project(body)[:, :2]
    return FittedHead(
        head=head,
        face_points=face_points,
        field=field,
        points=points,
        camera=camera,
        identity=identity,
        expression=expression,
        residual=(seen - shown) / scale,
        error=float(np.median(np.linalg.norm(aim - shown, axis=1))) / scale,
    )


def _indices(head: MorphableHead, *names: str) -> np.ndarray:
    """Returns the rows of the expression shapes of these names, both halves."""
    return np.array(
        [row for row, name in enumerate(head.expression_names) if without_side(name) in names]
    )


@functools.lru_cache(maxsize=4)
def _places_of_modes(head: MorphableHead, face_points: FacePoints) -> np.ndarray:
    """Returns how modes and shapes move the points, float64 [I + E, P, 3]."""
    return np.concatenate(
        [face_points.places(part).astype(np.float64) for part in (head.identity, head.expressions)]
    )


def _weights(face_points: FacePoints) -> np.ndarray:
    """Returns how much each point counts: the outline little, eyes and lips most."""
    numbers = face_points.numbers
    outline = np.isin(numbers, face_mesh.OUTLINE) & ~np.isin(numbers, face_mesh.CHIN)
    features = np.isin(numbers, (*face_mesh.LIPS, *face_mesh.LEFT_EYE, *face_mesh.RIGHT_EYE))
    return np.where(outline, 0.15, np.where(features, 1.5, 0.5))
