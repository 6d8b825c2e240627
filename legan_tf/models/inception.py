"""Inception-v3 of published FIDs, Google's of December 2015 (Heusel et al., NeurIPS 2017)."""

from __future__ import annotations

import keras
import tensorflow as tf

from legan_tf.models import layers
from legan_tf.models.layers import Branches, relu_conv
from legan_tf.models.network import Network
from legan_tf.runtime.compat import float32_policy


def _mean() -> keras.layers.Layer:
    """Returns a 3 × 3 mean pooling that leaves out the padding."""
    return keras.layers.AveragePooling2D(3, 1, padding="same")


def _stride_2(filters: int) -> keras.layers.Layer:
    """Returns a 3 × 3 convolution of stride 2 without padding."""
    return relu_conv(filters, 3, strides=2, padding="valid")


def _block_a(pooled: int) -> Branches:
    """35 × 35: 1 × 1, 5 × 5, twice 3 × 3, and a mean."""
    return Branches(
        [
            [relu_conv(64, 1)],
            [relu_conv(48, 1), relu_conv(64, 5)],
            [relu_conv(64, 1), relu_conv(96, 3), relu_conv(96, 3)],
            [_mean(), relu_conv(pooled, 1)],
        ]
    )


def _block_b() -> Branches:
    """35 × 35 to 17 × 17."""
    return Branches(
        [
            [_stride_2(384)],
            [relu_conv(64, 1), relu_conv(96, 3), _stride_2(96)],
            [layers.max_pool(3)],
        ]
    )


def _block_c(between: int) -> Branches:
    """17 × 17: 1 × 1, 7 × 7 factorised once and twice, and a mean."""
    wide, high = (1, 7), (7, 1)
    return Branches(
        [
            [relu_conv(192, 1)],
            [relu_conv(between, 1), relu_conv(between, wide), relu_conv(192, high)],
            [
                relu_conv(between, 1),
                relu_conv(between, high),
                relu_conv(between, wide),
                relu_conv(between, high),
                relu_conv(192, wide),
            ],
            [_mean(), relu_conv(192, 1)],
        ]
    )


def _block_d() -> Branches:
    """17 × 17 to 8 × 8."""
    return Branches(
        [
            [relu_conv(192, 1), _stride_2(320)],
            [relu_conv(192, 1), relu_conv(192, (1, 7)), relu_conv(192, (7, 1)), _stride_2(192)],
            [layers.max_pool(3)],
        ]
    )


def _block_e(pooling: keras.layers.Layer) -> Branches:
    """8 × 8: 1 × 1, 3 × 3 factorised in parallel, the same after a 3 × 3, and a pooling."""

    def factorised() -> Branches:
        return Branches([[relu_conv(384, (1, 3))], [relu_conv(384, (3, 1))]])

    return Branches(
        [
            [relu_conv(320, 1)],
            [relu_conv(384, 1), factorised()],
            [relu_conv(448, 1), relu_conv(384, 3), factorised()],
            [pooling, relu_conv(192, 1)],
        ]
    )


@keras.saving.register_keras_serializable(package=layers.PACKAGE)
class FidInception(Network):
    """Inception-v3 up to the mean over space, in the form whose features FID compares.

    Called on float32 images [B,299,299,3] in [-1, 1]; returns float32 [B,2048]. Mean
    poolings leave out the padding, and the last block pools by maximum, unlike torchvision's and
    Keras's. 21,768,352 parameters. It is filled with trained weights, whose batch normalisation is
    folded into kernels and biases. Always computes in float32.
    """

    image_size = 299

    def __init__(self, name: str | None = "fid_inception") -> None:
        """Makes the layers.

        Args:
            name: Name of the Keras model.
        """
        with float32_policy():
            super().__init__(name=name)
            inside = {"padding": "valid"}
            made: list[keras.layers.Layer] = [
                _stride_2(32),
                relu_conv(32, 3, **inside),
                relu_conv(64, 3),
                layers.max_pool(3),
                relu_conv(80, 1),
                relu_conv(192, 3, **inside),
                layers.max_pool(3),
                *(_block_a(pooled) for pooled in (32, 64, 64)),
                _block_b(),
                *(_block_c(between) for between in (128, 160, 160, 192)),
                _block_d(),
                _block_e(_mean()),
                _block_e(keras.layers.MaxPooling2D(3, 1, padding="same")),
            ]
            self.trunk = layers.Chain(made)

    def build_layers(self) -> None:
        """Builds the convolutions."""
        self.trunk.build((None, self.image_size, self.image_size, 3))

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the features; see the class."""
        return tf.reduce_mean(self.trunk(tf.cast(image, tf.float32)), axis=[1, 2])
