"""Building blocks shared by the networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from legan_tf.graph_ops import convolutions
from legan_tf.graph_ops.gradients import custom_gradient

Shape = tuple[Any, ...]
"""Sizes along the axes of a tensor, None where they are not known."""
PACKAGE = "legan_tf"
OUTPUT_TYPE = "float32"
"""Type of layers whose output is a score, logits or an embedding, under mixed precision too."""
LEAK = 0.01
"""Slope of every leaky ReLU (LEGAN supplement, Table 1; StarGAN)."""


@custom_gradient
def leaky_relu(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Leaky ReLU with the slope of the papers, 0.01.

    The slope is constant but for the jump at 0, so the second derivative is left out: in a gradient
    penalty, TensorFlow's own gradient would send zeros through the whole network.
    """
    y = tf.nn.leaky_relu(x, LEAK)
    # The output has the signs of x. Where x itself is kept, TensorFlow cannot fuse bias and
    # activation into the convolution before them, tries to, and reports "remapper failed".
    kept = tf.stop_gradient(y)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=kept, alpha=LEAK)

    return y, gradient


# Named as its base, since Keras names weights in files after the class.
class Conv2D(keras.layers.Conv2D):
    """Keras' convolution, computed by the fastest algorithm of ``convolutions``.

    A layer built for an image with attribute codes as constant planes is called on the pair of
    image and codes.
    """

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [B,H,W,C], planes included."""
        super().build(input_shape)
        self.input_spec = None  # Keras would refuse the codes.

    def call(self, inputs: tf.Tensor | tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Convolves [B,H,W,C], or an image [B,H,W,C] and codes [B,N]."""
        if isinstance(inputs, (tuple, list)):
            kernel = tf.convert_to_tensor(self.kernel)
            image, code = (tf.cast(value, self.compute_dtype) for value in inputs)
            outputs = convolutions.conv2d_with_code(image, code, kernel, self.strides[0])
        else:
            algorithm = convolutions.fastest_algorithm(self, inputs)
            if algorithm is None:
                return super().call(inputs)
            outputs = algorithm(inputs, tf.convert_to_tensor(self.kernel))
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs


def conv(
    filters: int, kernel: int, stride: int = 1, use_bias: bool = False, dtype: str | None = None
) -> keras.layers.Layer:
    """Returns a convolution that keeps the size with stride 1 and halves it with stride 2."""
    return Conv2D(filters, kernel, stride, padding="same", use_bias=use_bias, dtype=dtype)


def relu_conv(filters: int, kernel: int | tuple[int, int], **kwargs) -> keras.layers.Layer:
    """Returns a convolution with ReLU and padding ``same``, unless ``kwargs`` say otherwise."""
    options = {"padding": "same", "activation": "relu", **kwargs}
    return keras.layers.Conv2D(filters, kernel, **options)


def max_pool(size: int) -> keras.layers.Layer:
    """Returns a max pooling of stride 2 without padding."""
    return keras.layers.MaxPooling2D(size, 2, padding="valid")


def ceil_mode_max_pool() -> list[keras.layers.Layer]:
    """Returns a 3 × 3 max pooling of stride 2 whose last window may overlap the border.

    After a ReLU a padded zero never is the maximum, so this equals PyTorch's ``ceil_mode``.
    """
    return [keras.layers.ZeroPadding2D(((0, 1), (0, 1))), max_pool(3)]


class InstanceNormalization(keras.layers.GroupNormalization):
    """Instance normalisation, always in float32, with a learned scale and offset per channel.

    ``scale=False`` and ``center=False`` leave these out, as in ``GroupNormalization``.

    Keras' own takes twice as many operations, and in bfloat16 under mixed precision with Keras
    2.15, which is too coarse for the moments.
    """

    def __init__(self, **kwargs) -> None:
        """Takes the arguments of ``keras.layers.Layer``."""
        super().__init__(**{"groups": -1, "epsilon": 1e-5, "dtype": "float32", **kwargs})

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises [B,H,W,C] over H and W."""
        inputs = tf.cast(inputs, self.compute_dtype)
        mean = tf.reduce_mean(inputs, [1, 2], keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(inputs, mean), [1, 2], keepdims=True)
        scale = tf.math.rsqrt(variance + self.epsilon)
        if self.scale:
            scale *= self.gamma
        offset = self.beta - mean * scale if self.center else -mean * scale
        return inputs * scale + offset


# Keras names weights in files after the class, and so they were named from the first version on.
InstanceNormalization.__name__ = "GroupNormalization"


class Chain(keras.layers.Layer):
    """A sequence of layers that are built by one ``build``.

    Unlike ``keras.Sequential``, it stores its weights in the same way in both versions of Keras.
    """

    def __init__(self, layers: Sequence[keras.layers.Layer], **kwargs) -> None:
        """Keeps the layers in their order."""
        super().__init__(**kwargs)
        self.steps = list(layers)

    def build(self, input_shape: Shape) -> None:
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

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape after the last layer."""
        shape = tuple(input_shape)
        for layer in self.steps:
            shape = tuple(layer.compute_output_shape(shape))
        return shape


class Branches(keras.layers.Layer):
    """Parallel chains on one input, whose outputs are concatenated along the channels."""

    def __init__(self, branches: Sequence[Sequence[keras.layers.Layer]], **kwargs) -> None:
        """Takes the layers of each branch."""
        super().__init__(**kwargs)
        self.branches = [Chain(branch, **kwargs) for branch in branches]

    def build(self, input_shape: Shape) -> None:
        """Builds every branch."""
        for branch in self.branches:
            branch.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Concatenates the outputs of the branches."""
        return tf.concat([branch(x) for branch in self.branches], axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the size of each branch with the channels of all."""
        shapes = [branch.compute_output_shape(input_shape) for branch in self.branches]
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


class Residual(keras.layers.Layer):
    """x + body(x), where the body keeps the shape."""

    def __init__(self, body: Sequence[keras.layers.Layer], **kwargs) -> None:
        """Takes the layers of the body."""
        super().__init__(**kwargs)
        self.body = Chain(body)

    def build(self, input_shape: Shape) -> None:
        """Builds the body."""
        self.body.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Adds the output of the body to ``x``."""
        correction = self.body(x)
        return tf.cast(x, correction.dtype) + correction

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns ``input_shape``."""
        return tuple(input_shape)
