"""Made-up people, in whom the finder sees faces."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from PIL import Image

from legan_tf.data.align.landmark_finder import make_finder

FACES = pathlib.Path(__file__).parents[3] / "serving" / "demo" / "faces"


@pytest.fixture(scope="session")
def faces() -> list[np.ndarray]:
    """Four rendered people, uint8 [256, 256, 3] each."""
    return [np.asarray(Image.open(FACES / f"{n}.jpg").convert("RGB")) for n in range(1, 5)]


@pytest.fixture(scope="session")
def points(faces) -> list[np.ndarray]:
    """The finder's points of them, float64 [478, 3] each."""
    finder = make_finder()
    return [finder.meshes(face)[0] for face in faces]
