from __future__ import annotations

import numpy as np
import pytest

from legan_tf.data.rendered import rendered_faces
from legan_tf.evaluation.metrics import maps as metrics


def grey(*rows: list[int]) -> np.ndarray:
    """One map [1,S,S,3] of these grey values."""
    return np.repeat(np.array(rows, np.uint8)[None, ..., None], 3, axis=-1)


TRUE = grey([0, 0, 0], [0, 255, 55], [0, 155, 1])
PREDICTED = grey([0, 51, 0], [26, 204, 106], [0, 104, 25])


def test_whatever_is_not_black_is_shown():
    expected = [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    np.testing.assert_array_equal(metrics.shown(TRUE)[0], expected)
    sideways = np.zeros((1, 1, 1, 3), np.uint8)
    sideways[..., 1] = 1
    assert metrics.shown(sideways).all()


def test_a_network_shows_something_where_its_map_exceeds_the_threshold():
    # A tenth of 255 is 25.5.
    expected = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    np.testing.assert_array_equal(metrics.silhouettes(PREDICTED, "depth")[0], expected)
    leaning = np.array([[[[255, 255, 63], [0, 0, 64]]]], np.uint8)
    np.testing.assert_array_equal(metrics.silhouettes(leaning, "normal")[0], [[False, True]])


def test_overlap_is_intersection_over_union():
    found = metrics.overlap(metrics.silhouettes(PREDICTED, "depth"), metrics.shown(TRUE))
    np.testing.assert_allclose(found, [3 / 6])
    nothing = np.zeros((1, 3, 3), bool)
    np.testing.assert_array_equal(metrics.overlap(nothing, nothing), [1.0])
    np.testing.assert_array_equal(metrics.overlap(nothing, ~nothing), [0.0])
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.overlap(nothing, nothing[:, :2])


def test_the_error_inside_counts_nothing_outside():
    inside = metrics.shown(TRUE)
    expected = (51 + 51 + 51 + 24) / 4 / 255
    np.testing.assert_allclose(metrics.l1_inside(PREDICTED, TRUE, inside), [expected])
    coloured = TRUE.copy()
    coloured[0, 1, 1] = [252, 255, 255]
    np.testing.assert_allclose(metrics.l1_inside(coloured, TRUE, inside), [1 / 4 / 255])


def test_correlation_is_that_of_numpy_per_map_and_over_all():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 256, (3, 9, 9, 3), np.uint8)
    predicted = np.clip(true + rng.normal(0, 60, true.shape), 0, 255).astype(np.uint8)
    inside = rng.random((3, 9, 9)) < 0.6
    sums = metrics.correlation_sums(predicted, true, inside)
    pairs = [(p.mean(-1)[m], t.mean(-1)[m]) for p, t, m in zip(predicted, true, inside)]
    expected = [np.corrcoef(*pair)[0, 1] for pair in pairs]
    assert min(expected) > 0.5
    np.testing.assert_allclose(metrics.correlation(sums), expected, atol=1e-9)
    pooled = np.corrcoef(*(np.concatenate(side) for side in zip(*pairs)))[0, 1]
    assert abs(metrics.correlation(sums.sum(axis=0)) - pooled) < 1e-9
    np.testing.assert_allclose(
        metrics.correlation(metrics.correlation_sums(255 - true, true, inside)), -1
    )


def test_a_flat_map_goes_with_nothing():
    inside = metrics.shown(TRUE)
    for level in (0, 1, 254):
        flat = np.full_like(TRUE, level)
        np.testing.assert_array_equal(
            metrics.correlation(metrics.correlation_sums(flat, TRUE, inside)), [0.0]
        )


def test_normals_come_back_from_their_maps():
    faces = rendered_faces("test", 1, ["happy"], ["shot07"], 32, 0, map_kind="normal")
    (surface,) = [faces.surface(np.array([0]), np.array([0]))]
    maps = faces.map_images(np.array([0]))
    normals = metrics.inputs_of_maps(maps, maps, "normal")["map_normals"]
    inside = surface.mask
    assert inside.sum() > 200
    np.testing.assert_allclose(normals[inside], surface.normals[inside], atol=0.004)


@pytest.mark.parametrize("metric", [metrics.l1_inside, metrics.correlation_sums])
def test_what_does_not_belong_together_is_refused(metric):
    inside = metrics.shown(TRUE)
    with pytest.raises(ValueError, match=r"predicted maps must be uint8 \[1, 3, 3, 3\]"):
        metric(PREDICTED[:, :2], TRUE, inside)
    with pytest.raises(ValueError, match="true maps must be uint8"):
        metric(PREDICTED, TRUE / 255, inside)
    with pytest.raises(ValueError, match="silhouette of map 1 is empty"):
        pair = np.concatenate([TRUE, 0 * TRUE])
        metric(pair, pair, metrics.shown(pair))
