"""Smooth deformations of a mesh that take some vertices where they are wanted."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph, linalg


def spread(
    faces: np.ndarray, points: np.ndarray, handles: np.ndarray, moves: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """Smoothest displacement of a mesh with given displacements of some vertices.

    Minimises the squared Laplacian (Botsch and Kobbelt, 2004), with the neighbours of a vertex
    weighted by the inverse length of the edge.

    Args:
        faces: Corners of the quadrilaterals, int ``[F, 4]``.
        points: The mesh, ``[n, 3]``.
        handles: Vertices whose displacements are given, int ``[k]``.
        moves: Their displacements, ``[k, 3]``.
        free: Which vertices move, bool ``[n]``; the others stay, apart from the handles.

    Returns:
        The displacements, float64 ``[n, 3]``.
    """
    displacements = np.zeros(points.shape)
    displacements[handles] = moves
    smoothness = laplacian(faces, points)
    _, component = csgraph.connected_components(smoothness, directed=False)
    # What hangs together with no handle has nothing that it should follow.
    solved = free & np.isin(component, component[handles])
    solved[handles] = False
    energy = (smoothness.T @ smoothness).tocsr()
    right = -(energy @ displacements)[solved]
    displacements[solved] = linalg.splu(energy[solved][:, solved].tocsc()).solve(right)
    return displacements


def laplacian(faces: np.ndarray, points: np.ndarray) -> sparse.csr_matrix:
    """Returns the matrix that takes values of vertices to theirs less their neighbours' mean."""
    ends = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
    lengths = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
    weights = sparse.coo_matrix((1 / np.maximum(lengths, 1e-3), ends.T), (len(points),) * 2).tocsr()
    weights = weights.maximum(weights.T)
    sums = np.maximum(np.asarray(weights.sum(1)).ravel(), 1e-9)
    return (sparse.identity(len(points)) - sparse.diags(1 / sums) @ weights).tocsr()
