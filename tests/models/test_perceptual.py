from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.models.perceptual import SCALE, SHIFT, AlexNetTrunk, SqueezeNetTrunk, Vgg16Trunk

TRUNKS = {"alex": AlexNetTrunk, "vgg": Vgg16Trunk, "squeeze": SqueezeNetTrunk}
# What torchvision's layers give: height and width, channels.
TAPS = {
    ("alex", 64): [(15, 64), (7, 192), (3, 384), (3, 256), (3, 256)],
    ("alex", 31): [(7, 64), (3, 192), (1, 384), (1, 256), (1, 256)],
    ("vgg", 64): [(64, 64), (32, 128), (16, 256), (8, 512), (4, 512)],
    ("vgg", 16): [(16, 64), (8, 128), (4, 256), (2, 512), (1, 512)],
    ("squeeze", 64): [(31, 64), (15, 128), (7, 256), (3, 384), (3, 384), (3, 512), (3, 512)],
    ("squeeze", 67): [(33, 64), (16, 128), (8, 256), (4, 384), (4, 384), (4, 512), (4, 512)],
    ("squeeze", 17): [(8, 64), (4, 128), (2, 256), (1, 384), (1, 384), (1, 512), (1, 512)],
}


def made(name: str):
    trunk = TRUNKS[name]()
    trunk.build()
    return trunk


@pytest.mark.parametrize(
    ("name", "parameters", "convolutions"),
    [("alex", 2_469_696, 5), ("vgg", 14_714_688, 13), ("squeeze", 722_496, 25)],
)
def test_parameters_are_those_of_torchvision(name, parameters, convolutions):
    trunk = made(name)
    assert trunk.count_params() == parameters
    assert len(trunk.get_weights()) == 2 * convolutions


@pytest.mark.parametrize(("name", "size"), TAPS)
def test_taps_have_the_shapes_of_torchvision(name, size):
    trunk = made(name)
    taps = trunk(tf.zeros([2, size, size + 2, 3]))
    assert [(tap.shape[1], tap.shape[3]) for tap in taps] == TAPS[name, size]
    assert trunk.channels == tuple(channels for _, channels in TAPS[name, size])
    assert {tap.shape[0] for tap in taps} == {2} and {tap.dtype for tap in taps} == {tf.float32}
    assert all(tap.numpy().min() == 0 for tap in taps), "a tap is no output of a ReLU"


@pytest.mark.parametrize(("name", "least"), [("alex", 31), ("vgg", 16), ("squeeze", 17)])
def test_images_that_are_too_small_are_refused_with_the_least_size(name, least):
    trunk = made(name)
    told = f"{least - 1} x 64 pixels are too small: .* at least {least} x {least}"
    with pytest.raises(ValueError, match=told):
        trunk(tf.zeros([1, least - 1, 64, 3]))
    with pytest.raises(ValueError, match="too small"):
        trunk.check_size(64, least - 1)
    trunk.check_size(least, None)


def test_the_first_convolution_of_alexnet_sees_a_zero_border_of_two_on_every_side():
    trunk = made("alex")
    weights = [0 * weight for weight in trunk.get_weights()]
    kernel = np.zeros((11, 11, 3, 64), np.float32)
    kernel[2, 2, 0, 0] = 1  # Looks at the pixel where its window begins, less the border.
    kernel[:, :, 1, 1] = 1
    trunk.set_weights([kernel, *weights[1:]])
    image = np.random.default_rng(0).uniform(0, 1, (1, 35, 35, 3)).astype(np.float32)
    scaled = (image - np.array(SHIFT)) / np.array(SCALE)
    tap = trunk(image)[0].numpy()[0]
    assert tap.shape[:2] == (8, 8)
    np.testing.assert_allclose(tap[..., 0], scaled[0, :32:4, :32:4, 0], rtol=1e-5)
    bordered = np.pad(scaled[0, :, :, 1], 2)
    for y, x in ((0, 0), (7, 7), (0, 7)):
        window = bordered[4 * y : 4 * y + 11, 4 * x : 4 * x + 11]
        np.testing.assert_allclose(tap[y, x, 1], window.sum(), rtol=1e-4)


def test_the_pools_of_squeezenet_keep_the_last_row_and_column():
    trunk = made("squeeze")
    weights = [0 * weight for weight in trunk.get_weights()]
    # conv1, then squeeze and expand1x1 of both modules pass the first channel on.
    for convolution in (0, 1, 2, 4, 5):
        weights[2 * convolution][0, 0, 0, 0] = 1
    trunk.set_weights(weights)
    image = np.random.default_rng(0).uniform(0, 1, (1, 33, 33, 3)).astype(np.float32)
    first, second = (tap.numpy()[0, :, :, 0] for tap in trunk(image)[:2])
    assert first.shape == (16, 16) and second.shape == (8, 8)
    for y, x in ((0, 0), (3, 5), (7, 7), (7, 0)):
        window = first[2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
        np.testing.assert_allclose(second[y, x], window.max(), rtol=1e-6)


@pytest.mark.parametrize("name", TRUNKS)
def test_a_policy_of_lower_precision_changes_nothing(name):
    image = tf.random.stateless_uniform([1, 40, 40, 3], [1, 2], -1.0, 1.0)
    trunk = made(name)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        other = made(name)
        other.set_weights(trunk.get_weights())
        taps = other(image)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for one, two in zip(trunk(image), taps, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", ["alex", "squeeze"])
def test_a_keras_file_holds_all_of_the_trunk(name, tmp_path):
    trunk = made(name)
    rng = np.random.default_rng(5)
    trunk.set_weights([w + rng.normal(0, 0.02, w.shape) for w in trunk.get_weights()])
    trunk.save(tmp_path / "trunk.keras")
    loaded = keras.models.load_model(tmp_path / "trunk.keras")
    assert type(loaded) is type(trunk) and loaded.get_config() == trunk.get_config()
    image = tf.random.stateless_uniform([1, 40, 40, 3], [1, 2], -1.0, 1.0)
    for one, two in zip(trunk(image), loaded(image), strict=True):
        np.testing.assert_array_equal(one, two)
