"""The three ImageNet networks of LPIPS (Zhang et al., CVPR 2018)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.layers import Shape
from legan_tf.models.network import Network
from legan_tf.runtime.compat import float32_policy

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Mean and standard deviation of ImageNet's colours in [-1, 1], as rounded by LPIPS."""


class Fire(keras.layers.Layer):
    """SqueezeNet's fire module: a 1 × 1 convolution, then 1 × 1 and 3 × 3 in parallel."""

    def __init__(self, squeezed: int, expanded: int, **kwargs: Any) -> None:
        """Makes the three convolutions.

        Args:
            squeezed: Channels of the first convolution.
            expanded: Channels of each of the two outputs.
            **kwargs: Of the Keras layer.
        """
        super().__init__(**kwargs)
        self.expanded = expanded
        self.squeeze = layers.relu_conv(squeezed, 1)
        self.expand1x1 = layers.relu_conv(expanded, 1)
        self.expand3x3 = layers.relu_conv(expanded, 3)

    def build(self, input_shape: Shape) -> None:
        """Builds the convolutions."""
        self.squeeze.build(input_shape)
        between = (*input_shape[:-1], self.squeeze.filters)
        self.expand1x1.build(between)
        self.expand3x3.build(between)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Concatenates the two outputs."""
        squeezed = self.squeeze(x)
        return tf.concat([self.expand1x1(squeezed), self.expand3x3(squeezed)], axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the same size with the channels of both outputs."""
        return (*input_shape[:-1], 2 * self.expanded)


class PerceptualTrunk(Network):
    """The convolutions of an ImageNet network, with intermediate outputs ("taps").

    Called on float32 images [B,H,W,3] in [-1, 1], which need only be large enough; returns a tuple
    of float32 [B,h,w,c], its taps, each after a ReLU. Paddings are torchvision's, symmetric, and
    it always computes in float32.
    """

    title: str
    """Common name of the network."""
    least_size: int
    """Smallest height and width for which the last tap is not empty."""
    channels: tuple[int, ...]
    """Channels of each tap."""

    def __init__(self, name: str | None = None) -> None:
        """Makes the layers.

        Args:
            name: Name of the Keras model.
        """
        with float32_policy():
            super().__init__(name=name)
            self.stages = [layers.Chain(stage) for stage in self.layers_between_taps()]

    def layers_between_taps(self) -> list[list[keras.layers.Layer]]:
        """Returns the layers up to each tap, from the one before it."""
        raise NotImplementedError

    def build_layers(self) -> None:
        """Builds every stage on the output of the one before it."""
        shape: Shape = (None, self.least_size, self.least_size, 3)
        for stage in self.stages:
            stage.build(shape)
            shape = stage.compute_output_shape(shape)

    def check_size(self, height: int | None, width: int | None) -> None:
        """Checks that images are large enough; an unknown side passes.

        Raises:
            ValueError: They are too small.
        """
        if any(side is not None and side < self.least_size for side in (height, width)):
            raise ValueError(
                f"images of {height} x {width} pixels are too small: {self.title} needs at least "
                f"{self.least_size} x {self.least_size}"
            )

    def call(self, image: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, ...]:
        """Returns the taps; see the class.

        Raises:
            ValueError: The images are too small.
        """
        self.check_size(*image.shape[1:3])
        image = tf.cast(image, tf.float32)
        x = (image - tf.constant(SHIFT, tf.float32)) / tf.constant(SCALE, tf.float32)
        taps = []
        for stage in self.stages:
            x = stage(x)
            taps.append(x)
        return tuple(taps)


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class AlexNetTrunk(PerceptualTrunk):
    """torchvision's AlexNet up to its fifth ReLU: 2,469,696 parameters, five taps."""

    title = "AlexNet"
    least_size = 31
    channels = (64, 192, 384, 256, 256)

    def layers_between_taps(self) -> list[list[keras.layers.Layer]]:
        """Returns five convolutions."""
        around = keras.layers.ZeroPadding2D(2)
        return [
            [around, layers.relu_conv(64, 11, strides=4, padding="valid")],
            [layers.max_pool(3), layers.relu_conv(192, 5)],
            [layers.max_pool(3), layers.relu_conv(384, 3)],
            [layers.relu_conv(256, 3)],
            [layers.relu_conv(256, 3)],
        ]


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class Vgg16Trunk(PerceptualTrunk):
    """VGG-16 up to ``relu5_3``: 14,714,688 parameters, taps relu1_2, 2_2, 3_3, 4_3 and 5_3."""

    title = "VGG16"
    least_size = 16
    channels = (64, 128, 256, 512, 512)

    def layers_between_taps(self) -> list[list[keras.layers.Layer]]:
        """Returns thirteen convolutions."""
        stages: list[list[keras.layers.Layer]] = []
        for count, filters in zip((2, 2, 3, 3, 3), self.channels):
            pool = [layers.max_pool(2)] if stages else []
            stages.append(pool + [layers.relu_conv(filters, 3) for _ in range(count)])
        return stages


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class SqueezeNetTrunk(PerceptualTrunk):
    """SqueezeNet 1.1 without its classifier: 722,496 parameters, seven taps."""

    title = "SqueezeNet 1.1"
    least_size = 17
    channels = (64, 128, 256, 384, 384, 512, 512)

    def layers_between_taps(self) -> list[list[keras.layers.Layer]]:
        """Returns a convolution and eight fire modules."""
        return [
            [layers.relu_conv(64, 3, strides=2, padding="valid")],
            [*layers.ceil_mode_max_pool(), Fire(16, 64), Fire(16, 64)],
            [*layers.ceil_mode_max_pool(), Fire(32, 128), Fire(32, 128)],
            [*layers.ceil_mode_max_pool(), Fire(48, 192)],
            [Fire(48, 192)],
            [Fire(64, 256)],
            [Fire(64, 256)],
        ]
