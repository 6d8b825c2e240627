"""What a depth network reads in pictures, against the true maps."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from legan_tf.data.pipeline import to_uint8
from legan_tf.errors import UserError
from legan_tf.evaluation.features import PictureNetwork, network_sha256
from legan_tf.evaluation.metrics.images import mean_absolute_error
from legan_tf.evaluation.metrics.maps import (
    correlation,
    correlation_sums,
    l1_inside,
    normals_of_maps,
    overlap,
    shown,
    silhouettes,
)
from legan_tf.evaluation.metrics.surface import median_normal_error, normal_error
from legan_tf.models import DepthNetwork
from legan_tf.training.run_folder import DEPTH_FILE, load_network_of

MAP_FIGURES = ("map_l1", "map_correlation", "map_angle")
"""What reports on edits tell of maps, of what ``compare_maps`` gives."""


class MapReader:
    """A depth network that looks at pictures.

    Attributes:
        geometry: ``depth`` or ``normal``, what its maps show.
        description: What it is, as ``PictureNetwork`` describes itself.
    """

    def __init__(self, network: DepthNetwork, name: str) -> None:
        """Takes the network and what to call it in reports."""
        self.geometry = network.geometry
        self._network = PictureNetwork(
            name, network_sha256(network), network.image_size, network.to_map
        )
        self.description = self._network.description

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns the maps of pictures uint8 [n,S,S,3], n at least 1, in the same form."""
        return to_uint8(tf.constant(self._network(images))).numpy()


def load_map_reader(given: str, model: str, image_size: int) -> MapReader | None:
    """Loads the depth network that reads the shape of edits.

    Args:
        given: Run folder or .keras file of a depth network; if empty, the one that the model was
            trained with, if it is in its run folder.
        model: What the editor was loaded from.
        image_size: Height and width of the edits, in pixels.

    Returns:
        The network; none if there is none.

    Raises:
        UserError: It cannot be loaded, or works on another size; the message names
            ``--depth_model``.
    """
    path = given or os.path.join(model, DEPTH_FILE)
    if not given and not os.path.isfile(path):
        return None
    network = load_network_of("depth_model", path, DepthNetwork)
    if network.image_size != image_size:
        raise UserError(
            f"--depth_model={path}: it works on {network.image_size} x {network.image_size} "
            f"pixels, not on {image_size} x {image_size}; give one of that size."
        )
    own = f"the run's own {DEPTH_FILE}"
    return MapReader(network, os.path.basename(os.path.abspath(given)) if given else own)


def compare_maps(predicted: np.ndarray, true: np.ndarray, kind: str) -> dict[str, np.ndarray]:
    """Compares maps with the true ones, pair by pair.

    Args:
        predicted: uint8 [n,S,S,3].
        true: The same shape; none is empty.
        kind: ``depth`` or ``normal``.

    Returns:
        ``l1`` over the picture and ``map_l1`` inside the true silhouette, as shares of the range;
        ``overlap``, of the silhouettes; of depth ``map_correlation`` inside and ``sums``, what it
        is made of; of normals ``map_angle`` and ``median_angle`` inside, in degrees. float64 [n]
        each, ``sums`` [n,6].
    """
    inside = shown(true)
    found = {
        "l1": mean_absolute_error(predicted, true),
        "map_l1": l1_inside(predicted, true, inside),
        "overlap": overlap(silhouettes(predicted, kind), inside),
    }
    if kind == "normal":
        normals = normals_of_maps(predicted), normals_of_maps(true)
        found["map_angle"] = normal_error(*normals, inside)
        found["median_angle"] = median_normal_error(*normals, inside)
    else:
        found["sums"] = correlation_sums(predicted, true, inside)
        found["map_correlation"] = correlation(found["sums"])
    return found
