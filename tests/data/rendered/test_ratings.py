"""Controlled damage and the simulated raters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from legan_tf.data.rendered import damage, rated_faces, ratings, render


@pytest.fixture(scope="module")
def pictures():
    faces = render(range(12), ["neutral", "smile", "fear"] * 4, ["shot07"] * 12, 64)
    return faces.astype(np.float32) / 255


@pytest.mark.parametrize("kind", sorted(damage.DAMAGES))
def test_damage_grows_with_severity(pictures, kind):
    change = []
    for severity in (0.0, 0.3, 0.6, 1.0):
        damaged = [
            damage.DAMAGES[kind](p, severity, np.random.default_rng(i))
            for i, p in enumerate(pictures)
        ]
        assert all(d.shape == p.shape and d.dtype == np.float32 for d, p in zip(damaged, pictures))
        assert min(d.min() for d in damaged) >= 0 and max(d.max() for d in damaged) <= 1
        change.append(np.mean([np.abs(d - p).mean() for d, p in zip(damaged, pictures)]))
    assert change[0] < 1e-3 and change[0] < change[1] < change[2] < change[3]
    assert change[3] > 0.005


@pytest.mark.parametrize("kind", sorted(damage.DAMAGES))
def test_damage_is_pure_and_seeded(pictures, kind):
    before = pictures[0].copy()
    once, again, other = (
        damage.DAMAGES[kind](pictures[0], 0.7, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(pictures[0], before)
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 1e-3


def test_blur_keeps_the_mean_and_removes_detail(pictures):
    blurred = damage.blur(pictures[0], 1.0, np.random.default_rng(0))
    assert abs(blurred.mean() - pictures[0].mean()) < 0.02
    assert (
        np.abs(np.diff(blurred, axis=1)).mean() < 0.7 * np.abs(np.diff(pictures[0], axis=1)).mean()
    )


def test_naturalness_falls_with_severity_and_with_a_second_damage():
    for kind in damage.DAMAGES:
        scale = [ratings.naturalness({kind: s}) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
        assert scale == sorted(scale, reverse=True) and scale[0] == pytest.approx(9.0)
        assert scale[-1] > 1
    assert ratings.naturalness({"blur": 0.4, "seam": 0.4}) < ratings.naturalness({"blur": 0.4})
    assert ratings.naturalness({}) == pytest.approx(9.0)
    with pytest.raises(ValueError, match="'rain'"):
        ratings.naturalness({"rain": 0.5})


def test_raters_say_whole_numbers_that_follow_naturalness():
    natural = np.repeat([1.0, 3.0, 5.0, 7.0, 9.0], 400)
    said = ratings.rate(natural, ratings.panel(3), np.random.default_rng(0))
    assert said.dtype == np.int32 and said.shape == (2000, 3)
    assert said.min() >= 1 and said.max() <= 10
    means = said.mean(axis=1).reshape(5, 400).mean(axis=1)
    assert (np.diff(means) > 1).all()
    assert (said[:, 0] != said[:, 1]).mean() > 0.2  # raters disagree
    assert ratings.panel(3) == ratings.panel(3) != ratings.panel(4)


@pytest.fixture(scope="module")
def rated():
    return rated_faces("train", 90, 32, 5)


def test_rated_faces_have_reachable_ratings(rated):
    triples = np.asarray(list(itertools.combinations_with_replacement(range(1, 11), 3)))
    reachable = np.stack([triples.mean(axis=1), triples.std(axis=1, ddof=0)], axis=1)
    pairs = np.stack([rated.rating_mean, rated.rating_std], axis=1)
    gap = np.abs(pairs[:, None] - reachable[None]).max(axis=-1).min(axis=1)
    assert gap.max() < 1e-5
    assert rated.rating_mean.min() < 4 and rated.rating_mean.max() > 8
    assert rated.rating_std.max() > 0.4


def test_rated_faces_are_seeded_and_labelled(rated):
    again = rated_faces("train", 90, 32, 5)
    index = np.arange(0, 90, 7)
    np.testing.assert_array_equal(rated.images(index), again.images(index))
    np.testing.assert_array_equal(rated.rating_mean, again.rating_mean)
    other = rated_faces("val", 90, 32, 5)
    assert not set(rated.identities) & set(other.identities)
    assert (rated.images(index) != other.images(index)).any(axis=(1, 2, 3)).all()
    assert len(rated) == 90 and rated.truth is None and rated.surface is None
    for label, names in (("expression", 11), ("lighting", 19)):
        values = rated.labels[label]
        assert values.dtype == np.int32 and values.min() >= 0 and values.max() < names
        assert len(rated.names(label)) == names


def test_worse_pictures_get_worse_ratings(rated):
    """Rendered again without damage, badly rated pictures differ more from the true ones."""
    names = zip(rated.identity, rated.labels["expression"], rated.labels["lighting"], strict=True)
    who, expression, lighting = zip(
        *(
            (int(rated.identities[i][6:]), rated.names("expression")[e], rated.names("lighting")[s])
            for i, e, s in names
        ),
        strict=True,
    )
    true = render(who, expression, lighting, 32).astype(float)
    damage_done = np.abs(rated.images(np.arange(90)) - true).mean(axis=(1, 2, 3))
    assert damage_done[rated.rating_mean >= 8.3].mean() < 0.4 * damage_done.mean()
    assert damage_done[rated.rating_mean < 5].mean() > damage_done[rated.rating_mean >= 5].mean()


def test_rated_faces_refuse_bad_numbers():
    with pytest.raises(ValueError, match="count"):
        rated_faces("train", 0, 32, 0)
