from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from legan_tf.errors import UserError
from legan_tf.head import face_mesh
from legan_tf.head.fit import lips_apart
from legan_tf.head.lip_line import refine_lips

LEFT, RIGHT = face_mesh.LEFT_MOUTH_CORNER, face_mesh.RIGHT_MOUTH_CORNER
UPPER, LOWER = list(face_mesh.UPPER_INNER_LIP), list(face_mesh.LOWER_INNER_LIP)
UPPER_BORDER = [185, 40, 39, 37, 0, 267, 269, 270, 409]
LOWER_BORDER = [146, 91, 181, 84, 17, 314, 405, 321, 375]
STAY = [33, 133, 362, 263, 1, 10, 152, 234, 454, 105, 468, 473]
HALF_WIDTH = 0.3  # From the middle of the mouth to where the lips end, in eyes' distances.
PALE = {"skin": (214, 176, 156), "upper": (168, 98, 96), "lower": (196, 118, 116)}
DARK = {"skin": (92, 66, 54), "upper": (72, 48, 44), "lower": (100, 66, 64)}


@dataclasses.dataclass(frozen=True)
class Mouth:
    """A drawn mouth: x from -1 to 1 between its ends, y down from it, in eyes' distances."""

    bend: float = 0.0  # How far the middle of the line is below its ends.
    opening: float = 0.0
    teeth: float = 0.0  # Share of the opening, from above, that teeth take.
    lower_teeth: float = 0.0  # Likewise from below.

    def seam(self, x):
        return self.bend * (1 - x**2) - 0.008 * np.cos(6 * x) * (1 - x**2)

    def upper(self, x):
        return self.seam(x) - 0.35 * self.opening * np.clip(1 - x**2, 0, None)

    def lower(self, x):
        return self.seam(x) + 0.65 * self.opening * np.clip(1 - x**2, 0, None)

    def upper_border(self, x):
        return self.upper(x) - 0.085 * np.clip(1 - x**2, 0, None)

    def lower_border(self, x):
        return self.lower(x) + 0.11 * np.clip(1 - x**2, 0, None)


@dataclasses.dataclass(frozen=True)
class Face:
    """A drawn face.

    Attributes:
        image: uint8 [H, W, 3].
        points: float64 [478, 3], where the points are; all but those of the mouth anywhere.
        distance: Eyes' distance in pixels.
        down: float64 [2], the face's direction down in the picture.
    """

    image: np.ndarray
    points: np.ndarray
    distance: float
    down: np.ndarray

    def moved(self, share, along=0.0):
        """Returns the points with the mouth moved down by a share of the eyes' distance."""
        points = self.points.copy()
        mouth = np.setdiff1d(np.arange(468), STAY)
        right = np.array([self.down[1], -self.down[0]])
        points[mouth, :2] += self.distance * (share * self.down + along * right)
        return points

    def error(self, points, numbers):
        """Returns how far below the truth points are, in eyes' distances."""
        return (points[numbers, :2] - self.points[numbers, :2]) @ self.down / self.distance


