"""ResNet-50 of VGGFace2, the network of LEGAN's match score (Cao et al., FG 2018)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.layers import Shape
from legan_tf.models.network import FaceNetwork, subtract_mean
from legan_tf.runtime.compat import float32_policy

MEAN = (131.0912, 103.8827, 91.4953)
"""Mean red, green and blue of the training images, 0 to 255."""


class Bottleneck(keras.layers.Layer):
    """ReLU(x' + body(x)) with a body of three convolutions: 1 × 1, 3 × 3, and 1 × 1 to 4 × filters.

    x' is x itself, or a 1 × 1 convolution of it where the size or the channels change. The stride
    is that of the first convolution, as in the first ResNets.
    """

    def __init__(self, filters: int, stride: int, projects: bool, **kwargs: Any) -> None:
        """Makes the convolutions.

        Args:
            filters: Channels of the 3 × 3 convolution.
            stride: 2 halves the size.
            projects: Whether x' is a convolution of x.
            **kwargs: Of the Keras layer.
        """
        super().__init__(**kwargs)
        linear = {"activation": None}
        self.body = layers.Chain(
            [
                layers.relu_conv(filters, 1, strides=stride),
                layers.relu_conv(filters, 3),
                layers.relu_conv(4 * filters, 1, **linear),
            ]
        )
        shortcut = [layers.relu_conv(4 * filters, 1, strides=stride, **linear)] if projects else []
        self.shortcut = layers.Chain(shortcut)

    def build(self, input_shape: Shape) -> None:
        """Builds the convolutions."""
        self.body.build(input_shape)
        self.shortcut.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the ReLU of the sum of shortcut and body."""
        return tf.nn.relu(self.shortcut(x) + self.body(x))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape that the body gives."""
        return self.body.compute_output_shape(input_shape)


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class Vggface2ResNet50(FaceNetwork):
    """ResNet-50 up to the mean over space, with its batch normalisation folded in.

    See ``FaceNetwork``; the images are 224 × 224, the embedding has 2048 numbers. 23,481,472
    parameters. It is filled with trained weights, whose batch normalisation is folded into kernels
    and biases. Always computes in float32.
    """

    image_size = 224

    def __init__(self, width: float = 1.0, name: str | None = "vggface2_resnet50") -> None:
        """Makes the layers.

        Args:
            width: Factor on the published channels (64, 128, 256, 512 and four times as many).
            name: Name of the Keras model.
        """
        with float32_policy():
            super().__init__(name=name)
            self.width = width
            c1, c2, c3, c4 = (max(1, round(channels * width)) for channels in (64, 128, 256, 512))
            made: list[keras.layers.Layer] = [
                keras.layers.ZeroPadding2D(3),
                layers.relu_conv(c1, 7, strides=2, padding="valid"),
                *layers.ceil_mode_max_pool(),
            ]
            for count, filters, stride in ((3, c1, 1), (4, c2, 2), (6, c3, 2), (3, c4, 2)):
                made.append(Bottleneck(filters, stride, projects=True))
                made += [Bottleneck(filters, 1, projects=False) for _ in range(count - 1)]
            self.trunk = layers.Chain(made)

    def build_layers(self) -> None:
        """Builds the convolutions."""
        self.trunk.build((None, self.image_size, self.image_size, 3))

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Embeds the faces; see the class."""
        return tf.reduce_mean(self.trunk(subtract_mean(image, MEAN)), axis=[1, 2])
