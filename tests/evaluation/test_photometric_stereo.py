from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.rendered import lights, rated_faces, rendered_faces
from legan_tf.evaluation import photometric_stereo
from legan_tf.evaluation.metrics.surface import (
    aligned_depth_error,
    linear_luminance,
    normal_error,
)

SIZE = 48
SHOTS = ("shot00", "shot02", "shot04", "shot07", "shot10", "shot12", "shot15", "shot16", "shot17")
DIRECTIONS = np.array([lights.light(shot).direction for shot in SHOTS[1:]])


@pytest.fixture(scope="module")
def faces():
    return rendered_faces("test", 4, ("neutral", "smile"), SHOTS, SIZE, 0)


def perfect(faces):
    """An editor that knows every true picture."""
    known = {picture.tobytes(): i for i, picture in enumerate(faces.images(np.arange(len(faces))))}

    def editor(images, expression, lighting):
        sources = [known[picture.tobytes()] for picture in images]
        wanted = zip(sources, expression, lighting)
        return np.stack([faces.truth(i, {"expression": e, "lighting": s}) for i, e, s in wanted])

    return editor


def copying(images, expression, lighting):
    return images


def cap() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normals, depth and mask of a ball, without its rim."""
    at = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
    x, y = np.meshgrid(at, -at)
    mask = x * x + y * y < 0.7
    z = np.sqrt(np.maximum(1 - x * x - y * y, 0.01))
    return np.stack([x, y, z], axis=-1), z, mask


def lit_cap(albedo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of the ball under every flash and under none."""
    cosines = np.maximum(cap()[0] @ DIRECTIONS.T, 0).transpose(2, 0, 1)
    light = albedo * (0.2 + 0.7 * np.concatenate([np.zeros_like(cosines[:1]), cosines]))
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    pictures = np.round(255 * np.repeat(srgb[..., None], 3, axis=-1)).astype(np.uint8)
    return pictures[1:], pictures[0]


def test_a_ball_gives_its_normals_back_whatever_its_albedo():
    normals, _, mask = cap()
    albedo = np.random.default_rng(0).uniform(0.1, 0.9, mask.shape)
    found = photometric_stereo.photometric_normals(*lit_cap(albedo), DIRECTIONS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1)
    assert normal_error(found[None], normals[None], mask[None])[0] < 1


def test_cast_shadows_and_highlights_turn_normals_less_than_in_plain_least_squares():
    normals, _, mask = cap()
    lit, unlit = lit_cap(np.full(mask.shape, 0.6))
    lit[1, 15:30, 15:30] = unlit[15:30, 15:30]
    lit[4, 20:35, 20:35] = 255
    added = (linear_luminance(lit) - linear_luminance(unlit)).reshape(len(lit), -1)
    plain = np.linalg.lstsq(DIRECTIONS.astype(float), added, rcond=None)[0].T
    plain = plain.reshape(normals.shape) + [0, 0, 1e-9]
    robust = photometric_stereo.photometric_normals(lit, unlit, DIRECTIONS)
    errors = [normal_error(n[None], normals[None], mask[None])[0] for n in (robust, plain)]
    assert errors[0] < 4 and errors[0] < errors[1] / 2


def test_what_answers_to_no_flash_faces_the_viewer():
    unlit = np.full((SIZE, SIZE, 3), 90, np.uint8)
    lit = np.repeat(unlit[None], len(DIRECTIONS), axis=0)
    found = photometric_stereo.photometric_normals(lit, unlit, DIRECTIONS)
    np.testing.assert_array_equal(found, np.broadcast_to([0.0, 0.0, 1.0], found.shape))


def test_flashes_in_one_plane_are_refused():
    pictures = np.zeros((4, SIZE, SIZE, 3), np.uint8)
    arc = [lights.light(shot).direction for shot in ("shot02", "shot04", "shot07", "shot10")]
    for directions, some in ((arc, pictures), (DIRECTIONS[-2:], pictures[:2])):
        with pytest.raises(ValueError, match="three flashes"):
            photometric_stereo.photometric_normals(some, pictures[0], directions)


def test_the_normals_of_a_ball_integrate_to_its_depth():
    normals, depth, mask = cap()
    found = photometric_stereo.depth_of_normals(normals, mask)
    assert np.isnan(found[~mask]).all()
    # In the unit of the picture, without any alignment of the scale.
    error = found[mask] - (depth - depth[mask].mean())[mask]
    assert np.abs(error).max() < 0.01 * np.ptp(depth[mask])


