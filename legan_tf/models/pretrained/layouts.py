"""Names and shapes of the weights in the PyTorch files that networks were published in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from legan_tf.data.conditions import of_classes
from legan_tf.errors import UserError
from legan_tf.models import (
    Discriminator,
    FidInception,
    LightCNN29,
    Network,
    StarganGenerator,
    VggFace,
    Vggface2ResNet50,
)
from legan_tf.models.layers import Branches, Chain, InstanceNormalization, Residual
from legan_tf.models.lightcnn import MaxFeatureMap
from legan_tf.models.pretrained.torch_files import check_shapes, finite_float32
from legan_tf.models.resnet import Bottleneck

Tensors = Mapping[str, np.ndarray]

_MOST_CHANNELS = 4096
_MOST_BLOCKS = 16
"""No StarGAN is larger: a damaged file must not claim all memory before it is checked."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """The tensors of a file that fill one layer.

    Attributes:
        shapes: Their shapes by name.
        fill: Assigns them, float32 and in that order, to the layer; raises ValueError for invalid
            values.
    """

    shapes: dict[str, tuple[int, ...]]
    fill: Callable[..., None]


@dataclasses.dataclass(frozen=True)
class Layout:
    """A network and the layout of the file with its weights.

    Attributes:
        network: Built, with arbitrary weights.
        layers: The weights of all its layers.
        unused: Descriptions of tensors that the file may also hold, by name.
    """

    network: Network
    layers: list[Weights]
    unused: dict[str, str]

    def fill(self, path: str, what: str, tensors: Tensors) -> dict[str, list[str]]:
        """Fills the network.

        Args:
            path: The file, for messages.
            what: The expected content of the file, for messages.
            tensors: All tensors of the file.

        Returns:
            The names of the tensors that were left out, by their descriptions.

        Raises:
            UserError: A tensor is missing, unexpected, of another shape or not finite.
        """
        left_out: dict[str, list[str]] = {}
        used = {}
        for name, tensor in tensors.items():
            if name in self.unused:
                left_out.setdefault(self.unused[name], []).append(name)
            else:
                used[name] = tensor
        wanted = {name: shape for layer in self.layers for name, shape in layer.shapes.items()}
        check_shapes(path, what, used, wanted)
        for layer in self.layers:
            values = [finite_float32(path, name, used[name]) for name in layer.shapes]
            try:
                layer.fill(*values)
            except ValueError as error:
                raise UserError(f"{path}: {error}.") from error
        return left_out


def _kernel(kernel: np.ndarray) -> np.ndarray:
    """Transposes a kernel from PyTorch's axes to TensorFlow's, for both kinds of convolution."""
    return kernel.transpose(2, 3, 1, 0)


def _kernel_shape(layer: keras.layers.Layer) -> tuple[int, ...]:
    height, width, before_last, last = layer.kernel.shape
    return (last, before_last, height, width)


def _convolution(name: str, layer: keras.layers.Layer) -> Weights:
    """Returns the weights of a convolution, plain or transposed, with a bias if it has one.

    PyTorch's transposed 4 × 4 convolution of stride 2 and padding 1 is TensorFlow's padding
    ``same``, and so is the plain one on images of even size.
    """
    shapes = {f"{name}.weight": _kernel_shape(layer)}
    if layer.use_bias:
        shapes[f"{name}.bias"] = tuple(layer.bias.shape)

    def fill(kernel: np.ndarray, *bias: np.ndarray) -> None:
        layer.set_weights([_kernel(kernel), *bias])

    return Weights(shapes, fill)


def _conv_batch_norm(name: str, norm: str, epsilon: float, layer: keras.layers.Layer) -> Weights:
    """Returns the weights of a convolution without bias and the batch normalisation after it."""
    filters = layer.kernel.shape[-1]
    shapes = {f"{name}.weight": _kernel_shape(layer)}
    for part in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{norm}.{part}"] = (filters,)

    def fill(
        kernel: np.ndarray,
        scale: np.ndarray,
        offset: np.ndarray,
        mean: np.ndarray,
        variance: np.ndarray,
    ) -> None:
        if variance.min() < 0:
            raise ValueError(f"{norm}.running_var holds variances below zero")
        factor = scale / np.sqrt(variance.astype(np.float64) + epsilon)
        layer.set_weights([_kernel(kernel) * factor, offset - mean * factor])

    return Weights(shapes, fill)


def _norm(name: str, layer: keras.layers.Layer) -> Weights:
    """Returns the scale and offset of an instance normalisation."""
    shapes = {f"{name}.weight": tuple(layer.gamma.shape), f"{name}.bias": tuple(layer.beta.shape)}
    return Weights(shapes, lambda *weights: layer.set_weights(weights))


def _dense(name: str, layer: keras.layers.Layer, channels: int = 0) -> Weights:
    """Returns the weights of a dense layer.

    Args:
        name: Its name in the file.
        layer: The layer.
        channels: Channels of its input if that is a flattened square feature map, which PyTorch
            flattens channel by channel and TensorFlow pixel by pixel; else 0.
    """
    features, units = layer.kernel.shape

    def fill(kernel: np.ndarray, bias: np.ndarray) -> None:
        if channels:
            kernel = kernel.reshape(units, channels, -1).transpose(0, 2, 1).reshape(units, features)
        layer.set_weights([kernel.T, bias])

    return Weights({f"{name}.weight": (units, features), f"{name}.bias": (units,)}, fill)


def _convolutions(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Returns the convolutions in a layer, in the order of their construction."""
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    return (inner for inner in _flattened(layer) if isinstance(inner, kinds))


