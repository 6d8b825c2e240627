"""LPIPS, the learned perceptual distance of two pictures (Zhang et al., CVPR 2018)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.lpips import lpips_from_taps
from legan_tf.evaluation.metrics.ssim import check_images
from legan_tf.graph_ops.pixels import to_float
from legan_tf.models.perceptual import PerceptualTrunk
from legan_tf.models.pretrained.lpips_weights import NETWORKS, read_heads, read_trunk

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
        one, other = (self.network(to_float(images)) for images in (first, second))
        return lpips_from_taps(one, other, self._weights)


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
    with _naming("--lpips_trunk"):
        network, other_trunk = read_trunk(net, trunk)
    with _naming("--lpips_heads"):
        weights, other_heads = read_heads(net, heads)
    unlike = " and ".join(filter(None, (other_trunk, other_heads)))
    name = f"LPIPS 0.1, {network.title}"
    if unlike:
        name = f"LPIPS, {network.title} with {unlike}: not the published scores"
    digests = [bytes.fromhex(storage.sha256(path)) for path in (trunk, heads)]
    return LpipsNetwork(network, weights, name, hashlib.sha256(b"".join(digests)).hexdigest())


@contextlib.contextmanager
def _naming(flag: str) -> Iterator[None]:
    """Puts a flag before the message of a ``UserError``."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error
