"""From what the instruments saw to the figures of a report."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from legan_tf.data import attributes
from legan_tf.data.attributes import UNKNOWN
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.disentanglement import judge_one_attribute_edits, one_attribute_edits
from legan_tf.evaluation.instruments import SHARD, Looker
from legan_tf.evaluation.maps import MAP_FIGURES
from legan_tf.evaluation.metrics.attributes import accuracy, accuracy_over, confusion_matrix
from legan_tf.evaluation.metrics.identity import first_rank_rate, identity_distance, match_score
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.evaluation.plan import ATTRIBUTES, Plan, find, in_classes_of
from legan_tf.evaluation.relighting import can_relight, relit_surface
from legan_tf.evaluation.rows import Arrays
from legan_tf.evaluation.sets import Reference

LEFT_OUT_OF_SIX = ("contempt", "disgust")
"""The two of AffectNet's eight expressions over which Bodur et al. report no accuracy."""
_ONE_ATTRIBUTE_SHARE = 4
_RELIT_PEOPLE = 25
_SHOWS = {"edit": "edit", "copy": "the input of edit", "truth": "the true picture of edit"}


def figures_of_rows(
    rows: dict[str, Arrays],
    faces: FaceSet,
    targets: dict[str, np.ndarray],
    plan: Plan,
    looker: Looker,
    seed: int,
) -> dict[str, Any]:
    """Computes every figure that pictures alone give.

    Args:
        rows: What ``look_at_rows`` gave.
        faces: Whom it edited.
        targets: The classes that the model was asked for.
        plan: What was asked for.
        looker: The instruments, for the reference pictures.
        seed: Seed of the intervals.

    Returns:
        ``figures``, ``intervals``, ``confusion`` and ``identity_distances`` of a report, each by
        row; see docs/evaluation.md.

    Raises:
        UserError: The face network gives a picture an embedding that has no direction.
    """
    there = plan.truth >= 0
    of_row = {"edit": slice(None), "copy": slice(None), "truth": there}
    for name, seen in rows.items():
        if "face" in seen:
            edits = np.arange(len(plan))[of_row[name]]
            _check_directions(seen["face"], [f"{_SHOWS[name]} {i + 1}" for i in edits], looker)
    real = [
        looker.look(faces.images(plan.reference[start : start + SHARD]))
        for start in range(0, len(plan.reference), SHARD)
    ]
    reference = Reference(np.concatenate([part["features"] for part in real]), looker.cache)
    gallery = _gallery(faces, looker) if looker.instruments.face else None
    result: dict[str, Any] = {
        name: {} for name in ("figures", "intervals", "confusion", "identity_distances")
    }
    for name, seen in rows.items():
        figures: dict[str, Any] = {}
        confusion: dict[str, Any] = {}
        for attribute in ATTRIBUTES:
            if attribute in seen and len(targets[attribute]):
                wanted = getattr(plan, attribute)[of_row[name]]
                read = np.argmax(seen[attribute], axis=1)
                figures[attribute] = accuracy(read, wanted)
                classes = len(getattr(faces, f"{attribute}s"))
                confusion[attribute] = confusion_matrix(wanted, read, classes).tolist()
        if confusion and name != "copy":  # What is read in a copy is the source's, not an answer.
            result["confusion"][name] = confusion
        if "expression" in figures and faces.expressions == attributes.AFFECTNET_EXPRESSIONS:
            six = [i for i, n in enumerate(faces.expressions) if n not in LEFT_OUT_OF_SIX]
            wanted = plan.expression[of_row[name]]
            figures["expression_six"] = accuracy_over(seen["expression"], wanted, six)
        for key in ("ssim", "psnr", "l1", "lpips", "cycle_ssim", "cycle_psnr", *MAP_FIGURES):
            known = seen.get(key, np.zeros(0))
            known = known[~np.isnan(known)]
            if len(known):
                # Pictures that are equal have an infinite PSNR, which would hide all others.
                finite = known[np.isfinite(known)]
                figures[key] = float(np.mean(finite if len(finite) else known))
        if "face" in seen:
            sources = rows["copy"]["face"][of_row[name]]
            figures["match"] = float(match_score(seen["face"], sources).mean())
            people = faces.identity[plan.index][of_row[name]]
            known = people != UNKNOWN
            if gallery and np.any(known):
                figures["person"] = first_rank_rate(seen["face"][known], people[known], *gallery)
            if name != "copy":
                distances = identity_distance(seen["face"], sources)
                result["identity_distances"][name] = distances.tolist()
        of_set, result["intervals"][name] = figures_of_set(seen, reference, seed)
        figures.update(of_set)
        result["figures"][name] = figures
    if gallery:
        others = _other_people(rows["copy"]["face"], faces.identity[plan.index], seed)
        if len(others):
            result["identity_distances"]["others"] = others.tolist()
    return result


