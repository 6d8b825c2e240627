"""Edits of one condition, and how far they keep the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from legan_tf.command_line.cli import counter
from legan_tf.data.faceset import FaceSet
from legan_tf.evaluation.edit_plan import Edit, Labels
from legan_tf.evaluation.image_networks import BATCH
from legan_tf.evaluation.metrics.registry import compute
from legan_tf.evaluation.metrics.surface import light_coefficients

Classify = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Maps uint8 [n,S,S,3] to the predicted labels by condition, int [n] each."""
INPUTS = (
    "light",
    "true_light",
    "expression_edit_lighting",
    "source_lighting",
    "lighting_edit_expression",
    "source_expression",
)
"""Inputs of metrics, as in ``metrics.registry.INPUTS``, that come from edits of one condition."""
_ROWS = ("edit", "copy", "truth")


def one_condition_edits(
    editor: Edit,
    faces: FaceSet,
    count: int,
    seed: int,
    changing: Sequence[str],
    tell: Callable[[np.ndarray, Labels], Labels] | None = None,
) -> dict[str, dict[str, Any]]:
    """Edits one condition after the other, each alone, of the same random pictures.

    The target is uniform over the classes that the source does not have. The labels of the other
    conditions are given to the model, as not every model can do without.

    Args:
        editor: The model.
        faces: Faces with their truth, and with two classes or more of each condition.
        count: Edits of each kind.
        seed: Seed of sources and targets.
        changing: Which conditions to change, each alone.
        tell: Returns what the editor is told besides, of pictures and the labels asked for.

    Returns:
        By changed condition: ``index``, int [count]; ``labels``, as requested, int [count] by
        condition; and uint8 [count,S,S,3] ``edit``, ``copy`` (the input) and ``truth``.

    Raises:
        ValueError: The faces have no truth, or a condition has only one class.
    """
    if faces.truth is None:
        raise ValueError(f"{faces.name} has no true pictures: only rendered faces have")
    classes = {name: len(names) for name, names in faces.classes().items()}
    if min(classes.values()) < 2:
        raise ValueError("changing one condition needs two classes or more of each")
    rng = np.random.default_rng(seed)
    index = rng.integers(len(faces), size=count)
    sources = faces.images(index)
    own = {name: labels[index] for name, labels in faces.labels.items()}
    progress = counter(len(changing) * count, "editing one condition")
    made = {}
    for changed in changing:
        known = classes[changed]
        # One to known - 1 classes further on: any other one, each as likely.
        further = rng.integers(1, known, size=count)
        asked = {**own, changed: (own[changed] + further) % known}
        edited, true = [], []
        told = {**asked, **(tell(index, asked) if tell else {})}
        for start in range(0, count, BATCH):
            part = slice(start, start + BATCH)
            edited.append(editor(sources[part], **{key: ids[part] for key, ids in told.items()}))
            progress(len(edited[-1]))
        for row, i in enumerate(index):
            true.append(faces.truth(int(i), {key: ids[row] for key, ids in asked.items()}))
        made[changed] = {
            "index": index,
            "labels": asked,
            "edit": np.concatenate(edited),
            "copy": sources,
            "truth": np.stack(true),
        }
    return made


def one_condition_metrics(
    made: dict[str, dict[str, Any]], faces: FaceSet, classify: Classify
) -> dict[str, dict[str, np.ndarray]]:
    """Computes the metrics of the conditions that should not change.

    Args:
        made: Returned by ``one_condition_edits``.
        faces: The edited faces, with true surfaces.
        classify: An independent classifier of classes of ``faces``; of a condition that it does
            not read nothing is said.

    Returns:
        For ``edit``, ``copy`` and ``truth``, [count] each: of edits of the expression,
        ``light_error`` (float64, lower is better) and ``light_kept`` (bool); of edits of the light,
        ``expression_kept`` (bool). The light of edits is on the target's true surface. A copy's
        light error is not zero, as its surface is not the target's.
    """
    pictures = sum(len(part["index"]) for part in made.values())
    count = counter(len(_ROWS) * pictures, "judging what stayed")
    lights = _lights(made["expression"], faces) if "expression" in made else {}
    found = {}
    for name in _ROWS:
        inputs = {}
        for changed, of_it in made.items():
            read = []
            for start in range(0, len(of_it["index"]), BATCH):
                read.append(classify(of_it[name][start : start + BATCH]))
                count(len(of_it[name][start : start + BATCH]))
            for kept in of_it["labels"]:
                if kept != changed and kept in read[0]:
                    labels = np.concatenate([part[kept] for part in read])
                    inputs[f"{changed}_edit_{kept}"] = labels
                    inputs[f"source_{kept}"] = of_it["labels"][kept]
        if lights:
            inputs.update(light=lights[name], true_light=lights["truth"])
        found[name] = compute("editor", inputs)
    return found


def _lights(made: dict[str, Any], faces: FaceSet) -> dict[str, np.ndarray]:
    """Coefficients, float64 [n,9], of the light on edits, copies and true pictures."""
    if faces.surface is None:
        raise ValueError(f"{faces.name} has no true surfaces: only rendered faces have")
    lights: dict[str, list[np.ndarray]] = {name: [] for name in _ROWS}
    for start in range(0, len(made["index"]), BATCH):
        part = slice(start, start + BATCH)
        surface = faces.surface(made["index"][part], made["labels"]["expression"][part])
        for name, coefficients in lights.items():
            coefficients.append(
                light_coefficients(made[name][part], surface.normals, surface.albedo, surface.mask)
            )
    return {name: np.concatenate(coefficients) for name, coefficients in lights.items()}
