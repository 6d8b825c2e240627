"""The hourglass, body of StarGAN's generator, LEGAN's tri-hourglass and the depth network."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from legan_tf.models.layers import PACKAGE, Chain, InstanceNormalization, Residual, Shape, conv

UPSAMPLINGS = ("pixelshuffle", "nearest", "transposed")


@keras.saving.register_keras_serializable(package=PACKAGE)
class NearestUpsampling(keras.layers.UpSampling2D):
    """Nearest-neighbour upsampling, [B,H,W,C] to [B,2H,2W,C].

    By concatenation, since the gradient of TensorFlow's own operation is not deterministic on GPUs.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns ``x`` with every pixel 2 × 2 times."""
        batch, height, width, channels = tf.unstack(tf.shape(x))
        rows = tf.reshape(tf.concat([x, x], 3), [batch, height, 2 * width * channels])
        doubled = [batch, 2 * height, 2 * width, channels]
        result = tf.reshape(tf.concat([rows, rows], 2), doubled)
        result.set_shape(self.compute_output_shape(x.shape))
        return result


@keras.saving.register_keras_serializable(package=PACKAGE)
class PixelShuffle(keras.layers.Layer):
    """Sub-pixel upsampling: four channels to 2 × 2 pixels, [B,H,W,4C] to [B,2H,2W,C]."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns ``x`` at twice the size with a quarter of the channels."""
        return tf.nn.depth_to_space(x, 2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape after upsampling."""
        batch, height, width, channels = input_shape
        doubled = [None if side is None else 2 * side for side in (height, width)]
        return (batch, *doubled, channels // 4)


class SubpixelInitializer(keras.initializers.Initializer):
    """Glorot uniform, the same for the four pixels that a ``PixelShuffle`` makes of one.

    A convolution before a pixel shuffle then begins as nearest-neighbour upsampling, instead of
    with a checkerboard that training has to remove (Aitken et al., arXiv 1707.02937).
    """

    def __call__(self, shape: Sequence[int], dtype: tf.DType | None = None) -> tf.Tensor:
        """Returns a kernel of ``shape``, whose last axis is a multiple of four."""
        # Drawn at full shape, so that the scale is that of any other convolution.
        one = keras.initializers.GlorotUniform()(shape, dtype=dtype)[..., : shape[-1] // 4]
        return tf.tile(one, [1, 1, 1, 4])


def residual_block(filters: int) -> keras.layers.Layer:
    """Returns StarGAN's residual block: x + IN(conv(ReLU(IN(conv(x))))), 3 × 3 convolutions."""
    first, second = ([conv(filters, 3), InstanceNormalization()] for _ in range(2))
    return Residual([*first, keras.layers.ReLU(), *second])


def upsample(filters: int, method: str) -> list[keras.layers.Layer]:
    """Returns layers that double the size and give ``filters`` channels, before normalisation.

    Args:
        filters: Channels of the output.
        method: One of ``UPSAMPLINGS``: a 3 × 3 convolution and a pixel shuffle; nearest neighbour
            and a 3 × 3 convolution; StarGAN's 4 × 4 transposed convolution.

    Raises:
        ValueError: ``method`` is unknown.
    """
    if method == "pixelshuffle":
        convolution = conv(4 * filters, 3)
        convolution.kernel_initializer = SubpixelInitializer()
        return [convolution, PixelShuffle()]
    if method == "nearest":
        return [NearestUpsampling(), conv(filters, 3)]
    if method == "transposed":
        return [keras.layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False)]
    raise ValueError(f"upsampling is one of {', '.join(UPSAMPLINGS)}, not {method!r}")


def hourglass(
    out_channels: int, width: int, blocks: int, upsampling: str, stem: bool = True
) -> Chain:
    """Returns an encoder, residual blocks at a quarter of the size, and a decoder.

    With 64 channels, 6 blocks and transposed convolutions this is StarGAN's generator; with pixel
    shuffling it is one of LEGAN's three hourglasses, whose own table is not published.

    Args:
        out_channels: Channels of the output, which has no activation.
        width: Channels at full size; doubled with each stride of 2.
        blocks: Residual blocks.
        upsampling: See ``upsample``.
        stem: Whether the first and the last convolution are 7 × 7 at full size, as in StarGAN.
            Without it the first one already halves the size and the last doubles it, nothing is
            normalised at full size: a fraction of the cost, for small trainings.
    """
    normed = [InstanceNormalization, keras.layers.ReLU]
    made: list[keras.layers.Layer] = []
    if stem:
        plan = [conv(width, 7), conv(2 * width, 4, 2), conv(4 * width, 4, 2)]
    else:
        plan = [conv(width, 4, 2), conv(2 * width, 4, 2)]
    deepest = 4 * width if stem else 2 * width
    for convolution in plan:
        made += [convolution, *(make() for make in normed)]
    made += [residual_block(deepest) for _ in range(blocks)]
    made += [*upsample(deepest // 2, upsampling), *(make() for make in normed)]
    if not stem:
        return Chain([*made, *upsample(out_channels, upsampling)])
    made += [*upsample(deepest // 4, upsampling), *(make() for make in normed)]
    return Chain([*made, conv(out_channels, 7)])


def check_image_size(image_size: int) -> None:
    """Checks a size of images for a network whose body is an hourglass.

    Raises:
        ValueError: It is no multiple of 4, or less than 8.
    """
    if image_size % 4 or image_size < 8:
        raise ValueError(f"image_size is {image_size}: it must be a multiple of 4, at least 8")
