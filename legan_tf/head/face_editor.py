"""Face editor: the edit of a photograph's face by a head fitted to it, at its own size."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from legan_tf.errors import UserError
from legan_tf.head import face_mesh
from legan_tf.head.compositing import composite
from legan_tf.head.expression_edit import ExpressionEditor
from legan_tf.head.face_statistics import FaceStatistics, load_statistics
from legan_tf.head.fit import fit_head
from legan_tf.head.frame import Frame, face_frame
from legan_tf.head.head_file import load_head
from legan_tf.head.ibug_points import from_ibug
from legan_tf.head.light import Light
from legan_tf.head.morphable_head import MorphableHead
from legan_tf.head.person_mask import PersonMask, person_mask
from legan_tf.head.refinement import refined_points
from legan_tf.head.relighting import RelightingSurface, relight
from legan_tf.head.residual_field import residual_field
from legan_tf.head.target import Targets

MAX_STRENGTH = 2.0
"""Largest strength of an edit."""


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
class _Lit:
    """A photograph in one light, with what edits the expression there."""

    edited: Edited
    editor: ExpressionEditor


class FaceEditor:
    """Edits of one face of a photograph.

    The head is fitted once, and what does not depend on the target is kept for further edits.

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
        field = residual_field(self._head, face_points)
        self._last: tuple[Light | None, _Lit] | None = None
        if len(points) == len(face_mesh.IBUG):
            points = from_ibug(self._head, face_points, points)
            self.fitted = fit_head(self._head, face_points, field, points)
            return
        # Points that are no face's are refused before they are looked for in the picture. What is
        # known of the head was learned from refined points.
        fit_head(self._head, face_points, field, points)
        points = refined_points(image, np.asarray(points, np.float64))
        self.fitted = fit_head(self._head, face_points, field, points)

    def edit(
        self,
        expression: str | None = None,
        strength: float = 1.0,
        units: Mapping[str, float] | None = None,
        light: Light | None = None,
    ) -> Edited:
        """Returns the photograph with another expression, in another light, or both.

        Args:
            expression: Name of the expression; None for the photograph's own.
            strength: How strong the expression is, 0 to 2; 0 leaves the photograph's own. Of a
                light alone, how far the picture is taken to it.
            units: Weights of expression shapes to show in place of a named expression.
            light: The light; None for the photograph's own.

        Raises:
            UserError: There is no such expression, or the strength is out of range.
        """
        if not 0 <= strength <= MAX_STRENGTH:
            raise UserError(f"--strength={strength:g} is not within 0 to {MAX_STRENGTH:g}.")
        moves = strength > 0 and (expression is not None or units is not None)
        if light is not None and expression is None and units is None:
            light = dataclasses.replace(light, strength=light.strength * strength)
        lit = self._lit(light)
        if not moves:
            return lit.edited
        if units is not None:
            target = self._targets.of_units(units, strength)
        else:
            target = self._targets.named(str(expression), strength)
        image, mask = composite(lit.edited.image, self._frame, lit.editor.edit(target))
        return Edited(image, np.maximum(mask, lit.edited.mask))

    def forget(self) -> None:
        """Frees what was kept for further edits, but for the fit."""
        self._last = None
        for name in ("_person", "_surface"):
            self.__dict__.pop(name, None)

    @functools.cached_property
    def _targets(self) -> Targets:
        return Targets(self.fitted, self._statistics)

    def _lit(self, light: Light | None) -> _Lit:
        """Returns the photograph in a light, and what edits its expression there."""
        if light is None or light.strength == 0:
            light = None
        if self._last is None or self._last[0] != light:
            self._last = light, self._light(light)
        return self._last[1]

    def _light(self, light: Light | None) -> _Lit:
        image, mask = self._image, np.zeros(self._image.shape[:2], np.uint8)
        if light is not None and self._surface is not None:
            image = relight(self._image, self._surface, self._person, light)
            mask[(image != self._image).any(-1)] = 255
        editor = ExpressionEditor(self.fitted, self._frame, self._frame.sample(image))
        return _Lit(Edited(image, mask), editor)

    @functools.cached_property
    def _person(self) -> PersonMask:
        return person_mask(self._image, self.fitted.points)

    @functools.cached_property
    def _surface(self) -> RelightingSurface | None:
        return RelightingSurface.of(self._image, self.fitted, self._person)

    @functools.cached_property
    def _frame(self) -> Frame:
        return face_frame(self.fitted, [self.fitted.vertices(), self.fitted.vertices(self._wide)])

    @property
    def _wide(self) -> np.ndarray:
        """The shape that reaches farthest: with the mouth wide open."""
        return self._head.expression_vector({"jawOpen": 1.0})
