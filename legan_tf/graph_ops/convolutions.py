"""Convolution algorithms that are faster than the library's where they apply.

Each function here equals ``tf.nn.conv2d`` with zero padding, in its gradients of any order too, but
for rounding: float32 sums in another order, and in ``winograd`` about 1e-5 of the largest value.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from legan_tf.graph_ops.gradients import custom_gradient
from legan_tf.graph_ops.target import current_target

SMALL_MAP = 8
"""Largest side of a feature map that is halved by a matrix product."""
MANY_CHANNELS = 128
"""Fewest channels on either side for which Winograd's transforms pay."""
FEW_FILTERS = 4
"""Most filters for which ``pixel_blocks`` pays; processors compute 16 at a time."""
_BLOCK = 4
_TILE = 4

Algorithm = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def fastest_algorithm(layer: keras.layers.Conv2D, inputs: tf.Tensor) -> Algorithm | None:
    """Returns the fastest algorithm for a layer on an input, or None for the library's.

    Args:
        layer: A built convolution.
        inputs: [B,H,W,C].
    """
    algorithm = _fitting_algorithm(layer, inputs)
    return algorithm if algorithm in _taken() else None


def _fitting_algorithm(layer: keras.layers.Conv2D, inputs: tf.Tensor) -> Algorithm | None:
    height, width, channels = inputs.shape[1:]
    if height is None or width is None:
        return None
    plain = layer.activation is keras.activations.linear and layer.padding == "same"
    if not plain or layer.groups != 1 or tuple(layer.dilation_rate) != (1, 1):
        return None
    kernel, strides = tuple(layer.kernel_size), tuple(layer.strides)
    if (kernel, strides) == ((4, 4), (2, 2)):
        small = height == width and height % 2 == 0 and height <= SMALL_MAP
        return strided_matmul if small else None
    if strides != (1, 1):
        return None
    if kernel == (3, 3) and inputs.dtype == tf.float32:
        fits = height % _TILE == 0 and width % _TILE == 0
        return winograd if fits and min(channels, layer.filters) >= MANY_CHANNELS else None
    odd = kernel[0] % 2 and kernel[1] % 2 and kernel[1] > 3
    return pixel_blocks if odd and layer.filters <= FEW_FILTERS and not width % _BLOCK else None