def _norms(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Returns the instance normalisations in a layer, in the order of their construction."""
    return (inner for inner in _flattened(layer) if isinstance(inner, InstanceNormalization))


def _flattened(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields the layers in a layer that hold no others."""
    inside = {
        Chain: lambda: layer.steps,
        Branches: lambda: layer.branches,
        Residual: lambda: [layer.body],
        Bottleneck: lambda: [layer.body, layer.shortcut],
        MaxFeatureMap: lambda: [layer.convolution],
    }.get(type(layer))
    if inside is None:
        yield layer
    else:
        for inner in inside():
            yield from _flattened(inner)


def _pairs(names: Sequence[str], layers: Iterator[Any]) -> list[tuple[str, Any]]:
    layers = list(layers)
    if len(names) != len(layers):
        raise AssertionError(f"{len(names)} names for {len(layers)} layers")
    return list(zip(names, layers))


def _batch_counters(norms: Sequence[str]) -> dict[str, str]:
    """Returns the unused counters that PyTorch keeps with each normalisation."""
    return {f"{norm}.num_batches_tracked": "counters of batches" for norm in norms}


def _classifier(name: str, classes: str = "people") -> dict[str, str]:
    """Returns the unused weights of the layer of classes."""
    what = f"the layer that names the {classes} it was trained on"
    return {f"{name}.weight": what, f"{name}.bias": what}


def lightcnn29(version: int) -> Layout:
    """LightCNN-29 as in AlfredXiangWu/LightCNN, without the layer that names people.

    Args:
        version: 1 or 2.
    """
    network = LightCNN29(version=version)
    network.build()
    names = ["conv1"]
    for number, blocks in enumerate((1, 2, 3, 4), start=1):
        names += [f"block{number}.{i}.conv{j}" for i in range(blocks) for j in (1, 2)]
        names += [f"group{number}.conv_a", f"group{number}.conv"]
    parts = [
        _convolution(f"{name}.filter", layer)
        for name, layer in _pairs(names, _convolutions(network.trunk))
    ]
    fc = "fc" if version == 2 else "fc.filter"
    parts.append(_dense(fc, network.fc, channels=128))
    return Layout(network, parts, _classifier("fc2"))


def stargan_generator(
    tensors: Tensors, expressions: Sequence[str], lightings: Sequence[str], image_size: int
) -> Layout:
    """StarGAN's generator as in yunjey/stargan, of any width, depth and number of attributes.

    Args:
        tensors: What the file holds.
        expressions: Names of the first attributes, in the order of the code.
        lightings: Names of the others.
        image_size: Height and width of the images that the network was trained on, in pixels.

    Raises:
        ValueError: The file is another one, or has more or fewer attributes.
    """
    channels, seen, _, _ = _shape(
        tensors,
        "main.0.weight",
        "channels x (3 + attributes) x 7 x 7",
        lambda _, seen, height, width: seen > 3 and height == width == 7,
    )
    _check_attributes(seen - 3, expressions, lightings)
    blocks = sum(f"main.{9 + i}.main.0.weight" in tensors for i in range(_MOST_BLOCKS))
    width = min(channels, _MOST_CHANNELS // 16)
    network = StarganGenerator(
        of_classes(expression=expressions, lighting=lightings), image_size, width, blocks
    )
    network.build()
    convs, norms = ["main.0", "main.3", "main.6"], ["main.1", "main.4", "main.7"]
    for i in range(9, 9 + blocks):
        convs += [f"main.{i}.main.0", f"main.{i}.main.3"]
        norms += [f"main.{i}.main.1", f"main.{i}.main.4"]
    last = 9 + blocks
    convs += [f"main.{last}", f"main.{last + 3}", f"main.{last + 6}"]
    norms += [f"main.{last + 1}", f"main.{last + 4}"]
    parts = [_convolution(*pair) for pair in _pairs(convs, _convolutions(network.hourglass))]
    parts += [_norm(*pair) for pair in _pairs(norms, _norms(network.hourglass))]
    unused = _batch_counters(norms)
    running = (
        "running means and variances, which the reference code does not use either: every picture "
        "is normalised by its own"
    )
    unused.update({f"{n}.running_{what}": running for n in norms for what in ("mean", "var")})
    return Layout(network, parts, unused)


def stargan_discriminator(
    tensors: Tensors, expressions: Sequence[str], lightings: Sequence[str]
) -> Layout:
    """StarGAN's discriminator as in yunjey/stargan, of any size and number of attributes.

    Args:
        tensors: What the file holds.
        expressions: Names of the first attributes, in the order of the logits.
        lightings: Names of the others.

    Raises:
        ValueError: The file is another one, or has more or fewer attributes.
    """
    width, *_ = _shape(
        tensors,
        "main.0.weight",
        "channels x 3 x 4 x 4",
        lambda _, seen, height, width: (seen, height, width) == (3, 4, 4),
    )
    attributes, _, side, _ = _shape(
        tensors,
        "conv2.weight",
        "attributes x channels x side x side",
        lambda _, seen, height, width: height == width,
    )
    _check_attributes(attributes, expressions, lightings)
    depth = sum(f"main.{2 * i}.weight" in tensors for i in range(_MOST_BLOCKS // 2))
    width = max(1, min(width, _MOST_CHANNELS // 2 ** (depth - 1)))
    side = min(side, 16)
    network = Discriminator(
        of_classes(expression=expressions, lighting=lightings),
        side * 2**depth,
        width=width,
        depth=depth,
    )
    network.build()
    names = [f"main.{2 * i}" for i in range(depth)]
    parts = [_convolution(*pair) for pair in _pairs(names, _convolutions(network.trunk))]
    parts.append(_convolution("conv1", network.realness_head))
    heads = [h for h in (network.expression_head, network.lighting_head) if h is not None]

    def fill(kernel: np.ndarray) -> None:
        kernels = np.split(_kernel(kernel), [heads[0].kernel.shape[-1]], axis=-1)
        for layer, part in zip(heads, kernels):
            layer.set_weights([part])

    channels = width * 2 ** (depth - 1)
    parts.append(Weights({"conv2.weight": (attributes, channels, side, side)}, fill))
    return Layout(network, parts, {})


def _shape(
    tensors: Tensors, name: str, expected: str, fits: Callable[..., bool]
) -> tuple[int, ...]:
    """Returns the shape of a tensor with four axes, from which the network's size follows."""
    shape = tensors[name].shape if name in tensors else ()
    if len(shape) != 4 or min(shape) < 1 or not fits(*shape):
        raise ValueError(f"it has no {name} of {expected}")
    return shape


def _check_attributes(count: int, expressions: Sequence[str], lightings: Sequence[str]) -> None:
    if not expressions and not lightings:
        raise ValueError(
            f"it knows {count} attributes: name them in the order of its code, with --expressions="
            "NAME,… and, if there are any, --lightings=NAME,…"
        )
    if count != len(expressions) + len(lightings):
        raise ValueError(
            f"it knows {count} attributes, but --expressions and --lightings name "
            f"{len(expressions)} and {len(lightings)}"
        )


def fid_inception() -> Layout:
    """The Inception of FID as in mseitzer/pytorch-fid, without its classes."""
    network = FidInception()
    network.build()
    a = "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool"
    c = "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool"
    e = "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool"
    blocks = {
        **dict.fromkeys(("5b", "5c", "5d"), a),
        "6a": "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3",
        **dict.fromkeys(("6b", "6c", "6d", "6e"), c),
        "7a": "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4",
        **dict.fromkeys(("7b", "7c"), e),
    }
    names = [f"Conv2d_{name}" for name in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")]
    for block, branches in blocks.items():
        names += [f"Mixed_{block}.branch{branch}" for branch in branches.split()]
    parts = [
        _conv_batch_norm(f"{name}.conv", f"{name}.bn", 1e-3, layer)
        for name, layer in _pairs(names, _convolutions(network.trunk))
    ]
    counters = _batch_counters([f"{name}.bn" for name in names])
    return Layout(network, parts, {**_classifier("fc", "1008 classes"), **counters})


def vggface2_resnet50(width: float = 1.0) -> Layout:
    """ResNet-50 of VGGFace2 as converted by Albanie, without the layer that names people.

    Args:
        width: Factor on the published channels.
    """
    network = Vggface2ResNet50(width)
    network.build()
    names = ["conv1_7x7_s2"]
    for stage, blocks in zip((2, 3, 4, 5), (3, 4, 6, 3)):
        for block in range(1, blocks + 1):
            ends = ["1x1_reduce", "3x3", "1x1_increase"] + (["1x1_proj"] if block == 1 else [])
            names += [f"conv{stage}_{block}_{end}" for end in ends]
    parts = [
        _conv_batch_norm(name, f"{name}_bn", 1e-5, layer)
        for name, layer in _pairs(names, _convolutions(network.trunk))
    ]
    counters = _batch_counters([f"{name}_bn" for name in names])
    return Layout(network, parts, {**counters, **_classifier("classifier")})


def vgg_face(width: float = 1.0) -> Layout:
    """VGG-Face as converted by Albanie, without the layer that names people.

    Args:
        width: Factor on the published channels.
    """
    network = VggFace(width)
    network.build()
    counts = enumerate((2, 2, 3, 3, 3), start=1)
    names = [f"conv{stage}_{i}" for stage, count in counts for i in range(1, count + 1)]
    parts = [_convolution(*pair) for pair in _pairs(names, _convolutions(network.trunk))]
    parts.append(_dense("fc6", network.fc6, channels=network.channels))
    parts.append(_dense("fc7", network.fc7))
    return Layout(network, parts, _classifier("fc8"))


LAYOUTS: dict[str, Callable[[], Layout]] = {
    "lightcnn29_v1": lambda: lightcnn29(1),
    "lightcnn29_v2": lambda: lightcnn29(2),
    "fid_inception": fid_inception,
    "vggface2_resnet50": vggface2_resnet50,
    "vgg_face": vgg_face,
}
"""Layouts that do not depend on the file, by the names in ``WEIGHT_FILES``."""
