from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg

from legan_tf.evaluation.metrics.feature_sets import bootstrap_counts, resampled_units
from legan_tf.evaluation.metrics.fid import Statistics, fid, fid_interval
from legan_tf.evaluation.metrics.kid import kid, kid_interval

DIMENSION = 24
INTERVALS = {"fid": fid_interval, "kid": kid_interval}


def features(n, seed=0, shift=0.0, scale=1.0, dimension=DIMENSION):
    """Correlated, never negative and sometimes 0, as those of a network after its last ReLU."""
    mixing = np.random.default_rng(99).normal(size=(dimension, dimension)) / np.sqrt(dimension)
    normal = np.random.default_rng(seed).normal(size=(n, dimension))
    return np.maximum(0.0, 0.5 + shift + scale * normal @ mixing)


def fid_of(first, second):
    return fid(Statistics.of(first), Statistics.of(second))


def fid_by_sqrtm(first, second):
    """The formula as the paper has it and as the usual programs compute it."""
    covariances = [np.cov(x, rowvar=False) for x in (first, second)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It says so where the product is singular.
        root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    apart = first.mean(axis=0) - second.mean(axis=0)
    return apart @ apart + np.trace(covariances[0] + covariances[1] - 2.0 * root.real)


def kid_pair_by_pair(first, second):
    def kernel(x, y):
        return (np.dot(x, y) / len(x) + 1.0) ** 3

    n, m = len(first), len(second)
    within = [
        np.mean([kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])
        for x in (first, second)
    ]
    between = np.mean([kernel(first[i], second[j]) for i in range(n) for j in range(m)])
    return within[0] + within[1] - 2.0 * between


# Both sets with fewer rows than features, one of them (either), none.
SIZES = [(10, 10), (9, 20), (2, 2), (2, 300), (15, 300), (300, 15), (24, 24), (25, 300), (300, 280)]


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_fid_is_that_of_the_matrix_root(n, m):
    first, second = features(n, 1), features(m, 2, shift=0.2, scale=1.3)
    # The reference, not ours, is off by 1e-8 per dimension that has no variance.
    assert fid_of(first, second) == pytest.approx(fid_by_sqrtm(first, second), abs=2e-6)


def test_fid_of_full_rank_equals_the_matrix_root_to_the_last_digits():
    first, second = features(300, 1), features(280, 2, shift=0.2, scale=1.3)
    assert fid_of(first, second) == pytest.approx(fid_by_sqrtm(first, second), rel=1e-11)


@pytest.mark.stack_a
@pytest.mark.parametrize(("n", "m"), [(15, 20), (15, 300), (300, 280)])
def test_fid_is_that_of_tensorflow_gan(n, m):
    import tensorflow as tf
    import tensorflow_gan as tfgan

    first, second = features(n, 1), features(m, 2, shift=0.2, scale=1.3)
    # It takes the covariance unbiased too, and rounds roots of values below 1e-10.
    wanted = tfgan.eval.frechet_classifier_distance_from_activations(
        tf.constant(first), tf.constant(second)
    )
    assert fid_of(first, second) == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.stack_a
def test_kid_is_that_of_tensorflow_gan():
    import tensorflow as tf
    import tensorflow_gan as tfgan

    first, second = features(90, 1), features(120, 2, shift=0.2)
    wanted = tfgan.eval.kernel_classifier_distance_from_activations(
        tf.constant(first), tf.constant(second)
    )
    assert kid(first, second) == pytest.approx(float(wanted), rel=1e-11)


@pytest.mark.parametrize("n", [2, 10, 24, 300])
def test_fid_of_a_set_with_itself_is_zero_and_never_below(n):
    value = fid_of(features(n), features(n))
    assert 0.0 <= value < 1e-7


def test_fid_of_a_moved_set_is_the_squared_distance():
    for n in (10, 300):
        first = features(n)
        assert fid_of(first, first + 0.25) == pytest.approx(DIMENSION * 0.25**2, rel=1e-6)


def test_fid_of_gaussians_is_the_closed_form():
    rng = np.random.default_rng(3)
    deviations = np.array([1.0, 2.0, 0.5]), np.array([1.5, 1.0, 0.5])
    # Whitened, so that mean and covariance are exactly those of the formula.
    sets = []
    for deviation in deviations:
        x = rng.normal(size=(50, 3))
        x -= x.mean(axis=0)
        x = np.linalg.solve(np.linalg.cholesky(np.cov(x, rowvar=False)), x.T).T
        sets.append(x * deviation)
    wanted = 9.0 + np.sum((deviations[0] - deviations[1]) ** 2)
    assert fid_of(sets[0], sets[1] + [0.0, 0.0, 3.0]) == pytest.approx(wanted, rel=1e-12)


def test_fid_is_symmetric():
    for n, m in SIZES:
        first, second = features(n, 1), features(m, 2, shift=0.1)
        assert fid_of(first, second) == pytest.approx(fid_of(second, first), abs=1e-7)


def test_features_without_variance_add_nothing_but_their_distance():
    first, second = features(300, 1), features(280, 2, shift=0.2)
    constant = np.full((300, 3), 0.1), np.full((280, 3), 0.6)
    wider = np.hstack([first, constant[0]]), np.hstack([second, constant[1]])
    assert fid_of(*wider) == pytest.approx(fid_of(first, second) + 3 * 0.25, abs=1e-6)


@pytest.mark.parametrize("n", [2, 10, 300])
def test_sets_of_one_picture_repeated_are_as_far_apart_as_the_two_pictures(n):
    first, second = np.full((n, DIMENSION), 0.1), np.full((n, DIMENSION), 0.3)
    assert fid_of(first, second) == pytest.approx(DIMENSION * 0.04, abs=1e-9)
    assert kid(first, second) == pytest.approx(1.01**3 + 1.09**3 - 2 * 1.03**3, abs=1e-12)


def test_duplicated_pictures_leave_a_low_rank_that_is_handled():
    few = features(5)
    first, second = np.tile(few, (60, 1)), features(280, 2)
    value = fid_of(first, second)
    assert np.isfinite(value)
    assert value == pytest.approx(fid_by_sqrtm(first, second), abs=1e-5)


def test_float32_features_count_as_exactly_those_numbers():
    first, second = (features(300, s).astype(np.float32) for s in (1, 2))
    assert fid_of(first, second) == fid_of(first.astype(float), second.astype(float))
    assert kid(first, second) == kid(first.astype(float), second.astype(float))


@pytest.mark.parametrize("n", [10, 24, 300, 5000])
def test_statistics_are_mean_and_unbiased_covariance(n):
    # A mean of 1e6 deviations: sums of squares would keep four digits of the covariance.
    x = 1e6 + features(n)
    found = Statistics.of(x)
    assert found.low_rank == (n < DIMENSION)
    wanted = np.cov(x - 1e6, rowvar=False)
    np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, wanted, rtol=1e-8, atol=1e-10)
    assert found.variance == pytest.approx(np.trace(wanted), rel=1e-9)


