from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.head.morphable_head import PARTS, without_side

small_cage = runpy.run_path(str(pathlib.Path(__file__).parent / "small_cage.py"))["small_cage"]


@pytest.fixture(scope="module")
def head():
    return small_cage().expand()


def test_vertices_and_triangles_are_sorted_by_part(head):
    assert (np.diff(head.vertex_part.astype(int)) >= 0).all()
    assert (np.diff(head.triangle_part.astype(int)) >= 0).all()
    for part in ("face", "side", "gums", "upper_teeth"):
        of_part = head.vertices_of(part)
        assert (np.diff(of_part) == 1).all()
        triangles = head.triangles[head.triangles_of(part)]
        assert len(triangles) == 8
        assert set(of_part) <= set(triangles.ravel())
    # The edge that two parts share is of the first of them.
    assert len(head.vertices_of("face")) == 9
    assert len(head.vertices_of("side")) == 6
    assert len(head.vertices_of("face", "side")) == 15
    assert head.vertices_of("tongue").size == head.triangles_of("tongue").size == 0


def test_a_name_without_a_half_sets_both(head):
    np.testing.assert_array_equal(head.expression_vector({"mouthSmile": 0.5}), [0, 0.5, 0.5])
    np.testing.assert_array_equal(
        head.expression_vector({"mouthSmile": 0.5, "mouthSmile_R": 0.1, "jawOpen": 1}),
        [1, 0.5, 0.1],
    )
    np.testing.assert_array_equal(head.expression_vector({}), np.zeros(3))
    assert head.expression_index("mouthSmile_R") == 2


def test_an_unknown_shape_is_refused_with_those_there_are(head):
    for call in (
        lambda: head.expression_vector({"wink": 1}),
        lambda: head.expression_index("wink"),
    ):
        with pytest.raises(UserError) as refused:
            call()
        assert str(refused.value) == (
            "'wink' is no expression shape of the head; it has jawOpen, mouthSmile."
        )


def test_a_shape_is_linear_in_its_parameters(head):
    identity, expression = np.array([2, -1.0]), np.array([0.5, 0, 1.0])
    shape = head.shape(identity, expression)
    assert shape.dtype == np.float32
    expected = (
        head.neutral
        + 2 * head.identity[0]
        - head.identity[1]
        + 0.5 * head.expressions[0]
        + head.expressions[2]
    )
    np.testing.assert_allclose(shape, expected, atol=1e-6)
    np.testing.assert_array_equal(head.shape(np.zeros(2), np.zeros(3)), head.neutral)


def test_a_set_of_teeth_moves_teeth_and_gums_alone(head):
    moved = head.shape(np.zeros(2), np.zeros(3), teeth=1) - head.neutral
    np.testing.assert_array_equal(head.teeth_vertices, head.vertices_of("gums", "upper_teeth"))
    np.testing.assert_allclose(moved[head.teeth_vertices], np.tile([0, 0, 0.25], (15, 1)))
    assert not moved[head.vertices_of("face", "side")].any()


def test_parts_are_named_once():
    assert len(set(PARTS)) == len(PARTS) == 12
    assert [without_side(name) for name in ("mouthSmile_L", "browDown_R", "jawLeft")] == [
        "mouthSmile",
        "browDown",
        "jawLeft",
    ]
