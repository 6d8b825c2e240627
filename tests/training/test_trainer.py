"""The role of a network is declared once; what is trained, kept, averaged and left follows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.models import QualityEstimator
from legan_tf.runtime.compat import scalar
from legan_tf.training.trainer import Role, Trainer

NAMES = ("reader", "head", "judge", "guide")


class Readers(Trainer):
    """Two networks under one optimizer, one under another, and one that guides."""

    roles = {
        "reader": Role("optimizer", averaged=True, file="model.keras"),
        "head": Role("optimizer", averaged=True, file="head.keras"),
        "judge": Role("d_optimizer", discriminator=True),
        "guide": Role(),
    }
    terms = ("distance", "judged")

    def train_step(self, data):
        with tf.GradientTape(persistent=True) as tape:
            read, told = self.reader(data), self.head(data)
            guided = 0.0 if self.guide is None else self.guide(data)
            distance = self.logged_mean("distance", tf.square(read + told - guided - 1.0))
            judged = self.logged_mean("judged", tf.square(self.judge(data) - 2.0))
        losses = {"optimizer": distance, "d_optimizer": judged}
        self.apply({n: tape.gradient(losses[n], self.variables_of(n)) for n in self.trained})
        self.update_averages()
        return self.results()


def readers(names=NAMES, decays=None, frozen=()) -> Readers:
    keras.utils.set_random_seed(0)
    networks = {name: QualityEstimator(8, width=1, depth=2, name=name) for name in names}
    return Readers(networks, {"head": 0.9} if decays is None else decays, frozen)


def stepped(trainer: Readers) -> dict[str, bool]:
    """Which networks, by attribute, one step of gradient descent changes."""
    trainer.compile(**{name: keras.optimizers.SGD(0.1) for name in trainer.trained})
    of = {n: getattr(trainer, n) for n in (*NAMES, "averaged_head") if hasattr(trainer, n)}
    before = {name: network.get_weights() for name, network in of.items() if network}
    images = tf.random.stateless_uniform([2, 8, 8, 3], [0, 0], -1, 1)
    assert {*trainer.train_step(images)} == {"distance", "judged"}
    return {
        name: any((a != b).any() for a, b in zip(weights, of[name].get_weights()))
        for name, weights in before.items()
    }


def test_everything_follows_from_the_roles():
    trainer = readers()
    reader, head, judge = (getattr(trainer, name) for name in NAMES[:3])
    assert trainer.trained == {"optimizer": [reader, head], "d_optimizer": [judge]}
    # The reader has no decay, the judge is not to be averaged.
    assert trainer.state == {
        "reader": reader, "head": head, "judge": judge, "averaged_head": trainer.averaged_head,
    }  # fmt: skip
    assert (trainer.used("reader"), trainer.used("head")) == (reader, trainer.averaged_head)
    assert Readers.product_files() == ("head.keras", "model.keras")
    assert trainer.products == {"head.keras": trainer.averaged_head, "model.keras": reader}
    assert list(trainer.products) == list(Readers.product_files())
    assert set(trainer.parameter_counts()) == set(NAMES)
    assert len(trainer.variables_of("optimizer")) == 2 * len(trainer.variables_of("d_optimizer"))
    assert not trainer.guide.trainable_variables and not trainer.averaged_head.trainable_variables


def test_a_step_changes_what_is_trained_and_the_averages():
    moved = stepped(readers())
    assert moved == {
        "reader": True, "head": True, "judge": True, "guide": False, "averaged_head": True,
    }  # fmt: skip


def test_two_networks_share_an_optimizer():
    trainer = readers(decays={})
    stepped(trainer)
    assert scalar(trainer.optimizer.iterations) == scalar(trainer.d_optimizer.iterations) == 1
    alone = readers(("reader", "judge"), decays={})
    assert [one.name for one in alone.trained["optimizer"]] == ["reader"]


def test_a_frozen_network_stays_and_is_still_saved_and_left():
    trainer = readers(frozen=["head"])
    assert trainer.trained == {"optimizer": [trainer.reader], "d_optimizer": [trainer.judge]}
    assert not hasattr(trainer, "averaged_head")
    assert trainer.state == {
        "reader": trainer.reader, "judge": trainer.judge, "head": trainer.head,
    }  # fmt: skip
    assert trainer.products["head.keras"] is trainer.head
    moved = stepped(trainer)
    assert moved == {"reader": True, "head": False, "judge": True, "guide": False}
    # An optimizer goes with its last network; what no file is left of is in no checkpoint.
    trainer = readers(frozen=["judge"])
    assert set(trainer.trained) == {"optimizer"} and "judge" not in trainer.state
    assert stepped(trainer)["judge"] is False


def test_a_training_does_without_a_network_that_is_not_given():
    trainer = readers(("reader", "head", "judge"))
    assert trainer.guide is None
    assert set(trainer.parameter_counts()) == {"reader", "head", "judge"}
    assert stepped(trainer)["reader"]


def test_averages_start_as_their_network_and_follow_it():
    trainer = readers()
    start = trainer.head.get_weights()
    for average, weight in zip(trainer.averaged_head.get_weights(), start):
        np.testing.assert_array_equal(average, weight)
    stepped(trainer)
    ends = zip(start, trainer.head.get_weights(), trainer.averaged_head.get_weights())
    for begun, now, average in ends:
        np.testing.assert_allclose(average, 0.9 * begun + 0.1 * now, atol=1e-6)


def test_there_is_an_optimizer_for_each_name():
    with pytest.raises(ValueError, match="the optimizers are optimizer, d_optimizer, not optimi"):
        readers().compile(optimizer=keras.optimizers.SGD())
    with pytest.raises(ValueError, match="the optimizers are optimizer, not optimizer, d_optimi"):
        readers(frozen=["judge"]).compile(
            optimizer=keras.optimizers.SGD(), d_optimizer=keras.optimizers.SGD()
        )


def test_terms_are_logged_as_they_are_given():
    trainer = readers()
    trainer.compile(optimizer=keras.optimizers.SGD(), d_optimizer=keras.optimizers.SGD())
    for values in ([1.0, 3.0], [5.0, 7.0]):
        mean = trainer.logged_mean("judged", tf.constant(values))
    assert float(mean) == 6.0
    assert {name: float(value) for name, value in trainer.results().items()} == {
        "distance": 0.0,
        "judged": 4.0,
    }
    with pytest.raises(ValueError):
        trainer.logged_mean("other", tf.constant([1.0]))
