"""Base classes of the networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from legan_tf.graph_ops.pixels import to_float


class Network(keras.Model):
    """A network that knows its own input size and so can be built and saved without data.

    Its configuration holds only plain values, never a data type policy, so that a ``.keras`` file
    written by one version of Keras is read by the other. Only the layers cast their inputs: under
    mixed precision, what bypasses them stays float32.
    """

    built: bool
    kind: ClassVar[str] = ""
    """What it is in use: ``editor``, ``scorer`` or ``depth``; nothing if it serves training."""
    attribute_names: dict[str, str] = {}
    """By argument of ``__init__``, the attribute that holds it where that has another name."""

    def __init__(self, name: str | None = None) -> None:
        """Names the model.

        Args:
            name: Name of the Keras model.
        """
        super().__init__(name=name, autocast=False)

    def build(self, input_shape: Any = None) -> None:
        """Creates all weights; needs no shape, since the network knows its own."""
        if not self.built:
            self.build_layers()
            self.built = True

    def build_layers(self) -> None:
        """Builds every layer of the network on its known input shape."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__`` as plain values.

        Each is the attribute of its name, or of the name in ``attribute_names``.
        """
        arguments = list(inspect.signature(type(self).__init__).parameters)
        values = {
            name: getattr(self, self.attribute_names.get(name, name))
            for name in arguments
            if name not in ("self", "name")
        }
        return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration that ``from_config`` takes."""
        return {**self.config(), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Network:
        """Makes the network that ``get_config`` described, built."""
        network = cls(**config)
        network.build()
        return network

    def __dir__(self) -> list[str]:
        """Hides ``layers`` from Keras' writer of weights.

        It walks the names listed here, and the two versions of Keras disagree on whether a layer
        is stored under ``layers`` or under the attribute that holds it.
        """
        return [name for name in super().__dir__() if name != "layers"]

    def get_build_config(self) -> dict[str, Any]:
        """Returns no shape; see ``build``."""
        return {"input_shape": None}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the network; ``config`` holds nothing that it needs."""
        self.build()


def copy_of(network: Network, name: str) -> Network:
    """Returns a network of the same configuration and weights that shares nothing with it."""
    copy = type(network).from_config({**network.get_config(), "name": name})
    copy.set_weights(network.get_weights())
    return copy


def predict_in_batches(
    network: Callable[[tf.Tensor], Any], images: np.ndarray, batch_size: int = 64
) -> Any:
    """Applies a network to pictures, a batch at a time.

    Args:
        network: Maps float32 [b,H,W,3] in [-1, 1] to a tensor, or to a structure of tensors, with b
            rows each.
        images: uint8 [n,H,W,3], n at least 1; or any object of length n whose slices are that.
        batch_size: Pictures per batch.

    Returns:
        The outputs as arrays of n rows, in the same structure.
    """
    outputs = [
        network(to_float(tf.constant(images[start : start + batch_size])))
        for start in range(0, len(images), batch_size)
    ]
    return tf.nest.map_structure(
        lambda *parts: np.concatenate([np.asarray(part) for part in parts]), *outputs
    )


class FaceNetwork(Network):
    """A face network: the angle between two embeddings measures whether they show one person.

    Called on float32 images [B,S,S,3] in [-1, 1], S being ``image_size``; returns float32 [B,D],
    not normalised.

    Attributes:
        image_size: Height and width of the images, in pixels.
    """

    image_size: int


def subtract_mean(image: tf.Tensor, mean: tuple[float, float, float]) -> tf.Tensor:
    """Returns images in [-1, 1] on the scale of 0 to 255, minus the mean of red, green and blue."""
    image = tf.cast(image, tf.float32)
    return (image + 1.0) * 127.5 - tf.constant(mean, tf.float32)
