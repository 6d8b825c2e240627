"""Networks of pictures, such as those whose features FID and KID compare."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from legan_tf.data import storage
from legan_tf.errors import UserError, first_line
from legan_tf.graph_ops.resizing import resize
from legan_tf.models import FaceNetwork, FidInception, Network
from legan_tf.models.lightcnn import LUMA
from legan_tf.models.model_files import check_model_file, load_model
from legan_tf.models.network import predict_in_batches
from legan_tf.models.pretrained.tfgan_inception import SIZE, canonical_inception
from legan_tf.training.run_folder import network_file

BATCH = 64
RESIZER = "bilinear, antialias"
_HDF5 = (".h5", ".hdf5")


@dataclasses.dataclass
class ImageNetwork:
    """A network as a function of uint8 pictures of any size, with a description for reports.

    Attributes:
        name: Name in reports.
        sha256: Of its weights.
        image_size: Height and width of the images that it takes, in pixels.
        function: Maps float32 images [n,image_size,image_size,3] in [-1, 1] to a tensor or to a
            dictionary of tensors, one row each.
        followed_by: Description of what is done with its output.
    """

    name: str
    sha256: str
    image_size: int
    function: Callable[[tf.Tensor], Any]
    followed_by: str = ""

    @property
    def description(self) -> dict[str, str]:
        """What results depend on: name, sha256, input and processing of the output."""
        steps = f"{self.image_size} x {self.image_size}, {RESIZER}"
        if self.followed_by:
            steps += f"; {self.followed_by}"
        return {"name": self.name, "sha256": self.sha256, "input": steps}

    def __call__(self, images: np.ndarray) -> Any:
        """Applies the network.

        Args:
            images: uint8 [n,H,W,3], n at least 1.

        Returns:
            Its outputs as float32 arrays.

        Raises:
            ValueError: The pictures are not of that form.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not len(images):
            raise ValueError(
                f"pictures must be uint8 [n, height, width, 3], not {images.dtype} {images.shape}"
            )
        return predict_in_batches(self._resized, images, BATCH)

    def _resized(self, batch: tf.Tensor) -> Any:
        if batch.shape[1:3] != (self.image_size, self.image_size):
            batch = resize(batch, [self.image_size] * 2, "triangle")
        return tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), self.function(batch))


def image_network(network: Network) -> ImageNetwork:
    """Returns a network of this package as an ``ImageNetwork``."""
    return ImageNetwork(network.name, network_sha256(network), network.image_size, network)


def network_sha256(network: Network) -> str:
    """Returns the sha256 of the kind, configuration and weights of a network of this package."""
    kind = [type(network).__name__, network.config()]
    return _sha256(json.dumps(kind, sort_keys=True), network.get_weights())


