"""A cage of a few faces, for tests."""

from __future__ import annotations

import numpy as np

from legan_tf.head.cage import Cage
from legan_tf.head.morphable_head import PARTS

NAMES = ("identity000", "identity001", "jawOpen", "mouthSmile_L", "mouthSmile_R")


def small_cage(**changes) -> Cage:
    """Two faces of skin that share an edge, and a tooth and gums, which one affine map moves."""
    skin = [[-1, 0, 0], [0, 0, 0], [1, 0, 0], [-1, 1, 0], [0, 1, 0.5], [1, 1, 0]]
    tooth = [[0, 2, 0], [1, 2, 0], [1, 3, 0], [0, 3, 0], [1, 4, 0], [0, 4, 0]]
    modes = np.zeros((len(NAMES), 6, 3))
    modes[0, :, 0] = 0.5
    modes[1, 3, 2] = 1
    modes[2, :3, 1] = -1
    modes[3, 5] = modes[4, 3] = [0.1, 0.2, 0.3]
    affine = np.zeros((len(NAMES), 1, 4, 3))
    affine[0, 0, 3, 0] = 0.5
    affine[2, 0, 1, 1] = -0.1
    affine[2, 0, 3, 1] = -1
    sets = np.zeros((2, 6, 3))
    sets[1, :, 2] = 0.25
    arrays = {
        "name": "small",
        "subdivided": True,
        "points": np.array(skin + tooth, float),
        # Parts out of order, so that the expansion has to sort them.
        "faces": np.array([[1, 2, 5, 4], [6, 7, 8, 9], [0, 1, 4, 3], [9, 8, 10, 11]]),
        "face_part": np.array([PARTS.index(p) for p in ("side", "upper_teeth", "face", "gums")]),
        "face_lips": np.array([False, False, True, False]),
        "uv": np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]]),
        "face_uv": np.tile(np.arange(4), (4, 1)),
        "mode_names": NAMES,
        "identities": 2,
        "modes": modes,
        "bind": np.zeros(6, int),
        "affine": affine,
        "landmarks": np.full(68, 4),
        "teeth_sets": sets,
    }
    return Cage(**{**arrays, **changes})
