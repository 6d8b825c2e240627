"""Target of an edit: the shape in which an expression is shown on one person's face."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from legan_tf.head.expressions import PRESETS, expression_units
from legan_tf.head.face_statistics import FaceStatistics, LearnedExpression
from legan_tf.head.fit import FittedHead, lips_apart
from legan_tf.head.morphable_head import without_side

NEUTRAL, SMILES = "neutral", ("smile", "smile_closed")

_KEPT = 0.12  # Most of a shape that the photograph's own expression adds to another.
# What an expression leaves that is taken away: brows may be raised by nature.
_RELAXED_UNITS = ("mouth", "jaw", "cheek", "nose", "eyeSquint")
_RELAXED_MOUTH, _RELAXED_BROWS = 0.06, 0.25
_MOUTH_UNITS = ("mouth", "jaw")
_PRESSED = 0.3  # Of mouthPress, from where the lips meet.
_TEETH_SHOW = 0.05  # Distance of the lips of a smile with teeth.
_UNFOLDED = 0.8  # Of the quotient of a smile that is taken back.
_FOLDED = 0.12  # Quotient of a smile from where it folds the skin.
_MOST_SMILE = 1.5  # In mean smiles: more is not taken away, or the corners would cross.
_WIDENING = ("mouthSmile", "mouthStretch", "mouthDimple")
_NEUTRAL_WIDTH, _MOST_NARROWED = 1.02, 0.6
_MEETING = 0.7  # Strength of the neutral face from where the lips meet.
# Above strength 1: the parting of the lips grows less than the rest, and so does what the landmarks
# of few people have in common.
_PARTING_GROWTH, _MOST_RESIDUAL, _MOST_QUOTIENT = 0.35, 1.3, 1.5
_SMILING_BROWS = 0.4  # Of the lowered brows that people smile with into a flash.


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """An expression to show.

    Attributes:
        expression: float64 [E], weights of the expression shapes.
        residual: float64 [P, 2], residual of the landmarks, in the picture's directions.
        quotient: float64 [n], logarithm of the gain of the face's vertices that the expression has
            in the mean of people; None for none.
        folds: float64 [n], how far dark lines are taken away at the face's vertices, 0 to 1; None
            for nowhere.
        lips_meet: Whether the lips touch all along.
        teeth: Which set of teeth.
    """

    expression: np.ndarray
    residual: np.ndarray
    quotient: np.ndarray | None = None
    folds: np.ndarray | None = None
    lips_meet: bool = False
    teeth: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class _Neutral:
    """A face without its expression: weights [E], residual [P, 2], log gain and folds [n]."""

    expression: np.ndarray
    residual: np.ndarray
    quotient: np.ndarray | None = None
    folds: np.ndarray | None = None


class Targets:
    """Targets on one fitted face."""

    def __init__(self, fitted: FittedHead, statistics: FaceStatistics) -> None:
        """Takes the fit and what was learned for its head."""
        self._fitted, self._head, self._statistics = fitted, fitted.head, statistics

    def named(self, expression: str, strength: float) -> Target:
        """Returns an expression by name.

        Args:
            expression: ``neutral``, a learned expression, or a preset.
            strength: Above 0; 1 is the expression itself.

        Raises:
            UserError: There is no such expression.
        """
        fitted = self._fitted
        if expression == NEUTRAL:
            neutral, share = self._neutral, min(strength, 1.0)
            return Target(
                _between(fitted.expression, neutral.expression, share),
                _between(fitted.residual, neutral.residual, share),
                None if neutral.quotient is None else share * neutral.quotient,
                None if neutral.folds is None else share * neutral.folds,
                lips_meet=strength > _MEETING,
            )
        learned = self._statistics.expressions.get(expression)
        if learned is None:
            return self.of_units(expression_units(expression), strength)
        if expression in SMILES:
            # Who smiles already smiles more, with teeth of their own.
            strength = max(strength - self._amount(learned), 0.0)
            if not strength:
                return Target(fitted.expression, fitted.residual)
            start = fitted.expression, fitted.residual
        else:
            neutral, share = self._neutral, min(strength, 1.0)
            start = (
                _between(fitted.expression, neutral.expression, share),
                _between(fitted.residual, neutral.residual, share),
            )
        added = min(strength, _MOST_RESIDUAL) * learned.residual @ fitted.upright.T
        return Target(
            start[0] + strength * self._weights(expression, learned, strength),
            start[1] + added,
            min(strength, _MOST_QUOTIENT) * learned.quotient,
        )

    def of_units(self, units: Mapping[str, float], strength: float) -> Target:
        """Returns an expression by weights of expression shapes.

        Raises:
            UserError: The head has no such shape.
        """
        fitted, neutral, share = self._fitted, self._neutral, min(strength, 1.0)
        vector = self._head.expression_vector(units)
        mouth = any(unit.startswith(_MOUTH_UNITS) for unit in units)
        # An expression of the eyes leaves the mouth as it is.
        relaxed = neutral.expression if mouth else fitted.expression
        relaxed = np.where(vector != 0, np.minimum(relaxed, _KEPT), relaxed)
        residual = neutral.residual if mouth else fitted.residual
        press = vector[self._head.expression_index("mouthPress_L")]
        return Target(
            _between(fitted.expression, relaxed, share) + strength * vector,
            _between(fitted.residual, residual, share),
            lips_meet=bool(strength * press > _PRESSED),
        )

    def _weights(self, name: str, learned: LearnedExpression, strength: float) -> np.ndarray:
        """Returns the weights of a learned expression; eyes by the preset of its name."""
        vector = self._head.expression_vector(learned.units)
        preset = PRESETS.get(name, {})
        parting = (min(strength, 1) + _PARTING_GROWTH * max(strength - 1, 0)) / strength
        for row, unit in enumerate(map(without_side, self._head.expression_names)):
            if unit in ("jawOpen", "mouthLowerDown"):
                vector[row] *= parting
            elif unit == "browDown":
                vector[row] *= _SMILING_BROWS
            elif unit in ("cheekSquint", "eyeSquint"):
                vector[row] += preset.get(unit, 0.0)
        return vector

    def _amount(self, learned: LearnedExpression) -> float:
        """Returns how much of a learned expression the photograph shows, by the mouth's shape."""
        mouth = self._head.landmark_vertices[48:]
        shapes = self._head.expressions[:, mouth].reshape(len(self._head.expressions), -1)
        mean = self._head.expression_vector(learned.units) @ shapes
        return float(np.clip(self._fitted.expression @ shapes @ mean / (mean @ mean), 0, None))

    @functools.cached_property
    def _neutral(self) -> _Neutral:
        """The photograph's expression taken away."""
        fitted = self._fitted
        relaxed = np.minimum(fitted.expression, _RELAXED_BROWS)
        for row, name in enumerate(self._head.expression_names):
            if name.startswith(_RELAXED_UNITS):
                relaxed[row] = min(relaxed[row], _RELAXED_MOUTH)
        kind = SMILES[0] if lips_apart(fitted.points) > _TEETH_SHOW else SMILES[1]
        learned = self._statistics.expressions.get(kind)
        if learned is None:
            return _Neutral(relaxed, fitted.residual)
        amount = min(self._amount(learned), _MOST_SMILE)
        residual = fitted.residual - amount * learned.residual @ fitted.upright.T
        relaxed = self._narrowed(relaxed, residual, learned)
        folds = min(amount, 1.0) * np.clip(np.abs(learned.quotient) / _FOLDED, 0, 1)
        return _Neutral(relaxed, residual, -_UNFOLDED * amount * learned.quotient, folds)

    def _narrowed(
        self, expression: np.ndarray, residual: np.ndarray, smile: LearnedExpression
    ) -> np.ndarray:
        """Returns an expression with the mouth about as wide as a neutral one's."""
        fitted = self._fitted
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
