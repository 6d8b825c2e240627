from __future__ import annotations

import numpy as np
import pytest

from legan_tf.evaluation.metrics.identity import first_rank_rate


def test_first_rank_goes_by_the_angle():
    gallery = np.array([[1.0, 0.0], [0.0, 10.0]])
    # By the angle the probes are nearest to 0, 1, 0; by distance the last would be nearest to 1.
    probes = np.array([[0.2, 0.1], [0.1, 0.3], [9.0, 8.0]])
    people = np.array([7, 9])
    rate = first_rank_rate(probes, np.array([7, 9, 7]), gallery, people)
    assert rate == 1.0
    rate = first_rank_rate(probes, np.array([9, 9, 9]), gallery, people)
    assert rate == pytest.approx(1 / 3)
