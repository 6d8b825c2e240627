"""Adam in one operation is Keras' Adam."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.runtime.compat import scalar, weights_of
from legan_tf.training import schedules
from legan_tf.training.optimizers import Adam

SHAPES = [(3, 4), (5,), (1, 2, 3)]


def trained(kind, steps: int) -> tuple[list[np.ndarray], keras.optimizers.Optimizer]:
    """Weights after some steps on the same gradients, and their optimizer."""
    rng = np.random.default_rng(0)
    layer = keras.layers.Layer()
    weights = [layer.add_weight(shape=shape, initializer="ones") for shape in SHAPES]
    optimizer = kind(schedules.make("linear", 1e-2, 8, 1), beta_1=0.5, beta_2=0.99)
    optimizer.build(weights)
    for _ in range(steps):
        gradients = [tf.constant(rng.normal(size=shape), tf.float32) for shape in SHAPES]
        optimizer.apply_gradients(zip(gradients, weights))
    return [np.asarray(weight) for weight in weights], optimizer


@pytest.mark.parametrize("steps", [1, 6])
def test_weights_and_moments_are_those_of_keras(steps):
    ours, theirs = trained(Adam, steps), trained(keras.optimizers.Adam, steps)
    assert scalar(ours[1].iterations) == scalar(theirs[1].iterations) == steps
    for one, other in zip(ours[0], theirs[0]):
        assert np.abs(other - 1).min() > 1e-4
        np.testing.assert_allclose(one, other, rtol=1e-6)
    moments = [weights_of(optimizer) for _, optimizer in (ours, theirs)]
    assert len(moments[0]) >= 2 * len(SHAPES)
    for one, other in zip(*moments):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-8)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad=True"):
        Adam(1e-3, amsgrad=True)


def test_a_checkpoint_of_keras_goes_on(tmp_path):
    _, theirs = trained(keras.optimizers.Adam, 3)
    path = tf.train.Checkpoint(optimizer=theirs).write(str(tmp_path / "checkpoint"))
    _, ours = trained(Adam, 0)
    tf.train.Checkpoint(optimizer=ours).read(path).assert_consumed()
    assert scalar(ours.iterations) == 3
    for one, other in zip(weights_of(ours), weights_of(theirs)):
        np.testing.assert_array_equal(one, other)
