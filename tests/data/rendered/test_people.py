"""People who do not exist: skin, eyes, hair, ways to show expressions, and snapshots of them."""

from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.rendered import geometry, render, rendered_faces, shade
from legan_tf.data.rendered.expressions import units
from legan_tf.data.rendered.eyes import painted
from legan_tf.data.rendered.hair import STYLES, hair_layer, style
from legan_tf.data.rendered.lights import Light, read_lights
from legan_tf.data.rendered.people import traits
from legan_tf.data.rendered.photographed import photographed
from legan_tf.data.rendered.skin import SHAPE, chart, load_skin, sampled
from legan_tf.errors import UserError
from legan_tf.head.head_file import load_head

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def test_skin_is_of_the_tone_that_was_asked_for():
    who = [traits(number) for number in range(12)]
    drawn = [load_skin().draw(each) for each in who]
    tones = np.array([each.tone for each in who])
    light = np.array([each.color @ LUMINANCE for each in drawn])
    assert (np.diff(light[np.argsort(tones)]) < 0).all()
    for each in drawn:
        assert each.texture.shape == (*SHAPE, 3)
        assert each.texture.min() > 0 and each.texture.max() < 1
        assert np.abs(each.identity).max() <= 3
    again = load_skin().draw(who[3])
    np.testing.assert_array_equal(again.texture, drawn[3].texture)
    assert np.abs(drawn[3].identity - drawn[4].identity).mean() > 0.3


def test_lips_are_redder_and_brows_darker_than_cheeks():
    head = load_head()
    places = chart(head)
    brows = head.landmark_vertices[17:27]
    cheeks = np.flatnonzero(
        (np.abs(np.abs(head.neutral[:, 0]) - 4) < 0.7) & (np.abs(head.neutral[:, 1]) < 0.7)
    )
    cheeks = np.intersect1d(cheeks, head.vertices_of("face"))
    redder = darker = 0
    for number in range(20):
        texture = load_skin().draw(traits(number)).texture
        lip, brow, cheek = (
            sampled(texture, *places[vertices].T).mean(0) for vertices in (head.lips, brows, cheeks)
        )
        redder += lip[0] / lip[1] > cheek[0] / cheek[1]
        darker += brow @ LUMINANCE < cheek @ LUMINANCE
    assert redder >= 18 and darker >= 18


def test_an_eye_has_a_dark_pupil_in_an_iris_in_a_white():
    head = load_head()
    ball = head.neutral[head.vertices_of("left_eye")]
    centre, radius = (ball.min(0) + ball.max(0)) / 2, np.ptp(ball[:, 0]) / 2
    angles = np.array([0.0, 0.3, 0.75])
    for number in range(8):
        ways = np.stack([np.sin(angles), -0.05 + 0 * angles, np.cos(angles)], -1)
        places = (centre + radius * ways).astype(np.float32)
        pupil, iris, white = painted(traits(number), "left_eye", places, head.neutral).albedo
        assert pupil.max() < 0.05 and pupil.max() < iris.max() < white.min()


def test_hair_leaves_the_face_free_and_the_bald_have_none():
    styles = {style(traits(number)) for number in range(80)}
    assert styles <= set(STYLES) and len(styles) > 7
    bald = next(number for number in range(80) if style(traits(number)) == "bald")
    long = next(number for number in range(80) if style(traits(number)) == "long")
    face = geometry([bald, long], ["neutral"] * 2, 64)
    rows = face.landmarks[:, 27:68, 1].astype(int), face.landmarks[:, 27:68, 0].astype(int)
    for number in range(2):
        assert face.face_mask[number][rows[0][number], rows[1][number]].mean() > 0.9
    # Hair covers what would be wall or ears.
    assert face.coverage[1].mean() > face.coverage[0].mean() + 0.05
    from legan_tf.data.rendered.layers import View
    from legan_tf.head.camera_fit import Camera

    view = View(16, 2, Camera(1.0, np.diag([1.0, -1.0, -1.0]), np.full(2, 8.0)))
    assert hair_layer(traits(bald), view, load_head().neutral) is None


