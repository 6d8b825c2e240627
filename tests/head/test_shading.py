from __future__ import annotations

import numpy as np
import pytest

from legan_tf.head.light import Light
from legan_tf.head.ray_casting import Scene
from legan_tf.head.shading import HAIR, SKIN, Material, lamp_light, lamp_visibility


def directions(count=500):
    way = np.random.default_rng(0).normal(size=(count, 3))
    return way / np.linalg.norm(way, axis=-1, keepdims=True)


@pytest.mark.parametrize("wrap", [0.0, 0.1, 0.5])
def test_a_matt_surface_is_lit_by_the_cosine_that_wraps_round(wrap):
    normals, way = directions(), Light(-40, 25).direction
    light = lamp_light(normals, way, Material(wrap=wrap, specular=0))
    expected = np.maximum((normals @ way + wrap) / (1 + wrap), 0)
    np.testing.assert_allclose(light, expected, atol=1e-12)
    assert lamp_light(way, way, Material(wrap=wrap, specular=0)) == pytest.approx(1)


def test_a_highlight_lies_half_way_between_lamp_and_viewer():
    normals, lamp = directions(4000), Light(60, 0).direction
    matt = lamp_light(normals, lamp, Material(specular=0))
    shine = lamp_light(normals, lamp, SKIN) - matt
    brightest = normals[shine.argmax()]
    np.testing.assert_allclose(brightest, Light(30, 0).direction, atol=0.1)
    assert shine.max() > SKIN.specular  # Stronger than from the front.
    assert (shine[normals @ lamp <= 0] == 0).all()
    front = np.array([0.0, 0.0, 1.0])
    assert lamp_light(front, front, SKIN) == pytest.approx(1 + SKIN.specular)


def test_light_reaches_farther_round_hair_than_round_skin():
    lamp = Light(0, 0).direction
    turned_away = Light(100, 0).direction
    assert lamp_light(turned_away, lamp, SKIN) == 0 < lamp_light(turned_away, lamp, HAIR)


def plate(x0, x1, z):
    """Triangles of a plate over the picture, at a depth."""
    corners = np.array([[x0, -50, z], [x1, -50, z], [x1, 50, z], [x0, 50, z]], float)
    return corners, np.array([[0, 1, 2], [0, 2, 3]])


def visible(points, light, radius, rays=16):
    scene = Scene(*plate(0, 20, 10.0))
    normals = np.broadcast_to((0.0, 0.0, 1.0), points.shape)
    return lamp_visibility(scene, points, normals, light.direction, 10.0, radius, rays)


def test_what_is_behind_a_plate_is_dark():
    points = np.array([[10.0, 0, 0], [40.0, 0, 0], [-20.0, 0, 0]])
    np.testing.assert_array_equal(visible(points, Light(), 0.1), [0, 1, 1])
    # A lamp at the picture's right throws the shadow to the left.
    np.testing.assert_array_equal(visible(points - (20, 0, 0), Light(60), 0.1), [0, 1, 1])


def test_a_lamp_above_throws_its_shadow_down():
    corners, triangles = plate(-50, 50, 10.0)
    corners = corners[:, [1, 0, 2]] * (1, 0.4, 1)  # From y = -20 to 20.
    scene = Scene(corners, triangles)
    points = np.array([[0.0, 30, 0], [0.0, -30, 0]])
    normals = np.broadcast_to((0.0, 0.0, 1.0), points.shape)
    seen = lamp_visibility(scene, points, normals, Light(0, 60).direction, 10.0, 0.05)
    np.testing.assert_array_equal(seen, [0, 1])


def test_a_larger_lamp_has_softer_shadows():
    x = np.linspace(10, 30, 81)
    points = np.stack([x, 0 * x, 0 * x], -1)
    width = []
    for radius in (0.05, 0.4):
        seen = visible(points, Light(), radius, 64)
        assert seen[0] == 0 and seen[-1] == 1 and (np.diff(seen) >= -0.02).all()
        width.append(np.ptp(x[(seen > 0) & (seen < 1)]))
        assert x[seen > 0.5][0] == pytest.approx(20, abs=0.5)
    # The plate is 10 px in front: the penumbra is twice the radius times that wide.
    np.testing.assert_allclose(width, [1, 8], atol=0.8)
