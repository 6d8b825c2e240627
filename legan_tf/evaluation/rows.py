"""What the instruments saw in the edits, the copied inputs and the true pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from legan_tf.data.attributes import UNKNOWN
from legan_tf.data.faceset import FaceSet
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.instruments import SHARD, Looker, sha256_of
from legan_tf.evaluation.metrics.images import psnr, ssim
from legan_tf.evaluation.plan import ATTRIBUTES, Edit, Plan, in_classes_of

ROWS = ("edit", "copy", "truth")
SHOWN = 8
"""Edits that the report shows."""
_MAP_SHARE = 4

Arrays = dict[str, np.ndarray]


def look_at_rows(
    editor: Any,
    faces: FaceSet,
    targets: dict[str, np.ndarray],
    plan: Plan,
    looker: Looker,
) -> dict[str, Arrays]:
    """Makes the edits and looks at them, at their sources and at the true pictures.

    Args:
        editor: The model.
        faces: Whom to edit.
        targets: The classes that the model is asked for; see ``plan.shared_classes``.
        plan: What to ask for.
        looker: The instruments.

    Returns:
        By the names of ``ROWS``, arrays with one row per picture. ``edit`` and ``copy`` have a row
        for each edit, with NaN where there is no true picture to be like or no way back; ``truth``
        has one for each true picture. Maps are read in a quarter of them, and are NaN elsewhere.
        ``images`` holds the first few.
    """
    edit = in_classes_of(editor, faces)
    of_maps = -(-len(plan) // _MAP_SHARE) if looker.instruments.depth else 0
    parts: dict[str, list[Arrays]] = {name: [] for name in ROWS}
    for start in range(0, len(plan), SHARD):
        rows = slice(start, start + SHARD)
        sources = faces.images(plan.index[rows])
        made = _edits_of(editor, edit, sources, faces, targets, plan, rows, looker.cache)
        there = plan.truth[rows] >= 0
        truths = faces.images(plan.truth[rows][there])
        for name, images in (("edit", made["edit"]), ("copy", sources)):
            seen = {**looker.look(images), **_shown(images, start)}
            if len(truths):
                likeness = looker.compare(images[there], truths)
                seen.update({key: _spread(value, there) for key, value in likeness.items()})
            parts[name].append(seen)
        back = made["has_cycle"]
        if np.any(back):
            for key, metric in (("cycle_ssim", ssim), ("cycle_psnr", psnr)):
                parts["edit"][-1][key] = _spread(metric(made["cycle"], sources[back]), back)
        if len(truths):
            parts["truth"].append({**looker.look(truths), **_shown(truths, start)})
        if start < of_maps and len(truths):
            read = _maps_read(
                faces, plan.truth[rows], of_maps - start, made["edit"], sources, looker
            )
            for name, seen in read.items():
                parts[name][-1].update(seen)
    return {name: _joined(seen) for name, seen in parts.items() if seen}


def _edits_of(
    editor: Any,
    edit: Edit,
    sources: np.ndarray,
    faces: FaceSet,
    targets: dict[str, np.ndarray],
    plan: Plan,
    rows: slice,
    cache: Cache,
) -> Arrays:
    """The edits of some rows, and the way back of those whose own labels are known."""
    wanted = {
        name: getattr(plan, name)[rows] if len(targets[name]) else np.full(len(sources), UNKNOWN)
        for name in ATTRIBUTES
    }
    own, back = {}, np.ones(len(sources), bool)
    for name in ATTRIBUTES:
        labels = getattr(faces, name)[plan.index[rows]]
        own[name] = labels if len(targets[name]) else np.full(len(sources), UNKNOWN)
        if len(targets[name]):
            back &= np.isin(labels, targets[name])
    key = {
        "edits_by": editor.sha256,
        "of": sha256_of(sources),
        "classes": [faces.expressions, faces.lightings],
        **{name: [wanted[name].tolist(), own[name].tolist()] for name in ATTRIBUTES},
    }

    def compute() -> Arrays:
        edited = edit(sources, **wanted)
        cycled = np.zeros((0, *edited.shape[1:]), np.uint8)
        if np.any(back):
            cycled = edit(edited[back], **{name: ids[back] for name, ids in own.items()})
        return {"edit": edited, "cycle": cycled}

    return {**cache.arrays(key, compute), "has_cycle": back}


def _maps_read(
    faces: FaceSet,
    truth: np.ndarray,
    limit: int,
    edits: np.ndarray,
    sources: np.ndarray,
    looker: Looker,
) -> dict[str, Arrays]:
    """Figures of the maps read in the first ``limit`` pictures of each row, NaN for the others."""
    there = np.flatnonzero(truth >= 0)
    wanted = there[there < limit]
    true = faces.map_images(truth[wanted])
    known = true.any(axis=(1, 2, 3))  # Photographs may lack a map.
    wanted, true = wanted[known], true[known]
    if not len(wanted):
        return {}
    every = np.arange(len(truth))
    return {
        name: {
            key: _spread(values, np.isin(places, wanted))
            for key, values in looker.compare_maps(images, true).items()
        }
        for name, images, places in (
            ("edit", edits[wanted], every),
            ("copy", sources[wanted], every),
            ("truth", faces.images(truth[wanted]), there),
        )
    }


def _spread(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """``values`` at the places where ``there`` holds, NaN elsewhere."""
    spread = np.full(len(there), np.nan)
    spread[there] = values
    return spread


def _shown(images: np.ndarray, start: int) -> Arrays:
    """The pictures to keep: the first few only, as there may be more than memory holds."""
    return {} if start else {"images": images[:SHOWN]}


def _joined(parts: list[Arrays]) -> Arrays:
    """One array of each name; NaN for the rows of a part that lacks it."""
    joined = {"images": parts[0]["images"]} if "images" in parts[0] else {}
    for name in dict.fromkeys(name for part in parts for name in part if name != "images"):
        joined[name] = np.concatenate(
            [part.get(name, np.full(len(part["features"]), np.nan)) for part in parts]
        )
    return joined
