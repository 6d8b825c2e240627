from __future__ import annotations

import dataclasses
import pathlib
import runpy

import numpy as np
import pytest

from legan_tf.head.color import luminance, to_linear
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.fit import fit_head
from legan_tf.head.head_file import load_head
from legan_tf.head.light import LIGHTS, SOFT, Light
from legan_tf.head.person_mask import PersonMask
from legan_tf.head.relighting import RelightingSurface, relight
from legan_tf.head.residual_field import ResidualField

drawn = runpy.run_path(str(pathlib.Path(__file__).parent / "drawn_faces.py"))
SIZE = 160
ROOM = drawn["ROOM"]
SIDE = Light(-50, 10, ambient=0.3)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    drawn: object
    fitted: object
    mask: PersonMask
    surface: RelightingSurface

    def relit(self, light, source=None):
        return relight(self.drawn.image, self.surface, self.mask, light, source)


def mask_of(truth):
    whole = np.isfinite(truth.depth).astype(np.float32)
    return PersonMask(whole, whole, np.zeros_like(whole))


@pytest.fixture(scope="module")
def fitted_to():
    head = load_head()
    face_points = load_statistics(head).face_points
    field = ResidualField(head, face_points)
    return lambda points: fit_head(head, face_points, field, points)


@pytest.fixture(scope="module")
def case_of(fitted_to):
    def made(**options):
        truth = drawn["draw"](size=SIZE, identity=drawn["random_identity"](3), **options)
        fitted, mask = fitted_to(truth.points), mask_of(truth)
        return Case(truth, fitted, mask, RelightingSurface.of(truth.image, fitted, mask))

    return made


@pytest.fixture(scope="module")
def case(case_of):
    return case_of()


def face_of(case):
    """The skin of the face without its rim and the hair."""
    x, y = case.drawn.points[[234, 454, 10, 152]].T
    inside = np.zeros((SIZE, SIZE), bool)
    inside[int(y[2]) : int(y[3]), int(x[0]) + 4 : int(x[1]) - 3] = True
    return inside & (case.mask.person > 0)


def test_a_face_upside_down_is_lit_as_the_upright_one(case, fitted_to):
    def turned(values):
        return np.ascontiguousarray(np.rot90(values, 2))

    image = turned(case.drawn.image)
    mask = PersonMask(*(turned(getattr(case.mask, part)) for part in ("person", "skin", "hair")))
    surface = RelightingSurface.of(image, fitted_to(SIZE - 1 - case.drawn.points), mask)
    lit = turned(relight(image, surface, mask, Light(50, -10, ambient=0.3)))
    upright = case.relit(SIDE).astype(float)
    change = np.abs(upright - case.drawn.image).mean()
    assert np.abs(lit - upright).mean() < 0.1 * change


