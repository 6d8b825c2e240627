from __future__ import annotations

import numpy as np
import pytest

from legan_tf import optional
from legan_tf.data.align import alignment


def apply(transform: np.ndarray, point) -> np.ndarray:
    return transform.reshape(2, 3) @ np.array([*point, 1.0])


def face_points(centre, scale: float, degrees: float) -> np.ndarray:
    """Left eye, right eye, mouth of an upright face, scaled, turned and shifted."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.array([[-20, -20], [20, -20], [0, 25]]) @ turn.T * scale + centre


def blob(image: np.ndarray, point, radius: float, channel: int) -> None:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    distance = (x - point[0]) ** 2 + (y - point[1]) ** 2
    image[..., channel] += 255 * np.exp(-distance / (2 * radius**2))


def centre_of_mass(channel: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: channel.shape[0], : channel.shape[1]]
    weights = channel / channel.sum()
    return np.array([(x * weights).sum(), (y * weights).sum()])


@pytest.mark.parametrize(
    ("size", "middle", "eye_line", "mouth_line"),
    [(128, 63.5, 40, 88), (64, 31.5, 19.75, 43.75), (256, 127.5, 80.5, 176.5)],
)
def test_points_come_where_lightcnn_wants_them(size, middle, eye_line, mouth_line):
    left, right, mouth = face_points((150, 130), 1.7, 25)
    transform = alignment.similarity_from_points(left, right, mouth, size)
    np.testing.assert_allclose(apply(transform, (middle, eye_line)), (left + right) / 2, atol=1e-3)
    np.testing.assert_allclose(apply(transform, (middle, mouth_line)), mouth, atol=1e-3)
    # A similarity: no shear, one scale.
    a, b, _, d, e, _ = transform
    np.testing.assert_allclose([a, b], [e, -d], atol=1e-6)


def test_the_eyes_alone_decide_the_rotation():
    transform = alignment.similarity_from_points([10, 30], [50, 30], [40, 75], 128)
    np.testing.assert_allclose(apply(transform, (63.5, 40)), [30, 30], atol=1e-4)
    np.testing.assert_allclose(apply(transform, (63.5, 88)), [30, 75], atol=1e-4)


@pytest.mark.parametrize(
    ("points", "complaint"),
    [
        (([50, 30], [10, 30], [30, 75]), "below its eyes"),
        (([10, 30], [10, 30], [30, 75]), "different points"),
    ],
)
def test_what_is_no_face_is_refused(points, complaint):
    with pytest.raises(ValueError, match=complaint):
        alignment.similarity_from_points(*points, 128)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize(
    ("centre", "scale", "degrees"), [((170, 150), 2.6, 20), ((120, 140), 1.1, -35)]
)
def test_warp_puts_eyes_and_mouth_in_their_places(size, centre, scale, degrees):
    face = np.zeros((300, 340, 3), np.float64)
    points = face_points(centre, scale, degrees)
    radius = np.linalg.norm(points[1] - points[0]) / 12
    for channel, point in enumerate(points):
        blob(face, point, radius, channel)
    transform = alignment.similarity_from_points(*points, size)
    aligned = alignment.warp(np.round(face).clip(0, 255).astype(np.uint8), transform, size)
    assert aligned.shape == (size, size, 3) and aligned.dtype == np.uint8
    ratio = size / 128
    left, right, mouth = (centre_of_mass(aligned[..., channel]) for channel in range(3))
    eye_line, mouth_line = 40.5 * ratio - 0.5, 88.5 * ratio - 0.5
    np.testing.assert_allclose([left[1], right[1]], eye_line, atol=0.25)
    np.testing.assert_allclose((left[0] + right[0]) / 2, (size - 1) / 2, atol=0.25)
    np.testing.assert_allclose(mouth, [(size - 1) / 2, mouth_line], atol=0.25)


def test_warp_is_black_outside_and_does_not_alias():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    small = alignment.warp(stripes, np.array([8.0, 0, 0, 0, 8.0, 0]), 128)
    assert np.abs(small[1:63, 1:63].astype(int) - 127.5).max() < 8
    assert small[65:].max() == 0 and small[:, 65:].max() == 0


@pytest.mark.stack_a
def test_tensorflow_alone_resamples_as_addons_does(monkeypatch):
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 256, (90, 120, 3)).astype(np.uint8)
    transform = np.array([1.3, 0.4, -9, -0.4, 1.3, 20])
    by_addons = alignment.warp(picture, transform, 64)

    def absent(module, purpose):
        raise optional.UnavailableError(module)

    monkeypatch.setattr(optional, "require", absent)
    np.testing.assert_array_equal(alignment.warp(picture, transform, 64), by_addons)
