from __future__ import annotations

import importlib.metadata
import io
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from legan_tf import optional
from legan_tf.errors import UserError
from legan_tf.evaluation.features import load_feature_network
from legan_tf.evaluation.inception import canonical_inception

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)


class Module(tf.Module):
    """What TF-GAN publishes, in small: a call that gives a dictionary."""

    def __init__(self, output="pool_3"):
        self.scale = tf.Variable([1.0, 2.0, 4.0])
        self._output = output

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
    def __call__(self, images):
        mean = tf.reduce_mean(images, [1, 2], keepdims=True) * self.scale
        return {self._output: mean, "logits": mean[:, 0, 0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("hub") / "module")
    tf.saved_model.save(Module(), folder)
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
    assert len(network.sha256) == 64
    resized = tf.image.resize(PICTURES / np.float32(127.5) - 1, [299, 299], antialias=True)
    wanted = tf.reduce_mean(resized, [1, 2]) * [1.0, 2.0, 4.0]
    np.testing.assert_allclose(network(PICTURES), wanted, atol=1e-5)
    np.testing.assert_allclose(network(PICTURES[:1]), wanted[:1], atol=1e-5)


@pytest.mark.stack_a
def test_a_module_without_that_output_is_told(tmp_path):
    tf.saved_model.save(Module("pool_4"), str(tmp_path))
    with pytest.raises(UserError, match="is no TF-Hub module with the output pool_3"):
        canonical_inception(str(tmp_path))


@pytest.mark.stack_a
def test_a_damaged_or_hostile_archive_is_told(folder, tmp_path):
    whole = archive(folder, str(tmp_path / "whole.tar.gz"))
    with open(whole, "rb") as file:
        content = file.read()
    (tmp_path / "cut.tar.gz").write_bytes(content[: len(content) // 2])
    with tarfile.open(tmp_path / "out.tar.gz", "w:gz") as file:
        file.addfile(tarfile.TarInfo("../out"), io.BytesIO())
    for name in ("cut", "out"):
        path = str(tmp_path / f"{name}.tar.gz")
        with pytest.raises(UserError, match=f"--features={path}: cannot be unpacked"):
            canonical_inception(path)
    assert not (tmp_path.parent / "out").exists()


@pytest.mark.skipif(
    importlib.metadata.version("keras").startswith("2."), reason="stack A can load it"
)
def test_stack_b_says_what_it_needs(folder):
    with pytest.raises(optional.UnavailableError, match="TF-GAN's Inception needs tensorflow-gan"):
        canonical_inception(folder)
