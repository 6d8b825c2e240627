"""Every way to compute a convolution gives what the library's gives, in its gradients too."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.graph_ops import convolutions
from legan_tf.graph_ops.target import TARGETS, graphs_for
from legan_tf.models import layers
from legan_tf.runtime.compat import tensorflow_variable

CASES = {
    "strided matmul 8": (convolutions.strided_matmul, 8, 5, 6, 4, 2),
    "strided matmul 4": (convolutions.strided_matmul, 4, 3, 7, 4, 2),
    "strided matmul 2": (convolutions.strided_matmul, 2, 4, 3, 4, 2),
    "pixel blocks": (convolutions.pixel_blocks, 8, 5, 3, 7, 1),
    "winograd": (convolutions.winograd, 12, 128, 160, 3, 1),
    "winograd, not square": (convolutions.winograd, (4, 12), 5, 6, 3, 1),
    "pixel blocks, not square": (convolutions.pixel_blocks, (6, 12), 5, 3, 7, 1),
}


def _values_and_gradients(function, x, kernel):
    """The output, its gradients, and the gradients of their squares: what a penalty needs."""

    @tf.function
    def run(x, kernel):
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch([x, kernel])
                y = function(x, kernel)
                value = tf.reduce_sum(tf.sin(y))
            first = inner.gradient(value, [x, kernel])
            squares = tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in first])
        return [y, *first, *outer.gradient(squares, [x, kernel])]

    return [tensor.numpy() for tensor in run(x, kernel)]


@pytest.mark.parametrize("name", CASES)
def test_a_way_equals_the_library_to_the_second_derivative(name):
    way, side, channels, filters, size, stride = CASES[name]
    rng = np.random.default_rng(0)
    height, width = side if isinstance(side, tuple) else (side, side)
    x = tf.constant(rng.normal(size=(2, height, width, channels)), tf.float32)
    kernel = rng.normal(size=(size, size, channels, filters)) / (size * np.sqrt(channels))
    kernel = tf.constant(kernel, tf.float32)

    def library(x, kernel):
        return tf.nn.conv2d(x, kernel, stride, "SAME")

    pairs = zip(_values_and_gradients(way, x, kernel), _values_and_gradients(library, x, kernel))
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=5e-5 * np.abs(theirs).max(), rtol=0)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
@pytest.mark.parametrize("side, size, stride", [(16, 7, 1), (8, 7, 1), (16, 4, 2), (6, 4, 2)])
def test_codes_are_constant_planes_up_to_the_border(side, size, stride, target):
    rng = np.random.default_rng(0)
    image = tf.constant(rng.normal(size=(2, side, side, 3)), tf.float32)
    codes = tf.constant(rng.normal(size=(2, 4)), tf.float32)
    kernel = tf.constant(rng.normal(size=(size, size, 7, 5)), tf.float32)

    def ours(image, kernel):
        with graphs_for(target):
            return convolutions.conv2d_with_code(image, codes, kernel, stride)

    def library(image, kernel):
        planes = tf.tile(codes[:, None, None, :], [1, side, side, 1])
        return tf.nn.conv2d(tf.concat([image, planes], -1), kernel, stride, "SAME")

    pairs = zip(*(_values_and_gradients(way, image, kernel) for way in (ours, library)))
    for one, other in pairs:
        np.testing.assert_allclose(one, other, atol=5e-5 * np.abs(other).max(), rtol=0)


def test_graphs_for_gpus_convolve_an_image_with_its_code_at_once():
    for target, convolutions_of_it in (("any", 2), ("cpu", 2), ("gpu", 1)):
        with graphs_for(target):
            graph = tf.function(convolutions.conv2d_with_code).get_concrete_function(
                tf.zeros([2, 8, 8, 3]), tf.zeros([2, 4]), tf.zeros([7, 7, 7, 5]), 1
            )
        made = [
            operation for operation in graph.graph.get_operations() if operation.type == "Conv2D"
        ]
        assert len(made) == convolutions_of_it


def test_codes_of_another_width_are_refused():
    with pytest.raises(ValueError, match="3 channels and the code 5 numbers; the kernel is for 7"):
        convolutions.conv2d_with_code(
            tf.zeros([1, 8, 8, 3]), tf.zeros([1, 5]), tf.zeros([7, 7, 7, 2]), 1
        )


def test_images_of_unknown_size_are_left_to_the_library():
    layer = layers.conv(8, 4, 2)
    layer.build((None, None, None, 3))
    run = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 3])])
    x = tf.random.stateless_normal([2, 4, 4, 3], [0, 1])
    np.testing.assert_allclose(run(x), layer(x), atol=1e-5)


@pytest.mark.parametrize(
    "side, channels, filters, kernel, stride, chosen",
    [
        (8, 4, 8, 4, 2, convolutions.strided_matmul),
        (16, 4, 8, 4, 2, None),
        (8, 128, 128, 3, 1, convolutions.winograd),
        (8, 128, 64, 3, 1, None),
        (6, 128, 128, 3, 1, None),
        (8, 16, 3, 7, 1, convolutions.pixel_blocks),
        (8, 16, 64, 7, 1, None),
        (6, 16, 3, 7, 1, None),
        (8, 16, 3, 3, 1, None),
    ],
)
def test_a_layer_takes_the_way_that_fits_it(side, channels, filters, kernel, stride, chosen):
    layer = layers.conv(filters, kernel, stride, use_bias=True)
    layer.build((None, side, side, channels))
    x = tf.random.stateless_normal([2, side, side, channels], [0, 1])
    taken = {}
    for target in TARGETS:
        with graphs_for(target):
            taken[target] = convolutions.fastest_algorithm(layer, x)
    of_any = chosen if chosen is convolutions.strided_matmul else None
    assert taken == {"any": of_any, "cpu": chosen, "gpu": None}
    layer.bias.assign(np.linspace(-1, 1, filters))
    library = keras.layers.Conv2D(filters, kernel, stride, padding="same")
    library.build((None, side, side, channels))
    library.set_weights(layer.get_weights())
    expected = library(x).numpy()
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=5e-5 * np.abs(expected).max())


def test_bfloat16_is_not_given_to_winograd():
    layer = keras.layers.Conv2D(128, 3, padding="same", dtype="mixed_bfloat16")
    layer.build((None, 8, 8, 128))
    assert convolutions.fastest_algorithm(layer, tf.zeros([1, 8, 8, 128], tf.bfloat16)) is None


def test_a_halving_in_bfloat16_has_its_gradients():
    layer = layers.Conv2D(8, 4, 2, padding="same", dtype="mixed_bfloat16")
    layer.build((None, 4, 4, 4))
    x = tf.random.stateless_normal([2, 4, 4, 4], [0, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        value = tf.reduce_sum(tf.cast(y, tf.float32) ** 2)
    assert y.dtype == tf.bfloat16
    exact = tf.nn.conv2d(x, tf.convert_to_tensor(layer.kernel), 2, "SAME")
    np.testing.assert_allclose(tf.cast(y, tf.float32), exact, atol=0.02)
    gradients = tape.gradient(value, [x, tensorflow_variable(layer.kernel)])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(tf.nn.conv2d(x, tensorflow_variable(layer.kernel), 2, "SAME") ** 2)
    for gradient, exact in zip(
        gradients, tape.gradient(value, [x, tensorflow_variable(layer.kernel)])
    ):
        np.testing.assert_allclose(gradient, exact, atol=0.03 * np.abs(exact).max())
