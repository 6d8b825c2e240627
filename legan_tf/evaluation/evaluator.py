"""Network outputs and metrics of pictures, with a cache of what networks computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from legan_tf.evaluation.cache import Cache, array_sha256
from legan_tf.evaluation.image_networks import ImageNetwork, face_features
from legan_tf.evaluation.judge_networks import JudgeNetworks
from legan_tf.evaluation.map_predictor import MapPredictor
from legan_tf.evaluation.metrics.feature_sets import People, resampled_units
from legan_tf.evaluation.metrics.maps import inputs_of_maps
from legan_tf.evaluation.metrics.registry import (
    INPUTS,
    average,
    computable,
    compute,
    registered,
)

SHARD = 256
"""Pictures whose results are cached together."""

Arrays = dict[str, np.ndarray]


class Evaluator:
    """Computes what metrics need and the metrics themselves; each network sees a picture once.

    Attributes:
        networks: The judge networks.
        cache: Cache of their outputs.
    """

    def __init__(
        self, networks: JudgeNetworks, cache: Cache, progress: Callable[[int], None]
    ) -> None:
        """Stores its arguments.

        Args:
            networks: The judge networks.
            cache: Cache of their outputs.
            progress: Called with the number of pictures that were evaluated since the last call.
        """
        self.networks = networks
        self.cache = cache
        self._progress = progress

    def predict(self, images: np.ndarray) -> Arrays:
        """Applies every network, and computes the metrics of single pictures.

        Args:
            images: uint8 [n,S,S,3], n at least 1.

        Returns:
            One row per picture, by the names of ``registry.INPUTS`` and by metric. Where the
            networks are available: ``CONDITION_logits`` (in the names of the face set),
            ``embedding``, ``predicted_rating`` and ``features``.
        """
        networks, content = self.networks, array_sha256(images)

        def cached(network: ImageNetwork) -> Arrays:
            def apply() -> Arrays:
                output = network(images)
                return output if isinstance(output, dict) else {"given": output}

            return self.cache.arrays({"network": network.description, "images": content}, apply)

        found: Arrays = dict(compute("editor", {"image": images}))
        if networks.classifier:
            logits = networks.in_names(cached(networks.classifier))
            found.update({f"{name}_logits": values for name, values in logits.items()})
        if networks.face:
            found["embedding"] = cached(networks.face)["given"]
        if networks.quality:
            found["predicted_rating"] = cached(networks.quality)["given"]
        if networks.features:
            found["features"] = cached(networks.features)["given"]
        elif networks.face:
            found["features"] = face_features(found["embedding"])
        self._progress(len(images))
        return found

    def predict_all(self, images: Callable[[np.ndarray], np.ndarray], index: np.ndarray) -> Arrays:
        """Returns ``predict`` of many pictures.

        Args:
            images: Returns those of some indices, uint8 [n,S,S,3].
            index: int [n], n at least 1.
        """
        starts = range(0, len(index), SHARD)
        parts = [self.predict(images(index[start : start + SHARD])) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def compare(self, images: np.ndarray, true: np.ndarray) -> Arrays:
        """Computes the metrics of pictures and true pictures, pair by pair.

        Args:
            images: uint8 [n,S,S,3], n at least 1.
            true: The same shape.

        Returns:
            By metric, float [n].
        """
        inputs = {"image": images, "true_image": true}
        lpips = self.networks.lpips
        if lpips:
            key = {
                "network": lpips.description,
                "pairs": [array_sha256(images), array_sha256(true)],
            }
            cached = self.cache.arrays(key, lambda: {"lpips": lpips(images, true)})
            inputs["lpips_distance"] = cached["lpips"]
        return compute("editor", inputs, new=("true_image", "lpips_distance"))

    def compare_maps(self, depth: MapPredictor, images: np.ndarray, true: np.ndarray) -> Arrays:
        """Computes the metrics of predicted and true maps.

        Args:
            depth: Predicts the maps.
            images: uint8 [n,S,S,3], n at least 1.
            true: The true maps, of the same shape; none is empty.

        Returns:
            By metric, float64 [n].
        """
        key = {"maps_by": depth.description, "images": array_sha256(images)}
        maps = self.cache.arrays(key, lambda: {"maps": depth(images)})["maps"]
        return compute("editor", inputs_of_maps(maps, true, depth.geometry))

    def metrics_of_row(
        self, found: Arrays, inputs: Mapping[str, Any], seed: int, people: People | None = None
    ) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Averages the metrics of single pictures, and computes those of the set of them.

        Args:
            found: Returned by ``predict``, with other metrics of single pictures, [n] each.
            inputs: More inputs of metrics, by the names of ``registry.INPUTS``.
            seed: Seed of the intervals.
            people: Who is in the pictures of the row and of the reference, for the intervals.

        Returns:
            The metrics, and the 95 % intervals of those that have one; undefined ones are left out.
        """
        inputs = {**inputs, **{key: found[key] for key in INPUTS["editor"] if key in found}}
        if len(found["features"]) < 2:
            del inputs["features"]  # One picture has no distribution.
        values = {key: average(found[key]) for key in registered() if key in found}
        intervals = {}
        for metric in computable("editor", inputs):
            interval, arguments = metric.interval, metric.arguments(inputs)
            if interval is None:
                values[metric.key] = average(metric(inputs))
                continue

            def with_ends(metric: Any = metric, interval: Any = interval) -> Arrays:
                ends = interval(*metric.arguments(inputs), seed=seed, people=people)
                return {"value": np.array([metric(inputs), *ends])}

            key = {"metric": metric.key, "of": list(map(array_sha256, arguments)), "seed": seed}
            if people is not None and resampled_units(people) != "pictures":
                key["people"] = [array_sha256(ids) for ids in people]
            cached = self.cache.arrays(key, with_ends)
            values[metric.key], *intervals[metric.key] = cached["value"].tolist()
        return {key: value for key, value in values.items() if not np.isnan(value)}, intervals
