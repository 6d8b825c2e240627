"""Landmarks that are known already: a CSV, or a file of 68 points beside each picture."""

from __future__ import annotations

import csv
import io
import math
import os

import numpy as np

from legan_tf.data import storage
from legan_tf.data.align.faces import IBUG_POINTS, Face, from_ibug
from legan_tf.errors import UserError

POINT_COLUMNS = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "mouth_x", "mouth_y")
"""Columns of a CSV of landmarks, besides ``path`` and, if known, ``yaw``."""

_PTS_FIRST_PIXEL = 1.0  # ibug's files count pixels from 1, as Matlab does.


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


def pts_file(folder: str, target: str) -> str:
    """Returns where the points of a picture are: named as its aligned one, but for ``.pts``."""
    return os.path.join(folder, f"{os.path.splitext(target)[0]}.pts")


def read_pts(file: str) -> Face:
    """Makes a face of what ``read_points`` reads."""
    return from_ibug(read_points(file))


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
