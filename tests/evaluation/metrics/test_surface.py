from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.rendered import geometry, lights, shade
from legan_tf.evaluation.metrics import surface as metrics

SIZE = 48


def ball() -> tuple[np.ndarray, np.ndarray]:
    """Normals [1,S,S,3] of a ball that fills the picture, and where it is."""
    at = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
    x, y = np.meshgrid(at, -at)
    rest = 1 - x * x - y * y
    normals = np.stack([x, y, np.sqrt(np.maximum(rest, 0))], axis=-1)
    normals[rest <= 0] = [0, 0, 1]
    return normals[None], (rest > 0.01)[None]


def encoded(light: np.ndarray) -> np.ndarray:
    """sRGB bytes of linear light [...], equal in all channels."""
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * np.repeat(srgb[..., None], 3, axis=-1)).astype(np.uint8)


def light_of(constant: float, x: float, y: float, z: float) -> np.ndarray:
    """Coefficients of the light constant + (x, y, z) · normal, on a white surface."""
    flat, linear = np.sqrt(4 * np.pi), np.sqrt(4 * np.pi / 3)
    return np.array([[constant * flat, x * linear, y * linear, z * linear, 0, 0, 0, 0, 0]])


def lit_ball(albedo: np.ndarray | float, constant: float, direction: list[float]) -> np.ndarray:
    normals, _ = ball()
    return encoded(albedo * (constant + normals @ np.array(direction)))


def test_luminance_is_linear_light():
    levels = np.array([0, 10, 128, 255], np.uint8)
    gray = np.repeat(levels[:, None], 3, axis=1)
    expected = [0, 10 / 255 / 12.92, ((128 / 255 + 0.055) / 1.055) ** 2.4, 1]
    np.testing.assert_allclose(metrics.linear_luminance(gray), expected, atol=1e-12)
    red = metrics.linear_luminance(np.array([255, 0, 0], np.uint8))
    assert red == pytest.approx(0.2126)


def test_normals_turned_by_an_angle_are_off_by_that_angle():
    normals, mask = ball()
    angle = np.deg2rad(30)
    turned = normals @ np.array(
        [[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]]
    )
    off_axis = np.degrees(2 * np.arcsin(np.linalg.norm(turned - normals, axis=-1)[mask] / 2))
    assert 15 < off_axis.mean() < 30
    np.testing.assert_allclose(metrics.normal_error(turned, normals, mask), [off_axis.mean()])
    sideways = np.zeros_like(normals)
    sideways[..., 0] = 3.0  # lengths do not matter
    expected = np.degrees(np.arccos(normals[mask][:, 0])).mean()
    np.testing.assert_allclose(metrics.normal_error(sideways, normals, mask), [expected])


def test_perfect_normals_and_depth_have_no_error_and_opposite_normals_the_largest():
    normals, mask = ball()
    depth = normals[..., 2]
    np.testing.assert_array_equal(metrics.normal_error(normals, normals, mask), [0.0])
    np.testing.assert_allclose(metrics.normal_error(-normals, normals, mask), [180.0])
    np.testing.assert_array_equal(metrics.aligned_depth_error(depth, depth, mask), [0.0])


def test_depth_is_compared_up_to_offset_and_scale_but_not_inside_out():
    normals, mask = ball()
    depth = normals[..., 2]
    inside = depth[mask]
    flat = np.abs(inside - inside.mean()).mean() / np.ptp(inside)
    assert flat > 0.15
    with_holes = np.where(mask, 40 + 200 * depth, np.nan)
    np.testing.assert_allclose(
        metrics.aligned_depth_error(with_holes, depth, mask), [0.0], atol=1e-12
    )
    for useless in (np.full_like(depth, 7.0), -depth):
        np.testing.assert_allclose(metrics.aligned_depth_error(useless, depth, mask), [flat])
    bent = depth + 0.1 * (normals[..., 0] > 0)
    assert 0.01 < metrics.aligned_depth_error(bent, depth, mask)[0] < 0.1


def test_the_light_on_a_ball_is_found_whatever_its_albedo():
    normals, mask = ball()
    rng = np.random.default_rng(0)
    albedo = np.repeat(rng.uniform(0.02, 0.9, (1, SIZE, SIZE, 1)), 3, axis=-1)
    wanted = light_of(0.5, 0.3, -0.2, 0.1)
    images = lit_ball(albedo[..., 0], 0.5, [0.3, -0.2, 0.1])
    found = metrics.light_coefficients(images, normals, albedo, mask)
    np.testing.assert_allclose(found, wanted, atol=0.01)
    assert metrics.light_error(found, wanted)[0] < 0.002


def test_highlights_and_shadows_on_a_few_pixels_hardly_move_the_light():
    normals, mask = ball()
    albedo = np.full((1, SIZE, SIZE, 3), 0.6)
    wanted = light_of(0.6, 0.3, 0.0, 0.2)
    images = lit_ball(0.6, 0.6, [0.3, 0.0, 0.2])
    images[:, 10:16, 10:30] = 0
    images[:, 30:33, 20:25] = 255
    found = metrics.light_coefficients(images, normals, albedo, mask)
    assert metrics.light_error(found, wanted)[0] < 0.01


