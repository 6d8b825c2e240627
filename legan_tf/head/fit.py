"""Fit of a morphable head to the landmarks of one picture.

Identity and expression by regularized least squares under a weak-perspective camera: a Gaussian
prior of identity, as in Blanz and Vetter, "Face recognition based on fitting a 3D morphable model"
(2003), and a sparse one of expression, as in Candès, Wakin and Boyd, "Enhancing sparsity by
reweighted l1 minimization" (2008): few shapes explain a face, and strong ones are not weakened.
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
from legan_tf.head.mesh import vertex_normals
from legan_tf.head.morphable_head import MorphableHead, without_side
from legan_tf.head.residual_field import ResidualField

MAX_ERROR = 0.03
"""Median distance of the landmarks, as a share of the eyes' distance, of a fit that is used."""
MAX_YAW = 60.0
"""Degrees to the side from where half of the face is not seen."""

_ITERATIONS = 6
_LANDMARK_DEVIATION = 0.03  # Of the eyes' distance.
_IDENTITY_DEVIATION = 0.7  # Of photographed people, where the head's own is 1.
_KNOWN = 1e4  # Precision of an identity that is known.
_IDENTITY_LIMIT, _EXPRESSION_LIMIT = 3.0, 1.2
_RATE, _NEUTRAL_RATE = 2.0, 8.0  # Of the exponential prior of a shape's weight near 0.
_REWEIGHTED = 0.1  # Weight from where a shape's rate is a half.
_CLOSED_JAW = 5.0  # Times the rate: closed lips are not to be explained by a pucker.
_PARTED_LIPS = 0.03  # Distance of the inner lips from where the jaw counts as open.
_EXPRESSION_DEVIATION = 1.0
_ASYMMETRY = 0.4  # Deviation of the difference of a shape's halves.
_FULLY_SEEN = 0.5  # Cosine to the viewer from where a landmark counts fully.
_HIDDEN = 0.01  # Share of its weight that a landmark on the far side has: finders guess these.
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
        field: The field that carries residuals of landmarks over its vertices.
        points: float64 [468 or more, 2], the finder's points in the picture.
        camera: The camera of the picture.
        identity: float64 [I], in standard deviations.
        expression: float64 [E], weights of the expression shapes.
        residual: float64 [P, 2], from the head's points to the finder's, in the picture's
            directions, as shares of the eyes' distance.
        error: Median distance of the landmarks that the head leaves, of those that the viewer
            sees, as a share of the eyes' distance.
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

    @functools.cached_property
    def yaw(self) -> float:
        """Degrees to the side, above 0 where the face looks to the right of the picture."""
        x, y, z = self.camera.rotation[:, 2]  # The way that the face looks, z into the picture.
        across = float(self.upright[:, 0] @ (x, y))
        return float(np.degrees(np.arctan2(across, -z)))

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
    expressive: bool = True,
    identity: np.ndarray | None = None,
) -> FittedHead:
    """Fits a head to a finder's points.

    Args:
        head: The head.
        face_points: The finder's points on it.
        field: The field that carries residuals over the head.
        points: float [468 or more, 2 or 3], in pixels of the picture.
        expressive: Whether the picture may show an expression; False where it is known to show a
            neutral face, of which the shapes tell next to nothing.
        identity: float [I], the person's, where another picture has told it.

    Returns:
        The fit.

    Raises:
        FitError: The points are not those of a face that the head can follow.
    """
    points = np.asarray(points, np.float64)[:, :2]
    if not np.isfinite(points).all() or eyes_distance(points) < 1:
        raise FitError("The face's landmarks are not those of a face.")
    rate = _RATE if expressive else _NEUTRAL_RATE
    return _checked(_fit(head, face_points, field, points, rate, identity))


def lips_apart(points: np.ndarray) -> float:
    """Returns how far the lips are apart in the middle, as a share of the eyes' distance."""
    upper, lower = points[13, :2], points[14, :2]
    down = upright_axes(points)[:, 1]
    return float((lower - upper) @ down) / eyes_distance(points)


def _checked(fitted: FittedHead) -> FittedHead:
    if abs(fitted.yaw) > MAX_YAW:
        raise FitError(
            f"The face is turned by {abs(fitted.yaw):.0f} degrees to the side; up to "
            f"{MAX_YAW:.0f} can be fitted."
        )
    if fitted.error > MAX_ERROR:
        raise FitError(
            f"The head does not follow the face: half of its landmarks are more than "
            f"{fitted.error:.4f} of the eyes' distance away; up to {MAX_ERROR:g} can be edited."
        )
    return fitted


