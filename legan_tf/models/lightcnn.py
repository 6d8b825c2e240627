"""LightCNN-29, the face network behind LEGAN's identity loss (Wu et al., TIFS 2018)."""

from __future__ import annotations

import keras
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.layers import Shape
from legan_tf.models.network import FaceNetwork

EMBEDDING = 256
VERSIONS = (1, 2)
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey input image."""


class MaxFeatureMap(keras.layers.Layer):
    """Max-feature-map (MFM): the maximum of the two halves of a convolution's channels."""

    def __init__(self, filters: int, kernel: int, **kwargs) -> None:
        """Makes the convolution."""
        super().__init__(**kwargs)
        self.filters = filters
        self.convolution = layers.conv(2 * filters, kernel, use_bias=True)

    def build(self, input_shape: Shape) -> None:
        """Builds the convolution."""
        self.convolution.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the maximum of both halves, channel by channel."""
        first, second = tf.split(self.convolution(x), 2, axis=-1)
        return tf.maximum(first, second)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the same size with ``filters`` channels."""
        return (*input_shape[:-1], self.filters)


def light_residual(filters: int) -> keras.layers.Layer:
    """Returns LightCNN's residual block, x + MFM(MFM(x))."""
    return layers.Residual([MaxFeatureMap(filters, 3), MaxFeatureMap(filters, 3)])


class MaxAndMeanPool(keras.layers.AveragePooling2D):
    """The sum of a 2 × 2 maximum and a 2 × 2 mean."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns ``x`` at half the size."""
        return tf.nn.max_pool2d(x, 2, 2, "VALID") + super().call(x)


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class LightCNN29(FaceNetwork):
    """Embeds a face in 256 numbers; see ``FaceNetwork``.

    The images become grey in [0, 1]; the embedding is the output of the layer ``fc``. Version 2
    pools by the sum of maximum and mean and has a plain ``fc``; version 1 pools by the maximum, and
    its ``fc`` is a max-feature-map too. At 128 × 128 version 2 has
    10,475,872 parameters, version 1 12,573,280; 8,378,464 of either are in the convolutions.
    """

    def __init__(
        self,
        image_size: int = 128,
        width: float = 1.0,
        version: int = 2,
        name: str | None = "lightcnn29",
    ) -> None:
        """Makes the layers.

        Args:
            image_size: Height and width in pixels, a multiple of 16.
            width: Factor on the published channels (48, 96, 192, 128); below 1 for small trainings.
            version: 1 or 2.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is no multiple of 16, or there is no such version.
        """
        super().__init__(name=name)
        if image_size % 16:
            raise ValueError(f"image_size is {image_size}: LightCNN-29 needs a multiple of 16")
        if version not in VERSIONS:
            raise ValueError(f"version is 1 or 2, not {version!r}")
        self.image_size = image_size
        self.width = width
        self.version = version
        pooling = MaxAndMeanPool if version == 2 else keras.layers.MaxPooling2D
        c1, c2, c3, c4 = (max(1, round(channels * width)) for channels in (48, 96, 192, 128))
        made: list[keras.layers.Layer] = [MaxFeatureMap(c1, 5), pooling(2)]
        plan = [(1, c1, c2, True), (2, c2, c3, True), (3, c3, c4, False), (4, c4, c4, True)]
        for blocks, channels, following, pool in plan:
            made += [light_residual(channels) for _ in range(blocks)]
            made += [MaxFeatureMap(channels, 1), MaxFeatureMap(following, 3)]
            made += [pooling(2)] if pool else []
        self.trunk = layers.Chain(made)
        self.fc = keras.layers.Dense(
            EMBEDDING if version == 2 else 2 * EMBEDDING, dtype=layers.OUTPUT_TYPE
        )
        self.features = (image_size // 16) ** 2 * c4

    def build_layers(self) -> None:
        """Builds the convolutions and the dense layer."""
        self.trunk.build((None, self.image_size, self.image_size, 1))
        self.fc.build((None, self.features))

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Embeds the faces; see the class."""
        grey = tf.reduce_sum((image + 1.0) / 2.0 * tf.constant(LUMA, image.dtype), -1, True)
        features = tf.reshape(self.trunk(grey), [-1, self.features])
        embedding = self.fc(features)
        if self.version == 1:
            embedding = tf.maximum(*tf.split(embedding, 2, axis=-1))
        return embedding
