"""CycleGAN's networks, as its released code has them: one translates, one judges patches."""

from __future__ import annotations

import keras
import tensorflow as tf

from legan_tf.models.hourglass import check_image_size
from legan_tf.models.layers import (
    OUTPUT_TYPE,
    PACKAGE,
    Chain,
    Conv2D,
    InstanceNormalization,
    Residual,
    Shape,
)
from legan_tf.models.network import Network

_SLOPE = 0.2


@keras.saving.register_keras_serializable(package=PACKAGE)
class ReflectionPadding(keras.layers.Layer):
    """Pads [B,H,W,C] by mirroring it at its borders, which themselves are not repeated."""

    def __init__(self, padding: int, **kwargs) -> None:
        """Takes the pixels to add on every side, fewer than the image has."""
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns [B, H + 2 padding, W + 2 padding, C]."""
        sides = [self.padding, self.padding]
        return tf.pad(x, [[0, 0], sides, sides, [0, 0]], "REFLECT")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the padded shape."""
        batch, *sizes, channels = input_shape
        return (batch, *(s if s is None else s + 2 * self.padding for s in sizes), channels)

    def get_config(self) -> dict:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable(package=PACKAGE)
class CycleganGenerator(Network):
    """Translates images of one set into another (Zhu et al., ICCV 2017, appendix 7.2).

    Called on float32 images [B,S,S,3] in [-1, 1]; returns the same shape and range. With 64
    channels it has 11,378,179 parameters with 9 blocks, as published for 256 pixels, and 7,837,699
    with 6, as published for 128.
    """

    def __init__(
        self,
        image_size: int = 256,
        width: int = 64,
        blocks: int = 9,
        name: str | None = "cyclegan_generator",
    ) -> None:
        """Makes the layers.

        Args:
            image_size: Height and width in pixels, a multiple of 4, at least 8.
            width: Channels at full size.
            blocks: Residual blocks.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is not such a multiple.
        """
        super().__init__(name=name)
        check_image_size(image_size)
        self.image_size = image_size
        self.width = width
        self.blocks = blocks
        made = [ReflectionPadding(3), _conv(width, 7), *_normed_relu()]
        for channels in (2 * width, 4 * width):
            # PyTorch pads both sides; ``same`` would pad the far one alone.
            made += [keras.layers.ZeroPadding2D(1), _conv(channels, 3, 2), *_normed_relu()]
        made += [_residual_block(4 * width) for _ in range(blocks)]
        for channels in (2 * width, width):
            made += [*_doubling(channels), *_normed_relu()]
        self.body = Chain([*made, ReflectionPadding(3), _conv(3, 7, dtype=OUTPUT_TYPE)])

    def build_layers(self) -> None:
        """Builds the body."""
        self.body.build((None, self.image_size, self.image_size, 3))

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Translates the images; see the class."""
        return tf.tanh(self.body(image))


@keras.saving.register_keras_serializable(package=PACKAGE)
class PatchDiscriminator(Network):
    """Tells real patches of 70 × 70 pixels from generated ones (Isola et al., CVPR 2017).

    Called on float32 images [B,S,S,3] in [-1, 1]; returns a score for each patch, float32 [B,h,w],
    14 × 14 of them at 128 pixels and 30 × 30 at 256. With 64 channels it has 2,764,737 parameters.
    """

    def __init__(
        self, image_size: int = 256, width: int = 64, name: str | None = "patch_discriminator"
    ) -> None:
        """Makes the layers.

        Args:
            image_size: Height and width in pixels, a multiple of 8, at least 24.
            width: Channels of the first convolution.
            name: Name of the Keras model.

        Raises:
            ValueError: The size is not such a multiple.
        """
        super().__init__(name=name)
        if image_size % 8 or image_size < 24:
            raise ValueError(f"image_size is {image_size}: it must be a multiple of 8, at least 24")
        self.image_size = image_size
        self.width = width
        made = [keras.layers.ZeroPadding2D(1), _conv(width, 4, 2), _leaky()]
        for factor, stride in ((2, 2), (4, 2), (8, 1)):
            made += [keras.layers.ZeroPadding2D(1), _conv(factor * width, 4, stride)]
            made += [_norm(), _leaky()]
        self.body = Chain([*made, keras.layers.ZeroPadding2D(1), _conv(1, 4, dtype=OUTPUT_TYPE)])

    def build_layers(self) -> None:
        """Builds the body."""
        self.body.build((None, self.image_size, self.image_size, 3))

    def call(self, image: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Scores the patches; see the class."""
        return self.body(image)[..., 0]


def _start() -> keras.initializers.Initializer:
    """N(0, 0.02) as in the code; one for each layer, since Keras 3 repeats the numbers of one."""
    return keras.initializers.RandomNormal(stddev=0.02)


def _conv(filters: int, kernel: int, stride: int = 1, dtype: str | None = None) -> Conv2D:
    """A convolution without padding, with a bias."""
    return Conv2D(filters, kernel, stride, kernel_initializer=_start(), dtype=dtype)


def _doubling(filters: int) -> list[keras.layers.Layer]:
    """PyTorch's 3 × 3 transposed convolution of stride 2, padding 1 and output padding 1."""
    deconvolution = keras.layers.Conv2DTranspose(filters, 3, 2, kernel_initializer=_start())
    # Twice the size and one more, of which PyTorch leaves out the first row and column.
    return [deconvolution, keras.layers.Cropping2D(((1, 0), (1, 0)))]


def _norm() -> keras.layers.Layer:
    """Instance normalisation that learns nothing."""
    return InstanceNormalization(scale=False, center=False)


def _normed_relu() -> list[keras.layers.Layer]:
    return [_norm(), keras.layers.ReLU()]


def _leaky() -> keras.layers.Layer:
    return keras.layers.Activation(lambda x: tf.nn.leaky_relu(x, _SLOPE))


def _residual_block(filters: int) -> Residual:
    """Returns x + IN(conv(ReLU(IN(conv(x))))), reflected at the borders."""
    first, second = ([ReflectionPadding(1), _conv(filters, 3), _norm()] for _ in range(2))
    return Residual([*first, keras.layers.ReLU(), *second])
