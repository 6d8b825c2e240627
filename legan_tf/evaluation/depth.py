"""How well a depth network reads the surface of people that it has not seen, and paints it back."""

from __future__ import annotations

import os
import types
from typing import Any

import numpy as np
import tensorflow as tf

from legan_tf.cli import counter
from legan_tf.data import maps
from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS
from legan_tf.data.faceset import FaceSet
from legan_tf.data.manifest import read_manifest
from legan_tf.data.pipeline import to_float, to_uint8
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate import faces_to_edit, labels_of, model_of
from legan_tf.evaluation.features import BATCH
from legan_tf.evaluation.instruments import SHARD, sha256_of
from legan_tf.evaluation.maps import compare_maps
from legan_tf.evaluation.metrics.images import mean_absolute_error, psnr, ssim
from legan_tf.evaluation.metrics.maps import THRESHOLD, correlation, shown
from legan_tf.evaluation.report import write_depth_report
from legan_tf.evaluation.rows import Arrays
from legan_tf.files import make_writable
from legan_tf.models import DepthNetwork
from legan_tf.training.datasets import rendered_split, split_of_manifest
from legan_tf.training.run_folder import load_network

BASELINE_PEOPLE = 25
"""Rendered people of the training split whose mean map and picture stand beside the network's."""
_BASELINE_PICTURES = 2000
_SHOWN = 8
_MAPS, _PICTURES = ("map", "mean_map"), ("picture", "cycle", "mean_picture")


def evaluate_depth(
    model: Any, output: str, config: EvaluationConfig | None = None
) -> dict[str, Any]:
    """Judges a depth network in both directions, and writes the report.

    Args:
        model: What ``legan_tf.load`` gives for the run folder or ``.keras`` file of one.
        output: Folder of ``report.json``, ``report.md`` and pictures.
        config: The data: rendered test people under AffectNet's expressions and every light, with
            exact maps, or a manifest's split with its column of maps; and how many pictures.

    Returns:
        What ``report.json`` holds; see docs/evaluation.md.

    Raises:
        UserError: The flags do not fit, ``output`` cannot be written to, the model is an export, or
            there are no true maps.
    """
    config = config or EvaluationConfig()
    config.check("depth")
    make_writable("output", output)
    network = _network(model.path)
    kind = network.geometry
    cache = Cache(config.cache or os.path.join(output, "cache"))
    like = types.SimpleNamespace(
        image_size=network.image_size, expressions=AFFECTNET_EXPRESSIONS, lightings=()
    )
    faces = faces_to_edit(like, config, kind)
    index = _with_maps(faces, config.edits, config.seed)
    if not len(index):
        raise UserError(
            f"{faces.name} has no {kind} map: fill the column {kind!r} of the manifest, or name "
            "another --split."
        )
    learnt = _training_faces(network, config)
    learnt_from = _with_maps(learnt, _BASELINE_PICTURES, config.seed) if learnt else []
    means = _means(learnt, learnt_from) if learnt else {}
    chosen = _to_show(faces, index)
    count = counter(len(index), "reading")
    figures: dict[str, list[Arrays]] = {}
    images: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(index), SHARD):
        rows = index[start : start + SHARD]
        pictures, true = faces.images(rows), faces.map_images(rows)
        made = _made(network, model.sha256, pictures, true, cache)
        every = {**made, **{name: np.stack([mean] * len(rows)) for name, mean in means.items()}}
        for name in _MAPS:
            if name in every:
                figures.setdefault(name, []).append(compare_maps(every[name], true, kind))
        for name in _PICTURES:
            if name in every:
                figures.setdefault(name, []).append(_likeness(every[name], pictures))
        for name, seen in {"input": pictures, "true": true, **made}.items():
            images.setdefault(name, []).append(seen[np.isin(rows, chosen)])
        count(len(rows))
    whole = {
        name: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for name, parts in figures.items()
    }
    report = {
        "format": 2,
        "kind": "depth",
        "model": {**model_of(model), "geometry": kind},
        "data": {**labels_of(faces, config), "read": len(index)},
        "seed": config.seed,
        "threshold": THRESHOLD[kind],
        "figures": {name: _figures(values) for name, values in whole.items()},
        "per_expression": _per_expression(faces, index, whole),
        "missing": [],
    }
    if learnt:
        report["data"]["baseline"] = f"{len(learnt_from):,} pictures of {learnt.name}"
    else:
        report["missing"].append("The mean map needs maps of the manifest's train split.")
    return write_depth_report(
        output,
        report,
        {name: np.concatenate(parts) for name, parts in images.items()},
        [_told(faces, i) for i in index[np.isin(index, chosen)]],
    )


def _network(path: str) -> DepthNetwork:
    """The network itself, as only it has both directions."""
    try:
        return load_network(path)
    except UserError as error:
        raise UserError(
            f"{error} A depth network is judged both ways, of which an export has one: give its "
            "run folder or .keras file."
        ) from error


