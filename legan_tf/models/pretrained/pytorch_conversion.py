"""Conversion of PyTorch's weights to Keras', and the layouts of the published files.

A layout lists the modules of a file in the order of the Keras network's weights.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from legan_tf.data.action_units import ACTION_UNITS
from legan_tf.data.action_units import NAMES as UNITS
from legan_tf.data.conditions import Condition, RangeCondition
from legan_tf.errors import UserError
from legan_tf.models import (
    Discriminator,
    FidInception,
    GanimationGenerator,
    LightCNN29,
    Network,
    StarganGenerator,
    VggFace,
    Vggface2ResNet50,
)

Tensors = Mapping[str, np.ndarray]

_MOST_CHANNELS = 4096
_MOST_BLOCKS = 16
"""No StarGAN is larger: a damaged file must not claim all memory before it is checked."""


def to_keras(weight: np.ndarray) -> np.ndarray:
    """Transposes a weight from PyTorch's order of axes to Keras'.

    PyTorch's kernels are [filters, channels, height, width] and [units, features], Keras' [height,
    width, channels, filters] and [features, units]; of a transposed convolution, filters and
    channels are swapped in both. PyTorch's 4 × 4 convolutions of stride 2 and padding 1, plain and
    transposed, are those with padding ``same`` on images of even size.
    """
    return weight.transpose(*range(2, weight.ndim), 1, 0) if weight.ndim > 1 else weight


def pytorch_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Returns the shape that ``to_keras`` turns into ``shape``."""
    return (*shape[:-3:-1], *shape[:-2])


def checked_tensors(
    path: str, what: str, tensors: Tensors, shapes: Mapping[str, tuple[int, ...]]
) -> list[np.ndarray]:
    """Returns the tensors of a file as float32 if they are exactly those of a network.

    Args:
        path: The file, for messages.
        what: The expected content of the file, for messages.
        tensors: Its content by name.
        shapes: The expected shapes by name.

    Returns:
        The tensors in the order of ``shapes``.

    Raises:
        UserError: Names or shapes differ, or a tensor holds something other than finite numbers.
    """
    problems = []
    for verb, names in (
        ("it lacks", [name for name in shapes if name not in tensors]),
        ("it also has", [name for name in tensors if name not in shapes]),
    ):
        if names:
            more = f" and {len(names) - 1} more" if names[1:] else ""
            problems.append(f"{verb} {names[0][:80]}{more}")
    for name, shape in shapes.items():
        if name in tensors and tensors[name].shape != shape:
            problems.append(f"{name} is {tensors[name].shape}, not {shape}")
            break
    if problems:
        raise UserError(f"{path}: is not {what}: {'; '.join(problems)}.")
    return [_finite_float32(path, name, tensors[name]) for name in shapes]


def _finite_float32(path: str, name: str, tensor: np.ndarray) -> np.ndarray:
    floating = np.issubdtype(tensor.dtype, np.floating)
    with np.errstate(over="ignore"):  # float64 may hold more; what comes out is checked.
        tensor = tensor.astype(np.float32, copy=False)
    if not floating or not np.isfinite(tensor).all():
        raise UserError(f"{path}: {name} does not hold finite numbers only (as float32).")
    return tensor


