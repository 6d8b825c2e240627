"""Evaluation of a depth network in both directions, on people that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from legan_tf.command_line.cli import counter
from legan_tf.data import maps
from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS
from legan_tf.data.conditions import UNKNOWN, of_classes
from legan_tf.data.faceset import FaceSet
from legan_tf.data.manifest import read_manifest
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache, array_sha256
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate import (
    faces_of_manifest,
    faces_to_edit,
    labels_of,
    model_of,
    prepare,
)
from legan_tf.evaluation.evaluator import SHARD, Arrays
from legan_tf.evaluation.metrics.maps import THRESHOLD, inputs_of_maps, shown
from legan_tf.evaluation.metrics.registry import average, compute
from legan_tf.evaluation.report import map_sheet, write_report
from legan_tf.graph_ops.pixels import to_uint8
from legan_tf.models import DepthNetwork
from legan_tf.models.network import predict_in_batches
from legan_tf.runtime.hardware import float32_arithmetic
from legan_tf.training.datasets import rendered_split
from legan_tf.training.run_folder import load_network

BASELINE_PEOPLE = 25
"""Rendered people of the training split whose mean map and picture are the baseline."""
_BASELINE_PICTURES = 2000
_SHOWN = 8
_MAPS, _PICTURES = ("map", "mean_map"), ("picture", "cycle", "mean_picture")


@float32_arithmetic()
def evaluate_depth(
    model: Any, output: str, config: EvaluationConfig | None = None
) -> dict[str, Any]:
    """Evaluates a depth network in both directions, and writes the report.

    Args:
        model: A depth network as ``legan_tf.load`` returns it for a run folder or ``.keras`` file.
        output: Folder of ``report.json``, ``report.md`` and pictures.
        config: The data: rendered test people under AffectNet's expressions and every light, with
            exact maps, or a manifest's split with its column of maps; and how many pictures.

    Returns:
        The content of ``report.json``; see docs/evaluation.md.

    Raises:
        UserError: The flags do not fit, ``output`` cannot be written to, the model is an export, or
            there are no true maps.
    """
    config, cache = prepare(output, config, "depth")
    network = _network(model.path)
    kind = network.geometry
    classes = of_classes(expression=AFFECTNET_EXPRESSIONS)
    faces = faces_to_edit(config, network.image_size, classes, kind)
    index = _with_maps(faces, config.edits, config.seed)
    if not len(index):
        raise UserError(
            f"{faces.name} has no {kind} map: fill the column {kind!r} of the manifest, or name "
            "another --split."
        )
    training, means = _training_faces(network, config), {}
    if training:
        baseline = _with_maps(training, _BASELINE_PICTURES, config.seed)
        means = _means(training, baseline)
    count = counter(len(index), "reading")
    metrics: dict[str, list[Arrays]] = {}
    images: Arrays = {}
    for start in range(0, len(index), SHARD):
        rows = index[start : start + SHARD]
        pictures, true = faces.images(rows), faces.map_images(rows)
        made = _apply(network, model.sha256, pictures, true, cache)
        every = {**made, **{name: np.stack([mean] * len(rows)) for name, mean in means.items()}}
        for name in _MAPS:
            if name in every:
                inputs = inputs_of_maps(every[name], true, kind)
                sums = {key: inputs[key] for key in inputs if key == "correlation_sums"}
                metrics.setdefault(name, []).append({**compute("depth", inputs), **sums})
        for name in _PICTURES:
            if name in every:
                pair = {"image": every[name], "true_image": pictures}
                metrics.setdefault(name, []).append(compute("editor", pair))
        for name, shard in {"input": pictures, "true": true, **made}.items():
            images.setdefault(name, shard[:_SHOWN])
        count(len(rows))
    whole = {
        name: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for name, parts in metrics.items()
    }
    report: dict[str, Any] = {
        "format": 2,
        "kind": "depth",
        "model": {**model_of(model), "geometry": kind},
        "data": {**labels_of(faces, config), "read": len(index)},
        "seed": config.seed,
        "threshold": THRESHOLD[kind],
        "figures": {name: _averages(values) for name, values in whole.items()},
        "per_expression": _per_expression(faces, index, whole),
        "missing": [],
    }
    if training:
        report["data"]["baseline"] = f"{len(baseline):,} pictures of {training.name}"
    else:
        report["missing"].append("The mean map needs maps of the manifest's train split.")
    names = [_label(faces, i) for i in index[:_SHOWN]]
    return write_report(output, report, {"maps.png": map_sheet(images, names)})


def _network(path: str) -> DepthNetwork:
    """The network itself, as an export has one direction only."""
    try:
        return load_network(path)
    except UserError as error:
        raise UserError(
            f"{error} A depth network is judged both ways, of which an export has one: give its "
            "run folder or .keras file."
        ) from error


def _with_maps(faces: FaceSet, count: int, seed: int) -> np.ndarray:
    """Random pictures that have a map, at most ``count``."""
    drawn: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(faces)):
        if len(drawn) < count and faces.map_images(np.array([i])).any():
            drawn.append(int(i))
    return np.array(drawn, np.int64)


def _training_faces(network: DepthNetwork, config: EvaluationConfig) -> FaceSet | None:
    """Training people for the baseline; None for a manifest without maps of them."""
    size, kind = network.image_size, network.geometry
    if config.dataset == "rendered":
        return rendered_split("train", BASELINE_PEOPLE, "affectnet", True, size, config.seed, kind)
    manifest = read_manifest(config.manifest, config.data_dir or None, config.seed)
    if not any(row.has(kind) for row in manifest.split("train")):
        return None
    return faces_of_manifest(config, size, "train", kind)


def _means(faces: FaceSet, index: np.ndarray) -> dict[str, np.ndarray]:
    """The mean map, inside the silhouette of half of the maps, and the mean picture."""
    pictures, true = faces.images(index), faces.map_images(index)
    inside = shown(true)
    silhouette = inside.mean(axis=0) >= 0.5
    mean = true.sum(axis=0, dtype=np.float64) / np.maximum(inside.sum(axis=0), 1)[..., None]
    if faces.map_kind == "normal":
        normals = mean / 127.5 - 1
        mean = maps.normals_to_map(normals / np.linalg.norm(normals, axis=-1, keepdims=True))
    return {
        "mean_map": np.where(silhouette[..., None], np.round(mean), 0).astype(np.uint8),
        "mean_picture": np.round(pictures.mean(axis=0)).astype(np.uint8),
    }


def _apply(
    network: DepthNetwork, sha256: str, pictures: np.ndarray, true: np.ndarray, cache: Cache
) -> Arrays:
    """Maps of pictures, pictures of true maps, and pictures of the former maps."""

    def run(direction: Any, images: np.ndarray) -> np.ndarray:
        return predict_in_batches(lambda batch: to_uint8(direction(batch)), images)

    def compute_all() -> Arrays:
        maps = run(network.to_map, pictures)
        return {
            "map": maps,
            "picture": run(network.to_rgb, true),
            "cycle": run(network.to_rgb, maps),
        }

    key = {"both_ways_by": sha256, "of": [array_sha256(pictures), array_sha256(true)]}
    return cache.arrays(key, compute_all)


def _averages(values: Arrays) -> dict[str, float]:
    """Means over pictures, and metrics over the pixels of all pictures."""
    found = {key: average(each) for key, each in values.items() if key != "correlation_sums"}
    if "correlation_sums" in values:
        found.update(compute("depth", {"all_correlation_sums": values["correlation_sums"]}))
    return found


def _per_expression(
    faces: FaceSet, index: np.ndarray, whole: dict[str, Arrays]
) -> dict[str, dict[str, Any]]:
    """Metrics of maps by the expression of the picture."""
    found = {}
    for number, name in enumerate(faces.names("expression")):
        of_it = faces.labels["expression"][index] == number
        if np.any(of_it):
            rows = {row: whole[row] for row in _MAPS if row in whole}
            found[name] = {
                "pictures": int(np.sum(of_it)),
                **{
                    row: _averages({key: each[of_it] for key, each in values.items()})
                    for row, values in rows.items()
                },
            }
    return found


def _label(faces: FaceSet, i: int) -> str:
    """Person and labels of a picture, a line each."""
    person = faces.identities[faces.identity[i]] if faces.identity[i] != UNKNOWN else ""
    labels = (one.label_text(faces.labels[one.name][i]) for one in faces.conditions)
    return "\n".join(filter(None, [person, *labels]))
