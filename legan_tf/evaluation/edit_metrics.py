"""Metrics of an editor: of its edits, beside the copied inputs and the true pictures."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS, UNKNOWN
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation import disentanglement, photometric_stereo
from legan_tf.evaluation.disentanglement import one_attribute_edits, one_attribute_metrics
from legan_tf.evaluation.edit_plan import ATTRIBUTES, EditPlan, adapt_editor, find_images
from legan_tf.evaluation.evaluator import Arrays, Evaluator
from legan_tf.evaluation.metrics.classification import confusion_matrix
from legan_tf.evaluation.metrics.feature_sets import resampled_units
from legan_tf.evaluation.metrics.identity import identity_distance
from legan_tf.evaluation.metrics.registry import average, computable
from legan_tf.evaluation.photometric_stereo import can_relight, relighting_metrics

EXCLUDED_FROM_SIX = ("contempt", "disgust")
"""The two of AffectNet's eight expressions over which Bodur et al. report no accuracy."""
_ONE_ATTRIBUTE_SHARE = 4
"""Edits in all for each edit of one attribute."""
_RELIT_PEOPLE = 25
_PICTURE_NAMES = {"edit": "edit", "copy": "the input of edit", "truth": "the true picture of edit"}


def metrics_of_edits(
    rows: dict[str, Arrays],
    faces: FaceSet,
    targets: dict[str, np.ndarray],
    plan: EditPlan,
    evaluator: Evaluator,
    seed: int,
) -> dict[str, Any]:
    """Computes every metric that needs no true surface.

    Args:
        rows: Returned by ``predict_edits``.
        faces: The edited faces.
        targets: The classes that the model is asked for.
        plan: The requested edits.
        evaluator: Evaluates the reference pictures.
        seed: Seed of the intervals.

    Returns:
        ``figures``, ``intervals``, ``resampled``, ``confusion`` and ``identity_distances`` of a
        report, each by row; see docs/evaluation.md.

    Raises:
        UserError: The face network returns an embedding that has no direction.
    """
    of_row = {"edit": slice(None), "copy": slice(None), "truth": plan.truth >= 0}
    for name, found in rows.items():
        if "embedding" in found:
            edits = np.arange(len(plan))[of_row[name]]
            pictures = [f"{_PICTURE_NAMES[name]} {i + 1}" for i in edits]
            _check_directions(found["embedding"], pictures, evaluator)
    reference = evaluator.predict_all(
        lambda part: faces.images(plan.reference[part]), len(plan.reference)
    )
    people = faces.identity[plan.index]
    common = {
        "reference_features": reference["features"],
        **(_gallery(faces, evaluator) if evaluator.networks.face else {}),
    }
    if faces.expressions == AFFECTNET_EXPRESSIONS:
        kept = [name not in EXCLUDED_FROM_SIX for name in faces.expressions]
        common["six_expressions"] = np.flatnonzero(kept)
    result: dict[str, Any] = {
        name: {}
        for name in ("figures", "intervals", "resampled", "confusion", "identity_distances")
    }
    for name, found in rows.items():
        inputs, confusion = dict(common), {}
        shown = people[of_row[name]], faces.identity[plan.reference]
        for attribute in ATTRIBUTES:
            if f"{attribute}_logits" in found and len(targets[attribute]):
                requested = getattr(plan, attribute)[of_row[name]]
                predicted = np.argmax(found[f"{attribute}_logits"], axis=1)
                inputs[f"requested_{attribute}"] = requested
                inputs[f"predicted_{attribute}"] = predicted
                classes = len(getattr(faces, f"{attribute}s"))
                confusion[attribute] = confusion_matrix(requested, predicted, classes).tolist()
        if confusion and name != "copy":  # The classes of a copy are the source's.
            result["confusion"][name] = confusion
        if "embedding" in found:
            sources = rows["copy"]["embedding"][of_row[name]]
            known = people[of_row[name]] != UNKNOWN
            inputs["source_embedding"] = sources
            if np.any(known):
                inputs["probe_embedding"] = found["embedding"][known]
                inputs["probe_identity"] = people[of_row[name]][known]
            if name != "copy":
                distances = identity_distance(found["embedding"], sources)
                result["identity_distances"][name] = distances.tolist()
        result["figures"][name], result["intervals"][name] = evaluator.metrics_of_row(
            found, inputs, seed, shown
        )
        result["resampled"][name] = resampled_units(shown)
    if "gallery_identity" in common:
        others = _other_people(rows["copy"]["embedding"], people, seed)
        if len(others):
            result["identity_distances"]["others"] = others.tolist()
    return result