def test_statistics_do_not_depend_on_the_order_of_pictures():
    x = features(5000)
    mixed = Statistics.of(x[np.random.default_rng(0).permutation(5000)])
    np.testing.assert_allclose(mixed.covariance, Statistics.of(x).covariance, rtol=1e-11)


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((5, 0)), np.zeros((5, 2), complex)])
def test_what_is_no_table_of_real_numbers_is_refused(bad):
    with pytest.raises(ValueError, match="real numbers"):
        Statistics.of(bad)
    with pytest.raises(ValueError, match="real numbers"):
        kid(bad, bad)


def test_fewer_than_two_pictures_are_refused():
    with pytest.raises(ValueError, match="at least 2 pictures, not 1"):
        Statistics.of(features(1))
    with pytest.raises(ValueError, match="one has 1"):
        kid(features(5), features(1))


def test_sets_of_different_networks_are_refused():
    other = features(30, dimension=12)
    with pytest.raises(ValueError, match="24 and 12 features"):
        fid_of(features(30), other)
    with pytest.raises(ValueError, match="24 and 12 features"):
        kid(features(30), other)


def test_kid_is_the_mean_over_pairs():
    first, second = features(7, 1), features(12, 2, shift=0.2)
    assert kid(first, second) == pytest.approx(kid_pair_by_pair(first, second), rel=1e-11)


def test_kid_of_a_set_with_itself_pairs_each_picture_with_itself_between_the_sets_only():
    x = features(9)
    assert kid(x, x) == pytest.approx(kid_pair_by_pair(x, x), rel=1e-10)
    assert kid(x, x) == kid(x, x.copy()) < 0.0


def test_kid_of_more_rows_than_are_multiplied_at_once_is_the_same_formula():
    first, second = features(2100, 1, dimension=4), features(4200, 2, dimension=4)

    def kernel_sum(x, y):
        return np.sum((x @ y.T / 4 + 1.0) ** 3)

    def within(x):
        own = np.sum((np.sum(x * x, axis=1) / 4 + 1.0) ** 3)
        return (kernel_sum(x, x) - own) / (len(x) * (len(x) - 1))

    between = kernel_sum(first, second) / (len(first) * len(second))
    wanted = within(first) + within(second) - 2 * between
    assert kid(first, second) == pytest.approx(wanted, abs=1e-11)


