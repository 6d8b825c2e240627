"""Upsampling layers, value by value and in training that has to be deterministic."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.models.hourglass import NearestUpsampling

IMAGES = np.random.default_rng(0).normal(size=[2, 3, 5, 4]).astype(np.float32)


def with_gradient(layer):
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 4])])
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            doubled = layer(images)
            total = tf.reduce_sum(doubled**3)
        return doubled, tape.gradient(total, images)

    return run


def test_nearest_upsampling_repeats_every_pixel_as_kerass_own_does():
    (doubled, gradient), (wanted, slope) = (
        with_gradient(layer)(IMAGES) for layer in (NearestUpsampling(), keras.layers.UpSampling2D())
    )
    np.testing.assert_array_equal(doubled, wanted)
    np.testing.assert_allclose(gradient, slope, rtol=1e-5)
    assert NearestUpsampling()(IMAGES).shape == (2, 6, 10, 4)


def test_nearest_upsampling_has_no_operation_whose_gradient_is_not_deterministic():
    # TensorFlow refuses it on a GPU: it adds to the same pixel in any order.
    graph = with_gradient(NearestUpsampling()).get_concrete_function().graph
    assert not [op.type for op in graph.get_operations() if "Resize" in op.type]


@pytest.mark.gpu
def test_nearest_upsampling_trains_deterministically_on_a_gpu():
    tf.config.experimental.enable_op_determinism()
    first, second = (with_gradient(NearestUpsampling())(IMAGES)[1].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