def figures_of_set(
    seen: Arrays, reference: Reference, seed: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Computes the figures that need no knowledge of what was asked for.

    Args:
        seen: What the instruments saw, a row per picture.
        reference: The real pictures.
        seed: Seed of the intervals.

    Returns:
        ``fid``, ``kid`` and, where Q is at hand, ``rating`` and ``natural``; and the 95 % intervals
        of the first two. One picture alone has neither FID nor KID.
    """
    figures, intervals = {}, {}
    if len(seen["features"]) > 1:
        for name, (value, low, high) in reference.distances(seen["features"], seed).items():
            figures[name], intervals[name] = value, [low, high]
    if "rating" in seen:
        figures["rating"] = float(seen["rating"].mean())
        figures["natural"] = float(np.mean(seen["rating"] >= NATURAL))
    return figures, intervals


def _gallery(faces: FaceSet, looker: Looker) -> tuple[np.ndarray, np.ndarray] | None:
    """Embeddings of one picture of each person, in the first expression and light if there is."""
    people, first = np.unique(faces.identity, return_index=True)
    people, first = people[people != UNKNOWN], first[people != UNKNOWN]
    if not len(people):
        return None
    zeros = np.zeros(len(people), np.int64)
    plain = find(faces, people, zeros, zeros)
    embeddings = looker.instruments.face(faces.images(np.where(plain >= 0, plain, first)))
    shown = [f"the gallery's picture of {faces.identities[i]}" for i in people]
    _check_directions(embeddings, shown, looker)
    return embeddings, people


def _check_directions(embeddings: np.ndarray, shown: list[str], looker: Looker) -> None:
    """Refuses embeddings [n,D] that are zero or not finite; ``shown`` names the n pictures."""
    lengths = np.linalg.norm(np.asarray(embeddings, np.float64), axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if bad.size:
        raise UserError(
            f"--identity_model: {looker.instruments.face.description['name']} gives {len(bad)} of "
            f"{len(shown)} pictures, the first of them {shown[bad[0]]}, an embedding of length "
            f"{lengths[bad[0]]:g}, which has no direction to compare; give a network that does "
            "not, such as the same one without a ReLU at its end."
        )


def _other_people(embeddings: np.ndarray, people: np.ndarray, seed: int) -> np.ndarray:
    """Identity distances of random pairs of pictures of different people."""
    order = np.random.default_rng(seed).permutation(len(people))
    differ = (people != people[order]) & (people != UNKNOWN) & (people[order] != UNKNOWN)
    if not np.any(differ):
        return np.zeros(0)
    return identity_distance(embeddings[differ], embeddings[order][differ])


def figures_of_surfaces(
    editor: Any, faces: FaceSet, looker: Looker, edits: int, seed: int
) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Computes what only rendered faces tell: errors of light and surface, and what was to stay.

    Args:
        editor: The model.
        faces: Whom to edit; without true surfaces there is nothing to compute.
        looker: The instruments.
        edits: Edits of all kinds; a quarter as many change one attribute only.
        seed: Seed of the draws.

    Returns:
        Figures by row; and of how many they are: ``one_attribute_edits`` of the expression and as
        many of the light, of an attribute that the model edits; and ``relit_people``, 0 where the
        lights do not tell shapes or the model edits none. Both are empty where the model does not
        know all classes of what it edits.
    """
    tools = looker.instruments
    changing = [name for name in ATTRIBUTES if getattr(editor, f"{name}s")]
    known = all(
        {*getattr(editor, f"{name}s")} >= {*getattr(faces, f"{name}s")} for name in changing
    )
    if faces.surface is None or not known or not {*ATTRIBUTES} <= {*tools.columns}:
        return {}, {}
    edit = in_classes_of(editor, faces)
    relights = "lighting" in changing and can_relight(faces)
    counts = {
        "one_attribute_edits": -(-edits // _ONE_ATTRIBUTE_SHARE),
        "relit_people": min(_RELIT_PEOPLE, len(faces.identities)) if relights else 0,
    }

    def read(images: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.argmax(logits, -1) for name, logits in tools.read(images).items()}

    def judged() -> Arrays:
        made = one_attribute_edits(edit, faces, counts["one_attribute_edits"], seed, changing)
        return _means(judge_one_attribute_edits(made, faces, read))

    def relit() -> Arrays:
        return _means(relit_surface(edit, faces, counts["relit_people"], seed))

    key = {
        "surface_by": editor.sha256,
        "data": labels_sha256(faces),
        "size": faces.image_size,
        "seed": seed,
    }
    # An entry each, so that a stop in the second does not lose the first.
    one_attribute = {
        "one_attribute_edits": counts["one_attribute_edits"],
        "network": tools.classifier.description,
    }
    means = dict(looker.cache.arrays({**key, **one_attribute}, judged))
    if counts["relit_people"]:
        people = {"relit_people": counts["relit_people"]}
        means.update(looker.cache.arrays({**key, **people}, relit))
    figures: dict[str, dict[str, float]] = {}
    for name, value in means.items():
        row, figure = name.split("/")
        figures.setdefault(row, {})[figure] = float(value)
    return figures, counts


def _means(figures: dict[str, dict[str, np.ndarray]]) -> Arrays:
    """The means of figures by row, under ``row/figure``."""
    return {
        f"{row}/{name}": np.mean(values)
        for row, of_row in figures.items()
        for name, values in of_row.items()
    }


def labels_sha256(faces: FaceSet) -> str:
    """Returns what tells apart face sets of one name: their classes, people and labels."""
    columns = {
        name: getattr(faces, name)
        for name in ("expressions", "lightings", "identities", "expression", "lighting", "identity")
    }
    text = json.dumps({name: list(map(str, values)) for name, values in columns.items()})
    return hashlib.sha256(text.encode()).hexdigest()
