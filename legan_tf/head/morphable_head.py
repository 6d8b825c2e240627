"""Morphable head: a neutral mesh, modes of identity, expression shapes, and parts.

Head space is in centimetres, x to the person's left, y up, z to the viewer. The eyes' centres are
5.54 apart, with their middle at about (0, 3.57, 8.04).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from legan_tf.errors import UserError

PARTS = (
    "face",
    "side",
    "head",
    "mouth_socket",
    "eye_socket",
    "gums",
    "tongue",
    "upper_teeth",
    "lower_teeth",
    "left_eye",
    "right_eye",
    "lashes",
)
"""Parts of a head. Left is the person's left; ``side`` has ears and what lies behind the cheeks."""

TEETH_PARTS = ("gums", "upper_teeth", "lower_teeth")
SIDES = ("_L", "_R")
"""Endings of the names of expression shapes of the person's left and right half."""


@dataclasses.dataclass(frozen=True, eq=False)
class MorphableHead:
    """Mesh whose vertices are linear in the parameters of identity and expression.

    Attributes:
        name: Which head it is: ``makehuman`` or ``ict``.
        neutral: Mean person without expression, float32 ``[V, 3]`` in cm.
        identity: Modes of identity, of unit variance, float32 ``[I, V, 3]``.
        expressions: Expression shapes, one per unit, float32 ``[E, V, 3]``.
        expression_names: Their names in ARKit's terms, those of one half with ``_L`` or ``_R``.
        triangles: Vertices of the triangles, int32 ``[T, 3]``, counter-clockwise seen from
            outside, sorted by part.
        triangle_part: Index into ``PARTS``, uint8 ``[T]``.
        vertex_part: First part that uses the vertex, uint8 ``[V]``, ascending.
        uv: Texture coordinates, float32 ``[U, 2]``, v up.
        triangle_uv: Rows of ``uv`` of the triangles' corners, int32 ``[T, 3]``.
        landmark_vertices: Vertices of iBUG's 68 landmarks, int32 ``[68]``.
        lips: Vertices of the red of the lips, int32, ascending.
        teeth_sets: Sets of teeth as offsets of the vertices ``teeth_vertices``, float32
            ``[S, n, 3]``; set 0 is zero.
    """

    name: str
    neutral: np.ndarray
    identity: np.ndarray
    expressions: np.ndarray
    expression_names: tuple[str, ...]
    triangles: np.ndarray
    triangle_part: np.ndarray
    vertex_part: np.ndarray
    uv: np.ndarray
    triangle_uv: np.ndarray
    landmark_vertices: np.ndarray
    lips: np.ndarray
    teeth_sets: np.ndarray

    def vertices_of(self, *parts: str) -> np.ndarray:
        """Returns the vertices of the parts in ascending order, int array.

        A vertex at a seam counts to the first of the parts that share it.
        """
        return np.flatnonzero(np.isin(self.vertex_part, [PARTS.index(part) for part in parts]))

    def triangles_of(self, *parts: str) -> np.ndarray:
        """Returns the indices of the parts' triangles in ascending order, int array."""
        return np.flatnonzero(np.isin(self.triangle_part, [PARTS.index(part) for part in parts]))

    @functools.cached_property
    def teeth_vertices(self) -> np.ndarray:
        """The vertices of gums and teeth in ascending order, those that ``teeth_sets`` moves."""
        return self.vertices_of(*TEETH_PARTS)

    @functools.cached_property
    def _expression_indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.expression_names)}

    def expression_index(self, name: str) -> int:
        """Returns the row of an expression shape.

        Raises:
            UserError: The head has no shape of this name.
        """
        try:
            return self._expression_indices[name]
        except KeyError:
            raise UserError(self._unknown_unit(name)) from None

    def expression_vector(self, units: Mapping[str, float]) -> np.ndarray:
        """Returns the weights of all expression shapes.

        Args:
            units: Weight by name of shape. A name without the ending of a half sets both halves.

        Returns:
            Float64 ``[E]``, zero where ``units`` says nothing.

        Raises:
            UserError: A name is unknown.
        """
        vector = np.zeros(len(self.expression_names))
        for name, weight in units.items():
            halves = [name + side for side in SIDES]
            names = [each for each in (name, *halves) if each in self._expression_indices]
            if not names:
                raise UserError(self._unknown_unit(name))
            for each in names:
                vector[self._expression_indices[each]] = weight
        return vector

    def shape(self, identity: np.ndarray, expression: np.ndarray, teeth: int = 0) -> np.ndarray:
        """Returns the vertices of a person with an expression.

        Args:
            identity: Coordinates in the modes of identity, ``[I]``, in standard deviations.
            expression: Weights of the expression shapes, ``[E]``.
            teeth: Which of ``teeth_sets``.

        Returns:
            Float32 ``[V, 3]`` in cm.
        """
        vertices = self.neutral + np.tensordot(np.asarray(identity, np.float32), self.identity, 1)
        used = np.flatnonzero(expression)
        weights = np.asarray(expression, np.float32)[used]
        vertices += np.tensordot(weights, self.expressions[used], 1)
        if teeth:
            vertices[self.teeth_vertices] += self.teeth_sets[teeth]
        return vertices

    def _unknown_unit(self, name: str) -> str:
        known = dict.fromkeys(without_side(each) for each in self.expression_names)
        return f"{name!r} is no expression shape of the head; it has {', '.join(known)}."


def without_side(name: str) -> str:
    """Returns the name of an expression shape without the ending of a half."""
    return name[:-2] if name.endswith(SIDES) else name