def test_lips_of_neutral_faces_are_closed():
    points = geometry(range(30, 46), ["neutral"] * 16, 64).landmarks
    gap = (points[:, 66, 1] - points[:, 62, 1]) / (points[:, 45, 0] - points[:, 36, 0])
    assert np.abs(gap).max() < 0.03


def test_snapshots_differ_in_pose_strength_and_camera():
    people = range(24)
    plain, snaps = (
        geometry(people, ["smile"] * 24, 32, snapshots).landmarks for snapshots in (False, True)
    )

    def turned(points):
        middle = (points[:, 36, 0] + points[:, 45, 0]) / 2
        return (points[:, 30, 0] - middle) / (points[:, 45, 0] - points[:, 36, 0])

    assert turned(snaps).std() > 1.8 * turned(plain).std()
    at = load_head().expression_index("mouthSmile_L")
    weak, strong = (
        np.std([units(number, "smile", natural)[at] for number in people])
        for natural in (False, True)
    )
    assert strong > 2 * weak
    arguments = ("test", 2, ("neutral", "smile"), ("shot00", "shot07"), 32, 9)
    snapshots = rendered_faces(*arguments, snapshots=True)
    pictures = snapshots.images(np.arange(8))
    later = rendered_faces(*arguments, snapshots=True, on_demand=True)
    np.testing.assert_array_equal(later.images(np.arange(8)[::-1])[::-1], pictures)
    assert (rendered_faces(*arguments).images(np.arange(8)) != pictures).mean() > 0.5


def test_a_camera_is_seeded_and_keeps_what_is_seen():
    picture = render([5], ["smile"], ["shot07"], 64)[0]
    taken = [
        photographed(picture, np.random.default_rng(seed), np.random.default_rng([seed, 1]))
        for seed in (0, 0, 1, 2, 3)
    ]
    np.testing.assert_array_equal(taken[0], taken[1])
    assert len({one.tobytes() for one in taken}) == 4
    for one in taken:
        assert np.corrcoef(one.mean(-1).ravel(), picture.mean(-1).ravel())[0, 1] > 0.95


def test_lights_of_a_file(tmp_path):
    file = tmp_path / "lights.csv"
    file.write_text("name,azimuth,elevation,flash,ambient\nleft,-60,10,1.2,0.1\nsoft,,,,0.8\n")
    found = read_lights(str(file))
    assert found == {"left": Light(-60, 10, 1.2, 0.1), "soft": Light(ambient=0.8)}
    faces = rendered_faces("test", 1, ("neutral",), tuple(found), 32, 0, own_lights=found)
    assert faces.names("lighting") == ("left", "soft")
    made = faces.images(np.arange(2))
    direct = shade(geometry([int(faces.identities[0][6:])], ["neutral"], 32), [*found.values()])
    np.testing.assert_array_equal(made, direct[0])
    assert made[0, :, :16].mean() > 1.3 * made[0, :, 16:].mean()
    for content, told in (
        ("azimuth\n3\n", "needs a column name"),
        ("name,blue\na,3\n", "it has blue too"),
        ("name,azimuth\na,x\n", "line 2: could not convert"),
        ("name\na\na\n", "line 3: give each light a name of its own"),
        ("name,flash\na,-1\n", "line 2: numbers must be finite, and strengths 0 or more"),
        ("name,ambient\na,-1\n", "line 2: numbers must be finite, and strengths 0 or more"),
        ("name\n", "has no light"),
    ):
        bad = tmp_path / f"{abs(hash(content))}.csv"
        bad.write_text(content)
        with pytest.raises(UserError, match=told):
            read_lights(str(bad))


def test_a_file_of_lights_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"--lights: .*none\.csv: no such file"):
        read_lights(str(tmp_path / "none.csv"))
