"""Metrics of an editor: of its edits, beside the copied inputs and the true pictures."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from legan_tf.data.attributes import AFFECTNET_EXPRESSIONS
from legan_tf.data.conditions import UNKNOWN, Condition
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation import disentanglement, photometric_stereo
from legan_tf.evaluation.class_policy import ClassPolicy
from legan_tf.evaluation.disentanglement import one_condition_edits, one_condition_metrics
from legan_tf.evaluation.edit_plan import EditPlan, adapt_editor, pictures_of
from legan_tf.evaluation.evaluator import Arrays, Evaluator
from legan_tf.evaluation.metrics.classification import confusion_matrix
from legan_tf.evaluation.metrics.feature_sets import resampled_units
from legan_tf.evaluation.metrics.identity import identity_distance
from legan_tf.evaluation.metrics.registry import average, computable
from legan_tf.evaluation.photometric_stereo import lights_suffice, relighting_metrics

EXCLUDED_FROM_SIX = ("contempt", "disgust")
"""The two of AffectNet's eight expressions over which Bodur et al. report no accuracy."""
_ONE_CONDITION_SHARE = 4
"""Edits in all for each edit of one condition."""
_RELIT_PEOPLE = 25
_PICTURE_NAMES = {"edit": "edit", "copy": "the input of edit", "truth": "the true picture of edit"}


def metrics_of_edits(
    rows: dict[str, Arrays], faces: FaceSet, plan: EditPlan, evaluator: Evaluator, seed: int
) -> dict[str, Any]:
    """Computes every metric that needs no true surface.

    Args:
        rows: Returned by ``predict_edits``.
        faces: The edited faces.
        plan: The requested edits.
        evaluator: Evaluates the reference pictures.
        seed: Seed of the intervals.

    Returns:
        ``figures``, ``intervals``, ``resampled``, ``confusion`` and ``identity_distances`` of a
        report, each by row; see docs/evaluation.md.

    Raises:
        UserError: The face network returns an embedding that has no direction.
    """
    every = np.arange(len(plan))
    of_row = {"edit": every, "copy": every, "truth": every[plan.truth >= 0]}
    for name, found in rows.items():
        if "embedding" in found:
            pictures = [f"{_PICTURE_NAMES[name]} {i + 1}" for i in of_row[name]]
            _check_directions(found["embedding"], pictures, evaluator)
    reference = evaluator.predict_all(faces.images, plan.reference)
    people = faces.identity[plan.index]
    common = {"reference_features": reference["features"], **_gallery(faces, evaluator)}
    expressions = faces.names("expression")
    if expressions == AFFECTNET_EXPRESSIONS:
        kept = [name not in EXCLUDED_FROM_SIX for name in expressions]
        common["six_expressions"] = np.flatnonzero(kept)
    result: dict[str, Any] = {
        name: {}
        for name in ("figures", "intervals", "resampled", "confusion", "identity_distances")
    }
    for name, found in rows.items():
        at = of_row[name]
        inputs, confusion = dict(common), {}
        shown = people[at], faces.identity[plan.reference]
        for one in faces.conditions:
            if f"{one.name}_logits" in found and len(plan.asked[one.name]):
                wanted, read = plan.labels[one.name][at], one.read(found[f"{one.name}_logits"])
                inputs[f"requested_{one.name}"], inputs[f"predicted_{one.name}"] = wanted, read
                inputs[f"source_{one.name}"] = faces.labels[one.name][plan.index[at]]
                confusion.update(_confusion(one, wanted, read))
        if confusion and name != "copy":  # The labels of a copy are the source's.
            result["confusion"][name] = confusion
        if "embedding" in found:
            sources = rows["copy"]["embedding"][at]
            known = people[at] != UNKNOWN
            inputs["source_embedding"] = sources
            if np.any(known):
                inputs["probe_embedding"] = found["embedding"][known]
                inputs["probe_identity"] = people[at][known]
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


def _confusion(
    condition: Condition, wanted: np.ndarray, read: np.ndarray
) -> dict[str, list[list[int]]]:
    """The confusion matrix of a condition's classes, or of each attribute, as CONDITION:NAME."""
    names = [condition.name]
    if condition.label_shape:
        names = [f"{condition.name}:{name}" for name in condition.names]
    wanted = np.where(read < 0, UNKNOWN, wanted).reshape(len(wanted), -1)
    columns = zip(names, wanted.T, read.reshape(len(read), -1).T)
    return {name: confusion_matrix(w, r, condition.values).tolist() for name, w, r in columns}


