"""Network outputs and metrics of each edit, copied input and true picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from legan_tf.data import conditions
from legan_tf.data.faceset import FaceSet
from legan_tf.evaluation.cache import Cache, array_sha256
from legan_tf.evaluation.edit_plan import EditPlan, adapt_editor, labels_for
from legan_tf.evaluation.evaluator import SHARD, Arrays, Evaluator
from legan_tf.evaluation.map_predictor import MapPredictor
from legan_tf.evaluation.metrics.registry import compute

ROWS = ("edit", "copy", "truth")
SHOWN = 8
"""Edits that the report shows."""
_MAP_SHARE = 4
"""Maps are predicted for one edit in so many."""


def predict_edits(
    editor: Any, faces: FaceSet, plan: EditPlan, evaluator: Evaluator
) -> dict[str, Arrays]:
    """Makes the edits, and evaluates them, their inputs and the true pictures.

    Args:
        editor: The model.
        faces: The faces to edit.
        plan: The edits to request.
        evaluator: Evaluates pictures.

    Returns:
        By the names of ``ROWS``, arrays with one row per picture, of network outputs and metrics.
        ``edit`` and ``copy`` have a row for each edit, with NaN where there is no true picture or
        the edit cannot be reversed; ``truth`` has one for each true picture. Maps are predicted for
        a quarter of them, and metrics of maps are NaN elsewhere. ``images`` holds the first few.
    """
    depth = evaluator.networks.depth
    with_maps = -(-len(plan) // _MAP_SHARE)
    parts: dict[str, list[Arrays]] = {name: [] for name in ROWS}
    for start in range(0, len(plan), SHARD):
        rows = slice(start, start + SHARD)
        sources = faces.images(plan.index[rows])
        made, reversible = _edit(editor, sources, faces, plan, rows, evaluator.cache)
        there = plan.truth[rows] >= 0
        truths = faces.images(plan.truth[rows][there])
        for name, images in (("edit", made["edit"]), ("copy", sources)):
            found = {**evaluator.predict(images), **_shown(images, start)}
            if len(truths):
                found.update(_spread(evaluator.compare(images[there], truths), there))
            parts[name].append(found)
        if np.any(reversible):
            pair = {"cycle_image": made["cycle"], "source_image": sources[reversible]}
            parts["edit"][-1].update(_spread(compute("editor", pair), reversible))
        if len(truths):
            parts["truth"].append({**evaluator.predict(truths), **_shown(truths, start)})
        if depth and start < with_maps and len(truths):
            limit = with_maps - start
            maps = _map_metrics(
                depth, faces, plan.truth[rows], limit, made["edit"], sources, evaluator
            )
            for name, found in maps.items():
                parts[name][-1].update(found)
    return {name: _joined(found) for name, found in parts.items() if found}


def _edit(
    editor: Any, sources: np.ndarray, faces: FaceSet, plan: EditPlan, rows: slice, cache: Cache
) -> tuple[Arrays, np.ndarray]:
    """Edits of some pictures, those edited back, and which: of which is known what was changed."""
    wanted = {name: labels[rows] for name, labels in {**plan.labels, **plan.told}.items()}
    own = {name: labels[plan.index[rows]] for name, labels in faces.labels.items()}
    own.update({name: labels[rows] for name, labels in plan.told_back.items()})
    asked, back = labels_for(editor, faces, wanted), labels_for(editor, faces, own)
    reversible = np.all([conditions.known(back[name], asked[name]) for name in asked], axis=0)
    edit = adapt_editor(editor, faces)

    def make() -> Arrays:
        edited = edit(sources, **wanted)
        cycled = np.zeros((0, *edited.shape[1:]), np.uint8)
        if np.any(reversible):
            known = {name: labels[reversible] for name, labels in own.items()}
            cycled = edit(edited[reversible], **known)
        return {"edit": edited, "cycle": cycled}

    key = {
        "edits_by": editor.sha256,
        "of": array_sha256(sources),
        "asked": {name: [asked[name].tolist(), back[name].tolist()] for name in asked},
    }
    if plan.told:
        key["told"] = {n: [array_sha256(wanted[n]), array_sha256(own[n])] for n in plan.told}
    return cache.arrays(key, make), reversible


def _map_metrics(
    depth: MapPredictor,
    faces: FaceSet,
    truth: np.ndarray,
    limit: int,
    edits: np.ndarray,
    sources: np.ndarray,
    evaluator: Evaluator,
) -> dict[str, Arrays]:
    """Metrics of maps of the first ``limit`` pictures of each row, NaN for the others."""
    there = np.flatnonzero(truth >= 0)
    chosen = there[there < limit]
    true = faces.map_images(truth[chosen])
    known = true.any(axis=(1, 2, 3))  # Photographs may lack a map.
    chosen, true = chosen[known], true[known]
    if not len(chosen):
        return {}
    every = np.arange(len(truth))
    return {
        name: _spread(evaluator.compare_maps(depth, images, true), np.isin(places, chosen))
        for name, images, places in (
            ("edit", edits[chosen], every),
            ("copy", sources[chosen], every),
            ("truth", faces.images(truth[chosen]), there),
        )
    }


def _spread(values: Arrays, there: np.ndarray) -> Arrays:
    """``values`` at the places where ``there`` holds, NaN elsewhere."""
    spread = {}
    for name, known in values.items():
        spread[name] = np.full(len(there), np.nan)
        spread[name][there] = known
    return spread


def _shown(images: np.ndarray, start: int) -> Arrays:
    """The first few pictures, as all of them may exceed the memory."""
    return {} if start else {"images": images[:SHOWN]}


def _joined(parts: list[Arrays]) -> Arrays:
    """Concatenated arrays by name, NaN for the rows of a part without it."""
    joined = {"images": parts[0]["images"]} if "images" in parts[0] else {}
    for name in dict.fromkeys(name for part in parts for name in part if name != "images"):
        joined[name] = np.concatenate(
            [part.get(name, np.full(len(part["features"]), np.nan)) for part in parts]
        )
    return joined