def strided_matmul(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Computes a 4 × 4 convolution of stride 2 on a small feature map as one matrix product.

    In the last layers of a discriminator the kernel is a thousand times larger than the feature
    map, so that reading it takes most of the time. Libraries of convolutions reorder the kernel at
    every call; a matrix product reads it in place.

    Args:
        x: [B,S,S,C], S even.
        kernel: [4,4,C,F].

    Returns:
        [B,S/2,S/2,F], the convolution of stride 2.
    """
    half, filters = x.shape[1] // 2, kernel.shape[3]
    product = tf.matmul(_patches(x), tf.reshape(kernel, [-1, filters]))
    return tf.reshape(product, [-1, half, half, filters])


# The next two functions are each other's transpose and so each other's gradient. TensorFlow's own
# gradient of patches is a sparse product, which is not deterministic on GPUs.
@custom_gradient
def _patches(x: tf.Tensor):
    """Extracts the patches of a 4 × 4 kernel of stride 2: [B,S,S,C] to [B·S/2·S/2, 16·C]."""
    side, channels = x.shape[1], x.shape[3]
    patches = tf.image.extract_patches(
        x, sizes=[1, 4, 4, 1], strides=[1, 2, 2, 1], rates=[1, 1, 1, 1], padding="SAME"
    )
    return tf.reshape(patches, [-1, 16 * channels]), lambda d: _add_patches(d, side)


def _add_patches(patches: tf.Tensor, side: int) -> tf.Tensor:
    """Adds up patches where they overlap: the transpose of ``_patches``."""
    half, channels = side // 2, patches.shape[1] // 16

    @custom_gradient
    def add(patches: tf.Tensor):
        # A window is 2 × 2 blocks of 2 × 2 pixels; those of one place in it do not overlap.
        windows = tf.reshape(patches, [-1, half, half, 2, 2, 2, 2 * channels])
        placed = []
        for row in range(2):
            for column in range(2):
                blocks = windows[:, :, :, row, :, column]
                blocks = tf.reshape(blocks, [-1, half, half, 4 * channels])
                beside = [[0, 0], *([2 * at, 2 - 2 * at] for at in (row, column)), [0, 0]]
                placed.append(tf.pad(tf.nn.depth_to_space(blocks, 2), beside))
        return tf.add_n(placed)[:, 1:-1, 1:-1], _patches

    return add(patches)


def pixel_blocks(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves with few filters, for four neighbouring pixels at once.

    Processors compute 16 filters of a pixel in one vector, most of which is idle with three. One
    wider kernel holds the kernel four times, each time shifted by a pixel.

    Args:
        x: [B,H,W,C], W a multiple of 4.
        kernel: [k,l,C,F], k and l odd.

    Returns:
        [B,H,W,F], the convolution of stride 1.
    """
    height, width = x.shape[1:3]
    rows, columns, _, filters = kernel.shape
    moved = [
        tf.pad(kernel, [[0, 0], [place, _BLOCK - 1 - place], [0, 0], [0, 0]])
        for place in range(_BLOCK)
    ]
    edges = [[0, 0], [rows // 2] * 2, [columns // 2] * 2, [0, 0]]
    outputs = tf.nn.conv2d(tf.pad(x, edges), tf.concat(moved, -1), [1, _BLOCK], "VALID")
    return tf.reshape(outputs, [-1, height, width, filters])


def conv2d_with_code(
    image: tf.Tensor, code: tf.Tensor, kernel: tf.Tensor, stride: int
) -> tf.Tensor:
    """Convolves an image to which the numbers of a code are appended as constant planes.

    Away from the border a constant plane adds the same to every pixel, so that planes of a few
    pixels suffice. Graphs for GPUs have whole planes.

    Args:
        image: [B,S,S,C].
        code: [B,N].
        kernel: [k,k,C + N,F] with an odd k and a stride of 1, or an even one and 2.
        stride: 1 or 2.

    Returns:
        [B,S/stride,S/stride,F].

    Raises:
        ValueError: Channels and numbers do not add up to those of the kernel.
    """
    channels, size = image.shape[3], kernel.shape[0]
    numbers = kernel.shape[2] - channels
    if code.shape[1] not in (numbers, None):
        raise ValueError(
            f"the image has {channels} channels and the code {code.shape[1]} numbers; the kernel "
            f"is for {kernel.shape[2]} of both together"
        )
    if conv2d_with_code not in _taken():
        planes = tf.tile(code[:, None, None, :], [1, *image.shape[1:3], 1])
        return tf.nn.conv2d(tf.concat([image, planes], -1), kernel, stride, "SAME")
    outputs = tf.nn.conv2d(image, kernel[:, :, :channels], stride, "SAME")
    if not numbers:
        return outputs
    edge = -(-((size - stride + 1) // 2) // stride)  # Outputs that see beyond one border.
    side = (2 * edge + 1) * stride
    planes = tf.tile(code[:, None, None, :], [1, side, side, 1])
    added = tf.nn.conv2d(planes, kernel[:, :, channels:], stride, "SAME")
    for axis in (2, 1):
        before, middle, after = tf.split(added, [edge, added.shape[axis] - 2 * edge, edge], axis)
        middle = tf.repeat(middle, outputs.shape[axis] - 2 * edge, axis)
        added = tf.concat([before, middle, after], axis)
    return outputs + added


# F(4 × 4, 3 × 3) of Lavin and Gray, Fast algorithms for convolutional neural networks (CVPR 2016).
_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float64,
)
_KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    np.float64,
)
_OUTPUT = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float64
)
_FREQUENCIES = 36


@custom_gradient
def winograd(
    x: tf.Tensor, kernel: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """Convolves with a quarter of the multiplications (Lavin and Gray, CVPR 2016).

    Tiles of 6 × 6 pixels and kernels of 3 × 3 become 36 numbers each, for which the convolution is
    36 matrix products; these become tiles of 4 × 4 pixels.

    Args:
        x: float32 [B,H,W,C], H and W multiples of 4.
        kernel: float32 [3,3,C,F].

    Returns:
        float32 [B,H,W,F], the convolution of stride 1.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
        to_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=kernel.shape,
            out_backprop=upstream,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )
        return winograd(upstream, turned), to_kernel

    height, width, channels = x.shape[1:]
    rows, columns, filters = height // _TILE, width // _TILE, kernel.shape[3]
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    pixels = tf.reshape(padded, [-1, channels])
    # [36, B, tiles]: gathered in the order of the products, since TensorFlow's patches are slower.
    starts = (height + 2) * (width + 2) * tf.range(tf.shape(x)[0])
    tiles = tf.gather(pixels, _tile_indices(rows, columns)[:, None] + starts[:, None])
    tiles = tf.reshape(_transform(_INPUT, tiles), [_FREQUENCIES, -1, channels])
    kernels = tf.reshape(_transform(_KERNEL, kernel), [_FREQUENCIES, channels, filters])
    outputs = _transform(_OUTPUT, tf.matmul(tiles, kernels))
    outputs = tf.reshape(outputs, [_TILE, _TILE, -1, rows, columns, filters])
    outputs = tf.transpose(outputs, [2, 3, 0, 4, 1, 5])
    return tf.reshape(outputs, [-1, height, width, filters]), gradient


def _tile_indices(rows: int, columns: int) -> np.ndarray:
    """Numbers of the pixels of each tile in a padded picture, int32 [36, rows · columns]."""
    down, right = (
        (_TILE * np.arange(count) + np.arange(_TILE + 2)[:, None]) for count in (rows, columns)
    )
    places = down[:, None, :, None] * (_TILE * columns + 2) + right[None, :, None, :]
    return places.reshape(_FREQUENCIES, -1).astype(np.int32)


def _transform(matrix: np.ndarray, values: tf.Tensor) -> tf.Tensor:
    """Applies a matrix to rows and columns, which the first axes of ``values`` hold."""
    both = np.kron(matrix, matrix).astype(np.float32)
    return tf.matmul(both, tf.reshape(values, [both.shape[1], -1]))


_TAKEN: dict[str, tuple[Callable, ...]] = {
    "any": (strided_matmul, conv2d_with_code),
    "cpu": (strided_matmul, conv2d_with_code, winograd, pixel_blocks),
    "gpu": (),
}
"""The algorithms in graphs for each target, timed on processors only. ``winograd`` and
``pixel_blocks`` save arithmetic, which the libraries of GPUs save by themselves."""


def _taken() -> tuple[Callable, ...]:
    return _TAKEN[current_target()]
