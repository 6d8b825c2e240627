from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from legan_research.experiments.verification_metrics import (
    auc,
    best_threshold,
    fold_accuracies,
    true_accept_rate,
)

LIKENESS = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
SAME = np.array([1, 1, 0, 1, 0, 1, 0, 0], bool)


def test_auc_is_the_share_of_right_orders():
    # Of the 4 x 4 pairs of pairs: 4 + 4 + 3 + 2 are in the right order.
    assert auc(LIKENESS, SAME) == pytest.approx(13 / 16)
    assert auc(-LIKENESS, SAME) == pytest.approx(3 / 16)
    assert auc(np.ones(4), np.array([1, 0, 1, 0])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.0, 0.5), (0.24, 0.5), (0.25, 0.75), (0.5, 1.0), (1.0, 1.0)]
)
def test_true_accepts_at_a_rate_of_false_ones(rate, expected):
    # From 0.8 on: 2 of 4 and no other; from 0.6 on: 3 of 4 and 1 of 4 others; from 0.4 on: all, 2.
    assert true_accept_rate(LIKENESS, SAME, rate) == expected


def test_figures_of_many_pairs_are_those_of_sklearn():
    rng = np.random.default_rng(0)
    same = rng.uniform(size=5000) < 0.1
    likeness = np.round(rng.normal(size=5000) + same, 2)  # With ties.
    assert auc(likeness, same) == pytest.approx(roc_auc_score(same, likeness), abs=1e-12)
    false, true, _ = roc_curve(same, likeness)
    for rate in (0.1, 0.01, 0.001):
        found = true_accept_rate(likeness, same, rate)
        assert found == pytest.approx(np.interp(rate, false, true), abs=0.02)
        threshold = np.sort(likeness[~same])[::-1][int(rate * (~same).sum())]
        assert found == pytest.approx(np.mean(likeness[same] > threshold), abs=1e-12)


def test_the_threshold_answers_as_many_pairs_rightly_as_any():
    rng = np.random.default_rng(1)
    same = rng.uniform(size=300) < 0.4
    likeness = rng.normal(size=300) + 1.5 * same
    threshold = best_threshold(likeness, same)
    right = [np.mean((likeness >= t) == same) for t in (*likeness, np.inf)]
    assert np.mean((likeness >= threshold) == same) == max(right)


def test_the_threshold_is_half_way_to_the_next_lower_likeness():
    assert best_threshold(np.array([0.9, 0.8, 0.2]), np.array([1, 1, 0])) == pytest.approx(0.5)
    # 0.9 alone and 0.9 to 0.6 are right as often: the higher one.
    assert best_threshold(np.array([0.9, 0.8, 0.6, 0.1]), np.array([1, 0, 1, 0])) == pytest.approx(
        0.85
    )


def test_where_it_is_best_to_accept_none_the_threshold_is_infinite():
    assert best_threshold(np.array([0.9, 0.8, 0.7]), np.array([0, 0, 1])) == np.inf


def test_a_fold_is_judged_by_the_threshold_of_the_others():
    # Fold 0 alone would divide at 0.25, folds 1 and 2 at 0.6: the pair at 0.3 is then refused.
    likeness = np.array([0.3, 0.2, 0.7, 0.5, 0.8, 0.5])
    same = np.array([1, 0, 1, 0, 1, 0], bool)
    fold = np.array([0, 0, 1, 1, 2, 2])
    # Without fold 1: 0.8 and 0.3 are same, 0.5 and 0.2 are not; 0.8 alone is right in 3 of 4.
    np.testing.assert_array_equal(fold_accuracies(likeness, same, fold), [0.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("likeness", "same", "message"),
    [
        ([0.1, 0.2], [1], r"must be \[n\]"),
        ([0.1, np.nan], [1, 0], "must be finite"),
        ([0.1, 0.2], [1, 1], "of one person and of two"),
    ],
)
def test_pairs_that_cannot_be_judged_are_refused(likeness, same, message):
    for metric in (auc, best_threshold, lambda *pair: true_accept_rate(*pair, 0.1)):
        with pytest.raises(ValueError, match=message):
            metric(np.array(likeness), np.array(same))


def test_wrong_rates_and_folds_are_refused():
    with pytest.raises(ValueError, match="0 to 1, not 1.5"):
        true_accept_rate(LIKENESS, SAME, 1.5)
    with pytest.raises(ValueError, match="two folds or more"):
        fold_accuracies(LIKENESS, SAME, np.zeros(8, int))