def test_the_surface_has_the_normals_of_the_head(case):
    left, top, right, bottom = case.surface.box
    rows, columns = case.surface.solid.shape
    y = np.clip(top + (np.arange(rows) + 0.5) * (bottom - top) / rows, 0, SIZE - 1).astype(int)
    x = np.clip(left + (np.arange(columns) + 0.5) * (right - left) / columns, 0, SIZE - 1)
    true = case.drawn.normals[y[:, None], x.astype(int)[None]]
    face = case.surface.face & np.isfinite(true[..., 0])
    cosine = (true[face] * case.surface.normals[face]).sum(-1)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean() < 9
    np.testing.assert_allclose(np.linalg.norm(case.surface.normals, axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("light", [SIDE, Light(50, 10, ambient=0.3), Light(0, 50, ambient=0.3)])
def test_a_face_is_shown_as_it_is_drawn_under_that_light(case, light):
    truth = drawn["draw"](size=SIZE, identity=case.drawn.identity, light=light).image
    relit = case.relit(light, ROOM)
    face = face_of(case)

    def error(image):
        return np.abs(image[face].astype(float) - truth[face]).mean()

    assert error(relit) < 0.35 * error(case.drawn.image)


def test_the_same_light_changes_nothing(case):
    for light in (ROOM, SIDE, SOFT):
        np.testing.assert_array_equal(case.relit(light, light), case.drawn.image)
    np.testing.assert_array_equal(
        case.relit(dataclasses.replace(SIDE, strength=0)), case.drawn.image
    )


def test_strength_is_an_exponent_of_the_change(case):
    full = case.surface.log_gain(SIDE)
    half = case.surface.log_gain(dataclasses.replace(SIDE, strength=0.5))
    np.testing.assert_allclose(half, full / 2)


def test_beside_the_mask_nothing_changes(case):
    outside = case.mask.person == 0
    for name in ("left", "above", "below", "soft", "shot01"):
        relit = case.relit(LIGHTS[name])
        np.testing.assert_array_equal(relit[outside], case.drawn.image[outside])
        assert (relit[~outside] != case.drawn.image[~outside]).any()
    whole = np.zeros_like(case.mask.person)
    assert (
        RelightingSurface.of(case.drawn.image, case.fitted, PersonMask(whole, whole, whole)) is None
    )


def test_the_rim_of_the_mask_is_never_brighter(case):
    soft = np.where(case.mask.person > 0, 0.55, 0).astype(np.float32)
    mask = dataclasses.replace(case.mask, person=soft)
    relit = relight(case.drawn.image, case.surface, mask, LIGHTS["left"])
    assert (relit <= case.drawn.image).all() and (relit < case.drawn.image).any()


@pytest.mark.parametrize("name, bright", [("left", 0), ("right", 1)])
def test_names_say_which_half_is_bright(case, name, bright):
    light = luminance(to_linear(case.relit(LIGHTS[name])))
    face, middle = face_of(case), int(case.drawn.points[4, 0])
    halves = [
        light[:, :middle][face[:, :middle]].mean(),
        light[:, middle:][face[:, middle:]].mean(),
    ]
    assert halves[bright] > 1.5 * halves[1 - bright]


def test_mirrored_light_on_a_mirrored_picture_is_the_mirror_image(case, fitted_to):
    face_points = case.fitted.face_points
    twin = np.linalg.norm(
        (face_points.mean_face * (-1, 1))[:, None] - face_points.mean_face[None], axis=-1
    ).argmin(1)
    points = case.drawn.points[twin] * (-1, 1) + (SIZE - 1, 0)
    image = np.ascontiguousarray(case.drawn.image[:, ::-1])
    whole = np.ascontiguousarray(case.mask.person[:, ::-1])
    mask = PersonMask(whole, whole, np.zeros_like(whole))
    surface = RelightingSurface.of(image, fitted_to(points), mask)
    mirrored = relight(image, surface, mask, LIGHTS["right"])[:, ::-1].astype(float)
    relit = case.relit(LIGHTS["left"])
    assert np.abs(mirrored - relit)[face_of(case)].mean() < 3
    assert np.abs(case.relit(LIGHTS["right"]).astype(float) - relit)[face_of(case)].mean() > 12


def test_colours_are_kept_where_it_gets_darker(case):
    before, after = to_linear(case.drawn.image), to_linear(case.relit(LIGHTS["left"]))
    darker = face_of(case) & (after.sum(-1) < 0.8 * before.sum(-1)) & (after.min(-1) > 0.03)
    darker &= before.max(-1) < 0.4  # Highlights beyond may have lost their colour.
    assert darker.sum() > 200
    for channel in (0, 2):
        share = after[darker][:, channel] / after[darker][:, 1]
        expected = before[darker][:, channel] / before[darker][:, 1]
        np.testing.assert_allclose(share, expected, rtol=0.06)


def test_the_exposure_of_the_face_is_nearly_kept(case):
    face = face_of(case)
    before = luminance(to_linear(case.drawn.image))[face].mean()
    for name in ("left", "right", "above", "front", "soft"):
        after = luminance(to_linear(case.relit(LIGHTS[name])))[face].mean()
        assert 0.6 < after / before < 1.3


def test_the_light_of_the_photograph_is_told(case_of):
    case = case_of(light=Light(-60, 10, ambient=0.3))
    source, face = case.surface.source, case.surface.face
    middle = source.shape[1] // 2
    halves = [
        source[:, :middle][face[:, :middle]].mean(),
        source[:, middle:][face[:, middle:]].mean(),
    ]
    assert halves[0] > 1.3 * halves[1]

    def contrast(image):
        light, inside = luminance(to_linear(image)), face_of(case)
        x = int(case.drawn.points[4, 0])
        left, right = (light[:, part][inside[:, part]].mean() for part in (np.s_[:x], np.s_[x:]))
        return left / right

    assert contrast(case.relit(SOFT)) < 0.75 * contrast(case.drawn.image)


def test_an_open_mouth_goes_by_the_lips(case_of):
    wide = load_head().expression_vector({"jawOpen": 0.7})
    case = case_of(expression=wide)
    left, top, right, bottom = case.surface.box
    rows, columns = case.surface.solid.shape
    x, y = case.drawn.points[[13, 14]].mean(0)
    row, column = int((y - top) * rows / (bottom - top)), int((x - left) * columns / (right - left))
    assert case.surface.solid[row, column] and not case.surface.sure[row, column]
    lips = case.drawn.points[[0, 17, 61, 291]]
    around = [
        case.surface.log_gain(LIGHTS["left"])[
            int((v - top) * rows / (bottom - top)), int((u - left) * columns / (right - left))
        ]
        for u, v in lips
    ]
    inside = case.surface.log_gain(LIGHTS["left"])[row, column]
    assert min(around) - 0.6 < inside < max(around) + 0.6


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (3, 2), (40, 5)])
def test_a_sliver_of_a_person_does_not_fail(case, height, width):
    whole = np.zeros_like(case.mask.person)
    x, y = np.round(case.drawn.points[4]).astype(int)
    whole[y : y + height, x : x + width] = 1
    mask = PersonMask(whole, whole, np.zeros_like(whole))
    surface = RelightingSurface.of(case.drawn.image, case.fitted, mask)
    relit = relight(case.drawn.image, surface, mask, LIGHTS["left"])
    np.testing.assert_array_equal(relit[whole == 0], case.drawn.image[whole == 0])
    assert np.isfinite(surface.log_gain(LIGHTS["left"])).all()
