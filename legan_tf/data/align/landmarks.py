"""Facial landmarks: iBUG's 68 points (300-W), MediaPipe's mesh, eyes, mouth and yaw, and files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from legan_tf.data import csv_text, storage
from legan_tf.errors import UserError

IBUG_POINTS = 68
"""Points of ibug's scheme, which dlib uses too."""

MESH_POINTS = 468
"""Points of MediaPipe's face mesh, without those of the irises."""

POINT_COLUMNS = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "mouth_x", "mouth_y")
"""Columns of a CSV of landmarks, besides ``path`` and, if known, ``yaw``."""

# Points of the mesh between its halves; the others' numbers run alike in both.
_MESH_MIDDLE = (
    *(0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175),
    *(195, 197, 199, 200),
)
_MESH_LEFT = np.setdiff1d(np.arange(248), _MESH_MIDDLE)

MIRRORED = np.arange(MESH_POINTS)
"""The number of the mirror point of each point of the mesh."""
MIRRORED[_MESH_LEFT], MIRRORED[248:] = np.arange(248, MESH_POINTS), _MESH_LEFT

# Points of the mesh, by their numbers. Left is the left of the picture; eyes are the contours
# of the lids, not the iris, which moves.
_MESH_LEFT_EYE = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
_MESH_MOUTH_CORNERS = [61, 291]
# Where ibug's 68 points have the jaw and the upper edge of the eyebrows, without the chin.
_MESH_LEFT_OUTLINE = [127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 70, 63, 105, 66, 107]
_MESH_OUTLINE = [*_MESH_LEFT_OUTLINE, 152, *MIRRORED[_MESH_LEFT_OUTLINE]]
_MESH_LEFT_SIDE = [33, 133, 61, 127, 234, 93, 132, 58, 70, 98]

_PTS_FIRST_PIXEL = 1.0  # ibug's files count pixels from 1, as Matlab does.

# Where ibug's scheme has what; left is the left of the picture.
_IBUG_LEFT_EYE = slice(36, 42)
_IBUG_RIGHT_EYE = slice(42, 48)
_IBUG_MOUTH_CORNERS = (48, 54)
_IBUG_OUTLINE = slice(0, 27)  # Jaw and eyebrows; the convex hull of all 68 has no other corner.


@dataclasses.dataclass(frozen=True)
class Face:
    """One face of a picture. Points are (x, y) in pixels; the centre of the first is (0, 0).

    Attributes:
        left_eye: float64 [2], centre of the eye on the left of the picture.
        right_eye: float64 [2], centre of the other.
        mouth: float64 [2], middle between the corners of the mouth.
        outline: float64 [n, 2], points whose convex hull is the face, n = 0 where unknown.
        yaw: How far the face is turned to the side, in degrees; above 0 where it looks to the
            right of the picture; NaN where unknown.
        faces: How many faces the picture shows.
    """

    left_eye: np.ndarray
    right_eye: np.ndarray
    mouth: np.ndarray
    outline: np.ndarray
    yaw: float = math.nan
    faces: int = 1


def from_ibug(points: np.ndarray) -> Face:
    """Makes a face of ibug's 68 points, float [68, 2]."""
    points = np.asarray(points, np.float64)
    return Face(
        left_eye=points[_IBUG_LEFT_EYE].mean(0),
        right_eye=points[_IBUG_RIGHT_EYE].mean(0),
        mouth=points[list(_IBUG_MOUTH_CORNERS)].mean(0),
        outline=points[_IBUG_OUTLINE],
    )


def from_mesh(points: np.ndarray, faces: int = 1) -> Face:
    """Makes a face of the points of MediaPipe's face mesh.

    Args:
        points: float [468 or more, 2 or 3], x and y and, if known, depth, larger further away.
        faces: How many faces the picture shows.
    """
    points = np.asarray(points, np.float64)
    places = points[:, :2]
    yaw = math.nan
    if points.shape[1] == 3:
        yaw = yaw_from_pairs(points[_MESH_LEFT_SIDE], points[MIRRORED[_MESH_LEFT_SIDE]])
    return Face(
        left_eye=places[_MESH_LEFT_EYE].mean(0),
        right_eye=places[MIRRORED[_MESH_LEFT_EYE]].mean(0),
        mouth=places[_MESH_MOUTH_CORNERS].mean(0),
        outline=places[_MESH_OUTLINE],
        yaw=yaw,
        faces=faces,
    )


