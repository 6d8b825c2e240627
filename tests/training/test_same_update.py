"""What makes a step quicker does not change the update that it makes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data.conditions import of_classes
from legan_tf.graph_ops import convolutions
from legan_tf.graph_ops.target import graphs_for
from legan_tf.models import Discriminator, LeganGenerator, StarganGenerator
from legan_tf.training.gan import EditorGAN
from legan_tf.training.options import EditorLosses

SIZE, BATCH, CRITIC_STEPS = 16, 2, 3
NAMES = ("neutral", "smile", "surprise"), ("left", "right")


def batch() -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(0)
    first = (BATCH, CRITIC_STEPS)
    labels = {
        f"{prefix}{name}": tf.constant(rng.integers(0, len(known), first), tf.int32)
        for name, known in zip(("expression", "lighting"), NAMES)
        for prefix in ("", "target_")
    }
    image = tf.constant(rng.uniform(-1, 1, (*first, SIZE, SIZE, 3)), tf.float32)
    return {"image": image, "alpha": tf.constant(rng.uniform(size=first), tf.float32), **labels}


def updated() -> tuple[dict[str, float], dict[str, list[np.ndarray]]]:
    """Losses and weights after one step of plain gradient descent."""
    keras.utils.set_random_seed(0)
    # Wide enough for Winograd in the residual blocks.
    gan = EditorGAN(
        StarganGenerator(
            of_classes(expression=NAMES[0], lighting=NAMES[1]), SIZE, width=32, blocks=1
        ),
        Discriminator(of_classes(expression="abc", lighting="ab"), SIZE, width=8, depth=3),
        editing=EditorLosses(identity_weight=0.0, quality_weight=0.0),
    )
    gan.compile(d_optimizer=keras.optimizers.SGD(1e-2), g_optimizer=keras.optimizers.SGD(1e-2))
    before = {name: network.get_weights() for name, network in gan.state.items()}
    figures = tf.function(gan.train_step)(batch())
    change = {
        name: [new - old for new, old in zip(network.get_weights(), before[name])]
        for name, network in gan.state.items()
    }
    return {name: float(value) for name, value in figures.items()}, change


def one_by_one(gan, data):
    """A step as it reads in the papers: every update of D makes its own images."""
    batches = [
        {name: values[:, step] for name, values in data.items()} for step in range(CRITIC_STEPS)
    ]
    for each in batches:
        gan.update_discriminators(each, gan.generate(each))
    with tf.GradientTape() as tape:
        total = gan.generator_losses(each, gan.generate(each))["g_optimizer"]
    gan.apply({"g_optimizer": tape.gradient(total, gan.generator.trainable_variables)})
    gan.update_averages()
    return gan.results()


def test_a_step_makes_the_update_of_plain_convolutions(monkeypatch):
    taken = set()
    fastest = convolutions.fastest_algorithm

    def seen(layer, inputs):
        way = fastest(layer, inputs)
        taken.add(way)
        return way

    monkeypatch.setattr(convolutions, "fastest_algorithm", seen)
    with graphs_for("cpu"):
        figures, change = updated()
    ways = {convolutions.strided_matmul, convolutions.winograd, convolutions.pixel_blocks}
    assert ways <= taken
    taken.clear()
    monkeypatch.setattr(EditorGAN, "train_step", one_by_one)
    with graphs_for("gpu"):
        expected_figures, expected = updated()
    assert taken == {None}
    assert figures == pytest.approx(expected_figures, rel=1e-3, abs=1e-4)
    for name in ("generator", "discriminator"):
        ours, theirs = (
            np.concatenate([array.ravel() for array in arrays[name]])
            for arrays in (change, expected)
        )
        # Rounding alone turns the sign of a difference in L1 or of an activation here and there;
        # each such turn is a small jump of the gradient.
        assert np.linalg.norm(ours - theirs) < 5e-3 * np.linalg.norm(theirs)
        assert np.median(np.abs(ours - theirs)) < 1e-4 * np.abs(theirs).max()


def test_legan_paints_as_by_plain_convolutions():
    # Its loss has too many kinks near each other for comparing whole updates.
    keras.utils.set_random_seed(0)
    generator = LeganGenerator(
        of_classes(expression=NAMES[0], lighting=NAMES[1]),
        SIZE,
        width=32,
        blocks=1,
        mask_channels=8,
    )
    generator.build()
    rng = np.random.default_rng(0)
    inputs = {
        "image": tf.constant(rng.uniform(-1, 1, (BATCH, SIZE, SIZE, 3)), tf.float32),
        "expression": tf.one_hot([0, 2], 3),
        "lighting": tf.one_hot([1, 0], 2),
    }
    with graphs_for("cpu"):
        ours = generator(inputs)
    with graphs_for("gpu"):
        plain = generator(inputs)
    for name, expected in plain.items():
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=1e-4 * scale, err_msg=name)
