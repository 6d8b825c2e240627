"""Landmark vertices: a file that names the vertices of a mesh that are iBUG's 68 landmarks."""

from __future__ import annotations

import re

import numpy as np

from legan_tf.data import storage
from legan_tf.data.align.landmarks import IBUG_POINTS
from legan_tf.errors import UserError

MIN_LANDMARKS = 6
"""The fewest landmarks that a camera is fitted to."""

_PAIR = re.compile(r"\s*(\d+)\s*[=,\s]\s*(\d+)\s*(?:#.*)?")


def read_landmark_vertices(file: str) -> np.ndarray:
    """Reads the vertices of a mesh that are landmarks.

    Args:
        file: Text. Lines of two numbers, with ``=``, a comma or a space between them and perhaps a
            comment after ``#``, name a landmark, from 1, and its vertex, from 0; other lines are
            ignored. eos's ``ibug_to_sfm.txt`` is such a file.

    Returns:
        int64 [68], numbers of vertices; -1 for landmarks that are no vertex.

    Raises:
        UserError: It names too few.
        StorageError: The file cannot be read.
    """
    vertices = np.full(IBUG_POINTS, -1)
    for line in storage.read_bytes(file).decode(errors="replace").splitlines():
        found = _PAIR.fullmatch(line)
        if found and 1 <= int(found[1]) <= IBUG_POINTS:
            vertices[int(found[1]) - 1] = int(found[2])
    if np.count_nonzero(vertices >= 0) < MIN_LANDMARKS:
        raise UserError(
            f"{file}: names fewer than {MIN_LANDMARKS} landmarks; in each line give the "
            "landmark, 1 to 68, and its vertex, from 0."
        )
    return vertices