def _gallery(faces: FaceSet, evaluator: Evaluator) -> Arrays:
    """One picture of each known person, in the first expression and light if there is one."""
    people, first = np.unique(faces.identity, return_index=True)
    people, first = people[people != UNKNOWN], first[people != UNKNOWN]
    if not len(people):
        return {}
    zeros = np.zeros(len(people), np.int64)
    plain = find_images(faces, people, zeros, zeros)
    embeddings = evaluator.networks.face(faces.images(np.where(plain >= 0, plain, first)))
    names = [f"the gallery's picture of {faces.identities[i]}" for i in people]
    _check_directions(embeddings, names, evaluator)
    return {"gallery_embedding": embeddings, "gallery_identity": people}


def _check_directions(embeddings: np.ndarray, names: list[str], evaluator: Evaluator) -> None:
    """Refuses embeddings [n,D] that are zero or not finite; ``names`` are of the n pictures."""
    lengths = np.linalg.norm(np.asarray(embeddings, np.float64), axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if bad.size:
        raise UserError(
            f"--identity_model: {evaluator.networks.face.description['name']} gives {len(bad)} of "
            f"{len(names)} pictures, the first of them {names[bad[0]]}, an embedding of length "
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


def metrics_of_surfaces(
    editor: Any, faces: FaceSet, evaluator: Evaluator, edits: int, seed: int
) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Computes the metrics that need rendered faces: of light, surface and kept attributes.

    Args:
        editor: The model.
        faces: The faces to edit; without true surfaces nothing is computed.
        evaluator: Has the classifier and the cache.
        edits: Edits of all kinds; a quarter as many change one attribute only.
        seed: Seed of the draws.

    Returns:
        Metrics by row, and their counts: ``one_attribute_edits`` of the expression and as many of
        the light, of each attribute that the model edits; and ``relit_people``, 0 where the lights
        do not determine shapes or the model edits none. Both are empty where the model does not
        know all classes of what it edits.
    """
    networks = evaluator.networks
    changing = [name for name in ATTRIBUTES if getattr(editor, f"{name}s")]
    known = all(
        {*getattr(editor, f"{name}s")} >= {*getattr(faces, f"{name}s")} for name in changing
    )
    if faces.surface is None or not known or not {*ATTRIBUTES} <= {*networks.columns}:
        return {}, {}
    edit = adapt_editor(editor, faces)
    relights = "lighting" in changing and can_relight(faces)
    counts = {
        "one_attribute_edits": -(-edits // _ONE_ATTRIBUTE_SHARE),
        "relit_people": min(_RELIT_PEOPLE, len(faces.identities)) if relights else 0,
    }

    def classify(images: np.ndarray) -> dict[str, np.ndarray]:
        logits = networks.in_classes(networks.classifier(images))
        return {name: np.argmax(values, -1) for name, values in logits.items()}

    def of_one_attribute() -> Arrays:
        made = one_attribute_edits(edit, faces, counts["one_attribute_edits"], seed, changing)
        return _means(one_attribute_metrics(made, faces, classify))

    def of_relighting() -> Arrays:
        return _means(relighting_metrics(edit, faces, counts["relit_people"], seed))

    key = {
        "surface_by": editor.sha256,
        "data": labels_sha256(faces),
        "size": faces.image_size,
        "seed": seed,
    }
    # Cached separately, so that an interruption of the second does not lose the first.
    one_attribute = {
        "one_attribute_edits": counts["one_attribute_edits"],
        "network": networks.classifier.description,
        "metrics": [metric.key for metric in computable("editor", disentanglement.INPUTS)],
    }
    means = dict(evaluator.cache.arrays({**key, **one_attribute}, of_one_attribute))
    if counts["relit_people"]:
        people = {
            "relit_people": counts["relit_people"],
            "metrics": [metric.key for metric in computable("editor", photometric_stereo.INPUTS)],
        }
        means.update(evaluator.cache.arrays({**key, **people}, of_relighting))
    found: dict[str, dict[str, float]] = {}
    for name, value in means.items():
        row, metric = name.split("/")
        found.setdefault(row, {})[metric] = float(value)
    return found, counts


def _means(found: dict[str, Arrays]) -> Arrays:
    """The means of metrics by row, under ``row/metric``."""
    return {
        f"{row}/{name}": np.array(average(values))
        for row, of_row in found.items()
        for name, values in of_row.items()
    }


def labels_sha256(faces: FaceSet) -> str:
    """Returns the sha256 of the classes, people and labels of a face set."""
    columns = {
        name: getattr(faces, name)
        for name in ("expressions", "lightings", "identities", "expression", "lighting", "identity")
    }
    text = json.dumps({name: list(map(str, values)) for name, values in columns.items()})
    return hashlib.sha256(text.encode()).hexdigest()
