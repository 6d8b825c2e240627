"""Hair: who wears what, where it grows, and its picture."""

from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.rendered import hair
from legan_tf.data.rendered.layers import View
from legan_tf.data.rendered.people import Traits, traits
from legan_tf.data.rendered.skin import SHAPE, chart
from legan_tf.data.rendered.strands import Skull
from legan_tf.head.camera_fit import Camera
from legan_tf.head.color import LUMINANCE
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.head_file import load_head

SIZE = 64


@pytest.fixture(scope="module")
def neutral():
    head = load_head()
    identity = load_statistics(head).face_points.identity
    return head.shape(identity, np.zeros(len(head.expressions)))


@pytest.fixture(scope="module")
def view(neutral):
    points = neutral[load_head().landmark_vertices]
    eyes, mouth = points[36:48].mean(0), points[[48, 54]].mean(0)
    scale = 48 / 128 * SIZE / float(eyes[1] - mouth[1])
    shift = np.array([SIZE / 2, 40 / 128 * SIZE]) - scale * eyes[:2] * (1, -1) - 0.5
    return View(SIZE, 2, Camera(scale, np.diag([1.0, -1.0, -1.0]), shift))


def layer_of(name, view, neutral, monkeypatch, number=3):
    monkeypatch.setattr(hair, "style", lambda traits: name)
    return hair.hair_layer(Traits(number, 0.5, 0.2, 0.3), view, neutral)


@pytest.mark.parametrize("name", sorted({*hair.STYLES} - {"bald"}))
def test_every_style_has_a_picture_in_range(name, view, neutral, monkeypatch):
    layer = layer_of(name, view, neutral, monkeypatch)
    there = layer.alpha > 0
    assert there.any() and (np.isfinite(layer.depth) == there).all()
    assert layer.alpha.min() >= 0 and layer.alpha.max() <= 1
    assert layer.albedo.min() >= 0 and layer.albedo.max() <= 1
    np.testing.assert_allclose(np.linalg.norm(layer.normals[there], axis=-1), 1, atol=1e-4)
    assert {part.dtype for part in vars(layer).values() if isinstance(part, np.ndarray)} == {
        np.dtype(np.float32)
    }


@pytest.mark.parametrize("name", sorted({*hair.STYLES} - {"bald"}))
def test_eyes_nose_and_mouth_are_free(name, view, neutral, monkeypatch):
    alpha = layer_of(name, view, neutral, monkeypatch).alpha
    points = view.camera.project(neutral[load_head().landmark_vertices[27:68]].astype(float))
    column, row = np.round((points[:, :2] + 0.5) * view.samples - 0.5).astype(int).T
    assert alpha[row, column].max() < 0.05


def test_hairlines_are_soft(view, neutral, monkeypatch):
    alpha = layer_of("short", view, neutral, monkeypatch).alpha
    assert np.mean((alpha > 0.05) & (alpha < 0.95)) > 0.25 * np.mean(alpha > 0.05)


def test_long_hair_covers_the_ears_and_short_hair_does_not(view, neutral, monkeypatch):
    x, y, _ = load_head().neutral.T
    lobes = (np.abs(x) > 7.3) & (np.abs(y + 1) < 0.6)
    points = view.camera.project(neutral[lobes].astype(float))
    column, row = np.round((points[:, :2] + 0.5) * view.samples - 0.5).astype(int).T
    inside = (column >= 0) & (column < SIZE * 2)
    assert inside.any()

    def cover(name):
        return layer_of(name, view, neutral, monkeypatch).alpha[row[inside], column[inside]].mean()

    assert cover("long") > 0.8 and cover("shaved") < 0.2


def test_hair_is_the_same_again_and_another_person_s_is_not(view, neutral):
    first, again, other = (hair.hair_layer(traits(n), view, neutral) for n in (0, 0, 1))
    np.testing.assert_array_equal(first.albedo, again.albedo)
    np.testing.assert_array_equal(first.alpha, again.alpha)
    assert np.abs(first.alpha - other.alpha).mean() > 0.01


