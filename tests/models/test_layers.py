from __future__ import annotations

import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.hourglass import UPSAMPLINGS, PixelShuffle, hourglass, residual_block
from legan_tf.models.lightcnn import MaxAndMeanPool, MaxFeatureMap


def test_pixel_shuffle_fills_two_by_two_pixels():
    shuffled = PixelShuffle()(tf.reshape([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 4]))
    np.testing.assert_array_equal(shuffled[0, :, :, 0], [[1.0, 2.0], [3.0, 4.0]])


def test_leaky_relu_has_the_papers_slope():
    np.testing.assert_allclose(layers.leaky_relu(tf.constant([-2.0, 3.0])), [-0.02, 3.0])


@pytest.mark.parametrize("traced", [False, True])
def test_leaky_relu_has_the_gradients_of_the_librarys(traced):
    random = np.random.default_rng(0)
    image = tf.constant(random.normal(size=(2, 8, 8, 3)), tf.float32)
    kernel = tf.constant(random.normal(size=(4, 4, 3, 5)), tf.float32)
    head = tf.constant(random.normal(size=(4 * 4 * 5, 1)), tf.float32)

    def gradients(activation):
        # As a gradient penalty does it: how the gradient by the image changes with the weights.
        with tf.GradientTape() as outer:
            outer.watch([kernel, head])
            with tf.GradientTape() as inner:
                inner.watch(image)
                features = activation(tf.nn.conv2d(image, kernel, 2, "SAME"))
                scores = tf.reshape(features, [2, -1]) @ head
            slope = inner.gradient(scores, image)
            penalty = tf.reduce_mean(tf.square(tf.norm(slope, axis=-1) - 1.0))
        return slope, *outer.gradient(penalty, [kernel, head])

    def run(activation):
        call = functools.partial(gradients, activation)
        return tf.function(call)() if traced else call()

    ours, theirs = run(layers.leaky_relu), run(lambda x: tf.nn.leaky_relu(x, layers.LEAK))
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_slope_of_leaky_relu_does_not_ask_for_the_gradient_of_its_place():
    x = tf.constant([-2.0, 3.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layers.leaky_relu(x)
        slope = inner.gradient(y, x)
    np.testing.assert_allclose(slope, [0.01, 1.0], rtol=1e-6)
    assert outer.gradient(slope, x) is None


def test_tensorflow_fuses_leaky_relu_with_the_convolution_before_it_without_an_error():
    code = """
import tensorflow as tf
from legan_tf.models.discriminator import strided_trunk

trunk = strided_trunk(32, 4, 1, "D")
trunk.build((None, 32, 32, 3))

@tf.function
def gradient(image):
    with tf.GradientTape() as tape:
        score = tf.reduce_sum(trunk(image) ** 2)
    return tape.gradient(score, trunk.trainable_variables)

gradient(tf.ones([2, 32, 32, 3]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert " failed: " not in done.stderr  # What each optimiser of graphs that gives up says.


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-4), ("mixed_bfloat16", 0.05)])
def test_instance_norm_is_per_image_and_channel(policy, tolerance):
    # A mean far from zero: statistics taken in bfloat16 itself would be visibly wrong.
    pixels = np.random.default_rng(0).normal(3.0, 2.0, [2, 64, 64, 3]).astype(np.float32)
    pixels = tf.cast(tf.cast(pixels, tf.bfloat16), tf.float32).numpy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        norm = layers.InstanceNormalization()
        norm.build(pixels.shape)
        normed = tf.cast(norm(pixels), tf.float32).numpy()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    wanted = pixels - pixels.mean((1, 2), keepdims=True)
    wanted /= np.sqrt(pixels.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(normed, wanted, atol=tolerance)


@pytest.mark.parametrize("stem", [True, False])
@pytest.mark.parametrize("how", UPSAMPLINGS)
def test_hourglass_keeps_the_size(how, stem):
    body = hourglass(5, width=4, blocks=1, upsampling=how, stem=stem)
    body.build((None, 16, 16, 7))
    assert body(tf.zeros([2, 16, 16, 7])).shape == (2, 16, 16, 5)
    assert body.compute_output_shape((None, 16, 16, 7)) == (None, 16, 16, 5)
    kernels = [tuple(weight.shape[:2]) for weight in body.weights if len(weight.shape) == 4]
    assert ((7, 7) in kernels) is stem


def test_residual_block_adds_to_its_input():
    block = residual_block(3)
    block.build((None, 4, 4, 3))
    # A last scale of zero silences the body, whose offset is zero too.
    block.set_weights([0 * weight for weight in block.get_weights()])
    x = tf.random.stateless_normal([1, 4, 4, 3], [0, 1])
    np.testing.assert_array_equal(block(x), x)


def test_max_feature_map_takes_the_larger_half():
    layer = MaxFeatureMap(1, 1)
    layer.build((None, 1, 2, 1))
    kernel, bias = np.zeros([1, 1, 1, 2], np.float32), np.zeros(2, np.float32)
    kernel[0, 0, 0], bias[1] = [2.0, -1.0], 0.5
    layer.set_weights([kernel, bias])
    mapped = layer(tf.reshape([1.0, -3.0], [1, 1, 2, 1]))
    # max(2, -1 + 0.5) and max(-6, 3 + 0.5)
    np.testing.assert_allclose(tf.reshape(mapped, [-1]), [2.0, 3.5])


def test_lightcnn_pools_by_maximum_plus_mean():
    pooled = MaxAndMeanPool(2)(tf.reshape([1.0, 2.0, 3.0, 6.0], [1, 2, 2, 1]))
    np.testing.assert_allclose(tf.reshape(pooled, [-1]), [6.0 + 3.0])