@dataclasses.dataclass(frozen=True)
class Module:
    """A module of a file, which gives consecutive weights of a Keras network.

    Attributes:
        count: How many.
        shapes: Maps their shapes to those of the module's tensors by name.
        convert: Maps the tensors, float32, to the weights; raises ValueError for invalid numbers.
    """

    count: int
    shapes: Callable[..., dict[str, tuple[int, ...]]]
    convert: Callable[..., list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Layout:
    """A network and the layout of the file with its weights.

    Attributes:
        network: Built, with arbitrary weights.
        modules: Those of all its weights, in their order.
        unused: Descriptions of what else the file may hold, by patterns of the tensors' names.
    """

    network: Network
    modules: list[Module]
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
        used, left_out = dict(tensors), {}
        for pattern, description in self.unused.items():
            names = fnmatch.filter(used, pattern)
            if names:
                left_out[description] = names
            used = {name: tensor for name, tensor in used.items() if name not in names}
        kept = iter([tuple(weight.shape) for weight in self.network.weights])
        shapes = [module.shapes(*itertools.islice(kept, module.count)) for module in self.modules]
        wanted = {name: shape for named in shapes for name, shape in named.items()}
        found = iter(checked_tensors(path, what, used, wanted))
        weights = []
        for module, named in zip(self.modules, shapes):
            try:
                weights += module.convert(*itertools.islice(found, len(named)))
            except ValueError as error:
                raise UserError(f"{path}: {error}.") from error
        self.network.set_weights(weights)
        return left_out


def layer(name: str, *parts: str) -> Module:
    """Returns a convolution, a dense layer or an instance normalisation.

    Args:
        name: Its name in the file.
        *parts: Its tensors, by default ``weight`` and ``bias``.
    """
    names = [f"{name}.{part}" for part in parts or ("weight", "bias")]
    return Module(
        len(names),
        lambda *shapes: dict(zip(names, map(pytorch_shape, shapes))),
        lambda *tensors: [to_keras(tensor) for tensor in tensors],
    )


def _dense_after_flatten(name: str, channels: int) -> Module:
    """Returns a dense layer on a flattened square feature map.

    PyTorch flattens the map channel by channel, TensorFlow pixel by pixel.
    """

    def convert(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        units, features = kernel.shape
        side = math.isqrt(features // channels)
        kernel = to_keras(kernel.reshape(units, channels, side, side))
        return [kernel.reshape(features, units), bias]

    return dataclasses.replace(layer(name), convert=convert)


def _batch_normalized(name: str, norm: str, epsilon: float) -> Module:
    """Returns a convolution and the batch normalisation after it, folded into kernel and bias."""

    def shapes(kernel: Sequence[int], bias: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        parts = ("weight", "bias", "running_mean", "running_var")
        return {f"{name}.weight": pytorch_shape(kernel), **{f"{norm}.{p}": bias for p in parts}}

    def convert(
        kernel: np.ndarray,
        scale: np.ndarray,
        offset: np.ndarray,
        mean: np.ndarray,
        variance: np.ndarray,
    ) -> list[np.ndarray]:
        if variance.min() < 0:
            raise ValueError(f"{norm}.running_var holds variances below zero")
        factor = scale / np.sqrt(variance.astype(np.float64) + epsilon)
        return [to_keras(kernel) * factor, offset - mean * factor]

    return Module(2, shapes, convert)


def _heads(name: str, filters: Sequence[int]) -> Module:
    """Returns one convolution whose filters are those of several in Keras."""

    def convert(kernel: np.ndarray) -> list[np.ndarray]:
        return np.split(to_keras(kernel), np.cumsum(filters)[:-1], axis=-1)

    def shapes(*kernels: Sequence[int]) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": pytorch_shape((*kernels[0][:-1], sum(filters)))}

    return Module(len(filters), shapes, convert)


_COUNTERS = {"*.num_batches_tracked": "counters of batches"}


def _classifier(name: str, classes: str = "people") -> dict[str, str]:
    """Returns the unused layer of classes."""
    return {f"{name}.*": f"the layer that names the {classes} it was trained on"}


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
    modules = [layer(f"{name}.filter") for name in names]
    modules.append(_dense_after_flatten("fc" if version == 2 else "fc.filter", channels=128))
    return Layout(network, modules, _classifier("fc2"))


def stargan_generator(tensors: Tensors, conditions: Sequence[Condition], image_size: int) -> Layout:
    """StarGAN's generator as in yunjey/stargan, of any width, depth and number of attributes.

    Args:
        tensors: What the file holds.
        conditions: What its code stands for.
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
    _check_attributes(seen - 3, conditions)
    blocks = sum(f"main.{9 + i}.main.0.weight" in tensors for i in range(_MOST_BLOCKS))
    width = min(channels, _MOST_CHANNELS // 16)
    network = StarganGenerator(conditions, image_size, width, blocks)
    network.build()
    last = 9 + blocks
    places = ["0", "3", "6"]
    places += [f"{block}.main.{i}" for block in range(9, last) for i in (0, 3)]
    places += [f"{last}", f"{last + 3}", f"{last + 6}"]
    modules = []
    for place in places:
        head, _, number = f"main.{place}".rpartition(".")
        norm = layer(f"{head}.{int(number) + 1}")
        modules += [layer(f"main.{place}", "weight"), norm]
    # Nothing is normalised after the last convolution.
    return Layout(network, modules[:-1], _RUNNING)


_RUNNING = {
    **_COUNTERS,
    "*.running_*": "running means and variances, which the reference code does not use either: "
    "every picture is normalised by its own",
}


def stargan_discriminator(
    tensors: Tensors,
    conditions: Sequence[Condition],
    names: tuple[str, str, str] = ("main", "conv1", "conv2"),
) -> Layout:
    """StarGAN's discriminator as in yunjey/stargan, of any size and number of attributes.

    Args:
        tensors: What the file holds.
        conditions: What its logits stand for.
        names: Names of its trunk, of the head of realness and of that of conditions.

    Raises:
        ValueError: The file is another one, or has more or fewer attributes.
    """
    trunk, realness, head = names
    width, *_ = _shape(
        tensors,
        f"{trunk}.0.weight",
        "channels x 3 x 4 x 4",
        lambda _, seen, height, width: (seen, height, width) == (3, 4, 4),
    )
    attributes, _, side, _ = _shape(
        tensors,
        f"{head}.weight",
        "attributes x channels x side x side",
        lambda _, seen, height, width: height == width,
    )
    _check_attributes(attributes, conditions)
    depth = sum(f"{trunk}.{2 * i}.weight" in tensors for i in range(_MOST_BLOCKS // 2))
    width = max(1, min(width, _MOST_CHANNELS // 2 ** (depth - 1)))
    network = Discriminator(conditions, min(side, 16) * 2**depth, width=width, depth=depth)
    network.build()
    modules = [layer(f"{trunk}.{2 * i}") for i in range(depth)]
    modules.append(layer(realness, "weight"))
    modules.append(_heads(head, [condition.size for condition in conditions]))
    return Layout(network, modules, {})


_IMPORTED_UNITS = (RangeCondition(ACTION_UNITS, UNITS, source="those of the imported weights"),)


def ganimation_generator(tensors: Tensors, image_size: int) -> Layout:
    """GANimation's generator as in albertpumarola/GANimation, or donydchen/ganimation_replicate.

    The second normalises without scale and offset, and adds biases before: what is normalised loses
    them, so that the network is the same with scales of 1 and offsets of 0.

    Args:
        tensors: What the file holds.
        image_size: Height and width of the images that the network was trained on, in pixels.

    Raises:
        ValueError: The file is another one, or has other than 17 action units.
    """
    replicate = "color_top.0.weight" in tensors
    body, block = ("model", "conv_block") if replicate else ("main", "main")
    channels, seen, _, _ = _shape(
        tensors,
        f"{body}.0.weight",
        "channels x (3 + action units) x 7 x 7",
        lambda _, seen, height, width: seen > 3 and height == width == 7,
    )
    _check_units(seen - 3)
    blocks = sum(f"{body}.{9 + i}.{block}.0.weight" in tensors for i in range(_MOST_BLOCKS))
    network = GanimationGenerator(
        _IMPORTED_UNITS, image_size, min(channels, _MOST_CHANNELS // 16), blocks
    )
    network.build()
    last = 9 + blocks
    places = ["0", "3", "6", *(f"{b}.{block}.{i}" for b in range(9, last) for i in (0, 3))]
    places += [str(last), str(last + 3)]
    modules = []
    for place in places:
        name = f"{body}.{place}"
        if replicate:
            modules.append(_without_scale(name, transposed=place in (str(last), str(last + 3))))
        else:
            head, _, number = name.rpartition(".")
            modules += [layer(name, "weight"), layer(f"{head}.{int(number) + 1}")]
    # The name is misspelt in the published code.
    heads = ("color_top.0", "au_top.0") if replicate else ("img_reg.0", "attetion_reg.0")
    modules.append(_joined(heads, (3, 1)))
    unused = dict(_RUNNING)
    if replicate:
        unused[f"{body}.*.bias"] = "biases before a normalisation, which takes them away"
    return Layout(network, modules, unused)


def ganimation_discriminator(tensors: Tensors) -> Layout:
    """GANimation's discriminator, as in either of its two codes; see ``ganimation_generator``.

    Raises:
        ValueError: The file is another one, or has other than 17 action units.
    """
    replicate = "aus_top.weight" in tensors
    names = ("model", "dis_top", "aus_top") if replicate else ("main", "conv1", "conv2")
    head = tensors.get(f"{names[2]}.weight")
    if head is not None:
        _check_units(len(head))
    return stargan_discriminator(tensors, _IMPORTED_UNITS, names)


def _check_units(count: int) -> None:
    if count != len(UNITS):
        raise ValueError(
            f"it knows {count} action units; only the {len(UNITS)} of OpenFace, in its order, can "
            "be imported"
        )


def _without_scale(name: str, transposed: bool) -> Module:
    """Returns a convolution and the normalisation after it, which has no weights in the file."""

    def convert(kernel: np.ndarray) -> list[np.ndarray]:
        channels = kernel.shape[1 if transposed else 0]
        return [to_keras(kernel), np.ones(channels, np.float32), np.zeros(channels, np.float32)]

    return Module(3, lambda kernel, *_: {f"{name}.weight": pytorch_shape(kernel)}, convert)


def _joined(names: Sequence[str], filters: Sequence[int]) -> Module:
    """Returns several convolutions on the same input, whose filters are those of one in Keras."""

    def shapes(kernel: Sequence[int]) -> dict[str, tuple[int, ...]]:
        return {
            f"{name}.weight": pytorch_shape((*kernel[:-1], count))
            for name, count in zip(names, filters)
        }

    return Module(1, shapes, lambda *kernels: [to_keras(np.concatenate(kernels))])


def _shape(
    tensors: Tensors, name: str, expected: str, fits: Callable[..., bool]
) -> tuple[int, ...]:
    """Returns the shape of a tensor with four axes, from which the network's size follows."""
    shape = tensors[name].shape if name in tensors else ()
    if len(shape) != 4 or min(shape) < 1 or not fits(*shape):
        raise ValueError(f"it has no {name} of {expected}")
    return shape


def _check_attributes(count: int, conditions: Sequence[Condition]) -> None:
    named = sum(condition.size for condition in conditions)
    if not named:
        raise ValueError(
            f"it knows {count} attributes: name them in the order of its code, with --attributes="
            "NAME,… if several hold at once, or with --expressions=NAME,… and --lightings=NAME,…"
        )
    if count != named:
        raise ValueError(f"it knows {count} attributes, but {named} are named")


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
    modules = [_batch_normalized(f"{name}.conv", f"{name}.bn", 1e-3) for name in names]
    return Layout(network, modules, {**_classifier("fc", "1008 classes"), **_COUNTERS})


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
    modules = [_batch_normalized(name, f"{name}_bn", 1e-5) for name in names]
    return Layout(network, modules, {**_COUNTERS, **_classifier("classifier")})


def vgg_face(width: float = 1.0) -> Layout:
    """VGG-Face as converted by Albanie, without the layer that names people.

    Args:
        width: Factor on the published channels.
    """
    network = VggFace(width)
    network.build()
    counts = enumerate((2, 2, 3, 3, 3), start=1)
    modules = [layer(f"conv{stage}_{i}") for stage, count in counts for i in range(1, count + 1)]
    modules += [_dense_after_flatten("fc6", network.channels), layer("fc7")]
    return Layout(network, modules, _classifier("fc8"))


LAYOUTS: dict[str, Callable[[Tensors, Sequence[Condition], int], Layout]] = {
    "lightcnn29_v1": lambda *_: lightcnn29(1),
    "lightcnn29_v2": lambda *_: lightcnn29(2),
    "stargan_generator": stargan_generator,
    "stargan_discriminator": lambda tensors, conditions, _: stargan_discriminator(
        tensors, conditions
    ),
    "ganimation_generator": lambda tensors, _, image_size: ganimation_generator(
        tensors, image_size
    ),
    "ganimation_discriminator": lambda tensors, *_: ganimation_discriminator(tensors),
    "fid_inception": lambda *_: fid_inception(),
    "vggface2_resnet50": lambda *_: vggface2_resnet50(),
    "vgg_face": lambda *_: vgg_face(),
}
"""By the names in ``WEIGHT_FILES``: given the tensors, what StarGAN's code stands for, and the size
of its images, neither of which its files tell; raise ValueError where these do not fit."""