def test_a_plane_falls_to_where_it_faces_and_parts_have_their_own_offset():
    normals = np.broadcast_to(np.array([0.6, -0.48, 0.64]), (SIZE, SIZE, 3))
    mask = np.zeros((SIZE, SIZE), bool)
    mask[4:20, 4:20] = mask[30:40, 25:45] = True
    found = photometric_stereo.depth_of_normals(normals, mask)
    at = (np.arange(SIZE) + 0.5) * 2 / SIZE - 1
    plane = -0.6 / 0.64 * at[None] + 0.48 / 0.64 * -at[:, None]
    for part in (np.s_[4:20, 4:20], np.s_[30:40, 25:45]):
        np.testing.assert_allclose(found[part], plane[part] - plane[part].mean(), atol=1e-4)


def test_a_perfect_model_does_as_well_as_the_truth_and_a_copy_is_a_flat_face(faces):
    found = photometric_stereo.relighting_metrics(perfect(faces), faces, 4, seed=3)
    for figure in ("normal_error", "depth_error"):
        assert found["edit"][figure].shape == (4,)
        np.testing.assert_array_equal(found["edit"][figure], found["truth"][figure])
    assert found["truth"]["normal_error"].max() < 20 < 35 < found["copy"]["normal_error"].min()
    assert (found["truth"]["depth_error"] < 0.6 * found["copy"]["depth_error"]).all()
    copied = photometric_stereo.relighting_metrics(copying, faces, 4, seed=3)
    for figure, values in copied["copy"].items():
        np.testing.assert_array_equal(copied["edit"][figure], values)
        np.testing.assert_array_equal(found["copy"][figure], values)


def test_a_copy_scores_what_a_flat_face_does(faces):
    found = photometric_stereo.relighting_metrics(copying, faces, 4, seed=0)["copy"]
    index = np.arange(4).repeat(2) * 2 * len(SHOTS)
    surface = faces.surface(index, np.tile([0, 1], 4))
    viewer = np.broadcast_to(np.array([0.0, 0.0, 1.0]), surface.normals.shape)
    angles = normal_error(viewer, surface.normals, surface.mask)
    deviations = aligned_depth_error(np.zeros_like(surface.depth), surface.depth, surface.mask)
    for value, depth in zip(found["normal_error"], found["depth_error"], strict=True):
        nearest = np.argmin(np.abs(angles - value))
        assert value == pytest.approx(angles[nearest], abs=1e-6)
        assert depth == pytest.approx(deviations[nearest], abs=1e-6)


def test_relighting_asks_for_every_light_and_for_the_expression_of_the_source(faces, capsys):
    asked = []

    def editor(images, expression, lighting):
        asked.append((images, expression, lighting))
        return images

    photometric_stereo.relighting_metrics(editor, faces, 2, seed=1)
    pictures = faces.images(np.arange(len(faces)))
    people = set()
    for images, expression, lighting in asked:
        source = np.flatnonzero((pictures == images[0]).all(axis=(1, 2, 3)))[0]
        assert (images == images[0]).all()
        assert (expression == faces.labels["expression"][source]).all()
        np.testing.assert_array_equal(lighting, np.arange(len(SHOTS)))
        people.add(faces.identity[source])
    assert len(asked) == len(people) == 2
    assert "relighting 18/18 (100%)" in capsys.readouterr().err


def test_faces_that_tell_no_surface_are_refused(faces):
    assert photometric_stereo.lights_suffice(faces)
    rated = rated_faces("test", 4, 16, 0)
    no_ambient = rendered_faces("test", 1, ("neutral",), SHOTS[1:], 16, 0)
    arc = rendered_faces("test", 1, ("neutral",), SHOTS[:6], 16, 0)
    for unfit in (rated, no_ambient, arc):
        assert unfit is rated or not photometric_stereo.lights_suffice(unfit)
        with pytest.raises(ValueError, match="cannot be relit"):
            photometric_stereo.relighting_metrics(copying, unfit, 1, 0)
    with pytest.raises(ValueError, match="people must be 1 to 4, not 5"):
        photometric_stereo.relighting_metrics(copying, faces, 5, 0)
