from __future__ import annotations

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.evaluation.image_networks import (
    ImageNetwork,
    as_features,
    face_features,
    image_network,
    load_face_network,
    load_feature_network,
    network_sha256,
)
from legan_tf.models import LightCNN29, QualityEstimator

SIZE = 16


def pictures(count, size=SIZE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def plain(outputs=1, channels=3, spatial=False):
    """A Keras model that is not of this package."""
    image = keras.Input((SIZE, SIZE, channels))
    x = keras.layers.Conv2D(4, 3, activation="relu")(image)
    one = x if spatial else keras.layers.Dense(5)(keras.layers.Flatten()(x))
    return keras.Model(image, [one] * outputs if outputs > 1 else one)


@pytest.fixture(scope="module")
def lightcnn():
    network = LightCNN29(SIZE, 0.1)
    network.build()
    return network


@pytest.mark.parametrize("count", [1, 63, 64, 65])
def test_what_is_seen_in_a_picture_does_not_depend_on_the_others(lightcnn, count):
    images = pictures(65)
    look = image_network(lightcnn)
    np.testing.assert_allclose(look(images[:count]), look(images)[:count], atol=1e-5)


def test_pictures_are_resized_with_antialiasing_only_if_they_must_be():
    seen = []

    def network(images):
        seen.append(images.numpy())
        return tf.reduce_mean(images, [1, 2, 3])

    images = pictures(2, 32)
    ImageNetwork("n", "0", 32, network)(images)
    np.testing.assert_array_equal(seen[-1], images / np.float32(127.5) - 1)
    ImageNetwork("n", "0", 16, network)(images)
    wanted = tf.image.resize(images / np.float32(127.5) - 1, [16, 16], antialias=True)
    np.testing.assert_allclose(seen[-1], wanted, atol=1e-6)


def test_a_network_may_give_several_things_and_features_are_of_one_length():
    def network(images):
        mean = tf.reduce_mean(images, [1, 2])
        return {"mean": mean, "first": mean[:, :1]}

    images = pictures(70)
    look = ImageNetwork("n", "0", SIZE, network)
    given = look(images)
    assert (given["mean"].shape, given["first"].shape) == ((70, 3), (70, 1))
    once = ImageNetwork("n", "0", SIZE, lambda x: network(x)["mean"])
    features = as_features(once)
    np.testing.assert_allclose(features(images), face_features(given["mean"]), rtol=1e-6)
    # What is done with its output is part of what a number depends on.
    assert features.description["input"] == f"{once.description['input']}; scaled to length √D"


@pytest.mark.parametrize(
    "images", [pictures(2)[0], pictures(0), pictures(2).astype(np.float32), pictures(2)[..., :1]]
)
def test_what_are_no_pictures_is_refused(lightcnn, images):
    with pytest.raises(ValueError, match=r"uint8 \[n, height, width, 3\], not"):
        image_network(lightcnn)(images)


def test_a_network_is_told_by_its_weights_however_they_were_saved(lightcnn, tmp_path):
    before = network_sha256(lightcnn)
    lightcnn.save(tmp_path / "n.keras")
    loaded = keras.models.load_model(tmp_path / "n.keras", compile=False)
    assert network_sha256(loaded) == before
    weights = loaded.get_weights()
    weights[3].flat[0] += 1e-3
    loaded.set_weights(weights)
    assert network_sha256(loaded) != before


def test_only_the_angle_of_a_face_counts():
    faces = np.array([[3.0, 4.0], [30.0, 40.0], [0.0, 0.0]])
    np.testing.assert_allclose(face_features(faces)[:2], np.sqrt(2) * np.array([[0.6, 0.8]] * 2))
    assert np.all(face_features(faces)[2] == 0)


@pytest.mark.parametrize("where", ["run", "file"])
def test_a_face_network_gives_embeddings_to_know_people_by_and_angles_to_compare_sets(
    lightcnn, tmp_path, where
):
    lightcnn.save(tmp_path / "model.keras")
    path = str(tmp_path if where == "run" else tmp_path / "model.keras")
    embeddings = lightcnn(pictures(3) / np.float32(127.5) - 1).numpy()
    np.testing.assert_allclose(load_face_network(path)(pictures(3)), embeddings, atol=1e-5)
    features = load_feature_network(path)
    assert features.description["input"].endswith("scaled to length √D")
    np.testing.assert_allclose(features(pictures(3)), face_features(embeddings), atol=1e-4)
    assert features.sha256 == network_sha256(lightcnn)


@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spatial", [False, True])
def test_any_keras_model_of_one_output_will_do(tmp_path, form, channels, spatial):
    model = plain(channels=channels, spatial=spatial)
    model.save(str(tmp_path / f"m.{form}"))
    images = pictures(3) / np.float32(127.5) - 1
    if channels == 1:
        images = (images * np.array([0.299, 0.587, 0.114], np.float32)).sum(-1, keepdims=True)
    wanted = model(images).numpy()
    wanted = wanted.mean(axis=(1, 2)) if spatial else wanted
    network = load_feature_network(str(tmp_path / f"m.{form}"))
    assert network.image_size == SIZE
    np.testing.assert_allclose(network(pictures(3)), wanted, atol=1e-5)


def test_models_of_equal_weights_are_told_apart(tmp_path):
    image = keras.Input((SIZE, SIZE, 3))
    convolution = keras.layers.Conv2D(4, 3)
    x = convolution(image)
    for name in ("Average", "Max"):
        pool = getattr(keras.layers, f"Global{name}Pooling2D")()
        keras.Model(image, pool(x), name="same").save(tmp_path / f"{name}.keras")
    one, other = (load_feature_network(str(tmp_path / f"{n}.keras")) for n in ("Average", "Max"))
    assert one.name == other.name and one.sha256 != other.sha256


def test_a_file_that_holds_code_is_refused_and_nothing_of_it_is_run(tmp_path):
    image = keras.Input((SIZE, SIZE, 3))
    traces = []
    x = keras.layers.Lambda(lambda y: traces.append(1) or y, output_shape=(SIZE, SIZE, 3))(image)
    keras.Model(image, keras.layers.Flatten()(x)).save(str(tmp_path / "code.h5"))
    traces.clear()
    with pytest.raises(UserError, match="code.h5: its configuration names 'Lambda"):
        load_feature_network(str(tmp_path / "code.h5"))
    assert not traces


def test_what_is_no_network_to_compare_by_is_told(tmp_path):
    def path(name):
        return str(tmp_path / name)

    QualityEstimator.from_config({"image_size": SIZE, "width": 4, "depth": 3}).save(path("q.keras"))
    plain(outputs=2).save(path("two.keras"))
    plain().save(path("cut.keras"))
    with open(path("cut.keras"), "r+b") as file:
        file.truncate(1000)
    with open(path("text.h5"), "w") as file:
        file.write("no network")
    os.makedirs(path("empty"))
    free = keras.Input((None, None, 3))
    keras.Model(free, keras.layers.Conv2D(2, 3)(free)).save(path("free.keras"))
    for name, told in {
        "absent": "no such file or folder",
        "empty": "holds no model.keras",
        "q.keras": "holds a QualityEstimator, which does not embed pictures",
        "two.keras": "not one tensor of known size",
        "cut.keras": "is not a .keras file, or is damaged",
        "text.h5": "is not a .keras or HDF5 file, or is damaged",
        "free.keras": r"takes \(None, None, None, 3\), not square images",
    }.items():
        with pytest.raises(UserError, match=f"^--features={path(name)}.*{told}"):
            load_feature_network(path(name))
    with pytest.raises(UserError, match="^--identity_model=.*holds a QualityEstimator"):
        load_face_network(path("q.keras"))


def test_weights_of_something_else_than_inception_are_refused(tmp_path):
    plain().save_weights(str(tmp_path / "other.weights.h5"))
    with pytest.raises(UserError, match="other.weights.h5: the weights of InceptionV3 cannot be"):
        load_feature_network(str(tmp_path / "other.weights.h5"))
