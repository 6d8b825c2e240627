from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from legan_tf.evaluation.metrics import ratings as metrics
from legan_tf.evaluation.metrics.correlation import pearson, spearman
from legan_tf.evaluation.metrics.registry import compute

PAIRWISE = [
    metrics.mae,
    metrics.rmse,
    pearson,
    spearman,
    metrics.natural_accuracy,
]

# Four of the pictures that LEGAN's data set page shows with Q's prediction.
PREDICTED = np.array([8.1, 5.1, 5.7, 3.9])
MEAN = np.array([8.3, 6.0, 5.6, 5.0])
STD = np.array([1.2, 0.8, 1.8, 2.4])


def agreement(predicted, mean, std):
    inputs = {"predicted_rating": predicted, "mean_rating": mean, "rating_std": std}
    return compute("scorer", inputs)


def rated(count: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, means and deviations; three raters of whole numbers give many ties."""
    rng = np.random.default_rng(seed)
    votes = rng.integers(1, 11, (count, 3))
    predicted = votes.mean(axis=1) + rng.normal(0, 2, count)
    return np.round(predicted), votes.mean(axis=1), votes.std(axis=1)


def test_the_published_examples_by_hand():
    figures = agreement(PREDICTED, MEAN, STD)
    assert figures["mae"] == pytest.approx((0.2 + 0.9 + 0.1 + 1.1) / 4)
    assert figures["rmse"] == pytest.approx(math.sqrt((0.04 + 0.81 + 0.01 + 1.21) / 4))
    assert figures["within_std"] == 0.75
    # The last is natural to people, and not to Q.
    assert figures["natural_accuracy"] == 0.75
    # Ranks 4, 2, 3, 1 and 4, 3, 2, 1: 1 - 6 * 2 / (4 * 15).
    assert figures["spearman"] == pytest.approx(0.8)
    assert list(figures) == [
        "mae",
        "rmse",
        "pearson",
        "spearman",
        "within_std",
        "natural_accuracy",
    ]


def test_errors_are_those_of_scikit_learn():
    predicted, mean, _ = rated()
    assert metrics.mae(predicted, mean) == pytest.approx(
        sklearn.metrics.mean_absolute_error(mean, predicted), rel=1e-12
    )
    assert metrics.rmse(predicted, mean) == pytest.approx(
        sklearn.metrics.mean_squared_error(mean, predicted) ** 0.5, rel=1e-12
    )
    assert metrics.natural_accuracy(predicted, mean) == pytest.approx(
        sklearn.metrics.accuracy_score(mean >= 5, predicted >= 5), rel=1e-12
    )


@pytest.mark.parametrize("count", [3, 10, 300])
@pytest.mark.parametrize("scale", [1.0, -1e-6, 1e6])
def test_correlations_are_those_of_scipy_with_ties_too(count, scale):
    predicted, mean, _ = rated(count)
    predicted = 3.0 + scale * predicted
    assert count == 3 or len(set(predicted)) < count
    assert pearson(predicted, mean) == pytest.approx(
        scipy.stats.pearsonr(predicted, mean)[0], abs=1e-9
    )
    assert spearman(predicted, mean) == pytest.approx(
        scipy.stats.spearmanr(predicted, mean)[0], abs=1e-12
    )


def test_perfect_predictions_score_perfectly():
    _, mean, std = rated()
    figures = agreement(mean, mean, std)
    assert figures.pop("mae") == figures.pop("rmse") == 0.0
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0), rel=1e-12)
    assert spearman(np.exp(mean), mean) == pytest.approx(1.0)
    assert pearson(np.exp(mean), mean) < 0.9
    many = [rated(20, seed)[1] for seed in range(50)]
    assert all(1 - 1e-12 < pearson(values, values) <= 1.0 for values in many)
    assert all(-1.0 <= pearson(-values, values) < -1 + 1e-12 for values in many)


def test_pictures_without_ratings_are_left_out():
    predicted, mean, std = rated(40)
    there = np.arange(40) % 3 > 0
    with_holes = np.where(there, mean, np.nan)
    without = agreement(predicted[there], mean[there], std[there])
    assert agreement(predicted, with_holes, std) == without
    # A picture whose deviation alone is unknown still counts for all but the share within it.
    std_with_holes = np.where(there, std, np.nan)
    figures = agreement(predicted, mean, std_with_holes)
    assert figures["within_std"] == without["within_std"]
    assert figures["mae"] == metrics.mae(predicted, mean)


def test_without_any_rating_there_is_no_figure():
    nothing = np.full(3, np.nan)
    for mean in (nothing, nothing[:0]):
        figures = agreement(np.ones(len(mean)), mean, mean)
        assert all(math.isnan(value) for value in figures.values())


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_a_constant_has_no_correlation(correlation):
    _, mean, _ = rated(20)
    assert math.isnan(correlation(np.full(20, 5.3), mean))
    assert math.isnan(correlation(mean, np.full(20, 0.1)))
    assert math.isnan(correlation(mean[:1], mean[1:2]))


def test_the_ends_count_as_within_and_five_as_natural():
    mean, std = np.array([6.0, 6.0, 6.0, 8.0]), np.array([1.0, 1.0, 1.0, 0.0])
    assert metrics.share_within_std(np.array([5.0, 7.0, 7.01, 8.0]), mean, std) == 0.75
    natural = metrics.natural_accuracy(np.array([5.0, 4.99, 1.0]), np.array([5.0, 5.0, 4.67]))
    assert natural == pytest.approx(2 / 3)


@pytest.mark.parametrize("metric", PAIRWISE)
def test_what_are_no_ratings_of_the_same_pictures_is_refused(metric):
    with pytest.raises(ValueError, match=r"must be \[n\], not \(3,\) and \(4,\)"):
        metric(PREDICTED[:3], MEAN)
    with pytest.raises(ValueError, match=r"not \(4, 1\) and \(4, 1\)"):
        metric(PREDICTED[:, None], MEAN[:, None])
    with pytest.raises(ValueError, match="predicted rating 2 is nan"):
        metric(np.array([1.0, 2.0, np.nan, 4.0]), MEAN)


def test_deviations_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        metrics.share_within_std(PREDICTED, MEAN, -STD)
    with pytest.raises(ValueError, match=r"mean and std must be \[n\], not \(4,\) and \(3,\)"):
        metrics.share_within_std(PREDICTED, MEAN, STD[:3])
