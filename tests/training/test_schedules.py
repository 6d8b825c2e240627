from __future__ import annotations

import keras
import numpy as np
import pytest

from legan_tf.training import schedules


def rates(schedule, *steps):
    return [float(schedule(step)) for step in steps]


def test_linear_is_constant_for_half_of_the_run_and_ends_at_nothing():
    schedule = schedules.make("linear", 1e-4, 1000)
    np.testing.assert_allclose(
        rates(schedule, 0, 499, 500, 750, 999, 1000, 2000),
        [1e-4, 1e-4, 1e-4, 0.5e-4, 2e-7, 0.0, 0.0],
        rtol=1e-5,
    )


def test_stargans_code_hardly_lowers_the_rate():
    # 200,000 critic iterations: rate / 100,000 is taken off once per 1,000 after the first half.
    schedule = schedules.make("stargan", 1e-4, 200_000)
    np.testing.assert_allclose(
        rates(schedule, 0, 100_999, 101_000, 150_000, 200_000),
        [1e-4, 1e-4, 0.99999e-4, 0.9995e-4, 0.999e-4],
        rtol=1e-7,
    )


def test_stargans_generator_follows_the_critics_iterations():
    critic = schedules.make("stargan", 1e-4, 200_000)
    generator = schedules.make("stargan", 1e-4, 40_000, iterations_per_update=5)
    np.testing.assert_allclose(
        rates(generator, 20_199, 20_200, 40_000), rates(critic, 100_995, 101_000, 200_000)
    )


def test_constant_and_unknown():
    assert schedules.make("constant", 3e-4, 10) == 3e-4
    with pytest.raises(ValueError, match="linear, stargan, ganimation, constant, not 'cosine'"):
        schedules.make("cosine", 1e-4, 10)


@pytest.mark.parametrize("name", ["linear", "stargan"])
def test_an_optimizer_brings_its_schedule_back_from_its_configuration(name):
    schedule = schedules.make(name, 1e-4, 4000)
    optimizer = keras.optimizers.Adam(schedule)
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    held = keras.saving.deserialize_keras_object(again.get_config()["learning_rate"])
    assert rates(held, 0, 3000, 3999) == rates(schedule, 0, 3000, 3999)


def test_ganimation_is_constant_for_twenty_of_thirty_epochs():
    schedule = schedules.make("ganimation", 1e-4, 300)
    expected = [1e-4, 1e-4, 5e-5, 1e-6, 0.0]
    for one in (schedule, type(schedule).from_config(schedule.get_config())):
        np.testing.assert_allclose(
            rates(one, 0, 200, 250, 299, 300), expected, rtol=1e-4, atol=1e-11
        )