def _gallery(faces: FaceSet, evaluator: Evaluator) -> Arrays:
    """One picture of each known person, with the first class of each condition if there is one."""
    people, first = np.unique(faces.identity, return_index=True)
    people, first = people[people != UNKNOWN], first[people != UNKNOWN]
    face = evaluator.networks.face
    if face is None or not len(people):
        return {}
    zeros = {one.name: np.zeros_like(one.unknown(len(people))) for one in faces.conditions}
    plain = pictures_of(faces, people, zeros)
    embeddings = face(faces.images(np.where(plain >= 0, plain, first)))
    names = [f"the gallery's picture of {faces.identities[i]}" for i in people]
    _check_directions(embeddings, names, evaluator)
    return {"gallery_embedding": embeddings, "gallery_identity": people}


def _check_directions(embeddings: np.ndarray, names: list[str], evaluator: Evaluator) -> None:
    """Refuses embeddings [n,D] that are zero or not finite; ``names`` are of the n pictures."""
    lengths = np.linalg.norm(np.asarray(embeddings, np.float64), axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if bad.size:
        raise UserError(
            f"--identity_model: {evaluator.networks.descriptions['face']['name']} gives {len(bad)} "
            f"of {len(names)} pictures, the first of them {names[bad[0]]}, an embedding of length "
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
    editor: Any,
    faces: FaceSet,
    evaluator: Evaluator,
    edits: int,
    seed: int,
    policy: ClassPolicy | None = None,
) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Computes the metrics that need rendered faces: of light, surface and kept conditions.

    Args:
        editor: The model.
        faces: The faces to edit; without true surfaces nothing is computed.
        evaluator: Has the classifier and the cache.
        edits: Edits of all kinds; a quarter as many change one condition only.
        seed: Seed of the draws.
        policy: What the model is told for classes, if it is told something else.

    Returns:
        Metrics by row, and their counts: ``one_attribute_edits`` of each condition that the model
        edits; and ``relit_people``, 0 where the lights do not determine shapes or the model edits
        none. Both are empty where the model does not know all classes of what it edits.
    """
    networks = evaluator.networks
    classifier = networks.classifier
    changing = [name for name in faces.classes() if editor.names(name)]
    known = all({*editor.names(name)} >= {*faces.names(name)} for name in changing)
    if faces.surface is None or not changing or not known:
        return {}, {}
    # What edits of one condition keep is read by the classifier; their light needs none.
    judged = bool(networks.columns) or "expression" in changing
    edit = adapt_editor(editor, faces)
    relights = "lighting" in changing and lights_suffice(faces)
    counts = {
        "one_attribute_edits": -(-edits // _ONE_CONDITION_SHARE) if judged else 0,
        "relit_people": min(_RELIT_PEOPLE, len(faces.identities)) if relights else 0,
    }

    def classify(images: np.ndarray) -> dict[str, np.ndarray]:
        logits = networks.in_names(classifier(images)) if classifier else {}
        return {
            one.name: one.read(logits[one.name]) for one in faces.conditions if one.name in logits
        }

    def of_one_condition() -> Arrays:
        told = (lambda index, labels: policy.told(faces, index, labels)) if policy else None
        made = one_condition_edits(edit, faces, counts["one_attribute_edits"], seed, changing, told)
        return _means(one_condition_metrics(made, faces, classify))

    def of_relighting() -> Arrays:
        return _means(relighting_metrics(edit, faces, counts["relit_people"], seed))

    key = {
        "surface_by": editor.sha256,
        "data": labels_sha256(faces),
        "size": faces.image_size,
        "seed": seed,
        **({"policy": policy.to_dict()} if policy else {}),
    }
    # Cached separately, so that an interruption of the second does not lose the first.
    means: Arrays = {}
    if judged:
        one_condition = {
            "one_attribute_edits": counts["one_attribute_edits"],
            "network": classifier.description if classifier else None,
            "metrics": [metric.key for metric in computable("editor", disentanglement.INPUTS)],
        }
        means.update(evaluator.cache.arrays({**key, **one_condition}, of_one_condition))
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
    """Returns the sha256 of the names, people and labels of a face set."""
    # Also without expression or lighting as in reports of before.
    names = dict.fromkeys(["expression", "lighting", *faces.labels])
    unknown = np.full(len(faces), UNKNOWN)
    columns: dict[str, Any] = {f"{name}s": faces.names(name) for name in names}
    columns["identities"] = faces.identities
    columns.update({name: faces.labels.get(name, unknown) for name in names})
    columns["identity"] = faces.identity
    text = json.dumps({name: list(map(str, values)) for name, values in columns.items()})
    return hashlib.sha256(text.encode()).hexdigest()
