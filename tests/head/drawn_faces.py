"""Drawn faces: heads of random people with a plain texture, all of whose geometry is known.

Run by ``runpy`` from the tests that need them.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from legan_tf.head import face_mesh
from legan_tf.head.camera_fit import Camera
from legan_tf.head.color import to_srgb
from legan_tf.head.face_points import FacePoints, eyes_distance, upright_axes
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.head_file import load_head
from legan_tf.head.light import Light
from legan_tf.head.mesh import vertex_normals
from legan_tf.head.morphable_head import PARTS, MorphableHead
from legan_tf.head.ray_casting import Scene

ROOM = Light(azimuth=0, elevation=15, ambient=0.6)
"""The light that faces are drawn in unless another is asked for."""

_SHOWN = tuple(part for part in PARTS if part != "lashes")
_WIDTH = 24.0  # cm that a picture shows.
_SKY = 32  # Directions of ambient light.
_SAMPLES = 3  # Along each side of a pixel.
_DEVIATION = 0.6  # Of random identities.
_WALL = (0.16, 0.2, 0.24)
_PAINT = {  # Linear light.
    "face": (0.42, 0.24, 0.17),
    "side": (0.42, 0.24, 0.17),
    "head": (0.09, 0.055, 0.035),
    "mouth_socket": (0.08, 0.02, 0.02),
    "eye_socket": (0.25, 0.12, 0.1),
    "gums": (0.35, 0.12, 0.12),
    "tongue": (0.4, 0.13, 0.13),
    "upper_teeth": (0.6, 0.56, 0.48),
    "lower_teeth": (0.6, 0.56, 0.48),
    "left_eye": (0.6, 0.58, 0.56),
    "right_eye": (0.6, 0.58, 0.56),
    "lashes": (0.02, 0.015, 0.01),
}
_LIPS, _BROWS = (0.36, 0.1, 0.09), (0.06, 0.035, 0.02)
_IRIS, _PUPIL = (0.08, 0.1, 0.06), (0.005, 0.005, 0.005)
_IRIS_SIZE, _PUPIL_SIZE, _BROW_SIZE = 0.6, 0.25, 0.35  # Radii in cm.


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """A drawn face.

    Attributes:
        image: uint8 [size, size, 3].
        points: float64 [468, 2], the finder's points, without an error.
        vertices: float64 [V, 3] in the picture.
        camera: The camera.
        identity: float64 [I].
        expression: float64 [E].
        yaw: Degrees, above 0 where the face looks to the right of the picture.
        depth: float64 [size, size] in pixels, larger is nearer; NaN where no skin, eye, mouth is.
        normals: float64 [size, size, 3], y up; NaN likewise.
    """

    image: np.ndarray
    points: np.ndarray
    vertices: np.ndarray
    camera: Camera
    identity: np.ndarray
    expression: np.ndarray
    yaw: float
    depth: np.ndarray
    normals: np.ndarray


def random_identity(seed: int) -> np.ndarray:
    """Returns the identity of a random person about the mean one of the statistics."""
    random = np.random.default_rng(seed)
    mean = _face_points().identity
    return mean + random.normal(0, _DEVIATION, len(mean))


def camera_of(yaw: float, pitch: float, roll: float, size: int) -> Camera:
    """Returns a camera that looks at a head turned by degrees to the right, up and clockwise."""
    turn = Rotation.from_euler("ZYX", (-roll, yaw, -pitch), degrees=True).as_matrix()
    rotation = np.diag([1.0, -1.0, -1.0]) @ turn
    scale = size / _WIDTH
    middle = np.array([0.0, 1.5, 3.0])
    return Camera(scale, rotation, np.full(2, size / 2 - 0.5) - scale * rotation[:2] @ middle)


def draw(
    identity: np.ndarray | None = None,
    expression: np.ndarray | None = None,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    light: Light = ROOM,
    size: int = 192,
    teeth: int = 0,
) -> Drawn:
    """Draws a head of the package.

    Args:
        identity: float [I]; the mean person if None.
        expression: float [E]; neutral if None.
        yaw: Degrees to the picture's right.
        pitch: Degrees up.
        roll: Degrees clockwise.
        light: The light; its strength does not count.
        size: Height and width of the picture.
        teeth: Which set of teeth.
    """
    head = load_head()
    identity = _face_points().identity if identity is None else identity
    expression = np.zeros(len(head.expressions)) if expression is None else expression
    camera = camera_of(yaw, pitch, roll, size)
    vertices = camera.project(head.shape(identity, expression, teeth).astype(np.float64))
    points = landmarks(vertices)
    image, depth, normals = _render(head, vertices, light, size, eyes_distance(points))
    return Drawn(image, points, vertices, camera, identity, expression, yaw, depth, normals)


def landmarks(vertices: np.ndarray) -> np.ndarray:
    """Returns the finder's points [468, 2] of vertices in the picture, with their mean residual.

    Those that are no place on the head, the outline's, are where the mean face has them.
    """
    face_points = _face_points()
    places = face_points.places(vertices)[:, :2]
    points = np.zeros((face_mesh.POINTS, 2))
    points[face_points.numbers] = places
    for _ in range(5):  # Distance and direction of the eyes are those of the points with residual.
        moved = eyes_distance(points) * face_points.residual @ upright_axes(points).T
        points[face_points.numbers] = places + moved
    corners = points[[face_mesh.LEFT_EYE_CORNERS[0], face_mesh.RIGHT_EYE_CORNERS[0]]]
    others = np.setdiff1d(np.arange(face_mesh.POINTS), face_points.numbers)
    mean = eyes_distance(points) * face_points.mean_face[others] @ upright_axes(points).T
    points[others] = corners.mean(0) + mean
    return points


def _face_points() -> FacePoints:
    return load_statistics(load_head()).face_points


def _render(
    head: MorphableHead, vertices: np.ndarray, light: Light, size: int, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns picture, depth and normals."""
    chosen = head.triangles_of(*_SHOWN)
    triangles = head.triangles[chosen]
    scene = Scene(vertices, triangles)
    fine = size * _SAMPLES
    y, x = (np.mgrid[:fine, :fine] - (_SAMPLES - 1) / 2) / _SAMPLES
    first, shares, depth = scene.hits(x.ravel(), y.ravel())
    seen = first >= 0
    corners = triangles[first[seen]]

    def at(values: np.ndarray) -> np.ndarray:
        return np.einsum("nck,nc->nk", values[corners], shares[seen])

    normals = vertex_normals(vertices, triangles)
    facing = at(normals)
    facing /= np.linalg.norm(facing, axis=-1, keepdims=True)
    lamp = np.clip(facing @ light.direction, 0, None)
    lamp *= ~_hidden(scene, at(vertices), facing, light.direction, scale)
    sky = at(_sky_light(scene, vertices, normals, np.unique(triangles), scale)[:, None])[:, 0]
    linear = np.full((fine * fine, 3), _WALL)
    shade = light.ambient * sky + (1 - light.ambient) * lamp
    linear[seen] = at(texture()) * shade[:, None]
    linear = linear.reshape(size, _SAMPLES, size, _SAMPLES, 3).mean((1, 3))
    middle = np.s_[_SAMPLES // 2 :: _SAMPLES, _SAMPLES // 2 :: _SAMPLES]
    depth[~seen] = np.nan
    directions = np.full((fine * fine, 3), np.nan)
    directions[seen] = facing
    return (
        np.round(to_srgb(linear)).astype(np.uint8),
        depth.reshape(fine, fine)[middle],
        directions.reshape(fine, fine, 3)[middle],
    )


def _sky_light(
    scene: Scene, vertices: np.ndarray, normals: np.ndarray, lit: np.ndarray, scale: float
) -> np.ndarray:
    """Returns the light at vertices of a sky in front of the face: 1 where nothing hides it."""
    index = np.arange(_SKY) + 0.5
    z, angle = 1 - index / _SKY, np.pi * (1 + 5**0.5) * index
    around = np.sqrt(1 - z**2)
    total, light = 0.0, np.zeros(len(vertices))
    for way in np.stack([around * np.cos(angle), around * np.sin(angle), z], -1):
        facing = np.clip(normals[lit] @ way, 0, None)
        light[lit] += facing * ~_hidden(scene, vertices[lit], normals[lit], way, scale)
        total += way[2]
    return light / total


def _hidden(
    scene: Scene, places: np.ndarray, normals: np.ndarray, way: np.ndarray, scale: float
) -> np.ndarray:
    flip = np.array([1.0, -1.0, 1.0])  # From y up to y down.
    return scene.occluded(places + 0.01 * scale * flip * normals, flip * way)


@functools.lru_cache(maxsize=1)
def texture() -> np.ndarray:
    """Returns the linear colour of each vertex, float64 [V, 3]."""
    head = load_head()
    place = head.neutral.astype(np.float64)
    paint = np.array([_PAINT[part] for part in PARTS])[head.vertex_part]
    skin = head.vertices_of("face", "side")
    # Waves of a few mm and cm, so that every place of the skin looks otherwise.
    x, y, z = place[skin].T
    waves = np.sin(1.1 * x + 1.3 * y) + np.sin(3 * y - 2 * z) + np.sin(5 * x + 4 * z + 3 * y)
    paint[skin] *= 1 + 0.06 * waves[:, None]
    paint[head.lips] = _LIPS
    marks = _face_points().places(place)
    for brow in (face_mesh.IBUG[17:22], face_mesh.IBUG[22:27]):
        brow = marks[_face_points().rows_of(brow)]
        along = np.linspace(0, 4, 60)
        line = np.stack([np.interp(along, range(5), brow[:, axis]) for axis in range(3)], -1)
        away = cKDTree(line).query(place[skin])[0]
        share = np.clip(1.5 - 1.5 * away / _BROW_SIZE, 0, 1)[:, None]
        paint[skin] = share * np.array(_BROWS) + (1 - share) * paint[skin]
    for eye in ("left_eye", "right_eye"):
        ball = head.vertices_of(eye)
        away = np.linalg.norm((place[ball] - place[ball[place[ball, 2].argmax()]])[:, :2], axis=1)
        front = place[ball, 2] > place[ball, 2].mean()
        paint[ball[front & (away < _IRIS_SIZE)]] = _IRIS
        paint[ball[front & (away < _PUPIL_SIZE)]] = _PUPIL
    return paint
