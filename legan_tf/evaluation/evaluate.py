"""Evaluation of an editor on people that it has not seen."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from legan_tf.command_line.cli import counter
from legan_tf.data.conditions import ATTRIBUTES, UNKNOWN, Condition
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache, array_sha256
from legan_tf.evaluation.class_policy import ClassPolicy
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.edit_metrics import labels_sha256, metrics_of_edits, metrics_of_surfaces
from legan_tf.evaluation.edit_plan import EditPlan, plan_edits
from legan_tf.evaluation.edit_predictions import predict_edits
from legan_tf.evaluation.evaluator import SHARD, Evaluator
from legan_tf.evaluation.judge_networks import JudgeNetworks, load_judge_networks
from legan_tf.evaluation.map_predictor import load_map_predictor
from legan_tf.evaluation.report import edit_pictures, write_report
from legan_tf.files import make_writable
from legan_tf.runtime.hardware import float32_arithmetic
from legan_tf.training.datasets import (
    HELD_OUT_PEOPLE,
    rendered_classes,
    rendered_split,
    split_of_manifest,
)

LEAST_SIZE = 16
"""Height and width of the smallest faces that are evaluated, in pixels."""


@float32_arithmetic()
def evaluate(editor: Any, output: str, config: EvaluationConfig | None = None) -> dict[str, Any]:
    """Evaluates an editor by every metric that data and networks allow, and writes the report.

    Args:
        editor: A generator as ``legan_tf.load`` returns it.
        output: Folder of ``report.json``, ``report.md`` and pictures.
        config: The data, the judge networks, and the number of edits; by default rendered people
            whom no network has seen.

    Returns:
        The content of ``report.json``; see docs/evaluation.md.

    Raises:
        UserError: The flags do not fit, the model and the data share no class, ``output`` cannot be
            written to, a picture cannot be read, or a network cannot be loaded.
        UnavailableError: A network needs tensorflow-gan, which does not work here.
    """
    config, cache = prepare(output, config)
    depth = load_map_predictor(config.depth_model, editor.path, editor.image_size)
    map_kind = depth.geometry if depth else ""
    faces = faces_to_edit(config, editor.image_size, editor.conditions, map_kind)
    plan = plan_edits(editor, faces, config.edits, config.seed)
    policy = ClassPolicy.of(editor, config.class_policy, config.seed)
    plan = policy.with_plan(plan, faces) if policy else plan
    networks = load_judge_networks(config, config.judges or os.path.join(output, "judges"), faces)
    networks = dataclasses.replace(networks, depth=depth)
    with_truth = int(np.sum(plan.truth >= 0))
    progress = counter(2 * len(plan) + with_truth + len(plan.reference), "judging")
    evaluator = Evaluator(networks, cache, progress)
    rows = predict_edits(editor, faces, plan, evaluator)
    report: dict[str, Any] = {
        "format": 2,
        "kind": "editor",
        "model": model_of(editor),
        "data": {**data_of(faces, plan, config), "with_truth": with_truth},
        "edits": len(plan),
        "seed": config.seed,
        "classes": {one.name: one.names for one in faces.conditions},
        **({"class_policy": policy.to_dict()} if policy else {}),
        "networks": networks.descriptions,
        "missing": [*networks.missing(), *_missing(faces, plan, networks)],
        "doubts": networks.doubts,
        **metrics_of_edits(rows, faces, plan, evaluator, config.seed),
    }
    if depth:
        known = ~np.isnan(rows["edit"].get("map_l1", np.zeros(0)))
        report["maps"] = {"geometry": depth.geometry, "edits": int(np.sum(known))}
    surfaces, report["surface"] = metrics_of_surfaces(
        editor, faces, evaluator, config.edits, config.seed, policy
    )
    for name, metrics in surfaces.items():
        report["figures"][name].update(metrics)
    return write_report(output, report, edit_pictures(report, rows, faces, plan))


def prepare(
    output: str, config: EvaluationConfig | None, kind: str = "editor"
) -> tuple[EvaluationConfig, Cache]:
    """Checks a configuration, creates the folders, and returns the configuration and the cache.

    Args:
        output: Folder of the report.
        config: None for the default.
        kind: As ``EvaluationConfig.check`` takes it.

    Raises:
        UserError: The flags do not fit, or a folder cannot be written to.
    """
    config = config or EvaluationConfig()
    config.check(kind)
    make_writable("output", output)
    return config, Cache(config.cache or os.path.join(output, "cache"))


def faces_to_edit(
    config: EvaluationConfig,
    image_size: int,
    conditions: Sequence[Condition] = (),
    map_kind: str = "",
) -> FaceSet:
    """Returns the faces that a configuration names, in the size and the classes of a model.

    Args:
        config: The configuration.
        image_size: Height and width, in pixels.
        conditions: What the model knows, so that rendered faces have these classes.
        map_kind: ``depth`` or ``normal`` to have these maps of them too.

    Raises:
        UserError: The size is too small, the manifest or one of its pictures is wrong, or its
            split is empty.
    """
    check_size(image_size)
    if config.dataset == "manifest":
        return faces_of_manifest(config, image_size, config.split, map_kind)
    names = {one.name: one.names for one in conditions}
    expressions, merged = rendered_classes(names.get("expression", ()), names.get("lighting", ()))
    faces = rendered_split(
        "test",
        HELD_OUT_PEOPLE,
        expressions,
        merged,
        image_size,
        config.seed,
        map_kind,
        with_attributes=ATTRIBUTES in names,
        snapshots=config.snapshots,
        own_lights=config.lights,
        layers=config.layers,
    )
    if ATTRIBUTES in names and "expression" not in names:
        # They follow from the expression, which is thus to change with them.
        return faces.only([name for name in faces.labels if name != "expression"])
    return faces


def faces_of_manifest(
    config: EvaluationConfig, image_size: int, split: str, map_kind: str = ""
) -> FaceSet:
    """Returns a split of a configuration's manifest; see ``split_of_manifest``."""
    return split_of_manifest(
        config.manifest,
        config.data_dir,
        split,
        image_size,
        config.crop,
        config.seed,
        map_kind,
        config.action_units_file,
    )


