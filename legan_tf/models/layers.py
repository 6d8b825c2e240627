"""Building blocks shared by the networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from legan_tf.models import convolutions
from legan_tf.models.gradients import own_gradient

PACKAGE = "legan_tf"
UPSAMPLINGS = ("pixelshuffle", "nearest", "transposed")
LEAK = 0.01
"""Slope of every leaky ReLU (LEGAN supplement, Table 1; StarGAN)."""

EXACT = {"dtype": "float32"}
"""For networks that measure, whatever the policy: a distance is not to depend on how an editor was
trained."""


@own_gradient
def leaky_relu(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Leaky ReLU with the slope of the papers, 0.01.

    Its slope does not depend on x but where it jumps. TensorFlow's own gradient does not know: of a
    gradient penalty, it sends zeros through the whole network back to its input.
    """
    kept = tf.stop_gradient(x)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=kept, alpha=LEAK)

    return tf.nn.leaky_relu(x, LEAK), gradient


# Named as its base, since Keras names weights in files after the class.
class Conv2D(keras.layers.Conv2D):
    """Keras' convolution, computed in the quickest of the ways of ``convolutions``.

    Built for an image and attribute codes as constant planes, it is called on both apart.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Creates the weights for [B,H,W,C], planes included."""
        super().build(input_shape)
        self.input_spec = None  # Of Keras, which would not let the codes pass.

    def call(self, inputs: tf.Tensor | tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Convolves [B,H,W,C], or an image [B,H,W,C] and codes [B,N]."""
        if isinstance(inputs, (tuple, list)):
            kernel = tf.convert_to_tensor(self.kernel)
            image, code = (tf.cast(given, self.compute_dtype) for given in inputs)
            outputs = convolutions.with_planes(image, code, kernel, self.strides[0])
        else:
            way = convolutions.way_of(self, inputs)
            if way is None:
                return super().call(inputs)
            outputs = way(inputs, tf.convert_to_tensor(self.kernel))
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs


def conv(filters: int, kernel: int, stride: int = 1, use_bias: bool = False) -> keras.layers.Layer:
    """A convolution padded so that stride 1 keeps and stride 2 halves the size."""
    return Conv2D(filters, kernel, stride, padding="same", use_bias=use_bias)


def relu_conv(filters: int, kernel: int | tuple[int, int], **kwargs) -> keras.layers.Layer:
    """A convolution in float32 that keeps the size, unless told otherwise, and a ReLU."""
    options = {"padding": "same", "activation": "relu", **EXACT, **kwargs}
    return keras.layers.Conv2D(filters, kernel, **options)


def pool(size: int) -> keras.layers.Layer:
    """A maximum at every second pixel, over windows that lie wholly inside."""
    return keras.layers.MaxPooling2D(size, 2, padding="valid", **EXACT)


def pool_over_the_edge() -> list[keras.layers.Layer]:
    """A maximum over 3 × 3 at every second pixel, the last one also where it sticks out.

    After a ReLU a zero beyond the edge never is the maximum, so this is PyTorch's ceil_mode.
    """
    return [keras.layers.ZeroPadding2D(((0, 1), (0, 1)), **EXACT), pool(3)]


# Named as its base, since Keras names weights in files after the class.
class GroupNormalization(keras.layers.GroupNormalization):
    """Keras' normalisation of every channel by itself, with half of its operations."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises [B,H,W,C] over H and W."""
        inputs = tf.cast(inputs, self.compute_dtype)
        mean = tf.reduce_mean(inputs, [1, 2], keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(inputs, mean), [1, 2], keepdims=True)
        scale = tf.math.rsqrt(variance + self.epsilon) * self.gamma
        return inputs * scale + (self.beta - mean * scale)


def instance_norm() -> keras.layers.Layer:
    """Instance normalisation with a learned scale and offset per channel, always in float32.

    Keras 2.15 would take the moments in bfloat16 under mixed precision, which is too coarse.
    """
    return GroupNormalization(groups=-1, epsilon=1e-5, dtype="float32")


@keras.saving.register_keras_serializable(package=PACKAGE)
class PixelShuffle(keras.layers.Layer):
    """Moves groups of four channels into 2 × 2 pixels: [B,H,W,4C] to [B,2H,2W,C]."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns ``x`` at twice the size with a quarter of the channels."""
        return tf.nn.depth_to_space(x, 2)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the shape that ``call`` gives."""
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


class Chain(keras.layers.Layer):
    """Layers called one after the other, all of them built by one ``build``.

    A ``keras.Sequential`` would do the same, but it stores its weights differently in the two
    versions of Keras.
    """

    def __init__(self, layers: Sequence[keras.layers.Layer], **kwargs) -> None:
        """Keeps the layers in their order."""
        super().__init__(**kwargs)
        self.steps = list(layers)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Builds every layer on the output shape of the one before it."""
        shape = tuple(input_shape)
        for layer in self.steps:
            layer.build(shape)
            shape = tuple(layer.compute_output_shape(shape))
        self.built = True

    def call(self, x: tf.Tensor | tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Applies the layers in their order; the first may take an image and codes."""
        for layer in self.steps:
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the shape after the last layer."""
        shape = tuple(input_shape)
        for layer in self.steps:
            shape = tuple(layer.compute_output_shape(shape))
        return shape


class Branches(keras.layers.Layer):
    """Chains side by side on one input, their outputs one after the other in the channels."""

    def __init__(self, branches: Sequence[Sequence[keras.layers.Layer]], **kwargs) -> None:
        """Takes the layers of each branch."""
        super().__init__(**kwargs)
        self.branches = [Chain(branch, **kwargs) for branch in branches]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Builds every branch."""
        for branch in self.branches:
            branch.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Concatenates what the branches give."""
        return tf.concat([branch(x) for branch in self.branches], axis=-1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The size of every branch, the channels of all."""
        shapes = [branch.compute_output_shape(input_shape) for branch in self.branches]
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


class Residual(keras.layers.Layer):
    """x + body(x), where the body keeps the shape."""

    def __init__(self, body: Sequence[keras.layers.Layer], **kwargs) -> None:
        """Takes the layers of the body."""
        super().__init__(**kwargs)
        self.body = Chain(body)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Builds the body."""
        self.body.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Adds the body's correction to ``x``."""
        correction = self.body(x)
        return tf.cast(x, correction.dtype) + correction

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The shape does not change."""
        return tuple(input_shape)


def residual_block(filters: int) -> keras.layers.Layer:
    """X + IN(conv(ReLU(IN(conv(x))))), two 3 × 3 convolutions (StarGAN)."""
    first, second = ([conv(filters, 3), instance_norm()] for _ in range(2))
    return Residual([*first, keras.layers.ReLU(), *second])


def upsample(filters: int, how: str) -> list[keras.layers.Layer]:
    """Layers that double the size and end with ``filters`` channels, before normalisation.

    Args:
        filters: Channels of the output.
        how: One of ``UPSAMPLINGS``: a 3 × 3 convolution and a pixel shuffle; nearest neighbour and
            a 3 × 3 convolution; StarGAN's 4 × 4 transposed convolution.

    Raises:
        ValueError: ``how`` is none of them.
    """
    if how == "pixelshuffle":
        convolution = conv(4 * filters, 3)
        convolution.kernel_initializer = SubpixelInitializer()
        return [convolution, PixelShuffle()]
    if how == "nearest":
        return [keras.layers.UpSampling2D(2), conv(filters, 3)]
    if how == "transposed":
        return [keras.layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False)]
    raise ValueError(f"upsampling is one of {', '.join(UPSAMPLINGS)}, not {how!r}")


def hourglass(
    out_channels: int, width: int, blocks: int, upsampling: str, stem: bool = True
) -> Chain:
    """An encoder, residual blocks at a quarter of the size, and a decoder.

    With 64 channels, 6 blocks and transposed convolutions this is StarGAN's generator; with pixel
    shuffling it is the body of LEGAN's three hourglasses, whose own table is not published.

    Args:
        out_channels: Channels of the output, which has no activation.
        width: Channels at full size; doubled at each halving of the size.
        blocks: Residual blocks.
        upsampling: See ``upsample``.
        stem: Whether the first and the last convolution are 7 × 7 at full size, as in StarGAN.
            Without it the first one already halves the size and the last doubles it, nothing is
            normalised at full size: a fraction of the cost, for small trainings.
    """
    normed = [instance_norm, keras.layers.ReLU]
    layers: list[keras.layers.Layer] = []
    if stem:
        plan = [conv(width, 7), conv(2 * width, 4, 2), conv(4 * width, 4, 2)]
    else:
        plan = [conv(width, 4, 2), conv(2 * width, 4, 2)]
    deepest = 4 * width if stem else 2 * width
    for convolution in plan:
        layers += [convolution, *(make() for make in normed)]
    layers += [residual_block(deepest) for _ in range(blocks)]
    layers += [*upsample(deepest // 2, upsampling), *(make() for make in normed)]
    if not stem:
        return Chain([*layers, *upsample(out_channels, upsampling)])
    layers += [*upsample(deepest // 4, upsampling), *(make() for make in normed)]
    return Chain([*layers, conv(out_channels, 7)])
