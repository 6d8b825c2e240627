"""Face editor: the edit of a photograph's face by a head fitted to it, at its own size."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from legan_tf.errors import UserError
from legan_tf.head import face_mesh
from legan_tf.head.compositing import composite
from legan_tf.head.expression_edit import ExpressionEditor, Target
from legan_tf.head.expressions import PRESETS, expression_units
from legan_tf.head.face_statistics import FaceStatistics, LearnedExpression, load_statistics
from legan_tf.head.fit import fit_head, lips_apart
from legan_tf.head.frame import Frame, face_frame
from legan_tf.head.head_file import load_head
from legan_tf.head.ibug_points import from_ibug
from legan_tf.head.morphable_head import MorphableHead, without_side
from legan_tf.head.residual_field import ResidualField

MAX_STRENGTH = 2.0
"""Largest strength of an edit."""

_RELAXED = 0.12  # Most of a shape that the photograph's own expression adds to another.
# What an expression leaves that is taken away: brows may be raised by nature.
_RELAXED_UNITS = ("mouth", "jaw", "cheek", "nose", "eyeSquint")
_RELAXED_BROWS = 0.25
_MOUTH_UNITS = ("mouth", "jaw")
_CLOSED_LIPS = ("anger",)
_TEETH_SHOW = 0.05  # Distance of the lips of a smile with teeth.
_UNFOLDED = 0.6  # Of the quotient of a smile that is taken back.
_WIDENING = ("mouthSmile", "mouthStretch", "mouthDimple")
_NEUTRAL_WIDTH, _MOST_NARROWED = 1.02, 0.6
_MEETING = 0.7  # Strength of the neutral face from where the lips meet.


@dataclasses.dataclass(frozen=True, eq=False)
class Edited:
    """An edited photograph.

    Attributes:
        image: uint8 [H, W, 3].
        mask: uint8 [H, W], 255 where the photograph was changed, 0 elsewhere.
    """

    image: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class _Neutral:
    """A face without its expression: weights [E], residual [P, 2], log gain [n] of its folds."""

    expression: np.ndarray
    residual: np.ndarray
    quotient: np.ndarray | None


class FaceEditor:
    """Edits of one face of a photograph.

    The head is fitted once; a further edit takes what does not depend on it from before.

    Attributes:
        fitted: The head in the photograph.
    """

    def __init__(
        self,
        image: np.ndarray,
        points: np.ndarray,
        head: MorphableHead | None = None,
        statistics: FaceStatistics | None = None,
    ) -> None:
        """Fits the head.

        Args:
            image: uint8 [H, W, 3], sRGB.
            points: float [468 or more, 2 or 3], a finder's points of the face, in pixels; or
                iBUG's, float [68, 2].
            head: The head; that of the package if None.
            statistics: What was learned for it; that of the package if None.

        Raises:
            FitError: The head does not follow the face.
        """
        self._image = image
        self._head = head or load_head()
        self._statistics = statistics or load_statistics(self._head)
        face_points = self._statistics.face_points
        if len(points) == len(face_mesh.IBUG):
            points = from_ibug(self._head, face_points, points)
        self.fitted = fit_head(self._head, face_points, _field(self._head, face_points), points)

    def edit(
        self,
        expression: str | None = None,
        strength: float = 1.0,
        units: Mapping[str, float] | None = None,
    ) -> Edited:
        """Returns the photograph with another expression.

        Args:
            expression: Name of the expression; None for none.
            strength: How strong, 0 to 2; 0 changes nothing.
            units: Weights of expression shapes to show in place of a named expression.

        Raises:
            UserError: There is no such expression, or the strength is out of range.
        """
        if not 0 <= strength <= MAX_STRENGTH:
            raise UserError(f"--strength={strength:g} is not within 0 to {MAX_STRENGTH:g}.")
        if strength == 0 or (expression is None and units is None):
            return Edited(self._image, np.zeros(self._image.shape[:2], np.uint8))
        target = self._target(expression, strength, units)
        return Edited(*composite(self._image, self._frame, self._editor.edit(target)))

    @functools.cached_property
    def _frame(self) -> Frame:
        return face_frame(self.fitted, [self.fitted.vertices(), self.fitted.vertices(self._wide)])

    @property
    def _wide(self) -> np.ndarray:
        """The shape that reaches farthest: with the mouth wide open."""
        return self._head.expression_vector({"jawOpen": 1.0})

    @functools.cached_property
    def _editor(self) -> ExpressionEditor:
        return ExpressionEditor(self.fitted, self._frame, self._frame.sample(self._image))

    def _target(
        self, expression: str | None, strength: float, units: Mapping[str, float] | None
    ) -> Target:
        """Returns the shape to show."""
        fitted, head, neutral = self.fitted, self._head, self._neutral
        share = min(strength, 1.0)
        if expression == "neutral":
            return Target(
                _between(fitted.expression, neutral.expression, share),
                _between(fitted.residual, neutral.residual, share),
                None if neutral.quotient is None else share * neutral.quotient,
                lips_meet=strength > _MEETING,
            )
        learned = self._statistics.expressions.get(expression or "")
        if units is None and learned is not None:
            # The photograph's own expression gives way.
            residual = _between(fitted.residual, neutral.residual, share)
            residual = residual + min(strength, 1.3) * learned.residual @ fitted.upright.T
            return Target(
                _between(fitted.expression, neutral.expression, share)
                + self._smile(str(expression), learned, strength),
                residual,
                min(strength, 1.5) * learned.quotient,
            )
        if units is None:
            units = expression_units(str(expression))
        vector = head.expression_vector(units)
        mouth = any(unit.startswith(_MOUTH_UNITS) for unit in units)
        # An expression of the eyes leaves the mouth as it is.
        relaxed = neutral.expression if mouth else fitted.expression
        relaxed = np.where(vector != 0, np.minimum(relaxed, _RELAXED), relaxed)
        residual = neutral.residual if mouth else fitted.residual
        return Target(
            _between(fitted.expression, relaxed, share) + strength * vector,
            _between(fitted.residual, residual, share),
            lips_meet=expression in _CLOSED_LIPS,
        )

    def _smile(self, name: str, learned: LearnedExpression, strength: float) -> np.ndarray:
        """Returns the weights of a learned expression; eyes and brows by the preset of its name."""
        vector = self._head.expression_vector(learned.units)
        preset = PRESETS.get(name, {})
        # Above 1 the parting of the lips grows less than the rest.
        parting = (min(strength, 1) + 0.35 * max(strength - 1, 0)) / strength
        for row, unit in enumerate(map(without_side, self._head.expression_names)):
            if unit in ("jawOpen", "mouthLowerDown"):
                vector[row] *= parting
            elif unit == "browDown":
                vector[row] *= 0.4
            elif unit in ("cheekSquint", "eyeSquint"):
                vector[row] += preset.get(unit, 0.0)
        return strength * vector

    @functools.cached_property
    def _neutral(self) -> _Neutral:
        """The photograph's expression taken away."""
        fitted, head = self.fitted, self._head
        mouth = head.landmark_vertices[48:]
        shapes = head.expressions[:, mouth].reshape(len(head.expressions), -1)
        kind = "smile" if lips_apart(fitted.points) > _TEETH_SHOW else "smile_closed"
        learned = self._statistics.expressions.get(kind)
        relaxed = np.minimum(fitted.expression, _RELAXED_BROWS)
        for row, name in enumerate(head.expression_names):
            if name.startswith(_RELAXED_UNITS):
                relaxed[row] = min(relaxed[row], _RELAXED / 2)
        if learned is None:
            return _Neutral(relaxed, fitted.residual, None)
        # How much of the mean smile the person shows, by how the mouth has moved.
        smile = head.expression_vector(learned.units) @ shapes
        amount = float(np.clip(fitted.expression @ shapes @ smile / (smile @ smile), 0, 1.5))
        residual = fitted.residual - amount * learned.residual @ fitted.upright.T
        relaxed = self._narrowed(relaxed, residual, learned)
        return _Neutral(relaxed, residual, -_UNFOLDED * amount * learned.quotient)

    def _narrowed(
        self, expression: np.ndarray, residual: np.ndarray, smile: LearnedExpression
    ) -> np.ndarray:
        """Returns an expression with the mouth about as wide as a neutral one's."""
        fitted = self.fitted
        corners = fitted.face_points.rows_of((61, 291))

        def width(shown: np.ndarray) -> float:
            left, right = fitted.places(fitted.vertices(shown, residual))[corners]
            return float(np.linalg.norm(right - left)) / fitted.scale

        units = {
            unit: weight for unit, weight in smile.units.items() if without_side(unit) in _WIDENING
        }
        back = self._head.expression_vector(units)
        left, right = fitted.face_points.mean_face[[61, 291]]
        wide, narrower = width(expression), width(expression - back)
        excess = wide - _NEUTRAL_WIDTH * float(np.linalg.norm(right - left))
        share = np.clip(excess / max(wide - narrower, 1e-3), 0, _MOST_NARROWED)
        return expression - share * back


def _between(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return one + share * (other - one)


@functools.lru_cache(maxsize=2)
def _field(head: MorphableHead, face_points: object) -> ResidualField:
    return ResidualField(head, face_points)  # type: ignore[arg-type]
