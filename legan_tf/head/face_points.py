"""Face points: the places on a head's surface where the landmark finder's points lie."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from legan_tf.head import face_mesh
from legan_tf.head.camera_fit import Camera, closest_camera
from legan_tf.head.mesh import facing_normals
from legan_tf.head.morphable_head import MorphableHead

_PARTED = 0.6  # Of jawOpen: the shape in which upper and lower lip are told apart.
_PRIOR, _ITERATIONS = 0.03, 6
# Of iBUG's points: of the jaw the chin, for the rest is an outline; no brows, of which a head
# without hair has no trace; nose, eyes, mouth.
_FIT_WEIGHTS = np.array(
    [*[0.0] * 8, 0.5, *[0.0] * 8, *[0.0] * 10, *[0.0] * 3, *[1.0] * 6, *[1.5] * 12, *[1.0] * 20]
)
_LID_EDGE = 0.2  # cm
_CARRIED = np.array([8, *range(30, 68)])
_UPPER_RIM, _LOWER_RIM = (60, 61, 62, 63, 64), (60, 67, 66, 65, 64)  # iBUG's inner lips.


@dataclasses.dataclass(frozen=True, eq=False)
class FacePoints:
    """Where a finder's points lie on a head, learned from neutral people.

    Attributes:
        numbers: int [P], the finder's numbers of those points that lie on the head, ascending.
        vertices: int [P, 3], corners of the triangle that each lies on.
        weights: float64 [P, 3], their shares.
        residual: float64 [P, 2], how far the finder's points are from these places in the mean of
            neutral people, upright, as shares of the eyes' distance.
        identity: float64 [I], mean identity of those people.
        mean_face: float64 [468, 2], their mean points: upright, the middle between the eyes'
            outer corners at (0, 0), in shares of the eyes' distance.
    """

    numbers: np.ndarray
    vertices: np.ndarray
    weights: np.ndarray
    residual: np.ndarray
    identity: np.ndarray
    mean_face: np.ndarray

    def places(self, vertices: np.ndarray) -> np.ndarray:
        """Returns the places [..., P, k] of the points on vertices [..., V, k]."""
        corners = vertices[..., self.vertices, :]
        return np.einsum("...pck,pc->...pk", corners, self.weights)

    def carried(self, values: np.ndarray, other: FacePoints) -> np.ndarray:
        """Returns values [Q, k] at the points of another finder at these, [P, k]; 0 if unknown."""
        rows = np.array([other.rows.get(int(number), -1) for number in self.numbers])
        return np.where((rows >= 0)[:, None], values[rows], 0)

    @functools.cached_property
    def rows(self) -> dict[int, int]:
        """The row of each of the finder's numbers."""
        return {int(number): row for row, number in enumerate(self.numbers)}

    def rows_of(self, numbers: tuple[int, ...]) -> np.ndarray:
        """Returns the rows of those numbers that lie on the head, in the order given."""
        return np.array([self.rows[number] for number in numbers if number in self.rows], int)


def eyes_distance(points: np.ndarray) -> float:
    """Returns the distance of the eyes' outer corners of a finder's points [468, 2 or 3]."""
    left, right = face_mesh.LEFT_EYE_CORNERS[0], face_mesh.RIGHT_EYE_CORNERS[0]
    return float(np.linalg.norm(points[right, :2] - points[left, :2]))


def upright_axes(points: np.ndarray) -> np.ndarray:
    """Returns the rotation [2, 2] that takes upright directions to those of a face's picture."""
    left, right = face_mesh.LEFT_EYE_CORNERS[0], face_mesh.RIGHT_EYE_CORNERS[0]
    across, up = (points[right, :2] - points[left, :2]) / eyes_distance(points)
    return np.array([[across, -up], [up, across]])


def normalized(points: np.ndarray) -> np.ndarray:
    """Returns points [n, 2 or 3] upright, from between the eyes, in shares of their distance."""
    left, right = face_mesh.LEFT_EYE_CORNERS[0], face_mesh.RIGHT_EYE_CORNERS[0]
    middle = points[[left, right], :2].mean(0)
    return (points[:, :2] - middle) @ upright_axes(points) / eyes_distance(points)


def symmetric(face: np.ndarray) -> np.ndarray:
    """Returns the mean of a normalized face [468, 2] and its mirror image."""
    mirrored = face * (-1, 1)
    twin = np.linalg.norm(face[:, None] - mirrored[None], axis=-1).argmin(1)
    return (face + mirrored[twin]) / 2


