from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics

from legan_tf.evaluation.metrics.classification import (
    accuracy,
    accuracy_over,
    attributes_as_requested,
    changes_as_requested,
    confusion_matrix,
    kept_as_requested,
)


def test_accuracy_leaves_unknown_labels_out():
    assert accuracy(np.array([1, 2, 0, 3]), np.array([1, 0, -1, 3])) == pytest.approx(2 / 3)
    assert math.isnan(accuracy(np.array([1]), np.array([-1])))


def test_over_some_classes_only_pictures_of_them_count_and_only_they_can_be_read():
    logits = np.array(
        [
            [0.9, 5.0, 0.1, 0.0],  # read as 1; among 0, 2 and 3 as 0
            [0.1, 5.0, 0.2, 0.3],  # the same, as 3
            [9.0, 5.0, 0.0, 0.0],  # is of class 1
            [9.0, 5.0, 0.0, 0.0],  # unknown
            [0.0, 0.0, 1.0, 0.0],
        ]
    )
    wanted = np.array([0, 2, 1, -1, 2])
    assert accuracy_over(logits, wanted, [3, 0, 2]) == pytest.approx(2 / 3)
    assert accuracy_over(logits, wanted, [1]) == 1.0
    assert math.isnan(accuracy_over(logits, wanted, [3]))


def test_over_all_classes_it_is_the_accuracy():
    rng = np.random.default_rng(0)
    logits, wanted = rng.normal(size=(200, 8)), rng.integers(-1, 8, 200)
    everything = accuracy(np.argmax(logits, axis=1), wanted)
    assert accuracy_over(logits, wanted, range(8)) == everything
    six = [0, 1, 2, 4, 5, 7]
    kept = np.isin(wanted, six)
    assert accuracy_over(logits, wanted, six) == accuracy_over(logits[kept], wanted[kept], six)
    fewer = np.searchsorted(six, wanted[kept])
    assert accuracy_over(logits, wanted, six) == accuracy(
        np.argmax(logits[kept][:, six], axis=1), fewer
    )


@pytest.mark.parametrize(
    ("logits", "wanted", "kept", "told"),
    [
        (np.zeros((2, 3)), np.zeros(3, int), [0], r"not \(2, 3\) and \(3,\)"),
        (np.zeros(3), np.zeros(3, int), [0], r"must be \[n, classes\]"),
        (np.zeros((2, 3)), np.zeros(2, int), [], r"from 0 to 2, not \[\]"),
        (np.zeros((2, 3)), np.zeros(2, int), [3, 1], "from 0 to 2"),
        (np.zeros((2, 3)), np.zeros(2, int), [-1, 1], "from 0 to 2"),
    ],
)
def test_classes_that_do_not_fit_the_logits_are_refused(logits, wanted, kept, told):
    with pytest.raises(ValueError, match=told):
        accuracy_over(logits, wanted, kept)


def test_a_confusion_matrix_has_what_was_wanted_in_rows():
    wanted, read = np.array([0, 0, 2, -1, 2]), np.array([0, 1, 1, 2, 1])
    expected = [[1, 1, 0], [0, 0, 0], [0, 2, 0]]
    found = confusion_matrix(wanted, read, 3)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(confusion_matrix(wanted[:0], read[:0], 2), np.zeros((2, 2)))


def test_a_confusion_matrix_is_that_of_scikit_learn_and_its_diagonal_the_accuracy():
    rng = np.random.default_rng(0)
    wanted, read = rng.integers(-1, 19, 700), rng.integers(0, 19, 700)
    known = wanted >= 0
    expected = sklearn.metrics.confusion_matrix(wanted[known], read[known], labels=range(19))
    found = confusion_matrix(wanted.astype(np.int8), read.astype(np.uint8), 19)
    np.testing.assert_array_equal(found, expected)
    assert np.trace(found) / found.sum() == accuracy(read, wanted)


def test_what_is_no_class_is_refused():
    with pytest.raises(ValueError, match="wanted must be from 0 to 2, not 1 to 3"):
        confusion_matrix(np.array([1, 3]), np.array([0, 0]), 3)
    with pytest.raises(ValueError, match="read must be from 0 to 2, not -1 to 0"):
        confusion_matrix(np.array([1, 2]), np.array([0, -1]), 3)
    with pytest.raises(ValueError, match=r"not \(2,\) and \(3,\)"):
        confusion_matrix(np.array([1, 2]), np.array([0, 0, 0]), 3)


def test_of_attributes_those_that_change_and_those_that_stay_count_apart():
    predicted = np.array([[1, 0, 1], [0, 0, -1], [1, 1, 1], [-1, -1, -1]])
    wanted = np.array([[1, 1, 1], [0, 0, 1], [-1, 0, 0], [1, 1, 1]])
    own = np.array([[0, 1, 1], [0, 0, 0], [-1, 0, 0], [0, 1, 1]])
    np.testing.assert_allclose(attributes_as_requested(predicted, wanted), [2 / 3, 1, 0, np.nan])
    np.testing.assert_allclose(changes_as_requested(predicted, wanted, own), [1] + 3 * [np.nan])
    np.testing.assert_allclose(kept_as_requested(predicted, wanted, own), [1 / 2, 1, 0, np.nan])
