from __future__ import annotations

import numpy as np
import pytest

from legan_tf.head import subdivision

CUBE = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1, 1) for z in (-1, 1)])
CUBE_FACES = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)


def test_points_of_a_cube_are_those_of_the_definition():
    matrix, faces = subdivision.catmull_clark(CUBE_FACES, 8)
    finer = matrix @ CUBE
    assert finer.shape == (8 + 6 + 12, 3)
    assert faces.shape == (24, 4)
    # A corner: (mean of face points + 2 means of edge middles + 0 corners) / 3 = 5/9 of it.
    np.testing.assert_allclose(finer[:8], CUBE * 5 / 9)
    np.testing.assert_allclose(np.sort(np.abs(finer[8:14]).sum(1)), np.ones(6))
    # An edge: mean of its two ends and two face points, (1, 1, 0) * 3/4.
    np.testing.assert_allclose(np.sort(np.abs(finer[14:]), 1), np.tile([0, 0.75, 0.75], (12, 1)))


def test_faces_of_a_face_follow_each_other_and_keep_its_orientation():
    matrix, faces = subdivision.catmull_clark(CUBE_FACES, 8)
    corners = (matrix @ CUBE)[faces]
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    assert (np.einsum("fk,fk->f", normals, corners.mean(1)) > 0).all()
    assert [set(faces[4 * face : 4 * face + 4].ravel()) & {8 + face} for face in range(6)] == [
        {8 + face} for face in range(6)
    ]


def test_a_flat_sheet_stays_flat_and_its_border_is_a_curve_of_its_own():
    grid = np.array([[x, y, 0.0] for y in range(3) for x in range(3)])
    faces = np.array([[0, 1, 4, 3], [1, 2, 5, 4], [3, 4, 7, 6], [4, 5, 8, 7]])
    matrix, _ = subdivision.catmull_clark(faces, 9)
    np.testing.assert_allclose(np.asarray(matrix.sum(1)).ravel(), 1)
    finer = matrix @ grid
    np.testing.assert_allclose(finer[1], [1, 0, 0])
    np.testing.assert_allclose(finer[4], [1, 1, 0])
    # The middle of the sheet has no part in the border.
    moved = grid.copy()
    moved[4] += 1
    np.testing.assert_allclose((matrix @ moved)[[0, 1, 2]], finer[[0, 1, 2]])


def test_bilinear_subdivision_of_texture_coordinates_keeps_the_points():
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 2.0]])
    finer, faces = subdivision.bilinear(np.array([[0, 1, 2, 3]]), points)
    np.testing.assert_allclose(finer[:4], points)
    np.testing.assert_allclose(finer[4], [0.5, 0.75])
    assert faces.shape == (4, 4)
    for face, corner in zip(faces, range(4)):
        assert face[0] == corner and face[2] == 4
        assert finer[face].min() >= 0


@pytest.mark.parametrize("count", [1, 4])
def test_edges_are_shared_by_the_faces_beside_them(count):
    edges, of_faces = subdivision.edges_of(CUBE_FACES[:count])
    assert len(edges) == {1: 4, 4: 12}[count]
    for face, of_face in zip(CUBE_FACES, of_faces):
        for corner in range(4):
            ends = {face[corner], face[(corner + 1) % 4]}
            assert set(edges[of_face[corner]]) == ends
