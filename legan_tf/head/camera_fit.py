"""Camera fit: a mesh in its picture, by pixels, by landmarks, or from the front.

All cameras are parallel projections, orthographic or weak perspective, so that what they return is
the mesh in the coordinates of the picture: x to the right and y down, in pixels, the centre of the
top left one being (0, 0); z to the viewer, in pixels, too.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

# Where the faces of Bodur et al.'s depth maps are, as shares of the square.
_FRAME_SIZE = 0.62
_FRAME_CENTRE = 0.5, 0.54


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """A weak-perspective camera.

    Attributes:
        scale: Pixels per unit of the mesh.
        rotation: float64 [3, 3], to axes x right, y down, z away from the viewer.
        shift: float64 [2], where the mesh's origin is in the picture.
    """

    scale: float
    rotation: np.ndarray
    shift: np.ndarray

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """Returns vertices [..., 3], y up and z to the viewer, in the picture."""
        seen = self.scale * vertices @ self.rotation.T
        seen[..., :2] += self.shift
        seen[..., 2] *= -1
        return seen


def closest_camera(places: np.ndarray, points: np.ndarray, weights: np.ndarray) -> Camera:
    """Returns the weak-perspective camera closest to the best affine one.

    Args:
        places: float64 [n, 3], not on a plane; y up, z to the viewer.
        points: float64 [n, 2], where they are in the picture.
        weights: float64 [n], 0 or more.
    """
    share = weights[:, None] / weights.sum()
    middle, centre, root = (share * places).sum(0), (share * points).sum(0), np.sqrt(share)
    affine = np.linalg.lstsq((places - middle) * root, (points - centre) * root, rcond=None)[0]
    left, scales, right = np.linalg.svd(affine.T, full_matrices=False)
    rows = left @ right
    scale = float(scales.mean())
    rotation = np.stack([*rows, np.cross(*rows)])
    return Camera(scale, rotation, centre - scale * rows @ middle)


def project_pixels(
    vertices: np.ndarray, height: int, y_up: bool, first_pixel: float, flip_z: bool
) -> np.ndarray:
    """Projects a mesh that is in pixels of its picture already (orthographic camera).

    Args:
        vertices: float64 [V, 3].
        height: Of the picture, in pixels.
        y_up: Whether y goes up, from the bottom line.
        first_pixel: The mesh's coordinate of the centre of the first pixel, of the first or bottom
            line.
        flip_z: Whether larger z is farther.

    Returns:
        float64 [V, 3] in the picture.
    """
    x, y, z = vertices.T
    y = y - first_pixel
    return np.stack([x - first_pixel, height - 1 - y if y_up else y, -z if flip_z else z], -1)


def project_frontal(vertices: np.ndarray, size: int, used: np.ndarray) -> np.ndarray:
    """Projects a mesh from the front, so that it fills a square as Bodur et al.'s faces do.

    Its box is made 0.62 of the square wide or high, whichever is reached first, its middle half way
    across and 0.54 down.

    Args:
        vertices: float64 [V, 3], y up, z to the viewer, any unit.
        size: Height and width of the square, in pixels.
        used: float64 [U, 3], the vertices that belong to triangles; the box is theirs.

    Returns:
        float64 [V, 3] in the square.
    """
    low, high = used.min(0), used.max(0)
    scale = _FRAME_SIZE * size / max(*(high - low)[:2], np.finfo(float).tiny)
    x, y, z = (scale * (vertices - (low + high) / 2)).T
    across, down = (share * size - 0.5 for share in _FRAME_CENTRE)
    return np.stack([x + across, down - y, z], -1)


def fit_weak_perspective(
    vertices: np.ndarray, landmarks: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Projects a mesh by the weak-perspective camera that fits its landmarks to the picture's.

    Rotation, scale and translation by non-linear least squares, from the rotation that is closest
    to the best affine camera.

    Args:
        vertices: float64 [V, 3], right-handed, any unit.
        landmarks: int [n], 6 or more numbers of vertices.
        points: float64 [n, 2], where they are in the picture.

    Returns:
        float64 [V, 3] in the picture.

    Raises:
        ValueError: The landmarks determine no camera: they lie on a line or a plane.
    """
    middle = vertices[landmarks].mean(0)
    body = vertices[landmarks] - middle
    up = points * (1, -1)  # The picture, too, with y up.
    seen = up - up.mean(0)
    singular = np.linalg.svd(body, compute_uv=False)
    if not singular[2] > 1e-6 * singular[0]:
        raise ValueError("Landmarks on a plane fit two cameras.")
    unit = singular[0] / np.sqrt(len(body))
    body = body / unit
    affine = np.linalg.lstsq(body, seen, rcond=None)[0].T
    left, scales, right = np.linalg.svd(affine, full_matrices=False)
    if not scales[0] > 0:
        raise ValueError("All points of the picture are one.")
    rows = left @ right
    start = Rotation.from_matrix(np.stack([*rows, np.cross(*rows)])).as_rotvec()

    def camera(values: np.ndarray) -> np.ndarray:
        return values[3] * Rotation.from_rotvec(values[:3]).as_matrix()

    def misses(values: np.ndarray) -> np.ndarray:
        return (body @ camera(values)[:2].T + values[4:] - seen).ravel()

    found = least_squares(misses, [*start, scales.mean(), 0.0, 0.0], method="lm").x
    x, y, z = camera(found) @ ((vertices - middle) / unit).T
    across, above = up.mean(0) + found[4:]
    return np.stack([x + across, -(y + above), z], -1)
