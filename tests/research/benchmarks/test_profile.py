from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_research.benchmarks import profile, training
from legan_research.benchmarks.peak import Peak, peak
from legan_research.benchmarks.profile import Profile

SMALL = training.CONFIG.replace(
    image_size=16, batch_size=2, critic_steps=1, width=4, blocks=0, d_width=4, d_depth=1
)


def counted(function, *arguments):
    """Multiply-adds of the convolutions that the results of a function need."""
    graph = tf.function(function).get_concrete_function(*arguments).graph
    needed, total = {tensor.op for tensor in graph.outputs}, 0
    waiting = list(needed)
    while waiting:
        op = waiting.pop()
        new = {tensor.op for tensor in op.inputs} - needed
        needed |= new
        waiting += new
        if op.type == "Conv2D":
            seen, kernel = op.outputs[0], op.inputs[1]
        elif op.type == "Conv2DBackpropInput":
            seen, kernel = op.inputs[2], op.inputs[1]
        elif op.type == "Conv2DBackpropFilter":
            seen, kernel = op.inputs[2], op.outputs[0]
        else:
            continue
        total += int(seen.shape.num_elements() * np.prod(kernel.shape[:3]))
    return total


class PlainStargan:
    """Plain convolutions; normalisation and biases, which are none, are left out."""

    def __init__(self, config):
        def conv(*args, kind=keras.layers.Conv2D, padding="same"):
            return kind(*args, padding=padding, use_bias=False)

        w, up = config.width, keras.layers.Conv2DTranspose
        self.edit = [conv(w, 7), conv(2 * w, 4, 2), conv(4 * w, 4, 2)]
        self.edit += [conv(4 * w, 3) for _ in range(2 * config.blocks)]
        self.edit += [conv(2 * w, 4, 2, kind=up), conv(w, 4, 2, kind=up), conv(3, 7)]
        self.judge = [conv(config.d_width * 2**i, 4, 2) for i in range(config.d_depth)]
        side = config.image_size // 2**config.d_depth
        self.realness, self.classes = conv(1, 3), conv(8, side, padding="valid")

    def edited(self, x):
        for layer in self.edit:
            x = tf.nn.relu(layer(x))
        return x

    def scores(self, x):
        for layer in self.judge:
            x = layer(x)
            # TensorFlow's own sends zeros back from the second order, through convolutions.
            x *= tf.stop_gradient(tf.where(x > 0.0, 1.0, 0.01))
        return self.realness(x), x

    def both(self, x):
        scores, x = self.scores(x)
        return tf.reduce_sum(scores) + tf.reduce_sum(self.classes(x) ** 2)

    def variables(self, layers):
        return [layer.kernel for layer in layers]

    def critic(self, labelled, real, between):
        with tf.GradientTape() as tape:
            with tape.stop_recording():
                fake = self.edited(labelled)
            loss = self.both(tf.concat([real, fake], 0))
            with tf.GradientTape() as inner:
                inner.watch(between)
                scores = tf.reduce_sum(self.scores(between)[0])
            loss += tf.reduce_sum(inner.gradient(scores, between) ** 2)
        layers = [*self.judge, self.realness, self.classes]
        return loss, tape.gradient(loss, self.variables(layers))

    def generator(self, labelled, code):
        with tf.GradientTape() as tape:
            fake = self.edited(labelled)
            back = self.edited(tf.concat([fake, code], -1))
            loss = self.both(fake) + tf.reduce_sum(back**2)
        return loss, tape.gradient(loss, self.variables(self.edit))


def test_the_arithmetic_of_a_step_is_that_of_plain_convolutions():
    config = training.CONFIG.replace(image_size=16, batch_size=2, critic_steps=3, width=4, blocks=1,
        d_width=4, d_depth=2,
    )  # fmt: skip
    plain = PlainStargan(config)
    image, code = tf.zeros([2, 16, 16, 3]), tf.zeros([2, 16, 16, 8])
    labelled = tf.concat([image, code], -1)
    edit = counted(plain.edited, labelled)
    assert 2 * sum(profile.generator_layers(config, 8)) == edit
    assert 2 * sum(profile.discriminator_layers(config, 8)) == counted(plain.both, image)
    critic = counted(plain.critic, labelled, image, image)
    # Its first pass over the images is the last critic's.
    generator = counted(plain.generator, labelled, code) - edit
    assert profile.multiply_adds(config, 8) == 3 * critic + generator


def test_the_published_form_takes_so_much():
    # Of the convolutions of 3 x 3 alone: twelve at 32 x 32 from 256 channels to 256.
    layers = profile.generator_layers(training.CONFIG, 8)
    assert layers[3:-3] == [32 * 32 * 9 * 256 * 256] * 12
    assert sum(layers) == pytest.approx(10.9e9, rel=0.1)


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
def test_operations_are_classified(name, kind, expected):
    assert profile.kind_of(name, kind) == expected


def test_a_training_step_is_watched_and_its_arithmetic_counted():
    one = profile.profiled(SMALL, repeats=1)
    assert one.wall > 0.0 and one.processor > 0.0
    assert all(one.kinds[kind] > 0.0 for kind in profile.KINDS)
    assert sum(one.kinds.values()) == pytest.approx(sum(one.operations.values()))
    assert one.multiply_adds == profile.multiply_adds(SMALL, 8)


def test_the_tables_tell_shares_and_the_rate_beside_the_peak():
    kinds = dict(zip(profile.KINDS, (6.0, 1.0, 1.0, 2.0)))
    one = Profile(4.0, 7.0, 600 * 10**9, {"Conv2D": 6.0, "Add": 4.0}, kinds)
    text = profile.markdown({"float32": one}, {"float32": Peak(500.0, 600.0)})
    for row in (
        "| cores at work | 1.75 |",
        "| multiply-adds, in plain convolutions | 600 * 10^9 |",
        "| achieved | 300 GFLOP/s |",
        "| achieved of the peak | 50 % |",
        "| convolutions and matrix products | 60.0 % |",
        "| Add | 40.0 % |",
    ):
        assert row in text


def test_the_peak_is_measured_in_both_precisions():
    for precision in ("float32", "bfloat16"):
        most = peak(precision, repeats=2, scale=1 / 16)
        assert most.matmul > 0.1 and most.convolution > 0.1
