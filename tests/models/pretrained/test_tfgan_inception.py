from __future__ import annotations

import gc
import importlib.metadata
import io
import os
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from legan_tf import optional
from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.evaluation.image_networks import load_feature_network
from legan_tf.models.pretrained.tfgan_inception import canonical_inception

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)


class Module(tf.Module):
    """What TF-GAN publishes, in small: a call that gives a dictionary."""

    def __init__(self, output="pool_3", kind=tf.Variable):
        self.scale = kind([1.0, 2.0, 4.0])
        self._output = output

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
    def __call__(self, images):
        mean = tf.reduce_mean(images, [1, 2], keepdims=True) * self.scale
        return {self._output: mean, "logits": mean[:, 0, 0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("hub") / "module")
    tf.saved_model.save(Module(), folder)
    # Like the weights, and unlike zeros, this does not shrink in an archive.
    with open(os.path.join(folder, "noise"), "wb") as file:
        file.write(np.random.default_rng(1).bytes(200_000))
    return folder


def archive(folder, path):
    with tarfile.open(path, "w:gz") as file:
        file.add(folder, ".")
    return path


@pytest.mark.stack_a
@pytest.mark.parametrize("packed", [False, True])
def test_the_features_are_those_of_the_module(folder, packed, tmp_path):
    path = archive(folder, str(tmp_path / "1.tar.gz")) if packed else folder
    network = load_feature_network(path)
    assert (network.name, network.image_size) == ("TF-GAN Inception pool_3", 299)
    assert network.sha256 == storage.sha256(folder)
    gc.collect()
    resized = tf.image.resize(PICTURES / np.float32(127.5) - 1, [299, 299], antialias=True)
    wanted = tf.reduce_mean(resized, [1, 2]) * [1.0, 2.0, 4.0]
    np.testing.assert_allclose(network(PICTURES), wanted, atol=1e-5)
    np.testing.assert_allclose(network(PICTURES[:1]), wanted[:1], atol=1e-5)


@pytest.mark.stack_a
def test_a_module_may_hold_its_weights_as_constants(tmp_path):
    tf.saved_model.save(Module(kind=tf.constant), str(tmp_path))
    features, _ = canonical_inception(str(tmp_path))
    gc.collect()
    images = np.random.default_rng(0).uniform(-1, 1, (2, 299, 299, 3)).astype(np.float32)
    wanted = images.mean(axis=(1, 2)) * [1, 2, 4]
    np.testing.assert_allclose(features(images), wanted, atol=1e-5)


@pytest.mark.stack_a
def test_a_folder_without_that_output_or_without_a_module_is_told(tmp_path):
    tf.saved_model.save(Module("pool_4"), str(tmp_path / "other"))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "saved_model.pb").write_bytes(b"no module")
    for name, reason in (("other", "pool_3"), ("damaged", "Cannot parse file")):
        with pytest.raises(UserError, match="is no TF-Hub module with the output pool_3") as error:
            load_feature_network(str(tmp_path / name))
        assert reason in str(error.value).partition("(")[2]
        assert "\n" not in str(error.value)


@pytest.mark.stack_a
def test_a_damaged_or_hostile_archive_is_told(folder, tmp_path):
    whole = archive(folder, str(tmp_path / "whole.tar.gz"))
    with open(whole, "rb") as file:
        content = file.read()
    middle = len(content) // 2
    spoilt = {
        "cut": content[:middle],
        "changed": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "early": content[:30] + b"\xff" * 5 + content[35:],
        "text": b"no archive",
        "empty": b"",
    }
    for name, damaged in spoilt.items():
        (tmp_path / f"{name}.tar.gz").write_bytes(damaged)
    with tarfile.open(tmp_path / "out.tar.gz", "w:gz") as file:
        file.addfile(tarfile.TarInfo("../out"), io.BytesIO())
    for name in (*spoilt, "out"):
        path = str(tmp_path / f"{name}.tar.gz")
        with pytest.raises(UserError, match=f"--features={path}: cannot be unpacked") as error:
            canonical_inception(path)
        assert "\n" not in str(error.value)
    assert not (tmp_path.parent / "out").exists()
    large = tarfile.TarInfo("large")
    large.size = 2**31
    with tarfile.open(tmp_path / "large.tar.gz", "w:gz") as file:
        file.addfile(large)
    with pytest.raises(UserError, match="large.tar.gz: unpacks to more than 1,073,741,824 bytes"):
        canonical_inception(str(tmp_path / "large.tar.gz"))


@pytest.mark.stack_a
def test_a_python_that_cannot_unpack_safely_is_told(folder, tmp_path, monkeypatch):
    path = archive(folder, str(tmp_path / "1.tar.gz"))
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(UserError, match="this release of Python cannot unpack archives safely"):
        canonical_inception(path)


@pytest.mark.skipif(
    importlib.metadata.version("keras").startswith("2."), reason="stack A can load it"
)
def test_stack_b_says_what_it_needs(folder):
    with pytest.raises(optional.UnavailableError, match="TF-GAN's Inception needs tensorflow-gan"):
        canonical_inception(folder)
