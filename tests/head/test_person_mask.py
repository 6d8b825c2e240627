from __future__ import annotations

import pathlib
import runpy

import numpy as np
import pytest
from PIL import Image, ImageDraw

from legan_tf.head.person_mask import person_mask

drawn = runpy.run_path(str(pathlib.Path(__file__).parent / "drawn_faces.py"))
HAIR, SHIRT = (50, 34, 24), (90, 40, 120)


def painted_wall(size, seed):
    """A wall with blots of many colours, brighter to the right."""
    random = np.random.default_rng(seed)
    wall = Image.new("RGB", (size, size), (150, 160, 140))
    pen = ImageDraw.Draw(wall)
    for _ in range(30):
        x, y, r = random.uniform(0, size, 2).tolist() + [random.uniform(0.03, 0.12) * size]
        color = tuple(int(v) for v in random.uniform(60, 240, 3))
        pen.ellipse([x - r, y - r, x + r, y + r], fill=color)
    return np.asarray(wall) * np.linspace(0.7, 1.0, size)[:, None]


def portrait(size=320, seed=0):
    """A drawn face with hair and a shirt before a painted wall; where the person and hair are."""
    inner, left, top = int(0.6 * size), int(0.2 * size), int(0.15 * size)
    face = drawn["draw"](size=inner)
    points = face.points + (left, top)
    skin = np.zeros((size, size), bool)
    color = np.zeros((size, size, 3))
    box = np.s_[top : top + inner, left : left + inner]
    skin[box], color[box] = np.isfinite(face.depth), face.image
    canvas = Image.new("L", (size, size))
    x, y = points[10]
    ImageDraw.Draw(canvas).ellipse([x - 70, y - 45, x + 70, y + 150], fill=1)
    hair = np.asarray(canvas) > 0
    canvas = Image.new("L", (size, size))
    x, y = points[152]
    ImageDraw.Draw(canvas).rounded_rectangle([x - 100, y + 25, x + 100, y + 200], 30, fill=1)
    shirt = np.asarray(canvas) > 0
    skin &= ~shirt & (np.arange(size)[:, None] > points[10, 1])
    hair &= ~skin & ~shirt
    image = painted_wall(size, seed)
    image[shirt], image[hair], image[skin] = SHIRT, HAIR, color[skin]
    image = image + np.random.default_rng(seed).normal(0, 4, image.shape)
    return image.clip(0, 255).astype(np.uint8), points, hair | shirt | skin, hair


def overlap(share, truth):
    found = share > 0.5
    return (found & truth).sum() / (found | truth).sum()


@pytest.fixture(scope="module")
def scene():
    image, points, person, hair = portrait()
    return image, points, person, hair, person_mask(image, points)


def test_a_person_is_told_from_a_painted_wall(scene):
    image, _, person, _, mask = scene
    for share in (mask.person, mask.skin, mask.hair):
        assert share.shape == image.shape[:2] and share.dtype == np.float32
        assert share.min() >= 0 and share.max() <= 1
    assert overlap(mask.person, person) > 0.93
    # Far from the person nothing is left, so that nothing is changed there.
    assert (mask.person[: len(image) // 12] == 0).mean() > 0.98


def test_hair_is_told_from_skin(scene):
    _, points, _, hair, mask = scene
    x, y = np.round(points[[50, 280, 4, 151]]).astype(int).T  # Cheeks, nose, forehead.
    assert (mask.skin[y, x] > 0.8).all() and (mask.hair[y, x] < 0.2).all()
    assert mask.hair[hair].mean() > 0.7
    assert (mask.skin + mask.hair <= mask.person + 0.2).mean() > 0.99


def test_the_same_comes_out_twice(scene):
    image, points, _, _, mask = scene
    again = person_mask(image, points)
    assert (again.person == mask.person).all() and (again.hair == mask.hair).all()


def test_a_neighbour_is_background(scene):
    image, points, person, _, _ = scene
    wide = np.concatenate([image, image], 1)
    mask = person_mask(wide, points)
    assert overlap(mask.person[:, : image.shape[1]], person) > 0.85
    assert mask.person[:, 3 * image.shape[1] // 2 :].mean() < 0.3


def test_what_is_far_from_the_face_is_left_out(scene):
    image, points, *_ = scene
    small = np.asarray(Image.fromarray(image).resize((40, 40), Image.Resampling.BOX))
    large = np.full((200, 300, 3), 128, np.uint8)
    large[30:70, 200:240] = small
    mask = person_mask(large, points / 8 + (200, 30))
    assert mask.person[20:80, 190:250].max() > 0.9
    assert (mask.person[:, :120] == 0).all() and (mask.person[150:] == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (24, 24), (300, 90)])
def test_a_face_that_the_picture_cuts_does_not_fail(scene, shape):
    image, points, *_ = scene
    part = np.ascontiguousarray(image[120 : 120 + shape[0], 110 : 110 + shape[1]])
    mask = person_mask(part, points - (110, 120))
    assert mask.person.shape == part.shape[:2] and np.isfinite(mask.person).all()


def test_one_colour_alone_does_not_fail(scene):
    _, points, *_ = scene
    mask = person_mask(np.full((320, 320, 3), 90, np.uint8), points)
    x, y = np.round(points[4]).astype(int)
    assert mask.person[y, x] > 0.5
