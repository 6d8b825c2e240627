"""The depth network that predicts maps of edits."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.evaluation.image_networks import ImageNetwork, network_sha256
from legan_tf.graph_ops.pixels import to_uint8
from legan_tf.models import DepthNetwork
from legan_tf.training.run_folder import DEPTH_FILE, load_network_of


class MapPredictor:
    """A depth network as a function of uint8 pictures.

    Attributes:
        geometry: ``depth`` or ``normal``, the content of its maps.
        description: As that of ``ImageNetwork``.
    """

    def __init__(self, network: DepthNetwork, name: str) -> None:
        """Takes the network and its name in reports."""
        self.geometry = network.geometry
        self._network = ImageNetwork(
            name, network_sha256(network), network.image_size, network.to_map
        )
        self.description = self._network.description

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns the maps of pictures, both uint8 [n,S,S,3], n at least 1."""
        return to_uint8(tf.constant(self._network(images))).numpy()


def load_map_predictor(path: str, model: str, image_size: int) -> MapPredictor | None:
    """Loads the depth network that predicts maps of edits.

    Args:
        path: Run folder or .keras file of a depth network; if empty, the one that the model was
            trained with, if it is in its run folder.
        model: Path that the editor was loaded from.
        image_size: Height and width of the edits, in pixels.

    Returns:
        The network, or None.

    Raises:
        UserError: It cannot be loaded, or works on another size; the message names
            ``--depth_model``.
    """
    name = os.path.basename(os.path.abspath(path)) if path else f"the run's own {DEPTH_FILE}"
    own = os.path.join(model, DEPTH_FILE)
    if not path and not os.path.isfile(own):
        return None
    path = path or own
    network = load_network_of("depth_model", path, DepthNetwork)
    if network.image_size != image_size:
        raise UserError(
            f"--depth_model={path}: it works on {network.image_size} x {network.image_size} "
            f"pixels, not on {image_size} x {image_size}; give one of that size."
        )
    return MapPredictor(network, name)
