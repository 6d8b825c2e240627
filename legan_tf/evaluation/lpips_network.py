"""LPIPS, the learned perceptual distance of two pictures (Zhang et al., CVPR 2018)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence

import h5py
import numpy as np
import tensorflow as tf

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.lpips import lpips_from_taps
from legan_tf.evaluation.metrics.ssim import check_images
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models.model_files import check_model_file
from legan_tf.models.perceptual import (
    SCALE,
    SHIFT,
    AlexNetTrunk,
    PerceptualTrunk,
    SqueezeNetTrunk,
    Vgg16Trunk,
)
from legan_tf.models.pretrained.torch_files import check_shapes, finite_float32, read_tensors

NETWORKS = {"alex": AlexNetTrunk, "vgg": Vgg16Trunk, "squeeze": SqueezeNetTrunk}
"""By the names that the reference implementation has for them."""

_TRUNKS = {"alex": "7be5be79", "vgg": "397923af", "squeeze": "b8a52dc0"}
"""How the sha256 of torchvision's files begin, which is in their names."""
_HEADS = {
    "alex": "718a8b40b0d22f96192d34ab93c0db5c7943558ff6c2407f44812dce2f29b5f4",
    "vgg": "9153a2043dccf3b525d4f13db916e93ef040548ea923b6f2100de5ebac141a78",
    "squeeze": "68f1b1752260e0335c6394983132e210e3ed5c2540e78d239be07671a77130e4",
}
"""sha256 of the numbers in the reference implementation's heads, version 0.1, tap after tap."""

_CAFFE_MEANS = (122.679, 116.669, 104.006)
"""Of red, green and blue, 0 to 255."""
_PIXELS = 2**17
"""Per batch: VGG16 takes 1.2 KB for each."""


class LpipsNetwork:
    """LPIPS with its weights: 0 for equal pictures, lower is better."""

    def __init__(
        self, network: PerceptualTrunk, weights: Sequence[np.ndarray], name: str, sha256: str
    ) -> None:
        """Takes the networks.

        Args:
            network: Returns the taps to compare.
            weights: Weight of each channel of each tap, float32 [c] each.
            name: Name in reports.
            sha256: Of the files that the weights of both came from.
        """
        self.name = name
        self.sha256 = sha256
        self.network = network
        self._weights = list(weights)
        images = tf.TensorSpec([None, None, None, 3], tf.uint8)
        self._measured = tf.function(self._measure, input_signature=[images, images])

    @property
    def description(self) -> dict[str, str]:
        """What results depend on: name, sha256 and input."""
        return {"name": self.name, "sha256": self.sha256, "input": "at their own size"}

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Compares pictures pair by pair.

        Args:
            first: uint8 [n,H,W,3].
            second: The same shape.

        Returns:
            float32 [n], 0 or more; it hardly ever exceeds 1.

        Raises:
            ValueError: The pictures are not of that form, differ in shape, or are too small for
                the network.
        """
        check_images(first, second)
        count, height, width, _ = first.shape
        self.network.check_size(height, width)
        batch = max(1, _PIXELS // (height * width))
        distances = [np.zeros(0, np.float32)]
        for start in range(0, count, batch):
            pair = (tf.constant(images[start : start + batch]) for images in (first, second))
            distances.append(self._measured(*pair).numpy())
        return np.concatenate(distances)

    def _measure(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        taps = [self.network(to_float(images)) for images in (first, second)]
        return lpips_from_taps(*taps, self._weights)


def load_lpips(net: str, trunk: str, heads: str) -> LpipsNetwork:
    """Loads the distance from the files that its reference implementation uses.

    Args:
        net: ``alex``, ``vgg`` or ``squeeze``.
        trunk: torchvision's weights of AlexNet, VGG16 or SqueezeNet 1.1 (.pth). For ``squeeze``
            also Caffe's weights of SqueezeNet 1.1 without top as converted for Keras (.h5,
            github.com/rcmalli/keras-squeezenet): the same network trained by others, to which
            the heads were not fitted, so that the scores are not those published.
        heads: LPIPS' linear weights for that network (``weights/v0.1/*.pth``).

    Returns:
        The distance. Its name says so if a file is not that of the published scores.

    Raises:
        UserError: A file cannot be read or is not what it should be; the message names
            ``--lpips_trunk`` or ``--lpips_heads``, and the file.
        ValueError: There is no such network.
    """
    if net not in NETWORKS:
        raise ValueError(f"net is one of {', '.join(NETWORKS)}, not {net!r}")
    network = NETWORKS[net]()
    network.build()
    unlike = []
    with _naming("--lpips_trunk"):
        if not h5py.is_hdf5(trunk):
            _import_torchvision(network, trunk)
            if not storage.sha256(trunk).startswith(_TRUNKS[net]):
                unlike.append("other weights than torchvision's file")
        elif net == "squeeze":
            _import_caffe(network, trunk)
            unlike.append("Caffe's weights")
        else:
            raise UserError(
                f"{trunk}: is a Keras file; {network.title} is read from torchvision's .pth."
            )
    with _naming("--lpips_heads"):
        weights = _read_heads(network, heads)
    numbers = hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest()
    if numbers != _HEADS[net]:
        unlike.append("other heads than those of version 0.1")
    name = f"LPIPS 0.1, {network.title}"
    if unlike:
        name = f"LPIPS, {network.title} with {' and '.join(unlike)}: not the published scores"
    sha256 = hashlib.sha256(
        b"".join(bytes.fromhex(storage.sha256(path)) for path in (trunk, heads))
    ).hexdigest()
    return LpipsNetwork(network, weights, name, sha256)


def _import_torchvision(network: PerceptualTrunk, path: str) -> None:
    """Loads the convolutions from a file of torchvision's."""
    what = f"torchvision's {network.title}"
    tensors = {
        name: tensor
        for name, tensor in read_tensors(path).items()
        if not name.startswith("classifier.")
    }
    wanted = {}
    for key, layer in network.convolutions().items():
        height, width, channels, filters = layer.kernel.shape
        wanted[f"{key}.weight"] = (filters, channels, height, width)
        wanted[f"{key}.bias"] = (filters,)
    check_shapes(path, what, tensors, wanted)
    for key, layer in network.convolutions().items():
        kernel, bias = (
            finite_float32(path, name, tensors[name]) for name in (f"{key}.weight", f"{key}.bias")
        )
        layer.set_weights([kernel.transpose(2, 3, 1, 0), bias])


