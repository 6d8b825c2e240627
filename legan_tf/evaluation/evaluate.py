"""From a trained model to a report on what it does to people that it has not seen."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from typing import Any

import numpy as np

from legan_tf.cli import counter
from legan_tf.data.attributes import UNKNOWN
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.figures import figures_of_rows, figures_of_surfaces, labels_sha256
from legan_tf.evaluation.instruments import (
    SHARD,
    Instruments,
    Looker,
    load_instruments,
    sha256_of,
)
from legan_tf.evaluation.maps import load_map_reader
from legan_tf.evaluation.plan import ATTRIBUTES, Plan, draw_plan, shared_classes
from legan_tf.evaluation.report import write_report
from legan_tf.evaluation.rows import look_at_rows
from legan_tf.files import make_writable
from legan_tf.training.datasets import (
    HELD_OUT_PEOPLE,
    rendered_classes,
    rendered_split,
    split_of_manifest,
)

LEAST_SIZE = 16
"""Height and width of the smallest faces that are judged, in pixels."""


def evaluate(editor: Any, output: str, config: EvaluationConfig | None = None) -> dict[str, Any]:
    """Judges an editor by every metric of both papers that the data allow, and writes the report.

    Args:
        editor: What ``legan_tf.load`` gives for a generator.
        output: Folder of ``report.json``, ``report.md`` and pictures.
        config: The data, the networks that judge, and how much; by default rendered people whom no
            network has seen.

    Returns:
        What ``report.json`` holds; see docs/evaluation.md.

    Raises:
        UserError: The flags do not fit, the model and the data share no class, ``output`` cannot be
            written to, a picture cannot be read, or a network cannot be loaded.
        UnavailableError: A network needs tensorflow-gan, which does not work here.
    """
    config = config or EvaluationConfig()
    config.check()
    make_writable("output", output)
    cache = Cache(config.cache or os.path.join(output, "cache"))
    reader = load_map_reader(config.depth_model, editor.path, editor.image_size)
    faces = faces_to_edit(editor, config, reader.geometry if reader else "")
    targets = shared_classes(editor, faces)
    plan = draw_plan(faces, targets, config.edits, config.seed)
    tools = load_instruments(config, config.judges or os.path.join(output, "judges"), faces)
    tools = dataclasses.replace(tools, depth=reader)
    with_truth = int(np.sum(plan.truth >= 0))
    count = counter(2 * len(plan) + with_truth + len(plan.reference), "judging")
    looker = Looker(tools, cache, count)
    rows = look_at_rows(editor, faces, targets, plan, looker)
    report = {
        "format": 2,
        "kind": "editor",
        "model": model_of(editor),
        "data": {
            **data_of(faces, plan, config),
            "with_truth": with_truth,
        },
        "edits": len(plan),
        "seed": config.seed,
        "classes": {"expression": faces.expressions, "lighting": faces.lightings},
        "networks": tools.descriptions,
        "missing": [*tools.missing(), *_missing(faces, plan, tools)],
        "doubts": tools.doubts,
        **figures_of_rows(rows, faces, targets, plan, looker, config.seed),
    }
    if reader:
        read = rows["edit"].get("map_l1", np.zeros(0))
        report["maps"] = {"geometry": reader.geometry, "edits": int(np.sum(~np.isnan(read)))}
    surfaces, report["surface"] = figures_of_surfaces(
        editor, faces, looker, config.edits, config.seed
    )
    for name, figures in surfaces.items():
        report["figures"][name].update(figures)
    return write_report(output, report, rows, plan)


def faces_to_edit(model: Any, config: EvaluationConfig, map_kind: str = "") -> FaceSet:
    """Returns the faces that a configuration names, in the size and the classes of a model.

    Args:
        model: Has ``image_size``, ``expressions`` and ``lightings``.
        config: The configuration.
        map_kind: ``depth`` or ``normal`` to have these maps of them too.

    Raises:
        UserError: The size is too small, the manifest or one of its pictures is wrong, or its
            split is empty.
    """
    check_size(model.image_size)
    if config.dataset == "manifest":
        return split_of_manifest(
            config.manifest,
            config.data_dir,
            config.split,
            model.image_size,
            config.crop,
            config.seed,
            map_kind,
        )
    expressions, merged = rendered_classes(model.expressions, model.lightings)
    return rendered_split(
        "test", HELD_OUT_PEOPLE, expressions, merged, model.image_size, config.seed, map_kind
    )


def check_size(image_size: int) -> None:
    """Refuses faces that are too small to judge.

    Args:
        image_size: Height and width, in pixels.

    Raises:
        UserError: They are.
    """
    if image_size < LEAST_SIZE:
        raise UserError(
            f"faces of {image_size} x {image_size} pixels cannot be judged: {LEAST_SIZE} x "
            f"{LEAST_SIZE} are the least that show one."
        )


def model_of(model: Any) -> dict[str, str]:
    """Returns what a report says of a model: its name, path and sha256."""
    name = os.path.basename(os.path.abspath(model.path))
    return {"name": name, "path": model.path, "sha256": model.sha256}


def data_of(faces: FaceSet, plan: Plan, config: EvaluationConfig) -> dict[str, Any]:
    """Returns what a report says of the data."""
    reference = [
        sha256_of(faces.images(plan.reference[i : i + SHARD]))
        for i in range(0, len(plan.reference), SHARD)
    ]
    return {
        **labels_of(faces, config),
        "reference": len(plan.reference),
        "pictures": hashlib.sha256("".join(reference).encode()).hexdigest(),
    }


def labels_of(faces: FaceSet, config: EvaluationConfig) -> dict[str, Any]:
    """Returns what a report says of a face set."""
    return {
        "name": faces.name,
        "people": len(np.unique(faces.identity[faces.identity != UNKNOWN])),
        "images": len(faces),
        "image_size": faces.image_size,
        "crop": config.crop,
        "seed": config.seed,
        "sha256": labels_sha256(faces),
    }


def _missing(faces: FaceSet, plan: Plan, tools: Instruments) -> list[str]:
    """A sentence for each kind of figure that the data or the classifier cannot give."""
    missing = []
    if not np.any(plan.truth >= 0):
        missing.append(
            "Likeness to the truth needs pictures of the same people under what is asked for."
        )
    if faces.surface is None:
        missing.append("Errors of light and surface, and what is kept, need rendered faces.")
    if tools.classifier:
        missing += [
            f"The classifier reads no {name}: that figure needs one that does."
            for name in ATTRIBUTES
            if getattr(faces, f"{name}s") and name not in tools.columns
        ]
    return missing
