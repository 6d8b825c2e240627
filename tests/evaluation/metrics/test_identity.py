from __future__ import annotations

import numpy as np
import pytest

from legan_tf.evaluation.metrics.identity import first_rank_rate, identity_distance, match_score


def test_first_rank_goes_by_the_angle():
    gallery = np.array([[1.0, 0.0], [0.0, 10.0]])
    # By the angle the probes are nearest to 0, 1, 0; by distance the last would be nearest to 1.
    probes = np.array([[0.2, 0.1], [0.1, 0.3], [9.0, 8.0]])
    people = np.array([7, 9])
    rate = first_rank_rate(probes, np.array([7, 9, 7]), gallery, people)
    assert rate == 1.0
    rate = first_rank_rate(probes, np.array([9, 9, 9]), gallery, people)
    assert rate == pytest.approx(1 / 3)


def turned(degrees: list[float]) -> np.ndarray:
    return np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=1)


def test_match_and_distance_go_by_the_angle_and_not_by_the_length():
    angles = [0, 60, 90, 180]
    lengths = np.array([[1], [1e-6], [1e4], [3]])
    first, second = np.full((4, 2), [7.0, 0.0]), lengths * turned(angles)
    np.testing.assert_allclose(match_score(first, second), [1, 0.5, 0, -1], atol=1e-15)
    expected = [0, 1, np.sqrt(2), 2]  # chords of the unit circle
    np.testing.assert_allclose(identity_distance(first, second), expected, atol=1e-15)


def test_match_and_distance_tell_the_same():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 50, 256)).astype(np.float32)
    match, distance = match_score(first, second), identity_distance(first, second)
    np.testing.assert_allclose(distance, np.sqrt(2 - 2 * match), rtol=1e-12)
    one = first.astype(np.float64)
    expected = np.sum(one * second, axis=1) / np.sqrt(
        np.sum(one**2, axis=1) * np.sum(second.astype(np.float64) ** 2, axis=1)
    )
    np.testing.assert_allclose(match, expected, rtol=1e-12)
    np.testing.assert_array_equal(match_score(first[3:4], second[3:4]), match[3:4])
    np.testing.assert_array_equal(identity_distance(first[3:4], second[3:4]), distance[3:4])


def test_a_copy_matches_perfectly_and_the_bounds_hold():
    faces = np.random.default_rng(0).normal(size=(300, 100)).astype(np.float32)
    np.testing.assert_allclose(match_score(faces, faces), 1.0, rtol=1e-15)
    assert match_score(faces, faces).max() <= 1.0
    np.testing.assert_array_equal(identity_distance(faces, faces), np.zeros(300))
    assert match_score(faces, -faces).min() >= -1.0
    assert identity_distance(faces, -faces).max() <= 2.0


@pytest.mark.parametrize("metric", [match_score, identity_distance])
def test_embeddings_without_a_direction_are_refused(metric):
    good, zero, bad = np.ones((3, 4)), np.ones((3, 4)), np.ones((3, 4))
    zero[1], bad[2, 0] = 0, np.nan
    with pytest.raises(ValueError, match="embedding 1 of the second has length 0"):
        metric(good, zero)
    with pytest.raises(ValueError, match="embedding 2 of the first has length nan"):
        metric(bad, good)
    with pytest.raises(ValueError, match=r"differ in shape: \(3, 4\) and \(2, 4\)"):
        metric(good, good[:2])
    with pytest.raises(ValueError, match=r"must be \[n, D\]"):
        metric(good[0], good[0])


def test_a_gallery_with_an_empty_embedding_is_refused():
    people = np.array([0, 1])
    with pytest.raises(ValueError, match="embedding 0 of the gallery has length 0"):
        first_rank_rate(np.eye(2), people, np.array([[0.0, 0.0], [1.0, 0.0]]), people)
