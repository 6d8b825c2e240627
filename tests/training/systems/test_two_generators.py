"""A system with two generators and two discriminators, updated in an order of its own."""

from __future__ import annotations

import importlib
import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data.conditions import of_classes
from legan_tf.models import Discriminator
from legan_tf.runtime.compat import scalar
from legan_tf.training.options import AdversarialOptions
from legan_tf.training.system import SYSTEMS

HERE = pathlib.Path(__file__).parent
OPTIONS = {
    "model": "cycle",
    "conditions": "expression",
    "critic_steps": 1,
    "log_every": 1,
    "checkpoint_every": 1,
    "sample_every": 2,
    "schedule": "constant",
    "deterministic": True,
}


@pytest.fixture(scope="module")
def module():
    """The module of the system, which is registered as long as the test needs it."""
    sys.path.insert(0, str(HERE))
    yield importlib.import_module("cycle_system")
    sys.path.remove(str(HERE))
    del SYSTEMS["cycle"]


def test_its_order_of_updates_is_its_own(module):
    keras.utils.set_random_seed(0)
    sides = module.SIDES
    networks = {side: module.Painter(16, 4, name=side) for side in sides}
    for side in sides:
        networks[f"{side}_discriminator"] = Discriminator(
            of_classes(expression="ab"), 16, width=4, depth=2, name=f"{side}_discriminator"
        )
    gan = module.CycleGAN(networks, AdversarialOptions(ema_decay=0.9), batch_size=2)
    assert [one.name for one in gan.trained["g_optimizer"]] == list(sides)
    assert list(gan.products) == ["positive.keras", "model.keras"]
    gan.compile(**{name: keras.optimizers.SGD(0.01) for name in gan.trained})
    image = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 1, 16, 16, 3)), tf.float32)
    label = tf.zeros([2, 1], tf.int32)
    before = networks["negative"](image[:, 0])
    on_pool = [networks[f"{side}_discriminator"](tf.zeros([2, 16, 16, 3])) for side in sides]
    figures = gan.train_step({"image": image, "alpha": tf.zeros([2, 1]), "expression": label})
    # D has judged the pool, which was empty, and the pool has the images that G made before.
    np.testing.assert_array_equal(gan.pool[0], before)
    for side, judged in zip(sides, on_pool):
        real = networks[f"{side}_discriminator"]
        assert scalar(getattr(gan, f"{side}_d_optimizer").iterations) == 1
        assert real.trainable_variables and np.isfinite(figures[f"{side}_penalty"])
        assert judged["realness"].shape == (2, 4, 4)
    assert not np.array_equal(networks["negative"](image[:, 0]), before)


def test_it_is_trained_and_goes_on_as_if_it_had_not_stopped(module, runs, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    todo = ((whole, 3), (parts, 1), (parts, 3))
    steps = ((folder, {**OPTIONS, "train_steps": count}) for folder, count in todo)
    runs.in_turn(1, *steps, module=HERE / "cycle_system.py")
    needed = ("pool", "positive/", "averaged_positive/", "positive_discriminator/", "g_optimizer/")
    runs.assert_same(whole, parts, (*needed, "positive_d_optimizer/"))
    line = runs.metrics(whole)[-1]
    assert {f"{side}_discriminator" for side in module.SIDES} <= line.keys()
    assert (line["g_rate"], line["positive_d_rate"]) == pytest.approx((1e-3, 2e-3))
    assert np.abs(runs.last_checkpoint(whole)["pool/.ATTRIBUTES/VARIABLE_VALUE"]).max() > 0
    assert isinstance(keras.models.load_model(whole / "positive.keras"), module.Painter)
    assert (whole / "samples/samples-0000002.png").exists()
    assert "--filters=4\n" in (whole / "flags.txt").read_text()
