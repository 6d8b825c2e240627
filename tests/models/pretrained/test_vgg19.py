from __future__ import annotations

import os
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.models import vgg19_taps
from legan_tf.models.pretrained.vgg19 import NOTOP_FILE, TAPS


def write(path, network: keras.Model) -> None:
    """Writes weights as the published files hold them."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        for layer in network.layers:
            group = file.create_group(layer.name)
            weights = layer.get_weights()
            names = [f"{layer.name}_{kind}_1:0" for kind in "Wb"][: len(weights)]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights):
                group.create_dataset(name, data=weight)


def plain(kind=keras.applications.VGG19) -> keras.Model:
    return kind(include_top=False, weights=None, input_shape=(None, None, 3))


@pytest.fixture(scope="module")
def random():
    return vgg19_taps("random")


@pytest.fixture(scope="module")
def image():
    return tf.random.stateless_uniform([2, 48, 32, 3], [1, 2], -1.0, 1.0)


def test_taps_of_a_file_are_what_keras_applications_computes(tmp_path, image):
    network = plain()
    noise = np.random.default_rng(3)
    network.set_weights(
        [value + 0.1 * noise.standard_normal(value.shape[-1]) for value in network.get_weights()]
    )
    write(tmp_path / "mine.h5", network)
    taps = vgg19_taps(str(tmp_path / "mine.h5"))(image)
    pixels = keras.applications.vgg19.preprocess_input(np.array((image + 1) * 127.5))
    between = keras.Model(network.input, [network.get_layer(name).output for name in TAPS])
    for tap, unscaled in zip(taps, between(pixels)):
        wanted = np.array(unscaled) / 57.6  # ImageNet's deviation, so that they are near 1.
        assert np.abs(wanted).max() > 0.01
        np.testing.assert_allclose(tap, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_the_first_tap_sees_blue_green_and_red_less_the_mean(random):
    (layer,) = (layer for layer in random.layers if isinstance(layer, keras.Model))
    kernel, bias = layer.get_layer("block1_conv1").get_weights()
    assert not bias.any()
    colour = np.array([0.2, -0.6, 1.0], np.float32)  # Of a picture that is one colour.
    tap = random(tf.constant(np.tile(colour, (1, 16, 16, 1))))[0][0, 8, 8]
    bgr = (colour[::-1] + 1) * 127.5 - np.array([103.939, 116.779, 123.68])
    expected = np.maximum(np.einsum("yxio,i->o", kernel, bgr), 0) / 57.6
    assert (expected > 0).any()
    np.testing.assert_allclose(tap, expected, rtol=1e-4, atol=1e-4)


def test_random_weights_are_the_same_again_and_keep_the_size_of_features(random, image):
    taps = random(image)
    assert [tap.shape[1:] for tap in taps] == [
        (48 >> step, 32 >> step, channels) for step, channels in enumerate((64, 128, 256, 512, 512))
    ]
    # Worked out once; the same on both stacks.
    means = [float(tf.reduce_mean(tap)) for tap in taps]
    np.testing.assert_allclose(
        means, np.array([40.358, 54.1402, 81.673, 77.8591, 55.06]) / 57.6, rtol=1e-4
    )
    for tap, same in zip(taps, vgg19_taps("random")(image)):
        np.testing.assert_array_equal(tap, same)


def test_it_is_frozen_and_lets_gradients_through(random, image):
    assert random.trainable_variables == []
    with tf.GradientTape() as tape:
        tape.watch(image)
        last = tf.reduce_sum(random(image)[-1])
    assert float(tf.reduce_min(tf.reduce_max(tf.abs(tape.gradient(last, image)), [1, 2]))) > 0


def test_a_policy_of_lower_precision_changes_nothing(random, image):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        other = vgg19_taps("random")
        assert keras.mixed_precision.global_policy().name == "mixed_bfloat16"
        taps = other(image)
        rounded = other(tf.cast(image, tf.bfloat16))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for wanted, tap in zip(random(image), taps):
        assert tap.dtype == tf.float32
        np.testing.assert_array_equal(tap, wanted)
    coarse = tf.cast(tf.cast(image, tf.bfloat16), tf.float32)
    for wanted, tap in zip(random(coarse), rounded):
        np.testing.assert_array_equal(tap, wanted)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("absent.h5", "no such file; give imagenet, the path of Keras' vgg19.*notop.h5, or random"),
        ("vgg19.pth", "the name must end in .h5"),
        ("new.weights.h5", "the name must end in .h5"),
        ("text.h5", "is not a .keras or HDF5 file, or is damaged"),
        ("vgg16.h5", "expected 16 layers, found 13"),
        ("narrow.h5", "is not Keras' vgg19"),
    ],
)
def test_other_files_are_refused(tmp_path, name, sentence):
    for written in ("vgg19.pth", "new.weights.h5", "text.h5"):
        (tmp_path / written).write_text("no weights")
    if name == "vgg16.h5":
        write(tmp_path / name, plain(keras.applications.VGG16))
    if name == "narrow.h5":
        layers = [keras.layers.Conv2D(2, 3) for _ in range(16)]
        write(tmp_path / name, keras.Sequential([keras.layers.Input([64, 64, 3]), *layers]))
    with pytest.raises(UserError, match=f"--vgg_weights={tmp_path / name}: .*{sentence}"):
        vgg19_taps(str(tmp_path / name))


def test_a_failed_download_names_the_other_ways(tmp_path):
    code = (
        "from legan_tf.errors import UserError\n"
        "from legan_tf.models import vgg19_taps\n"
        "try:\n"
        "    vgg19_taps('imagenet')\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    # A cache that is empty, and no way out: port 9 takes nothing.
    unreachable = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    cache = {"HOME": str(tmp_path), "KERAS_HOME": str(tmp_path)}
    environment = {**os.environ, **cache, **unreachable, "no_proxy": "", "NO_PROXY": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()[-1]
    assert told.startswith("--vgg_weights=imagenet: Keras could not download VGG19 (URL fetch fail")
    assert told.endswith(
        f"give the path of its {NOTOP_FILE} there, or --vgg_weights=random for a trial."
    )
