"""Catmull-Clark subdivision of a mesh of quadrilaterals as a sparse matrix."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def catmull_clark(faces: np.ndarray, vertices: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One step of Catmull-Clark subdivision (Catmull and Clark, 1978).

    The border of an open surface stays a smooth curve: its points depend on the border alone.

    Args:
        faces: Corners of the quadrilaterals, int ``[F, 4]``.
        vertices: Number of vertices, n.

    Returns:
        The matrix that takes n points to those of the finer mesh, which are in this order: one for
        each vertex, each face, each edge; and the finer mesh's quadrilaterals ``[4 F, 4]``, those
        of face f in rows 4 f to 4 f + 3.
    """
    count = len(faces)
    edges, face_edges = edges_of(faces)
    of_face = np.repeat(np.arange(count), 4)
    of_edge = np.repeat(np.arange(len(edges)), 2)
    sharing = np.bincount(face_edges.ravel(), minlength=len(edges))
    border = sharing == 1

    face_points = _matrix(of_face, faces.ravel(), 0.25, (count, vertices))
    middles = _matrix(of_edge, edges.ravel(), 0.5, (len(edges), vertices))
    edge_faces = _matrix(face_edges.ravel(), of_face, 1.0, (len(edges), count))
    # An inner edge's point is the mean of its ends and of the points of its two faces.
    edge_points = sparse.diags(np.where(border, 1.0, 0.5)) @ middles + (
        sparse.diags(np.where(border, 0.0, 0.25)) @ edge_faces @ face_points
    )

    vertex_faces = _matrix(faces.ravel(), of_face, 1.0, (vertices, count))
    vertex_edges = _matrix(edges.ravel(), of_edge, 1.0, (vertices, len(edges)))
    valence = np.maximum(np.bincount(faces.ravel(), minlength=vertices), 1.0)
    degree = np.maximum(np.bincount(edges.ravel(), minlength=vertices), 1.0)
    inner = sparse.diags(1 / valence) @ (
        sparse.diags(1 / valence) @ vertex_faces @ face_points
        + sparse.diags(2 / degree) @ vertex_edges @ middles
        + sparse.diags(valence - 3)
    )
    # A border's vertex is half itself, half the mean of the middles of its border edges.
    borders = np.bincount(edges[border].ravel(), minlength=vertices)
    on_border = borders > 0
    along = 0.5 * sparse.identity(vertices) + (
        sparse.diags(0.5 / np.maximum(borders, 1))
        @ vertex_edges
        @ sparse.diags(border.astype(float))
        @ middles
    )
    vertex_points = sparse.diags(np.where(on_border, 0.0, 1.0)) @ inner + (
        sparse.diags(np.where(on_border, 1.0, 0.0)) @ along
    )
    matrix = sparse.vstack([vertex_points, face_points, edge_points]).tocsr()
    matrix.eliminate_zeros()
    return matrix, _finer_faces(faces, face_edges, vertices)


def bilinear(faces: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subdivision that leaves the points where they are, for texture coordinates.

    Args:
        faces: Corners of the quadrilaterals, int ``[F, 4]``.
        points: Coordinates, float ``[n, d]``.

    Returns:
        The finer mesh's points and quadrilaterals, in the order of ``catmull_clark``.
    """
    edges, face_edges = edges_of(faces)
    finer = np.concatenate([points, points[faces].mean(1), points[edges].mean(1)])
    return finer, _finer_faces(faces, face_edges, len(points))


def edges_of(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the edges ``[m, 2]``, and those of each face ``[F, 4]``, the k-th from corner k."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1).astype(np.int64)
    # One number for both ends sorts much faster than rows do.
    base = int(ends.max(initial=0)) + 1
    unique, inverse = np.unique(ends[:, 0] * base + ends[:, 1], return_inverse=True)
    return np.stack([unique // base, unique % base], -1), inverse.reshape(faces.shape)


def _finer_faces(faces: np.ndarray, face_edges: np.ndarray, vertices: int) -> np.ndarray:
    middle = np.broadcast_to((vertices + np.arange(len(faces)))[:, None], faces.shape)
    edge = vertices + len(faces) + face_edges
    return np.stack([faces, edge, middle, np.roll(edge, 1, 1)], -1).reshape(-1, 4)


def _matrix(
    rows: np.ndarray, columns: np.ndarray, value: float, shape: tuple[int, int]
) -> sparse.csr_matrix:
    return sparse.coo_matrix((np.full(len(rows), value), (rows, columns)), shape).tocsr()