def test_style_and_colour_go_with_the_traits():
    people = [traits(number) for number in range(400)]
    hanging = {name for name, style in hair.STYLES.items() if style.opening}
    men = [hair.style(each) in hanging for each in people if each.masculine > 0.5]
    women = [hair.style(each) in hanging for each in people if each.masculine < 0.5]
    assert not any(men) and np.mean(women) > 0.4
    bright = np.array([hair.color(each).mean() for each in people])
    tone, age = (np.array([getattr(each, what) for each in people]) for what in ("tone", "age"))
    assert bright[age > 0.8].mean() > 1.5 * bright[age < 0.4].mean()
    young = age < 0.4
    assert bright[young & (tone < 0.3)].mean() > 2 * bright[young & (tone > 0.7)].mean()
    assert {hair.style(each) for each in people} == set(hair.STYLES)


def test_a_skull_is_measured_where_its_vertices_are(neutral):
    head = load_head()
    scalp = neutral[head.vertices_of("head")].astype(float)
    scalp = scalp[(scalp[:, 1] > 7) & (scalp[:, 2] < 4)]
    off, out = Skull(neutral).outward(scalp)
    assert np.median(np.abs(off)) < 0.25
    moved, _ = Skull(neutral).outward(scalp + 2 * out)
    np.testing.assert_allclose(moved - off, 2, atol=0.2)


def test_beards_are_men_s_and_leave_lips_and_eyes_alone():
    cheeks = np.full(3, 0.4, np.float32)
    skin = np.full((*SHAPE, 3), 0.4, np.float32)
    men = [Traits(number, 0.9, 0.3, 0.2) for number in range(40)]
    grown = [hair.bearded(each, cheeks, skin) for each in men]
    worn = [texture for texture in grown if texture is not skin]
    assert 3 < len(worn) < 20
    changed = np.max([np.abs(texture - skin).max(-1) for texture in worn], 0)
    assert changed.max() > 0.2
    head = load_head()
    rows, columns = np.round(chart(head)[head.landmark_vertices[36:48]]).astype(int).T
    assert changed[rows, columns].max() == 0
    rows, columns = np.round(chart(head)[head.landmark_vertices[[51, 57]]]).astype(int).T
    assert changed[rows, columns].max() < 0.15


def test_women_have_no_shadow_of_a_beard():
    cheeks, stubble = np.full(3, 0.4, np.float32), np.full((*SHAPE, 3), 0.2, np.float32)
    for number in range(3):
        shaven = hair.bearded(Traits(number, 0.1, 0.3, 0.2), cheeks, stubble)
        assert shaven.min() > 0.199  # Nothing gets darker.
        chin, eye = np.round(chart(load_head())[load_head().landmark_vertices[[8, 39]]]).astype(int)
        np.testing.assert_allclose(shaven[chin[0] - 4, chin[1]], 0.85 * 0.4, atol=0.03)
        np.testing.assert_allclose(shaven[tuple(eye)], 0.2, atol=1e-6)


def test_brows_have_the_colour_of_the_hair_and_stay_where_they_were():
    skin = np.full(3, 0.5, np.float32)
    texture = np.full((*SHAPE, 3), 0.5, np.float32)
    head = load_head()
    row, column = np.round(chart(head)[head.landmark_vertices[19]]).astype(int)
    hairy = np.s_[row - 4 : row + 5, column - 6 : column + 7]
    texture[hairy] = 0.2
    people = [Traits(number, 0.9, 0.1, 0.1) for number in range(12)]
    browed = [hair.browed(each, skin, texture) for each in people]
    for found in browed:
        beside = np.abs(found - texture)
        beside[hairy] = 0
        assert beside.max() == 0
    brows = np.array([found[row, column] @ LUMINANCE for found in browed])
    hairs = np.array([hair.color(each) @ LUMINANCE for each in people])
    assert np.corrcoef(brows, np.minimum(hairs, 0.15))[0, 1] > 0.8
