from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from legan_research.experiments.statistics import mean_and_std, paired_difference


def test_mean_and_deviation_of_a_sample():
    assert mean_and_std([1.0, 2.0, 6.0]) == (3.0, pytest.approx(np.sqrt(7)))
    assert mean_and_std([0.5]) == (0.5, None)


def test_the_interval_is_that_of_the_paired_t_test():
    values, others = np.random.default_rng(0).normal(size=(2, 5))
    mean, (low, high) = paired_difference(values, others)
    expected = stats.ttest_rel(values, others).confidence_interval(0.95)
    assert mean == pytest.approx(np.mean(values - others))
    assert (low, high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_by_hand_of_three_seeds():
    # Differences 1, 2, 3: deviation 1, t of two degrees of freedom 4.3027.
    mean, interval = paired_difference([2, 4, 6], [1, 2, 3])
    assert mean == 2
    assert interval == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    assert paired_difference([0.75], [0.5]) == (0.25, None)
    with pytest.raises(ValueError, match="2 and 1 values are no pairs"):
        paired_difference([1, 2], [1])
