from __future__ import annotations

import dataclasses

import keras
import pytest
import tensorflow as tf

from legan_tf.benchmarks import profile, stargan
from legan_tf.benchmarks.profile import Peak, Profile

SMALL = dataclasses.replace(
    stargan.CONFIG, image_size=16, batch_size=2, critic_steps=1, width=4, blocks=0, d_width=4,
    d_depth=1,
)  # fmt: skip
# 3 x 3 kernels of 5 channels for 7, at each of 2 x 8 x 6 places.
FORWARD = 2 * 8 * 6 * 9 * 5 * 7


def graph_of(function, *shapes):
    specs = [tf.TensorSpec(shape) for shape in shapes]
    return tf.function(function).get_concrete_function(*specs).graph


def test_a_convolution_takes_as_many_multiply_adds_as_each_of_its_gradients():
    layer = keras.layers.Conv2D(7, 3, padding="same")
    layer.build((None, 8, 6, 5))

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.square(layer(x)))
        return tape.gradient(y, [x, *layer.trainable_variables])

    assert profile.multiply_adds(graph_of(layer, [2, 8, 6, 5])) == FORWARD
    assert profile.multiply_adds(graph_of(gradients, [2, 8, 6, 5])) == 3 * FORWARD


def test_strides_transposed_convolutions_and_matrix_products_are_counted():
    down = keras.layers.Conv2D(7, 4, 2, padding="same")
    up = keras.layers.Conv2DTranspose(5, 4, 2, padding="same")
    down.build((None, 8, 6, 5))
    up.build((None, 4, 3, 7))
    count = 2 * 4 * 3 * 16 * 5 * 7
    assert profile.multiply_adds(graph_of(down, [2, 8, 6, 5])) == count
    assert profile.multiply_adds(graph_of(up, [2, 4, 3, 7])) == count

    def products(a, b):
        return tf.matmul(a, b), tf.matmul(a, a, transpose_a=True)

    assert profile.multiply_adds(graph_of(products, [3, 5], [5, 7])) == 3 * 5 * 7 + 5 * 3 * 5


def test_shapes_that_are_not_known_are_refused():
    with pytest.raises(ValueError, match="the shapes of MatMul are not known"):
        profile.multiply_adds(graph_of(lambda a: tf.matmul(a, a), [None, 5]))


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("generator/conv2d/Conv2D", "_MklNativeFusedConv2D", profile.PRODUCTS),
        ("gradient_tape/d/MatMul", "_MklMatMul", profile.PRODUCTS),
        ("Adam_1/update_0_4/mul", "Mul", profile.OPTIMIZERS),
        ("d/StatefulPartitionedCall/adam/ResourceApplyAdam", "Any", profile.OPTIMIZERS),
        ("g/concat", "ConcatV2", profile.MOVES),
        ("gradient_tape/strided_slice_9/StridedSliceGrad", "StridedSliceGrad", profile.MOVES),
        ("generator/group_normalization/Sum", "Sum", profile.REST),
        ("discriminator/LeakyRelu", "LeakyRelu", profile.REST),
    ],
)
def test_operations_are_told_apart(name, kind, expected):
    assert profile.kind_of(name, kind) == expected


def test_a_training_step_is_watched_and_its_arithmetic_counted():
    one = profile.profiled(SMALL, repeats=1)
    assert one.wall > 0.0 and one.processor > 0.0
    assert all(one.kinds[kind] > 0.0 for kind in profile.KINDS)
    assert sum(one.kinds.values()) == pytest.approx(sum(one.operations.values()))
    # The critic's first convolution sees two images of each kind and what is between; with the
    # gradient of its kernel that is less than the whole.
    first = 8 * 8 * 16 * 3 * 4
    assert one.multiply_adds > 2 * 3 * 2 * first


def test_the_tables_tell_shares_and_the_rate_beside_the_peak():
    kinds = dict(zip(profile.KINDS, (6.0, 1.0, 1.0, 2.0)))
    one = Profile(SMALL, 4.0, 7.0, 600 * 10**9, {"Conv2D": 6.0, "Add": 4.0}, kinds)
    text = profile.markdown({"float32": one}, {"float32": Peak(500.0, 600.0)})
    for row in (
        "| cores at work | 1.75 |",
        "| multiply-adds | 600 * 10^9 |",
        "| achieved | 300 GFLOP/s |",
        "| achieved of the peak | 50 % |",
        "| convolutions and matrix products | 60.0 % |",
        "| Add | 40.0 % |",
    ):
        assert row in text


def test_the_peak_is_measured_in_both_precisions():
    for precision in ("float32", "bfloat16"):
        most = profile.peak(precision, repeats=2, scale=1 / 16)
        assert most.matmul > 0.1 and most.convolution > 0.1
