"""TF-GAN's Inception network, the only module that uses tensorflow-gan."""

from __future__ import annotations

import gzip
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable

import tensorflow as tf

from legan_tf import optional
from legan_tf.data import storage
from legan_tf.errors import UserError, first_line

SIZE = 299
OUTPUT = "pool_3"
_MAX_SIZE = 2**30
"""Of the files in an archive, ten times those of the module, in bytes."""
_WHERE = "give the folder or the .tar.gz of tfgan/eval/inception from TF-Hub"


def canonical_inception(path: str) -> tuple[Callable[[tf.Tensor], tf.Tensor], str]:
    """Loads the network of the original FID code, as TF-GAN publishes it on TF-Hub.

    Args:
        path: The module's folder, or the archive that TF-Hub gives.

    Returns:
        A function of float32 images [n,299,299,3] in [-1, 1] that gives float32 [n,2048], and the
        sha256 of the module, packed or not.

    Raises:
        UserError: The file is no such archive, or a damaged one; or the module has no ``pool_3``.
        UnavailableError: tensorflow-gan does not work on this TensorFlow.
    """
    tfgan = optional.require("tensorflow_gan", f"--features={path}: TF-GAN's Inception")
    folder = path if os.path.isdir(path) else _unpacked(path)
    classifier = tfgan.eval.classifier_fn_from_tfhub(folder, OUTPUT, True)
    # Traced once: the function of TF-GAN loads the module at every call.
    # Nothing in it is for AutoGraph, whose errors hide the reason behind a stack.
    features = tf.function(classifier, input_signature=[_images()], autograph=False)
    try:
        features.get_concrete_function()
    except Exception as error:  # TF-Hub and TensorFlow fail in many ways on what is no module.
        reason = first_line(error)
        raise UserError(
            f"--features={path}: is no TF-Hub module with the output {OUTPUT} ({reason}); {_WHERE}."
        ) from error
    return features, storage.sha256(folder)


def _images() -> tf.TensorSpec:
    return tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32)


def _unpacked(path: str) -> str:
    """Unpacks an archive for as long as the process lives."""
    if not hasattr(tarfile, "data_filter"):
        raise UserError(
            f"--features={path}: this release of Python cannot unpack archives safely; unpack it "
            "yourself and give the folder."
        )
    folder = tempfile.TemporaryDirectory(prefix="legan_tf-inception-")
    _UNPACKED.append(folder)
    try:
        with gzip.open(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            size = 0
            for member in archive:
                size += member.size
                if size > _MAX_SIZE:
                    raise UserError(
                        f"--features={path}: unpacks to more than {_MAX_SIZE:,} bytes; {_WHERE}."
                    )
                archive.extract(member, folder.name, filter="data")
            # The checksum stands behind the last file, where reading an archive ends.
            while file.read(1 << 20):
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"--features={path}: cannot be unpacked ({error}); {_WHERE}.") from error
    return folder.name


_UNPACKED: list[tempfile.TemporaryDirectory] = []
