from __future__ import annotations

import pathlib

import numpy as np
import pytest
from PIL import Image

from legan_tf.data.align import face_lines

FACES = pathlib.Path(__file__).parents[3] / "serving" / "demo" / "faces"


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    return [np.asarray(Image.open(FACES / f"{n}.jpg").convert("RGB")) for n in range(1, 5)]


def test_lines_of_rendered_faces_are_a_third_and_two_thirds(faces):
    eyes, mouth = face_lines.measure(faces)
    assert 0.28 < eyes < 0.35 and 0.62 < mouth < 0.72
    small = [np.asarray(Image.fromarray(face).resize((64, 64))) for face in faces]
    np.testing.assert_allclose(face_lines.measure(small), (eyes, mouth), atol=0.02)


def test_a_few_pictures_without_a_face_do_not_matter_and_many_do(faces):
    wall = np.full((256, 256, 3), 120, np.uint8)
    assert face_lines.measure([*faces, wall]) is not None
    assert face_lines.measure([faces[0], wall, wall]) is None
    assert face_lines.measure([wall[:16, :16]] * 4) is None
    assert face_lines.measure([]) is None


def test_a_face_elsewhere_is_misplaced(faces):
    lines = face_lines.measure(faces)
    assert face_lines.misplaced(faces[0], lines) is None
    # A snapshot: the same face, small and low in a wide picture whose middle square counts.
    snapshot = np.full((400, 600, 3), 120, np.uint8)
    snapshot[180:380, 200:400] = np.asarray(Image.fromarray(faces[0]).resize((200, 200)))
    eyes, mouth = face_lines.misplaced(snapshot, lines)
    assert eyes == pytest.approx((180 + 200 * lines[0]) / 400, abs=0.03)
    assert mouth == pytest.approx((180 + 200 * lines[1]) / 400, abs=0.03)
    assert face_lines.misplaced(snapshot[:, :150], lines) is None
