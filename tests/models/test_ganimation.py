"""GANimation's generator: what its mask keeps, and how it starts."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.data.conditions import RangeCondition
from legan_tf.models import GanimationGenerator, ganimation_discriminator
from legan_tf.models.ganimation import compose

UNITS = (RangeCondition("action_units", ("AU01", "AU06", "AU12")),)


def made(**options) -> GanimationGenerator:
    network = GanimationGenerator(UNITS, 16, **{"width": 8, "blocks": 1, **options})
    network.build()
    return network


def edited(network: GanimationGenerator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    image = tf.random.stateless_uniform([2, 16, 16, 3], [1, 2], -1.0, 1.0)
    made = network({"image": image, "action_units": tf.constant([[0.1, 0.9, 0.5]] * 2)})
    return image.numpy(), {name: value.numpy() for name, value in made.items()}


def with_mask(network: GanimationGenerator, logit: float) -> GanimationGenerator:
    """Gives the last convolution, whose input is not negative, a mask of one sign everywhere."""
    kernel = network.hourglass.steps[-1].kernel
    values = kernel.numpy()
    values[..., 3] = logit
    kernel.assign(values)
    # What is normalised has a mean of 0 before the ReLU: some of it is positive everywhere.
    return network


def test_a_mask_of_one_keeps_the_input_and_one_of_zero_paints():
    image, kept = edited(with_mask(made(), 50.0))
    np.testing.assert_array_equal(kept["action_units_mask"], np.ones((2, 16, 16, 1)))
    np.testing.assert_array_equal(kept["image"], image)
    image, painted = edited(with_mask(made(), -50.0))
    assert painted["action_units_mask"].max() < 1e-6
    np.testing.assert_allclose(painted["image"], painted["colors"], atol=1e-6)
    assert np.abs(painted["image"] - image).max() > 0.5


def test_a_mask_of_a_quarter_mixes_by_hand():
    image, colors = tf.fill([1, 2, 2, 3], 0.8), tf.fill([1, 2, 2, 3], -0.4)
    mask = tf.fill([1, 2, 2, 1], 0.25)
    np.testing.assert_allclose(compose(image, colors, mask), np.full((1, 2, 2, 3), -0.1), atol=1e-6)


def test_both_heads_are_of_the_last_convolution():
    network = made()
    image, outputs = edited(network)
    mask = outputs["action_units_mask"]
    assert 0.3 < mask.min() < mask.max() < 0.7  # Neither saturated nor of one value at the start.
    np.testing.assert_allclose(
        outputs["image"], mask * image + (1 - mask) * outputs["colors"], atol=1e-6
    )
    assert network.mask_names == ("action_units_mask",)


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "pixelshuffle"])
def test_kernels_start_as_in_the_code_and_no_two_alike(upsampling):
    generator = made(width=32, blocks=2, upsampling=upsampling)
    discriminator = ganimation_discriminator(UNITS, 16, 32, 2)
    discriminator.build()
    for network in (generator, discriminator):
        kernels = [w.numpy() for w in network.trainable_variables if len(w.shape) == 4]
        assert len(kernels) >= 4
        for kernel in kernels:
            assert abs(kernel.std() / 0.02 - 1) < 0.12
            assert abs(kernel.mean()) < 0.003
        assert len({float(kernel.ravel()[0]) for kernel in kernels}) == len(kernels)
        others = [w.numpy() for w in network.trainable_variables if len(w.shape) == 1]
        assert all(np.isin(other, (0.0, 1.0)).all() for other in others)
