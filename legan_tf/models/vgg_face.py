"""VGG-Face, the face network of Bodur et al.'s identity distance (Parkhi et al., BMVC 2015)."""

from __future__ import annotations

import keras
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.network import FaceNetwork, subtract_mean
from legan_tf.runtime.compat import float32_policy

MEAN = (129.186279296875, 104.76238250732422, 93.59396362304688)
"""Mean red, green and blue of the training images, 0 to 255."""


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class VggFace(FaceNetwork):
    """VGG-16 without its last layer, which classifies the people of the training set.

    See ``FaceNetwork``; the images are 224 × 224, the embedding is the input of the last layer:
    4096 numbers after a ReLU. 134,260,544 parameters. Always computes in float32.
    """

    image_size = 224

    def __init__(self, width: float = 1.0, name: str | None = "vgg_face") -> None:
        """Makes the layers.

        Args:
            width: Factor on the published channels (64 to 512, and 4096).
            name: Name of the Keras model.
        """
        with float32_policy():
            super().__init__(name=name)
            self.width = width
            self.channels = max(1, round(512 * width))
            made: list[keras.layers.Layer] = []
            for count, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
                made += [layers.relu_conv(max(1, round(filters * width)), 3) for _ in range(count)]
                made.append(layers.max_pool(2))
            self.trunk = layers.Chain(made)
            units = max(1, round(4096 * width))
            self.fc6, self.fc7 = (keras.layers.Dense(units, activation="relu") for _ in range(2))

    def build_layers(self) -> None:
        """Builds the convolutions and the dense layers."""
        self.trunk.build((None, self.image_size, self.image_size, 3))
        side = self.image_size // 32
        self.features = side * side * self.channels
        self.fc6.build((None, self.features))
        self.fc7.build((None, self.fc6.units))

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Embeds the faces; see the class."""
        features = tf.reshape(self.trunk(subtract_mean(image, MEAN)), [-1, self.features])
        return self.fc7(self.fc6(features))
