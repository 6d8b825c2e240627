"""Facial landmarks: iBUG's 68 points (300-W), eyes, mouth and yaw of a face, and their files."""

from __future__ import annotations

import csv
import dataclasses
import io
import math

import numpy as np

from legan_tf.data import storage
from legan_tf.errors import UserError

IBUG_POINTS = 68
"""Points of ibug's scheme, which dlib uses too."""

POINT_COLUMNS = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "mouth_x", "mouth_y")
"""Columns of a CSV of landmarks, besides ``path`` and, if known, ``yaw``."""

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
    """Reads a CSV of eyes and mouths.

    Its first line names the columns: ``path``, the six of ``POINT_COLUMNS`` in pixels, the centre
    of the top left pixel being (0, 0), and perhaps ``yaw`` in degrees. Other columns are ignored.

    Returns:
        The faces by path, as it is written in the file.

    Raises:
        UserError: The file is no such CSV; the message names the line.
        StorageError: The file cannot be read.
    """
    try:
        text = storage.read_bytes(file).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [
            name for name in ("path", *POINT_COLUMNS) if name not in (reader.fieldnames or ())
        ]
        if missing:
            raise UserError(f"{file}: has no column {', '.join(missing)}.")
        faces = {}
        for row in reader:
            path = row["path"]
            if path in faces:
                raise UserError(f"{file}:{reader.line_num}: {path} is there twice; keep one.")
            try:
                values = [float(row[name]) for name in POINT_COLUMNS]
                yaw = float(row.get("yaw") or math.nan)
            except (TypeError, ValueError):
                values, yaw = [math.nan], math.nan
            if not np.all(np.isfinite(values)):
                raise UserError(
                    f"{file}:{reader.line_num}: {path}: not all coordinates are numbers."
                )
            left_eye, right_eye, mouth = np.array(values).reshape(3, 2)
            faces[path] = Face(left_eye, right_eye, mouth, np.zeros((0, 2)), yaw)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: is not a CSV in UTF-8 ({error}).") from error
    return faces


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