def _with_maps(faces: FaceSet, count: int, seed: int) -> np.ndarray:
    """So many random pictures that have a map, or all."""
    drawn: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(faces)):
        if len(drawn) < count and faces.map_images([i]).any():
            drawn.append(int(i))
    return np.array(drawn, np.int64)


def _training_faces(network: DepthNetwork, config: EvaluationConfig) -> FaceSet | None:
    """People like those that the network has learnt from; none where a manifest names none."""
    size, kind = network.image_size, network.geometry
    if config.dataset == "rendered":
        return rendered_split("train", BASELINE_PEOPLE, "affectnet", True, size, config.seed, kind)
    manifest = read_manifest(config.manifest, config.data_dir or None, config.seed)
    if not any(getattr(row, kind) for row in manifest.split("train")):
        return None
    return split_of_manifest(
        config.manifest, config.data_dir, "train", size, config.crop, config.seed, kind
    )


def _means(faces: FaceSet, index: np.ndarray) -> dict[str, np.ndarray]:
    """The mean map, of those that show something where half of them do, and the mean picture."""
    pictures, true = faces.images(index), faces.map_images(index)
    inside = shown(true)
    often = inside.mean(axis=0) >= 0.5
    mean = true.sum(axis=0, dtype=np.float64) / np.maximum(inside.sum(axis=0), 1)[..., None]
    if faces.map_kind == "normal":
        normals = mean / 127.5 - 1
        mean = maps.normals_to_map(normals / np.linalg.norm(normals, axis=-1, keepdims=True))
    return {
        "mean_map": np.where(often[..., None], np.round(mean), 0).astype(np.uint8),
        "mean_picture": np.round(pictures.mean(axis=0)).astype(np.uint8),
    }


def _made(
    network: DepthNetwork, sha256: str, pictures: np.ndarray, true: np.ndarray, cache: Cache
) -> Arrays:
    """Maps of pictures, pictures of true maps, and pictures of the former maps."""

    def run(way: Any, images: np.ndarray) -> np.ndarray:
        parts = [
            to_uint8(way(to_float(tf.constant(images[i : i + BATCH])))).numpy()
            for i in range(0, len(images), BATCH)
        ]
        return np.concatenate(parts)

    def compute() -> Arrays:
        read = run(network.to_map, pictures)
        return {
            "map": read,
            "picture": run(network.to_rgb, true),
            "cycle": run(network.to_rgb, read),
        }

    key = {"both_ways_by": sha256, "of": [sha256_of(pictures), sha256_of(true)]}
    return cache.arrays(key, compute)


def _likeness(made: np.ndarray, pictures: np.ndarray) -> Arrays:
    return {
        "l1": mean_absolute_error(made, pictures),
        "ssim": ssim(made, pictures),
        "psnr": psnr(made, pictures),
    }


def _figures(values: Arrays) -> dict[str, float]:
    """Means over pictures, and what is over all pixels of them together."""
    figures = {key: float(np.mean(each)) for key, each in values.items() if key != "sums"}
    if "sums" in values:
        figures["pooled_correlation"] = float(correlation(values["sums"].sum(axis=0)))
    return figures


def _per_expression(
    faces: FaceSet, index: np.ndarray, whole: dict[str, Arrays]
) -> dict[str, dict[str, Any]]:
    """The figures of maps by the expression of the picture, of those that occur."""
    found = {}
    for number, name in enumerate(faces.expressions):
        of_it = faces.expression[index] == number
        if np.any(of_it):
            rows = {row: whole[row] for row in _MAPS if row in whole}
            found[name] = {
                "pictures": int(np.sum(of_it)),
                **{
                    row: _figures({key: each[of_it] for key, each in values.items()})
                    for row, values in rows.items()
                },
            }
    return found


def _to_show(faces: FaceSet, index: np.ndarray) -> np.ndarray:
    """A few pictures, of as many expressions and people as there are."""
    chosen: list[int] = []
    while len(chosen) < min(_SHOWN, len(index)):
        miens, people = faces.expression[chosen], faces.identity[chosen]
        rest = np.setdiff1d(index, chosen)
        often = [
            (np.sum(miens == faces.expression[i]), np.sum(people == faces.identity[i]))
            for i in rest
        ]
        chosen.append(int(rest[min(range(len(rest)), key=often.__getitem__)]))
    return np.array(chosen)


def _told(faces: FaceSet, i: int) -> str:
    """The labels of a picture."""
    labels = (
        (faces.identities, faces.identity[i]),
        (faces.expressions, faces.expression[i]),
        (faces.lightings, faces.lighting[i]),
    )
    return "\n".join(names[value] for names, value in labels if value >= 0)
