from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.rendered import lights as rendered
from legan_tf.errors import UserError
from legan_tf.head.light import FLASHES, LIGHTS, SOFT, Light, parse_light


@pytest.mark.parametrize(
    "light, direction",
    [
        (Light(), (0, 0, 1)),
        (Light(90), (1, 0, 0)),
        (Light(-90), (-1, 0, 0)),
        (Light(0, 90), (0, 1, 0)),
        (Light(180), (0, 0, -1)),
        (Light(30, 60), (0.25, np.sqrt(0.75), 0.25 * np.sqrt(3))),
    ],
)
def test_directions_point_to_the_lamp(light, direction):
    np.testing.assert_allclose(light.direction, direction, atol=1e-12)


def test_names_say_what_is_bright():
    assert LIGHTS["left"].direction[0] < -0.5 < 0.5 < LIGHTS["right"].direction[0]
    assert LIGHTS["above"].direction[1] > 0.5 and LIGHTS["below"].direction[1] < -0.3
    np.testing.assert_allclose(LIGHTS["front"].direction, (0, 0, 1), atol=1e-12)
    x, y, z = LIGHTS["above left"].direction
    assert x < -0.3 and y > 0.3 and z > 0.3
    assert LIGHTS["left"] == Light(-LIGHTS["right"].azimuth, LIGHTS["right"].elevation)
    assert LIGHTS["soft"] is SOFT and SOFT.ambient == 1


def test_shots_are_those_of_rendered_faces():
    for name, shot in rendered.LIGHTS.items():
        light = LIGHTS[name]
        if shot.flash:
            np.testing.assert_allclose(light.direction, shot.direction, atol=1e-6)
        else:
            assert light is SOFT
    assert len(FLASHES) == 18


def test_a_light_is_told_by_name_or_numbers():
    assert parse_light("left") is LIGHTS["left"]
    assert parse_light(" Above_Right ") is LIGHTS["above right"]
    assert parse_light("shot07") == LIGHTS["shot07"]
    assert parse_light("azimuth=-60,elevation=20") == Light(-60, 20)
    assert parse_light("elevation=.5, ambient=.2,strength=1.5") == Light(0, 0.5, 1.5, 0.2)


@pytest.mark.parametrize(
    "text, words",
    [
        ("north", "--lighting=north is no light .* left, right, above, .* shot00 to shot19"),
        ("shot20", "shot00 to shot19"),
        ("", "is no light"),
        ("azimuth=-60,height=2", "'height=2' is none of azimuth, elevation, strength, ambient"),
        ("azimuth=60,", "'' is none of"),
        ("azimuth=x", "'x' is no number"),
        ("azimuth=", "'' is no number"),
        ("azimuth=nan", "azimuth nan is not within -180 to 180"),
        ("elevation=91", "elevation 91 is not within -90 to 90"),
        ("ambient=1.1", "not within 0 to 1"),
        ("strength=-1", "not within 0 to 2"),
        ("azimuth=1,azimuth=2", "azimuth is given twice"),
    ],
)
def test_what_is_no_light_is_told(text, words):
    with pytest.raises(UserError, match=words):
        parse_light(text)