def _fit(
    head: MorphableHead,
    face_points: FacePoints,
    field: ResidualField,
    points: np.ndarray,
    rate: float,
    known: np.ndarray | None,
) -> FittedHead:
    scale, upright = eyes_distance(points), upright_axes(points)
    free = _indices(head, *_FREE)
    neutral = face_points.places(head.neutral.astype(np.float64))
    modes = _places_of_modes(head, face_points)
    shapes = modes[len(head.identity) :][free]
    modes = modes[: len(head.identity)]
    base = weights = _weights(face_points)
    seen = points[face_points.numbers]
    # A mean neutral face has no expression, since the mean residual is no part of what is fitted.
    aim = seen - scale * face_points.residual @ upright.T
    twin = _twins(head, free)
    rates = np.full(len(free), rate)
    if lips_apart(points) <= _PARTED_LIPS:
        rates[free == head.expression_index("jawOpen")] *= _CLOSED_JAW
    precision = _precision(len(modes), twin)
    identity = face_points.identity
    if known is not None:
        identity = known
        precision[: len(modes), : len(modes)] += _KNOWN * np.eye(len(modes))
    prior = np.r_[identity, np.zeros(len(free))]
    expression = np.zeros(len(head.expressions))
    low = np.r_[np.full(len(modes), -_IDENTITY_LIMIT), np.zeros(len(free))]
    high = np.r_[np.full(len(modes), _IDENTITY_LIMIT), np.full(len(free), _EXPRESSION_LIMIT)]
    for step in range(_ITERATIONS):
        body = neutral + np.tensordot(identity, modes, 1)
        body += np.tensordot(expression[free], shapes, 1)
        camera = closest_camera(body, aim, weights)
        weights = base * _visibility(head, face_points, camera)
        root = np.sqrt(weights)[:, None] / _LANDMARK_DEVIATION
        rows = camera.scale * camera.rotation[:2] / scale
        misses = ((aim - camera.shift) / scale - neutral @ rows.T) * root
        moves = (np.concatenate([modes, shapes]) @ rows.T * root).reshape(len(prior), -1)
        weight = (expression[free] + expression[free][twin]) / 2
        slope = np.r_[np.zeros(len(modes)), rates * _REWEIGHTED / (weight + _REWEIGHTED)]
        # The factor of the normal equations has the same solution and is small.
        factor = np.linalg.cholesky(moves @ moves.T + precision)
        target = moves @ misses.ravel() + precision @ prior - slope
        target = np.linalg.solve(factor, target)
        last = step == _ITERATIONS - 1
        solved = lsq_linear(factor.T, target, (low, high), "bvls", max_iter=None if last else 60).x
        identity = solved[: len(modes)]
        expression = np.zeros(len(head.expressions))
        expression[free] = np.clip(solved[len(modes) :], 0, None)  # Rounded below 0.
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
        error=_median(np.linalg.norm(aim - shown, axis=1), weights / base) / scale,
    )


def _indices(head: MorphableHead, *names: str) -> np.ndarray:
    """Returns the rows of the expression shapes of these names, both halves."""
    return np.array(
        [row for row, name in enumerate(head.expression_names) if without_side(name) in names]
    )


def _twins(head: MorphableHead, shapes: np.ndarray) -> np.ndarray:
    """Returns for each of these shapes the place of its other half among them, or its own."""
    names = [without_side(head.expression_names[shape]) for shape in shapes]
    return np.array(
        [
            next((other for other, same in enumerate(names) if same == name and other != own), own)
            for own, name in enumerate(names)
        ]
    )


def _precision(modes: int, twin: np.ndarray) -> np.ndarray:
    """Returns the inverse covariance of the Gaussian part of the prior, [modes + n, modes + n]."""
    precision = np.eye(modes + len(twin)) / _IDENTITY_DEVIATION**2
    at = modes + np.arange(len(twin))
    precision[at, at] = 1 / _EXPRESSION_DEVIATION**2
    paired = twin != np.arange(len(twin))
    precision[at[paired], at[paired]] += 1 / _ASYMMETRY**2
    precision[at[paired], modes + twin[paired]] -= 1 / _ASYMMETRY**2
    return precision


@functools.lru_cache(maxsize=4)
def _places_of_modes(head: MorphableHead, face_points: FacePoints) -> np.ndarray:
    """Returns how modes and shapes move the points, float64 [I + E, P, 3]."""
    return np.concatenate(
        [face_points.places(part).astype(np.float64) for part in (head.identity, head.expressions)]
    )


@functools.lru_cache(maxsize=4)
def _normals(head: MorphableHead, face_points: FacePoints) -> np.ndarray:
    """Returns the normals of the neutral head at the points, float64 [P, 3] in head space."""
    skin = head.triangles[head.triangles_of("face", "side", "head")]
    normals = face_points.places(vertex_normals(head.neutral * (1.0, -1.0, 1.0), skin))
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def _visibility(head: MorphableHead, face_points: FacePoints, camera: Camera) -> np.ndarray:
    """Returns how well the viewer sees each point, float64 [P] from near 0 to 1."""
    facing = -_normals(head, face_points) @ camera.rotation[2]
    return np.clip(facing / _FULLY_SEEN, _HIDDEN, 1)


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])


def _weights(face_points: FacePoints) -> np.ndarray:
    """Returns how much each point counts: the outline little, eyes and lips most."""
    numbers = face_points.numbers
    outline = np.isin(numbers, face_mesh.OUTLINE) & ~np.isin(numbers, face_mesh.CHIN)
    features = np.isin(numbers, (*face_mesh.LIPS, *face_mesh.LEFT_EYE, *face_mesh.RIGHT_EYE))
    return np.where(outline, 0.15, np.where(features, 1.5, 0.5))