def test_the_light_error_is_the_difference_of_two_lit_balls():
    dark, bright = light_of(0.3, 0, 0, 0), light_of(0.6, 0, 0, 0)
    np.testing.assert_allclose(metrics.light_error(dark, bright), [0.5])
    np.testing.assert_allclose(metrics.light_error(bright, bright), [0.0])
    np.testing.assert_allclose(metrics.light_error(0 * bright, bright), [1.0])
    # Over a disc the mean of x² is a quarter.
    lopsided = light_of(0.6, 0.3, 0, 0)
    np.testing.assert_allclose(
        metrics.light_error(lopsided, bright), [np.sqrt(0.09 / 4) / 0.6], rtol=3e-3
    )


def test_the_light_error_grows_with_the_angle_between_two_flashes():
    people = range(900, 904)
    faces = geometry(people, ["neutral"] * len(people), SIZE)
    shots = [f"shot{i:02d}" for i in range(1, 14)]  # an arc, 15 degrees apart
    assert [lights.light(shot).azimuth for shot in shots] == list(range(-90, 91, 15))
    pictures = shade(faces, shots)
    surface = faces.normals, faces.albedo, faces.face_mask
    found = [metrics.light_coefficients(pictures[:, i], *surface) for i in range(len(shots))]
    errors = [metrics.light_error(light, found[6]).mean() for light in found]
    assert errors[6] == 0 and 0.08 < errors[5] < 0.2
    assert np.all(np.diff(errors[6:]) > 0.03) and np.all(np.diff(errors[:7]) < -0.03)


def test_a_picture_has_the_same_figures_alone_as_in_a_batch():
    faces = geometry([3, 4, 5], ["neutral", "smile", "scream"], SIZE)
    pictures = shade(faces, ["shot03"])[:, 0]
    blurred = np.roll(faces.normals, 1, axis=1)
    surface = faces.normals, faces.albedo, faces.face_mask
    lights_of_all = metrics.light_coefficients(pictures, *surface)
    together = (
        lights_of_all,
        metrics.normal_error(blurred, faces.normals, faces.face_mask),
        metrics.aligned_depth_error(blurred[..., 2], faces.depth, faces.face_mask),
        metrics.light_error(lights_of_all, lights_of_all[::-1]),
    )
    for i in range(3):
        one = slice(i, i + 1)
        alone = (
            metrics.light_coefficients(pictures[one], *(part[one] for part in surface)),
            metrics.normal_error(blurred[one], faces.normals[one], faces.face_mask[one]),
            metrics.aligned_depth_error(
                blurred[one, ..., 2], faces.depth[one], faces.face_mask[one]
            ),
            metrics.light_error(lights_of_all[one], lights_of_all[::-1][one]),
        )
        for whole, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[one], single, rtol=1e-12)


def test_surfaces_that_cannot_be_compared_are_refused():
    normals, mask = ball()
    depth, albedo = normals[..., 2], np.ones_like(normals)
    images = lit_ball(1.0, 0.5, [0, 0, 0.1])
    zero = normals.copy()
    zero[0, SIZE // 2, SIZE // 2] = 0
    with pytest.raises(ValueError, match="true normals inside the mask"):
        metrics.normal_error(normals, zero, mask)
    with pytest.raises(ValueError, match="mask of picture 0 is empty"):
        metrics.normal_error(normals, normals, np.zeros_like(mask))
    with pytest.raises(ValueError, match="predicted has shape"):
        metrics.aligned_depth_error(depth[:, 1:], depth, mask)
    with pytest.raises(ValueError, match="true depth of picture 0 is flat"):
        metrics.aligned_depth_error(depth, 0 * depth, mask)
    with pytest.raises(ValueError, match="not finite"):
        metrics.aligned_depth_error(np.full_like(depth, np.nan), depth, mask)
    with pytest.raises(ValueError, match="uint8"):
        metrics.light_coefficients(images / 255, normals, albedo, mask)
    with pytest.raises(ValueError, match="bool"):
        metrics.light_coefficients(images, normals, albedo, mask.astype(int))
    with pytest.raises(ValueError, match="true light of picture 0 is dark"):
        metrics.light_error(np.ones((1, 9)), np.zeros((1, 9)))
    with pytest.raises(ValueError, match="9"):
        metrics.light_error(np.ones((1, 4)), np.ones((1, 4)))


def test_the_median_angle_is_that_of_numpy_and_forgives_what_is_rare():
    normals, mask = ball()
    sideways = np.zeros_like(normals)
    sideways[..., 0] = 2.0
    expected = np.median(np.degrees(np.arccos(normals[mask][:, 0])))
    np.testing.assert_allclose(metrics.median_normal_error(sideways, normals, mask), [expected])
    mostly = normals.copy()
    mostly[:, :20] = [0.0, 0.0, -1.0]
    np.testing.assert_array_equal(metrics.median_normal_error(mostly, normals, mask), [0.0])
    assert metrics.normal_error(mostly, normals, mask)[0] > 20
