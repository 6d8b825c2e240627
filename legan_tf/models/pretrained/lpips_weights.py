"""The published weights of LPIPS: networks trained on ImageNet, and its linear heads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import h5py
import numpy as np

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.models.model_files import check_model_file
from legan_tf.models.perceptual import (
    SCALE,
    SHIFT,
    AlexNetTrunk,
    PerceptualTrunk,
    SqueezeNetTrunk,
    Vgg16Trunk,
)
from legan_tf.models.pretrained.pytorch_conversion import Layout, Module, checked_tensors, layer
from legan_tf.models.pretrained.pytorch_files import read_tensors

NETWORKS = {"alex": AlexNetTrunk, "vgg": Vgg16Trunk, "squeeze": SqueezeNetTrunk}
"""By the names that the reference implementation has for them."""

_FIRES = ("squeeze", "expand1x1", "expand3x3")
_TORCHVISION: dict[str, Sequence[object]] = {
    "alex": [0, 3, 6, 8, 10],
    "vgg": [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    "squeeze": [0, *(f"{i}.{part}" for i in (3, 4, 6, 7, 9, 10, 11, 12) for part in _FIRES)],
}
"""torchvision's names of the convolutions, each after ``features.``."""
_TRUNKS = {"alex": "7be5be79", "vgg": "397923af", "squeeze": "b8a52dc0"}
"""How the sha256 of torchvision's files begins, which is in their names."""
_HEADS = {
    "alex": "718a8b40b0d22f96192d34ab93c0db5c7943558ff6c2407f44812dce2f29b5f4",
    "vgg": "9153a2043dccf3b525d4f13db916e93ef040548ea923b6f2100de5ebac141a78",
    "squeeze": "68f1b1752260e0335c6394983132e210e3ed5c2540e78d239be07671a77130e4",
}
"""sha256 of the numbers in the reference implementation's heads, version 0.1, tap after tap."""
_CAFFE_MEANS = (122.679, 116.669, 104.006)
"""Of red, green and blue, 0 to 255."""


def read_trunk(net: str, path: str) -> tuple[PerceptualTrunk, str]:
    """Reads an ImageNet network of LPIPS.

    Args:
        net: One of ``NETWORKS``.
        path: torchvision's weights of AlexNet, VGG16 or SqueezeNet 1.1 (.pth); for ``squeeze`` also
            Caffe's weights of SqueezeNet 1.1 without top as converted for Keras (.h5).

    Returns:
        The network, and what its weights are if they are not those of the published scores.

    Raises:
        UserError: The file cannot be read or is not what it should be.
    """
    network = NETWORKS[net]()
    network.build()
    if h5py.is_hdf5(path):
        if net != "squeeze":
            raise UserError(
                f"{path}: is a Keras file; {network.title} is read from torchvision's .pth."
            )
        _read_caffe(network, path)
        return network, "Caffe's weights"
    modules = [layer(f"features.{name}") for name in _TORCHVISION[net]]
    layout = Layout(network, modules, {"classifier.*": "the layers of ImageNet's classes"})
    layout.fill(path, f"torchvision's {network.title}", read_tensors(path))
    known = storage.sha256(path).startswith(_TRUNKS[net])
    return network, "" if known else "other weights than torchvision's file"


def read_heads(net: str, path: str) -> tuple[list[np.ndarray], str]:
    """Reads the linear heads of LPIPS.

    Args:
        net: One of ``NETWORKS``.
        path: The heads for it (``weights/v0.1/*.pth`` of the reference implementation).

    Returns:
        The weight of each channel of each tap, float32 [c] each, and what they are if they are not
        the published ones.

    Raises:
        UserError: The file cannot be read or is not what it should be.
    """
    network = NETWORKS[net]
    shapes = {f"lin{i}.model.1.weight": (1, c, 1, 1) for i, c in enumerate(network.channels)}
    what = f"the linear heads of LPIPS for {network.title}"
    weights = [head.ravel() for head in checked_tensors(path, what, read_tensors(path), shapes)]
    if min(weight.min() for weight in weights) < 0:
        raise UserError(f"{path}: has negative weights, which those of LPIPS never are.")
    numbers = hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest()
    return weights, "" if numbers == _HEADS[net] else "other heads than those of version 0.1"


def _read_caffe(network: PerceptualTrunk, path: str) -> None:
    """Reads the SqueezeNet that Caffe trained, and has it see what Caffe showed it.

    Caffe took blue, green and red, 0 to 255, less their means. The first convolution has no
    padding, so that its kernel and bias can include that.
    """

    def first(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        # x = 127.5 (scale t + shift + 1) - mean, where t is what the trunk makes of its input.
        kernel = kernel[:, :, ::-1].astype(np.float64)
        offsets = 127.5 * (np.array(SHIFT) + 1) - np.array(_CAFFE_MEANS)
        bias = bias + np.einsum("hwcf,c->f", kernel, offsets)
        return [kernel * (127.5 * np.array(SCALE))[:, None], bias]

    def module(name: str) -> Module:
        return Module(
            2,
            lambda kernel, bias: {f"{name}/kernel": kernel, f"{name}/bias": bias},
            first if name == "conv1" else lambda *weights: list(weights),
        )

    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    names = ["conv1", *(f"fire{number}/{part}" for number in range(2, 10) for part in parts)]
    check_model_file(path)
    tensors = {}
    try:
        with h5py.File(path, "r") as file:
            for group in map(_text, file.attrs["layer_names"]):
                for name in map(_text, file[group].attrs["weight_names"]):
                    short = name.split("/")[-1].split(":")[0]
                    tensors[f"{group}/{short}"] = np.asarray(file[group][name])
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is damaged, or no file of weights that Keras wrote.") from error
    what = "SqueezeNet 1.1 without top as converted from Caffe"
    Layout(network, [module(name) for name in names], {}).fill(path, what, tensors)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