def check_size(image_size: int) -> None:
    """Raises UserError for faces of fewer than ``LEAST_SIZE`` pixels in height and width."""
    if image_size < LEAST_SIZE:
        raise UserError(
            f"faces of {image_size} x {image_size} pixels cannot be judged: {LEAST_SIZE} x "
            f"{LEAST_SIZE} are the least that show one."
        )


def model_of(model: Any) -> dict[str, str]:
    """Returns name, path and sha256 of a model, for a report."""
    name = os.path.basename(os.path.abspath(model.path))
    return {"name": name, "path": model.path, "sha256": model.sha256}


def data_of(faces: FaceSet, plan: EditPlan, config: EvaluationConfig) -> dict[str, Any]:
    """Returns a description of the data for a report."""
    reference = [
        array_sha256(faces.images(plan.reference[i : i + SHARD]))
        for i in range(0, len(plan.reference), SHARD)
    ]
    return {
        **labels_of(faces, config),
        "reference": len(plan.reference),
        "pictures": hashlib.sha256("".join(reference).encode()).hexdigest(),
    }


def labels_of(faces: FaceSet, config: EvaluationConfig) -> dict[str, Any]:
    """Returns a description of a face set for a report."""
    return {
        "name": faces.name,
        "people": len(np.unique(faces.identity[faces.identity != UNKNOWN])),
        "images": len(faces),
        "image_size": faces.image_size,
        "crop": config.crop,
        "seed": config.seed,
        "sha256": labels_sha256(faces),
    }


def _missing(faces: FaceSet, plan: EditPlan, networks: JudgeNetworks) -> list[str]:
    """A sentence for each kind of metric that the data or the classifier do not allow."""
    missing = []
    if not np.any(plan.truth >= 0):
        missing.append(
            "Likeness to the truth needs pictures of the same people under what is asked for."
        )
    if faces.surface is None:
        missing.append("Errors of light and surface, and what is kept, need rendered faces.")
    if networks.classifier:
        missing += [
            f"The classifier reads no {name}: that figure needs one that does."
            for name in faces.labels
            if name not in networks.columns
        ]
    return missing
