from __future__ import annotations

import math

import numpy as np
import pytest

from legan_tf.evaluation.metrics.attributes import accuracy


def test_accuracy_leaves_unknown_labels_out():
    assert accuracy(np.array([1, 2, 0, 3]), np.array([1, 0, -1, 3])) == pytest.approx(2 / 3)
    assert math.isnan(accuracy(np.array([1]), np.array([-1])))