def _import_caffe(network: PerceptualTrunk, path: str) -> None:
    """Loads the convolutions of SqueezeNet that Caffe trained, with its preprocessing.

    Caffe took blue, green and red, 0 to 255, less their means. The first convolution has no
    padding, so that its kernel and bias can include that.
    """
    what = "SqueezeNet 1.1 without top as converted from Caffe"
    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    modules = (f"fire{number}/{part}" for number in range(2, 10) for part in parts)
    layers = dict(zip(("conv1", *modules), network.convolutions().values()))
    wanted = {}
    for name, layer in layers.items():
        wanted[f"{name}/kernel"] = tuple(layer.kernel.shape)
        wanted[f"{name}/bias"] = tuple(layer.bias.shape)
    check_model_file(path)
    try:
        with h5py.File(path, "r") as file:
            datasets = {}
            for layer in file.attrs["layer_names"]:
                for name in file[layer].attrs["weight_names"]:
                    short = _text(name).split("/")[-1].split(":")[0]
                    datasets[f"{_text(layer)}/{short}"] = file[layer][name]
            check_shapes(path, what, datasets, wanted)
            tensors = {name: np.asarray(dataset) for name, dataset in datasets.items()}
    except UserError:
        raise
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is damaged, or no file of weights that Keras wrote.") from error
    for key, layer in layers.items():
        kernel, bias = (
            finite_float32(path, name, tensors[name]) for name in (f"{key}/kernel", f"{key}/bias")
        )
        if key == "conv1":
            # x = 127.5 (scale t + shift + 1) - mean, where t is what the trunk makes of its input.
            kernel = kernel[:, :, ::-1].astype(np.float64)
            offsets = 127.5 * (np.array(SHIFT) + 1) - np.array(_CAFFE_MEANS)
            bias = bias + np.einsum("hwcf,c->f", kernel, offsets)
            kernel = kernel * (127.5 * np.array(SCALE))[:, None]
        layer.set_weights([kernel, bias])


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _read_heads(network: PerceptualTrunk, path: str) -> list[np.ndarray]:
    """Returns the weight of each channel of each tap, float32 [c] each."""
    tensors = read_tensors(path)
    wanted = {f"lin{i}.model.1.weight": (1, c, 1, 1) for i, c in enumerate(network.channels)}
    check_shapes(path, f"the linear heads of LPIPS for {network.title}", tensors, wanted)
    weights = [finite_float32(path, name, tensors[name]).ravel() for name in wanted]
    if min(weight.min() for weight in weights) < 0:
        raise UserError(f"{path}: has negative weights, which those of LPIPS never are.")
    return weights


@contextlib.contextmanager
def _naming(flag: str) -> Iterator[None]:
    """Puts a flag before the message of a ``UserError``."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error