def test_kid_of_sets_of_one_kind_is_zero_on_average():
    values = [kid(features(40, 2 * s), features(30, 2 * s + 1)) for s in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0.0


@pytest.mark.parametrize("metric", ["fid", "kid"])
@pytest.mark.parametrize(("n", "m"), [(2, 2), (15, 20), (15, 80), (80, 90)])
def test_an_interval_is_finite_holds_the_estimate_and_comes_back_with_its_seed(metric, n, m):
    first, second = features(n, 1), features(m, 2, shift=0.3)
    low, high = INTERVALS[metric](first, second, resamples=10, seed=5)
    estimate = fid_of(first, second) if metric == "fid" else kid(first, second)
    assert low <= estimate <= high
    assert np.isfinite([low, high]).all()
    assert metric == "kid" or low >= 0.0
    assert INTERVALS[metric](first, second, resamples=10, seed=5) == (low, high)
    assert INTERVALS[metric](first, second, resamples=10, seed=6) != (low, high)


@pytest.mark.parametrize("metric", ["fid", "kid"])
def test_an_interval_is_about_as_wide_as_the_values_of_other_samples(metric):
    def value(first, second):
        return fid_of(first, second) if metric == "fid" else kid(first, second)

    def sample(seed):
        return features(200, 2 * seed), features(150, 2 * seed + 1, shift=0.3)

    spread = np.std([value(*sample(s)) for s in range(100)])
    widths = [np.diff(INTERVALS[metric](*sample(s))) for s in range(100, 110)]
    assert 0.85 < np.mean(widths) / (2 * 1.96 * spread) < 1.6


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("metric", ["fid", "kid"])
def test_an_interval_by_people_is_about_as_wide_as_the_values_of_other_people(metric, shared):
    people, pictures = 20, 10
    ids = np.repeat(np.arange(people), pictures)

    def value(first, second):
        return fid_of(first, second) if metric == "fid" else kid(first, second)

    def sample(seed):
        who, others = (features(people, 4 * seed + i, dimension=6) for i in (0, 0 if shared else 1))
        noise = [0.3 * features(len(ids), 4 * seed + i, dimension=6) for i in (2, 3)]
        return 3 * who[ids] + noise[0] + 1.0, 2 * others[ids] + noise[1]

    spread = np.std([value(*sample(s)) for s in range(100)])
    by_people, by_pictures = (
        np.mean([np.diff(INTERVALS[metric](*sample(s), people=who)) for s in range(100, 110)])
        for who in ((ids, ids if shared else ids + people), None)
    )
    assert 0.6 < by_people / (2 * 1.96 * spread) < 1.6
    # Drawn apart, pictures of the same people also differ by who was drawn in which set.
    assert shared or by_pictures < 0.6 * by_people


def test_people_are_drawn_with_all_their_pictures_and_for_both_sets_at_once():
    first, second = np.zeros((6, 1)), np.zeros((5, 1))
    people = np.array([7, 7, 2, -1, -1, 2]), np.array([2, 7, 9, 9, -1])
    one, other = bootstrap_counts(first, second, 200, 3, people)
    assert one.shape == (6, 200) and other.shape == (5, 200)
    np.testing.assert_array_equal(one[0], one[1])
    np.testing.assert_array_equal(one[2], one[5])
    np.testing.assert_array_equal(other[:2], [one[2], one[0]])
    np.testing.assert_array_equal(other[2], other[3])
    # As many people as there are: two in both sets, two of the first alone, two of the second.
    for counts in (one[0] + one[2], one[3] + one[4], other[2] + other[4]):
        np.testing.assert_array_equal(counts, np.full(200, 2))
    assert (one[3] != one[4]).any() and resampled_units(people).startswith("people, and")


def test_pictures_are_drawn_where_there_are_no_people_to_draw():
    first, second = features(15, 1), features(20, 2, shift=0.3)
    plain = fid_interval(first, second, resamples=10, seed=5)
    for ids in (np.full(15, -1), np.full(15, 4)):
        people = ids, np.full(20, -1)
        assert resampled_units(people) == "pictures"
        assert fid_interval(first, second, resamples=10, seed=5, people=people) == plain


@pytest.mark.parametrize("metric", ["fid", "kid"])
def test_too_few_resamples_are_refused(metric):
    with pytest.raises(ValueError, match="at least 2, not 1"):
        INTERVALS[metric](features(5, 1), features(5, 2), resamples=1)
