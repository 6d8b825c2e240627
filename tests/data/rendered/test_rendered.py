"""Rendered faces: geometry, light and the face set."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data import attributes
from legan_tf.data.rendered import geometry, lights, mesh, render, rendered_faces, shade
from legan_tf.data.rendered.dataset import split_people
from legan_tf.data.rendered.expressions import EXPRESSIONS, SHOWN_BY, shown_attributes, units
from legan_tf.data.rendered.horizon import horizons
from legan_tf.data.splits import SPLITS
from legan_tf.head.action_units import MEASURED
from legan_tf.head.morphable_head import PARTS

SIZE = 64


@pytest.fixture(scope="module")
def faces():
    people = range(40, 64)
    return geometry(people, ["neutral"] * len(people), SIZE)


def test_every_named_expression_and_shot_is_rendered():
    assert set(EXPRESSIONS) == {*attributes.MULTIPIE_EXPRESSIONS, *attributes.AFFECTNET_EXPRESSIONS}
    assert tuple(lights.LIGHTS) == attributes.MULTIPIE_SHOTS
    flashes = [light for light in lights.LIGHTS.values() if light.flash]
    assert sorted(light.azimuth for light in flashes if light.elevation == 0) == list(
        range(-90, 91, 15)
    )
    assert sum(light.elevation > 0 for light in flashes) == 5


@pytest.mark.parametrize("expression", sorted(EXPRESSIONS))
def test_faces_are_finite_and_in_range(expression):
    face = geometry(range(3), [expression] * 3, 48)
    assert face.depth.dtype == face.normals.dtype == face.albedo.dtype == np.float32
    assert np.isfinite(face.depth[face.mask]).all() and np.isnan(face.depth[~face.mask]).all()
    np.testing.assert_allclose(np.linalg.norm(face.normals, axis=-1), 1, atol=1e-5)
    assert face.albedo.min() >= 0 and face.albedo.max() <= 1
    assert not (face.face_mask & ~face.mask).any()


def test_a_person_is_their_number():
    triples = [(5, "smile", "shot03"), (6, "neutral", "shot16"), (5, "scream", "shot00")]
    once = render(*zip(*triples, strict=True), SIZE)
    again = render(*zip(*reversed(triples), strict=True), SIZE)[::-1]
    np.testing.assert_array_equal(once, again)
    assert once.shape == (3, SIZE, SIZE, 3) and once.dtype == np.uint8
    assert len({picture.tobytes() for picture in once}) == 3


def test_people_differ_more_than_one_person_under_two_expressions():
    people = range(20)
    neutral = render(people, ["neutral"] * 20, ["shot07"] * 20, SIZE).astype(float)
    smile = render(people, ["smile"] * 20, ["shot07"] * 20, SIZE).astype(float)
    same = np.abs(neutral - smile).mean(axis=(1, 2, 3))
    others = [np.abs(neutral[i] - neutral[j]).mean() for i, j in itertools.combinations(people, 2)]
    assert min(others) > 4
    assert np.median(others) > 3 * np.median(same)


def test_normals_are_the_derivative_of_depth(faces):
    step = 2 / SIZE
    inside = faces.face_mask & ~np.isnan(np.roll(faces.depth, 1, 2) + np.roll(faces.depth, -1, 2))
    inside &= ~np.isnan(np.roll(faces.depth, 1, 1) + np.roll(faces.depth, -1, 1))
    inside[:, [0, -1]] = inside[:, :, [0, -1]] = False
    slope_x = (np.roll(faces.depth, -1, 2) - np.roll(faces.depth, 1, 2)) / (2 * step)
    slope_y = (np.roll(faces.depth, 1, 1) - np.roll(faces.depth, -1, 1)) / (2 * step)
    derived = np.stack([-slope_x, -slope_y, np.ones_like(slope_x)], -1)
    derived /= np.linalg.norm(derived, axis=-1, keepdims=True)
    angles = np.degrees(np.arccos(np.clip((derived * faces.normals).sum(-1)[inside], -1, 1)))
    assert inside.mean() > 0.2
    # Those of the mesh are of one point, the derivative is of three pixels.
    assert np.median(angles) < 4 and np.percentile(angles, 90) < 16


def test_the_nose_is_nearest(faces):
    row, column = np.transpose([np.unravel_index(np.nanargmax(d), d.shape) for d in faces.depth])
    tip = faces.landmarks[:, 30]
    assert np.abs(column - tip[:, 0]).max() < 0.08 * SIZE
    assert np.abs(row - tip[:, 1]).max() < 0.08 * SIZE


def test_landmarks_are_on_the_face_and_aligned(faces):
    points = faces.landmarks
    assert points.shape == (24, 68, 2)
    assert points.min() >= 0 and points.max() <= SIZE
    eyes, mouth = points[:, 36:48, 1].mean(axis=1), points[:, [48, 54], 1].mean(axis=1)
    # LightCNN's crop: eyes at 40/128, mouth 48/128 below.
    assert (
        abs(eyes.mean() / SIZE - 40 / 128) < 0.012 and np.abs(eyes / SIZE - 40 / 128).max() < 0.04
    )
    assert abs(mouth.mean() / SIZE - 88 / 128) < 0.02
    left, right = points[:, 36:42, 0].mean(axis=1), points[:, 42:48, 0].mean(axis=1)
    assert (left + 0.25 * SIZE < right).all()
    assert (points[:, 8, 1] > mouth).all() and (points[:, 17:27, 1].max(axis=1) < eyes).all()


def test_landmarks_follow_the_expression():
    points = geometry([9, 9, 9], ["neutral", "scream", "smile"], SIZE).landmarks
    opening = points[:, 66, 1] - points[:, 62, 1]
    eye = points[:, 41, 1] - points[:, 37, 1]
    width = points[:, 54, 0] - points[:, 48, 0]
    assert opening[1] > opening[0] + 6 and eye[1] < 0.6 * eye[0] and width[2] > 1.1 * width[0]


@pytest.mark.parametrize("shot", range(1, 19))
def test_the_side_of_the_flash_is_the_brighter_side(faces, shot):
    name = attributes.MULTIPIE_SHOTS[shot]
    pictures = shade(faces, [name])[:, 0].astype(float).mean(axis=-1)
    columns = np.arange(SIZE) + 0.5
    middle = faces.landmarks[:, 30, 0][:, None, None]
    left = faces.face_mask & (columns < middle)
    right = faces.face_mask & (columns > middle)
    balance = np.mean(
        [p[r].mean() - p[side].mean() for p, r, side in zip(pictures, right, left, strict=True)]
    )
    azimuth = lights.light(name).azimuth
    if azimuth:
        assert np.sign(balance) == np.sign(azimuth) and abs(balance) > 3
    else:
        assert abs(balance) < 3


def test_shots_without_flash_are_the_same(faces):
    pictures = shade(faces, ["shot00", "shot07", "shot19"])
    np.testing.assert_array_equal(pictures[:, 0], pictures[:, 2])
    assert pictures[:, 1].mean() > 1.3 * pictures[:, 0].mean()


def test_a_nose_casts_a_shadow(faces):
    lit_from_left = shade(faces, ["shot04"])[:, 0].astype(float)
    # The same openness, but nothing that hides the flash.
    free = tuple(
        dataclasses.replace(one, angles=np.full_like(one.angles, -1.0)) for one in faces.horizons
    )
    without = dataclasses.replace(faces, horizons=free)
    difference = shade(without, ["shot04"])[:, 0] - lit_from_left
    assert difference.min() >= -1 and (difference > 20).any(axis=(1, 2, 3)).all()


def test_horizons_of_a_wall_are_those_of_its_height():
    height = np.zeros((64, 64), np.float32)
    height[:, 40:] = 10
    found = horizons(height)
    # From the left the flat ground is lit, from the right as far as the wall's shadow reaches.
    for rise, reach in ((45, 10), (30, 17)):
        angle = np.radians(rise)
        lit = found.lit_share(np.array([np.cos(angle), 0, np.sin(angle)]))[32]
        assert lit[: 38 - reach].min() > 0.9 and lit[41 - reach + 2 : 39].max() < 0.35
        assert lit[44:].min() > 0.9
        other = found.lit_share(np.array([-np.cos(angle), 0, np.sin(angle)]))[32]
        assert other[:36].min() > 0.9
    assert found.sky[32, 10, 2] == pytest.approx(1, abs=0.01)
    # At the foot of a high wall about half of the sky is left.
    assert 0.5 < found.sky[32, 39, 2] < 0.75 and found.sky[32, 39, 0] < -0.2
    mirrored = horizons(height[:, ::-1])
    way = np.array([0.5, 0.3, 0.8])
    np.testing.assert_allclose(
        mirrored.lit_share(way * (-1, 1, 1)), found.lit_share(way)[:, ::-1], atol=1e-5
    )


def test_mesh_has_the_depth_of_the_map():
    face, shape = geometry([11], ["disgust"], 64), mesh(11, "disgust")
    x, y, z = shape.vertices.T
    column, row = ((x + 1) * 32).astype(int), ((1 - y) * 32).astype(int)
    inside = (column >= 0) & (column < 64) & (row >= 0) & (row < 64)
    column, row, z = column[inside], row[inside], z[inside]
    nearest = np.full((64, 64), -np.inf)
    np.maximum.at(nearest, (row, column), z)
    seen = face.face_mask[0] & np.isfinite(nearest)
    away = np.abs(nearest[seen] - face.depth[0][seen])
    assert seen.mean() > 0.3 and np.median(away) < 0.02
    assert shape.triangles.min() == 0 and shape.triangles.max() == len(shape.vertices) - 1
    assert len(shape.vertices) == len(shape.colours)
    tip = shape.vertices[shape.vertices[:, 2].argmax(), :2]
    np.testing.assert_allclose((tip * (1, -1) + 1) * 32, face.landmarks[0, 30], atol=2)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="'grin'"):
        render([1], ["grin"], ["shot00"], SIZE)
    with pytest.raises(ValueError, match="'shot20'"):
        render([1], ["smile"], ["shot20"], SIZE)
    for bad in (("trial", 2, 0), ("test", 0, 0), ("test", 2, -1)):
        with pytest.raises(ValueError):
            split_people(*bad)
    with pytest.raises(ValueError, match="'grin'"):
        rendered_faces("test", 1, ["grin"], ["shot00"], 32, 0)
    with pytest.raises(ValueError, match="'shot20'"):
        rendered_faces("test", 1, ["smile"], ["shot20"], 32, 0)
    with pytest.raises(ValueError, match="image_size"):
        rendered_faces("test", 1, ["smile"], ["shot00"], 8, 0)


def test_splits_and_seeds_share_nobody():
    ranges = [split_people(split, 1000, seed) for split in SPLITS for seed in (0, 1)]
    assert len(set().union(*ranges)) == 6000


@pytest.fixture(scope="module")
def grid():
    calls = []
    made = rendered_faces(
        "test",
        3,
        attributes.MULTIPIE_EXPRESSIONS,
        ("shot00", "shot05", "shot16"),
        32,
        4,
        lambda done, total: calls.append((done, total)),
    )
    return made, calls


def test_face_set_is_the_full_grid(grid):
    made, calls = grid
    assert len(made) == 3 * 6 * 3 and len(made.identities) == 3
    labels = set(zip(made.identity, *made.labels.values(), strict=True))
    assert labels == set(itertools.product(range(3), range(6), range(3)))
    assert np.isnan(made.rating_mean).all() and np.isnan(made.rating_std).all()
    assert calls[-1] == (54, 54) and [c[0] for c in calls] == sorted(c[0] for c in calls)


@pytest.mark.parametrize("kind", ["", "depth"])
def test_faces_rendered_on_demand_are_the_same(kind):
    classes = (("neutral", "surprise"), ("shot00", "shot05", "shot16"), 32, 4)
    made = rendered_faces("test", 3, *classes, map_kind=kind)
    later = rendered_faces("test", 3, *classes, map_kind=kind, on_demand=True)
    order = np.random.default_rng(0).permutation(len(made))
    data = tf.data.Dataset.from_tensor_slices(order.astype(np.int64))
    pictures = np.stack(list(data.map(later.load, num_parallel_calls=4).as_numpy_iterator()))
    np.testing.assert_array_equal(pictures, made.images(order))
    wanted = {"expression": 0, "lighting": 1}
    np.testing.assert_array_equal(later.truth(17, wanted), made.truth(17, wanted))
    if kind:
        again = rendered_faces("test", 3, *classes, map_kind=kind, on_demand=True)
        np.testing.assert_array_equal(again.true_map(17, wanted), made.true_map(17, wanted))
        np.testing.assert_array_equal(again.map_images(order), made.map_images(order))


def test_faces_on_demand_are_not_rendered_before():
    # All of them would take seconds.
    many = rendered_faces("train", 200, ["smile"], attributes.MULTIPIE_SHOTS, 64, 0, on_demand=True)
    expected = render([split_people("train", 200, 0)[199]], ["smile"], ["shot03"], 64)
    np.testing.assert_array_equal(many.images([199 * 20 + 3]), expected)


def test_truth_is_the_picture_with_that_label(grid):
    made, _ = grid
    pictures = made.images(np.arange(len(made)))
    for index, expression, lighting in ((0, 5, 2), (20, 0, 0), (53, 3, 1)):
        rows = np.flatnonzero(
            (made.identity == made.identity[index])
            & (made.labels["expression"] == expression)
            & (made.labels["lighting"] == lighting)
        )
        wanted = {"expression": expression, "lighting": lighting}
        np.testing.assert_array_equal(pictures[rows[0]], made.truth(index, wanted))
        person = split_people("test", 3, 4)[made.identity[index]]
        shown = [[made.names(name)[place]] for name, place in wanted.items()]
        direct = render([person], *shown, made.image_size)
        np.testing.assert_array_equal(pictures[rows[0]], direct[0])


@pytest.mark.parametrize("kind", ["depth", "normal"])
def test_maps_are_the_surfaces_of_the_faces(kind):
    expressions = ("neutral", "surprise")
    made = rendered_faces(
        "test", 2, expressions, ("shot00", "shot05", "shot16"), 32, 4, map_kind=kind
    )
    assert made.map_kind == kind
    everything = np.arange(len(made))
    surface = made.surface(everything, made.labels["expression"])
    shown = made.map_images(everything)
    np.testing.assert_array_equal(shown.any(-1), surface.mask)
    for picture, depth, normals, mask in zip(shown, surface.depth, surface.normals, surface.mask):
        if kind == "depth":
            assert (picture == picture[..., :1]).all()
            share = (depth[mask] - depth[mask].min()) / np.ptp(depth[mask])
            np.testing.assert_allclose(picture[mask][:, 0], 1 + 254 * share, atol=0.51)
        else:
            np.testing.assert_allclose(picture[mask] / 127.5 - 1, normals[mask], atol=0.5 / 127)
    # Of the first person, the second expression, whatever the light.
    np.testing.assert_array_equal(made.true_map(0, {"expression": 1}), shown[3])
    np.testing.assert_array_equal(made.true_map(2, {"expression": 0}), shown[0])
    np.testing.assert_array_equal(shown[3], shown[5])
    assert (shown[0] != shown[3]).any()
    with pytest.raises(ValueError, match="no class 2"):
        made.true_map(0, {"expression": 2})


def test_faces_made_without_maps_have_none(grid):
    made, _ = grid
    with pytest.raises(ValueError, match="rendered/test was made without maps"):
        made.map_images(np.arange(2))


def test_truth_of_a_class_that_is_not_there_is_refused(grid):
    made, _ = grid
    with pytest.raises(ValueError, match="no class 6"):
        made.truth(0, {"expression": 6})
    with pytest.raises(ValueError, match="no class -2"):
        made.truth(0, {"lighting": -2})


def test_truth_of_what_is_left_is_the_picture_itself(grid):
    made, _ = grid
    picture = made.images([20])[0]
    np.testing.assert_array_equal(made.truth(20, {}), picture)
    np.testing.assert_array_equal(made.truth(20, {"expression": -1, "lighting": 2}), picture)
    assert (made.truth(20, {"lighting": 0}) != picture).any()


def test_binary_attributes_follow_from_the_expression_where_they_are_asked_for(grid):
    names = attributes.MULTIPIE_EXPRESSIONS
    made = rendered_faces("test", 2, names, ("shot00", "shot05"), 32, 4, with_attributes=True)
    assert [one.name for one in made.conditions] == ["expression", "lighting", "attributes"]
    assert made.names("attributes") == ("Smiling", "Mouth_Slightly_Open", "Narrow_Eyes")
    shown = {
        "neutral": (0, 0, 0),
        "smile": (1, 1, 0),
        "surprise": (0, 1, 0),
        "squint": (0, 0, 1),
        "disgust": (0, 1, 0),
        "scream": (0, 1, 1),
    }
    wanted = [shown[names[place]] for place in made.labels["expression"]]
    np.testing.assert_array_equal(made.labels["attributes"], wanted)
    smiles = [shown_attributes(units(3, name))["Smiling"] for name in ("contempt", "happy")]
    assert smiles == [0, 1]
    some = made.only(["attributes"], ["Narrow_Eyes", "Smiling"])
    assert [one.names for one in some.conditions] == [("Narrow_Eyes", "Smiling")]
    np.testing.assert_array_equal(some.labels["attributes"], np.array(wanted)[:, [2, 0]])
    assert "attributes" not in grid[0].labels


def test_binary_attributes_are_told_apart_by_the_landmarks():
    people = range(12)

    def points(expression):
        return geometry(people, [expression] * len(people), 32).landmarks / 32

    rest = points("neutral")

    def measures(at):
        narrow = [(y[:, [41, 47], 1] - y[:, [37, 43], 1]).mean(1) for y in (at, rest)]
        return {
            "Smiling": (rest - at)[:, [48, 54], 1].min(1),
            "Mouth_Slightly_Open": at[:, 66, 1] - at[:, 62, 1],
            "Narrow_Eyes": -narrow[0] / narrow[1],
        }

    seen = {name: ([], []) for name in SHOWN_BY}
    for expression in EXPRESSIONS:
        found = measures(points(expression))
        for name, there in shown_attributes(units(0, expression)).items():
            seen[name][there].append(found[name].mean())
    for name, (without, with_it) in seen.items():
        assert min(with_it) > max(without), name


def test_the_truth_tells_action_units_and_lights(grid):
    made, _ = grid
    names = made.names("expression")
    smile, neutral = (made.labels["expression"] == names.index(n) for n in ("smile", "neutral"))
    at = MEASURED.index(12)
    assert made.action_units[smile, at].min() > 0.3 and made.action_units[neutral, at].max() == 0
    flash = made.labels["lighting"] == 1
    np.testing.assert_allclose(np.linalg.norm(made.light_directions[flash], axis=1), 1, atol=1e-6)
    assert (made.light_directions[made.labels["lighting"] == 0] == 0).all()
    found = made.surface(np.array([0]), np.array([0]))
    shown = {PARTS[part] for part in np.unique(found.parts[found.mask])}
    assert {"face", "left_eye", "right_eye"} <= shown
    skin = found.mask[0] & (found.parts[0] == PARTS.index("face"))
    # The chart goes down and to the right with the face.
    rows, columns = np.nonzero(skin)
    assert np.corrcoef(rows, found.uv[0][skin][:, 0])[0, 1] > 0.98
    assert np.corrcoef(columns, found.uv[0][skin][:, 1])[0, 1] > 0.98


def test_surfaces_are_those_of_the_same_people_under_the_expressions_asked_for(grid):
    made, _ = grid
    index, expressions = np.array([0, 20, 53]), np.array([5, 0, 3])
    found = made.surface(index, expressions)
    people = [split_people("test", 3, 4)[made.identity[i]] for i in index]
    direct = geometry(people, [made.names("expression")[e] for e in expressions], made.image_size)
    for name in ("depth", "normals", "albedo"):
        np.testing.assert_array_equal(getattr(found, name), getattr(direct, name))
    np.testing.assert_array_equal(found.mask, direct.face_mask)
    assert found.mask.mean() > 0.2 and np.isfinite(found.depth[found.mask]).all()
    alone = made.surface(index[1:2], expressions[1:2])
    np.testing.assert_array_equal(alone.depth[0], found.depth[1])
    with pytest.raises(ValueError, match="no class 6"):
        made.surface(index[:1], np.array([6]))


def test_face_set_loads_inside_a_graph(grid):
    made, _ = grid
    data = tf.data.Dataset.range(len(made)).map(made.load).batch(8)
    first = next(iter(data)).numpy()
    np.testing.assert_array_equal(first, made.images(np.arange(8)))
    assert first.dtype == np.uint8 and first.shape == (8, 32, 32, 3)