def with_mean_face(head: MorphableHead, mean_face: np.ndarray) -> FacePoints:
    """Finds the places of a finder's points on a head.

    The head is fitted to iBUG's 68 points of the mean face, a radial-basis field takes it the rest
    of the way, and each point goes to the triangle under it; those of the inner lips to the lips'
    own rims.

    Args:
        head: The head.
        mean_face: float64 [468, 2], mean points of neutral people as ``normalized`` returns them.

    Returns:
        The points; their residual is that of the mean face.
    """
    # Imported here: it takes a tenth of a second, and only a new head's points need it.
    from scipy.interpolate import RBFInterpolator

    face = symmetric(mean_face)
    ibug, marks = np.array(face_mesh.IBUG), head.landmark_vertices
    identity, camera = _fit_identity(head, marks, face[ibug])
    skin = len(head.vertices_of("face"))
    vertices = head.shape(identity, np.zeros(len(head.expressions)))[:skin].astype(np.float64)
    moved = camera.project(vertices)
    parted = parted_lips(head)
    carried = _CARRIED[marks[_CARRIED] < skin]
    field = RBFInterpolator(
        parted[marks[carried]],
        face[ibug[carried]] - moved[marks[carried], :2],
        kernel="linear",
        smoothing=0.3,
    )
    moved[:, :2] += field(parted[:skin])
    triangles = head.triangles[head.triangles_of("face")]
    triangles = triangles[(triangles < skin).all(1)]
    triangles = triangles[facing_normals(moved[triangles])[:, 2] > 0]
    upper, lower = (lip_rim(head, rim) for rim in ("upper", "lower"))
    found = {}
    for number in range(face_mesh.POINTS):
        place = _under(moved, triangles, face[number])
        if place is not None:
            found[number] = place
    for rim, lip in ((upper, face_mesh.UPPER_INNER_LIP), (lower, face_mesh.LOWER_INNER_LIP)):
        for number in lip:
            nearest = rim[np.abs(moved[rim, 0] - face[number, 0]).argmin()]
            found[number] = np.full(3, nearest), np.array([1.0, 0.0, 0.0])
    lids = _lid_edges(head)
    for number in (*face_mesh.LEFT_EYE, *face_mesh.RIGHT_EYE):
        if number not in found:  # It lies over the eye itself.
            nearest = lids[np.linalg.norm(moved[lids, :2] - face[number], axis=1).argmin()]
            found[number] = np.full(3, nearest), np.array([1.0, 0.0, 0.0])
    for mark in [*range(36, 61), 62, 64, 66]:  # Eyes, outer lips, and middle and ends of the inner.
        found[face_mesh.IBUG[mark]] = np.full(3, marks[mark]), np.array([1.0, 0.0, 0.0])
    numbers = np.array(sorted(found))
    points = FacePoints(
        numbers=numbers,
        vertices=np.stack([found[number][0] for number in numbers]),
        weights=np.stack([found[number][1] for number in numbers]),
        residual=np.zeros((len(numbers), 2)),
        identity=identity,
        mean_face=face,
    )
    shown = camera.project(head.shape(identity, np.zeros(len(head.expressions))))
    residual = face[numbers] - points.places(shown)[:, :2]
    return dataclasses.replace(points, residual=residual)


def parted_lips(head: MorphableHead) -> np.ndarray:
    """Returns the neutral vertices with an open mouth, float64 [V, 3]: the lips lie apart."""
    opened = head.expressions[head.expression_index("jawOpen")]
    return head.neutral.astype(np.float64) + _PARTED * opened


def lip_rim(head: MorphableHead, lip: str) -> np.ndarray:
    """Returns the vertices of the inner edge of the ``upper`` or the ``lower`` lip, along it."""
    marks = head.landmark_vertices[list(_UPPER_RIM if lip == "upper" else _LOWER_RIM)]
    skin = len(head.vertices_of("face"))
    triangles = head.triangles[head.triangles_of("face")]
    triangles = triangles[(triangles < skin).all(1)]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    # Along the lips' edge the way is shortest in the shape in which they are apart.
    place = parted_lips(head)
    length = np.linalg.norm(place[edges[:, 0]] - place[edges[:, 1]], axis=1)
    graph = coo_matrix((length, edges.T), (skin, skin)).tocsr()
    rim = [int(marks[0])]
    for start, end in zip(marks, marks[1:]):
        _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
        way = [int(end)]
        while way[-1] != start:
            way.append(int(before[way[-1]]))
        rim += way[-2::-1]
    return np.array(rim)


def _lid_edges(head: MorphableHead) -> np.ndarray:
    """Returns the vertices of the face at the edges of the lids."""
    skin = len(head.vertices_of("face"))
    socket = np.unique(head.triangles[head.triangles_of("eye_socket")])
    edge = head.neutral[socket[socket < skin]]
    away = cKDTree(edge).query(head.neutral[:skin])[0]
    return np.flatnonzero(away < _LID_EDGE)


def _fit_identity(
    head: MorphableHead, marks: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, Camera]:
    """Fits identity and camera to iBUG's points of a neutral face, one eyes' distance wide."""
    weights = _FIT_WEIGHTS * (marks < len(head.vertices_of("face")))
    neutral = head.neutral[marks].astype(np.float64)
    modes = head.identity[:, marks].astype(np.float64)
    identity = np.zeros(len(modes))
    root = np.sqrt(weights)[:, None]
    for _ in range(_ITERATIONS):
        camera = closest_camera(neutral + np.tensordot(identity, modes, 1), points, weights)
        rows = camera.scale * camera.rotation[:2]
        misses = (root * (points - camera.shift - neutral @ rows.T)).ravel() / _PRIOR
        moves = (root * (modes @ rows.T)).reshape(len(modes), -1).T / _PRIOR
        identity = np.linalg.solve(moves.T @ moves + np.eye(len(modes)), moves.T @ misses)
    camera = closest_camera(neutral + np.tensordot(identity, modes, 1), points, weights)
    return identity, camera


def _under(
    vertices: np.ndarray, triangles: np.ndarray, point: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns corners and shares of the nearest triangle under a point, or None."""
    first, second, third = (vertices[triangles[:, corner]] for corner in range(3))
    one, other, away = second - first, third - first, point - first[:, :2]
    area = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        right = (away[:, 0] * other[:, 1] - away[:, 1] * other[:, 0]) / area
        below = (one[:, 0] * away[:, 1] - one[:, 1] * away[:, 0]) / area
    shares = np.stack([1 - right - below, right, below], -1)
    inside = np.flatnonzero((shares >= -1e-6).all(1))
    if not len(inside):
        return None
    depth = np.sum(shares[inside] * vertices[triangles[inside], 2], -1)
    nearest = inside[depth.argmax()]
    return triangles[nearest], shares[nearest]