def yaw_from_pairs(left: np.ndarray, right: np.ndarray) -> float:
    """Measures how far a head is turned to the side, from points that mirror each other.

    The line between the two of a pair goes straight across the head, whatever the head's shape,
    however it nods or tilts; turning is what takes that line out of the plane of the picture.

    Args:
        left: float [n, 3], points of the side of the face that is on the left of a picture taken
            from the front; z is depth, larger is further away, in the unit of x and y.
        right: float [n, 3], their mirror points.

    Returns:
        Degrees from -90 to 90; above 0 where the face looks to the right of the picture.
    """
    x, y, z = np.sum(np.asarray(right, np.float64) - np.asarray(left, np.float64), axis=0)
    return math.degrees(math.atan2(z, math.hypot(x, y)))


def read_csv(file: str) -> dict[str, Face]:
    """Reads a CSV of landmarks.

    Its first line names the columns: ``path``, the six of ``POINT_COLUMNS`` or those of
    ``read_point_csv`` in pixels, the centre of the top left pixel being (0, 0), and perhaps ``yaw``
    in degrees. Other columns are ignored.

    Returns:
        The faces by path, as it is written in the file.

    Raises:
        UserError: The file is no such CSV; the message names the line.
        StorageError: The file cannot be read.
    """
    faces = {}
    for path, (points, yaw) in _read(file, _face_columns).items():
        if len(points) == len(POINT_COLUMNS) // 2:
            left, right, mouth = points
            faces[path] = Face(left, right, mouth, np.zeros((0, 2)), yaw)
        else:
            made = from_ibug(points) if len(points) == IBUG_POINTS else from_mesh(points)
            faces[path] = dataclasses.replace(made, yaw=yaw)
    return faces


def read_point_csv(file: str) -> dict[str, np.ndarray]:
    """Reads a CSV of ibug's 68 points or of the 468 of MediaPipe's face mesh.

    Its first line names the columns: ``path`` and ``x_0``, ``y_0`` to ``x_67``, ``y_67`` or
    ``x_467``, ``y_467``, in any order, as OpenFace names them. Other columns are ignored.

    Returns:
        For each path, as it is written in the file, float64 [68 or 468, 2], pixels (x, y); the
        centre of the first is (0, 0).

    Raises:
        UserError: The file is no such CSV; the message names the line.
        StorageError: The file cannot be read.
    """
    return {path: points for path, (points, _) in _read(file, _numbered_columns).items()}


def _read(
    file: str, choose: Callable[[Sequence[str]], Sequence[str]]
) -> dict[str, tuple[np.ndarray, float]]:
    """Reads a CSV: for each path the points of the chosen columns, [n, 2], and the yaw or NaN."""
    table = csv_text.read_table(file)
    names = choose(table.columns)
    missing = [name for name in ("path", *names) if name not in table.columns]
    if missing:
        some = ", ".join(missing[:6]) + (" and others" if len(missing) > 6 else "")
        raise UserError(f"{file}: has no column {some}.")
    rows = {}
    for line, cells in table.lines:
        path = cells["path"]
        if path in rows:
            raise UserError(f"{file}:{line}: {path} is there twice; keep one.")
        try:
            values = np.array([float(cells[name]) for name in names])
            yaw = float(cells.get("yaw") or math.nan)
        except ValueError:
            values, yaw = np.array([math.nan]), math.nan
        if not np.all(np.isfinite(values)):
            raise UserError(f"{file}:{line}: {path}: not all coordinates are numbers.")
        rows[path] = values.reshape(-1, 2), yaw
    return rows


def _face_columns(names: Sequence[str]) -> Sequence[str]:
    return _numbered_columns(names) if "x_0" in names else POINT_COLUMNS


def _numbered_columns(names: Sequence[str]) -> Sequence[str]:
    points = MESH_POINTS if f"x_{IBUG_POINTS}" in names else IBUG_POINTS
    return [f"{axis}_{point}" for point in range(points) for axis in "xy"]


def read_points(file: str) -> np.ndarray:
    """Reads a file of ibug's 68 points, which count the pixels from (1, 1).

    Returns:
        float64 [68, 2], pixels (x, y); the centre of the first is (0, 0).

    Raises:
        UserError: It is no such file.
        StorageError: The file cannot be read.
    """
    text = storage.read_bytes(file).decode(errors="replace")
    _, _, inside = text.partition("{")
    try:
        points = np.array(inside.partition("}")[0].split(), np.float64).reshape(-1, 2)
    except ValueError:
        points = np.zeros((0, 2))
    if len(points) != IBUG_POINTS or not np.all(np.isfinite(points)):
        raise UserError(f"{file}: is not a file of {IBUG_POINTS} points between {{ and }}.")
    return points - _PTS_FIRST_PIXEL