def _sha256(text: str, weights: Sequence[np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for weight in weights:
        digest.update(f"{weight.dtype} {weight.shape} ".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def as_features(network: ImageNetwork) -> ImageNetwork:
    """Returns a face network followed by ``face_features``."""

    def features(images: tf.Tensor) -> np.ndarray:
        return face_features(np.asarray(network.function(images)))

    steps = "scaled to length √D"
    return ImageNetwork(network.name, network.sha256, network.image_size, features, steps)


def face_features(embeddings: np.ndarray) -> np.ndarray:
    """Scales embeddings of faces to one length, as only their angle identifies a person.

    Args:
        embeddings: float [n,D].

    Returns:
        The same, each of length √D, so that values are about 1 as KID's cubic kernel expects.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.maximum(lengths, 1e-12) * np.sqrt(embeddings.shape[1])


def load_feature_network(path: str) -> ImageNetwork:
    """Loads a network to compute FID and KID with.

    Args:
        path: ``inception`` for InceptionV3 of ``keras.applications`` with ImageNet weights, which
            Keras downloads once; or a path: TF-GAN's canonical Inception (folder or archive from
            TF-Hub), InceptionV3's weights without top (.h5), a face network of this package (run
            folder or .keras) or its Inception of FID (.keras), or any Keras model (.keras, .h5) of
            images in [-1, 1], colour or grey, whose output is one tensor; a spatial one is averaged
            over space.

    Raises:
        UserError: It cannot be loaded; the message names ``--features``.
        UnavailableError: TF-GAN's Inception was given and tensorflow-gan does not work here.
    """
    if path == "inception":
        return _inception("imagenet")
    if not os.path.exists(path):
        raise UserError(
            f"--features={path}: no such file or folder. Give face, inception, or the path of a "
            "network."
        )
    is_module = os.path.isfile(os.path.join(path, "saved_model.pb"))
    if is_module or path.endswith((".tar.gz", ".tgz")):
        features, sha256 = canonical_inception(path)
        return ImageNetwork("TF-GAN Inception pool_3", sha256, SIZE, features)
    if path.endswith(_HDF5) and not _holds_network("--features", path):
        return _inception(path)
    model = _loaded("--features", path)
    network = _network("--features", path, model)
    # Of a face the angle of its embedding counts, not the length.
    return as_features(network) if isinstance(model, FaceNetwork) else network


def load_face_network(path: str) -> ImageNetwork:
    """Loads a network that embeds faces.

    Args:
        path: A run folder or .keras file of a face network of this package, or any Keras model
            (.keras, .h5) as ``load_feature_network`` takes it.

    Raises:
        UserError: It cannot be loaded; the message names ``--identity_model``.
    """
    return _network("--identity_model", path, _loaded("--identity_model", path))


def _inception(weights: str) -> ImageNetwork:
    try:
        model = keras.applications.InceptionV3(
            include_top=False, weights=weights, pooling="avg", input_shape=(SIZE, SIZE, 3)
        )
    except Exception as error:  # No network, or weights of something else.
        what = "inception" if weights == "imagenet" else weights
        raise UserError(
            f"--features={what}: the weights of InceptionV3 cannot be had ({first_line(error)}). "
            "Give the file of its weights without top (.h5), or another network."
        ) from error
    sha256 = _sha256("InceptionV3", model.get_weights())
    return ImageNetwork("keras.applications InceptionV3", sha256, SIZE, model)


def _loaded(flag: str, path: str) -> keras.Model:
    """The Keras model of a file or of a run folder."""
    try:
        return load_model(network_file(path))
    except UserError as error:
        raise UserError(f"{flag}={error}") from error


def _network(flag: str, path: str, model: keras.Model) -> ImageNetwork:
    """A Keras model as a network that returns one vector for each picture."""
    place = f"{flag}={path}"
    if isinstance(model, (FaceNetwork, FidInception)):
        return image_network(model)
    if isinstance(model, Network):
        raise UserError(
            f"{place}: holds a {type(model).__name__}, which does not embed pictures; of this "
            "package's networks only face networks and the Inception of FID do."
        )
    shape = getattr(model, "input_shape", None)
    if (
        not isinstance(shape, tuple)
        or len(shape) != 4
        or not shape[1]
        or shape[1] != shape[2]
        or shape[3] not in (1, 3)
    ):
        raise UserError(
            f"{place}: takes {shape}, not square images [batch, size, size, 1 or 3] of one size."
        )
    # Flat, whatever the structure of the outputs and the version of Keras.
    outputs = [tuple(output.shape) for output in model.outputs]
    if len(outputs) != 1 or len(outputs[0]) < 2 or None in outputs[0][1:]:
        given = " and ".join(map(str, outputs))
        raise UserError(f"{place}: gives {given}, not one tensor of known size.")
    grey = shape[3] == 1

    def features(images: tf.Tensor) -> tf.Tensor:
        if grey:
            images = tf.reduce_sum(images * tf.constant(LUMA), -1, keepdims=True)
        (given,) = tf.nest.flatten(model(images, training=False))
        return tf.reduce_mean(given, axis=list(range(1, len(given.shape) - 1)))

    return ImageNetwork(model.name, storage.sha256(network_file(path)), shape[1], features)


def _holds_network(flag: str, path: str) -> bool:
    """Whether a file holds a network, not weights only; refuses it where it could run code."""
    try:
        return check_model_file(path)
    except UserError as error:
        raise UserError(f"{flag}={error}") from error