def draw(mouth, distance=240.0, turn=0.0, colors=PALE, noise=2.0, moustache=False, blur=0.6):
    angle = np.radians(turn)
    right = np.array([np.cos(angle), np.sin(angle)])
    down = np.array([-right[1], right[0]])
    side = int(2.6 * distance)
    middle = np.array([side, side]) / 2 - 0.3 + 0.25 * distance * down

    def place(x, y):
        return middle + distance * (np.multiply.outer(x, right) + np.multiply.outer(y, down))

    points = np.zeros((478, 3))
    points[:, 2] = np.arange(478)
    points[:, :2] = place(np.zeros(478), np.full(478, 0.25))
    points[STAY, :2] = place(np.linspace(-0.9, 0.9, 12), np.linspace(-1, 0.8, 12))
    points[33, :2], points[263, :2] = place(-0.5, -0.8), place(0.5, -0.8)
    x = np.linspace(-0.8, 0.8, 9)
    for numbers, line in (
        (UPPER, mouth.upper),
        (LOWER, mouth.lower),
        (UPPER_BORDER, mouth.upper_border),
        (LOWER_BORDER, mouth.lower_border),
    ):
        points[numbers, :2] = place(HALF_WIDTH * x, line(x))
    for number, end in ((LEFT, -0.9), (RIGHT, 0.9), (61, -0.97), (291, 0.97)):
        points[number, :2] = place(HALF_WIDTH * end, mouth.seam(end))

    rng = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1) - middle
    u, v = grid @ right / distance / HALF_WIDTH, grid @ down / distance
    image = np.empty((side, side, 3))
    image[:] = colors["skin"]
    within = np.abs(u) < 1
    image[within & (v > mouth.upper_border(u)) & (v <= mouth.seam(u))] = colors["upper"]
    image[within & (v < mouth.lower_border(u)) & (v > mouth.seam(u))] = colors["lower"]
    opened = within & (v > mouth.upper(u)) & (v < mouth.lower(u))
    image[opened] = (38, 20, 20)
    share = (v - mouth.upper(u)) / np.maximum(mouth.lower(u) - mouth.upper(u), 1e-9)
    teeth = opened & (np.abs(u) < 0.8)
    teeth &= (share < mouth.teeth) | (share > 1 - mouth.lower_teeth)
    image[teeth] = (214, 204, 188)
    image[teeth & (np.sin(u * 40) > 0.97)] = (120, 100, 90)
    # A shadow where the lips meet, and, of an open mouth, under the upper one; it fades out.
    for line in (mouth.upper, mouth.lower):
        depth = np.exp(-(((v - line(u)) / 0.007) ** 2) / 2) * np.clip(
            (1.12 - np.abs(u)) / 0.1, 0, 1
        )
        image *= 1 - 0.55 * depth[..., None]
        if not mouth.opening:
            break
    if moustache:
        hairs = gaussian_filter(rng.normal(size=(side, side)), (2.5, 0.7))
        hairy = (v < mouth.upper_border(u) + 0.02) & (v > mouth.upper_border(u) - 0.2)
        image *= 1 - 0.6 * (hairy & (hairs > 0.02) & (np.abs(u) < 1.3))[..., None]
    image = gaussian_filter(image, (blur, blur, 0)) + rng.normal(size=image.shape) * noise
    return Face(np.clip(np.rint(image), 0, 255).astype(np.uint8), points, distance, down)


@pytest.mark.parametrize(
    ("turn", "start", "bend"),
    [(0, 0.03, 0.03), (40, -0.03, -0.03), (180, 0.02, 0), (-90, -0.02, 0)],
)
def test_a_closed_mouth_has_both_edges_on_its_seam(turn, start, bend):
    face = draw(Mouth(bend=bend), turn=turn)
    refined = refine_lips(face.image, face.moved(start))
    for numbers in (UPPER, LOWER, [LEFT, RIGHT]):
        error = face.error(refined, numbers)
        assert np.abs(error).mean() < 0.003
        assert np.abs(error).max() < 0.006
    np.testing.assert_allclose(refined[UPPER, :2], refined[LOWER, :2], atol=0.5)


@pytest.mark.parametrize(
    "kind",
    [
        {"moustache": True},
        {"colors": DARK, "noise": 3.0},
        {"distance": 66.0},
        {"distance": 500.0, "noise": 8.0},
        {"blur": 4.0},
        {"moustache": True, "colors": DARK, "distance": 90.0, "turn": 25.0},
    ],
)
def test_hair_dark_skin_and_poor_pictures_do_not_mislead(kind):
    face = draw(Mouth(bend=0.02), **kind)
    for start in (-0.03, 0.03):
        refined = refine_lips(face.image, face.moved(start))
        error = np.abs(face.error(refined, [*UPPER, *LOWER]))
        assert error.mean() < 0.004
        assert error.max() < 0.009


