"""CycleGAN's networks: their padding, their doubling, and how they start."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.models import CycleganGenerator, PatchDiscriminator
from legan_tf.models.cyclegan import ReflectionPadding, _doubling
from legan_tf.models.layers import Chain, InstanceNormalization


def test_reflection_does_not_repeat_the_border():
    image = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
    padded = ReflectionPadding(1)(image)[0, :, :, 0]
    np.testing.assert_array_equal(padded, np.pad(np.arange(9.0).reshape(3, 3), 1, "reflect"))


def test_normalisation_without_scale_and_offset_has_no_weights():
    layer = InstanceNormalization(scale=False, center=False)
    image = tf.random.stateless_normal([2, 6, 6, 3], [1, 2], mean=5.0, stddev=3.0)
    normed = layer(image).numpy()
    assert layer.weights == []
    np.testing.assert_allclose(normed.mean((1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(normed.std((1, 2)), 1.0, atol=1e-4)


def deconvolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """PyTorch's definition: pixel i is added to 2 i - 1 + k through weight k of each axis."""
    height, width = image.shape
    result = np.zeros((2 * height + 2, 2 * width + 2))
    for y, x in np.ndindex(height, width):
        result[2 * y : 2 * y + 3, 2 * x : 2 * x + 3] += image[y, x] * kernel
    return result[1 : 1 + 2 * height, 1 : 1 + 2 * width]


def doubling_of(kernel: np.ndarray) -> Chain:
    chain = Chain(_doubling(1))
    chain.build((None, None, None, 1))
    chain.steps[0].kernel.assign(kernel[:, :, None, None])
    return chain


def test_doubling_is_aligned_as_in_pytorch():
    random = np.random.default_rng(0)
    image, kernel = random.normal(size=(4, 5)), random.normal(size=(3, 3))
    doubled = doubling_of(kernel)(tf.constant(image[None, :, :, None], tf.float32))
    assert doubled.shape == (1, 8, 10, 1)
    np.testing.assert_allclose(doubled[0, :, :, 0], deconvolved(image, kernel), atol=1e-5)


def test_doubling_is_pytorchs():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(1)
    image, kernel = random.normal(size=(4, 5)), random.normal(size=(3, 3))
    theirs = torch.nn.functional.conv_transpose2d(
        torch.tensor(image)[None, None],
        torch.tensor(kernel)[None, None],
        stride=2,
        padding=1,
        output_padding=1,
    )
    ours = doubling_of(kernel)(tf.constant(image[None, :, :, None], tf.float32))
    np.testing.assert_allclose(ours[0, :, :, 0], theirs[0, 0].numpy(), atol=1e-5)


def test_strided_convolutions_are_padded_on_both_sides():
    network = CycleganGenerator(8, width=2, blocks=0)
    network.build()
    padding, convolution = network.body.steps[4:6]
    kernel = np.zeros((3, 3, 2, 4), np.float32)
    kernel[0, 0] = 1.0  # Reads the pixel before the middle one: the padding, at the first.
    convolution.kernel.assign(kernel)
    image = tf.ones([1, 8, 8, 2])
    expected = np.full((4, 4), 2.0)
    expected[0] = expected[:, 0] = 0.0
    np.testing.assert_array_equal(convolution(padding(image))[0, :, :, 0], expected)


def test_kernels_start_as_in_the_code_and_no_two_alike():
    for network in (CycleganGenerator(16, 32, 2), PatchDiscriminator(24, 32)):
        network.build()
        kernels = [w.numpy() for w in network.trainable_variables if len(w.shape) == 4]
        assert len(kernels) >= 5
        for kernel in kernels:
            assert abs(kernel.std() / 0.02 - 1) < 0.12
        assert len({float(kernel.ravel()[0]) for kernel in kernels}) == len(kernels)
        biases = [w.numpy() for w in network.trainable_variables if len(w.shape) == 1]
        assert len(biases) == len(kernels)
        assert not np.any(np.concatenate(biases))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: CycleganGenerator(30), "image_size is 30"),
        (lambda: PatchDiscriminator(16), "image_size is 16: it must be a multiple of 8"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(network, message):
    with pytest.raises(ValueError, match=message):
        network()