@pytest.mark.parametrize("teeth", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("opening", "turn"), [(0.06, 0), (0.16, 30)])
def test_an_open_mouth_has_its_edges_where_the_lips_end(teeth, opening, turn):
    face = draw(Mouth(bend=0.02, opening=opening, teeth=teeth), turn=turn)
    start = face.moved(0.02)
    refined = refine_lips(face.image, start)
    for numbers in (UPPER, LOWER):
        error = np.abs(face.error(refined, numbers))
        assert error.mean() < 0.006
        assert error.max() < 0.013


def test_the_gap_between_two_rows_of_teeth_is_no_seam():
    face = draw(Mouth(bend=0.02, opening=0.08, teeth=0.4, lower_teeth=0.4))
    refined = refine_lips(face.image, face.moved(0.015))
    error = np.abs(face.error(refined, [*UPPER, *LOWER]))
    assert error.mean() < 0.006
    assert error.max() < 0.01


def test_a_mouth_that_the_finder_takes_for_open_is_closed_and_the_reverse():
    closed, opened = draw(Mouth(bend=0.02)), draw(Mouth(bend=0.02, opening=0.05, teeth=0.9))
    refined = refine_lips(closed.image, draw(Mouth(bend=0.02, opening=0.05)).points)
    assert np.abs(closed.error(refined, UPPER)).max() < 0.006
    assert lips_apart(refined) < 0.001
    refined = refine_lips(opened.image, closed.points)
    assert np.abs(opened.error(refined, [*UPPER, *LOWER])).mean() < 0.006


def test_where_nothing_is_seen_the_points_stay():
    face = draw(Mouth())
    rng = np.random.default_rng(0)
    for noise in (0.0, 3.0, 12.0):
        bare = np.clip(180 + noise * rng.normal(size=face.image.shape), 0, 255).astype(np.uint8)
        refined = refine_lips(bare, face.moved(0.02))
        np.testing.assert_allclose(refined, face.moved(0.02), atol=0.003 * face.distance)
    small = face.points * (15 / face.distance)
    assert (refine_lips(face.image, small) == small).all()
    outside = face.points + (5e3, 0, 0)
    np.testing.assert_allclose(refine_lips(face.image, outside), outside, atol=1e-6)


def test_the_rest_of_the_mouth_goes_along():
    face = draw(Mouth(bend=0.02))
    start = face.moved(0.03)
    kept = start.copy()
    refined = refine_lips(face.image, start)
    assert (start == kept).all()
    assert (refined[STAY] == start[STAY]).all()
    assert (refined[:, 2] == start[:, 2]).all()
    rise = (start - refined)[:, :2] @ face.down / face.distance
    assert rise[UPPER].mean() == pytest.approx(0.03, abs=0.003)
    assert rise[UPPER_BORDER].mean() == pytest.approx(0.8 * 0.03, abs=0.004)
    assert rise[LOWER_BORDER].mean() == pytest.approx(0.75 * 0.03, abs=0.004)
    # Skin follows the less the farther it is.
    assert 0 < rise[[164, 167, 393]].mean() < 0.01
    assert (refine_lips(face.image, start) == refined).all()
    flat = refine_lips(face.image, start[:468, :2])
    np.testing.assert_allclose(flat, refined[:468, :2])


def test_corners_follow_the_end_of_the_line():
    face = draw(Mouth())
    right = np.array([face.down[1], -face.down[0]])
    shifts = []
    for along in (-0.04, 0.0, 0.04):
        start = face.moved(0.0, along)
        moved = refine_lips(face.image, start) - start
        shifts.append((moved[[LEFT, RIGHT, 61, 291], :2] @ right).mean() / face.distance)
    assert shifts[0] > shifts[1] + 0.004 > shifts[2] + 0.008


def test_what_is_no_face_is_refused():
    with pytest.raises(UserError, match="468 points"):
        refine_lips(np.zeros((9, 9, 3), np.uint8), np.zeros((68, 2)))
    with pytest.raises(UserError, match="uint8"):
        refine_lips(np.zeros((9, 9, 3)), np.zeros((468, 2)))
