"""Evaluation and comparison of several models: tables and pictures."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from legan_tf.data import storage
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.class_policy import ClassPolicy
from legan_tf.evaluation.comparison_inputs import check_form, parse_models, read_preferences
from legan_tf.evaluation.comparison_tables import compare
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.edit_plan import adapt_editor, plan_edits, shared_names
from legan_tf.evaluation.edit_predictions import SHOWN
from legan_tf.evaluation.evaluate import evaluate, faces_to_edit
from legan_tf.evaluation.metrics.registry import registered
from legan_tf.evaluation.plots.distributions import identity_distance_figure
from legan_tf.evaluation.plots.scatter import correlation_figure
from legan_tf.evaluation.report import REPORT_FILE, edit_sheet
from legan_tf.files import make_writable, write_atomically
from legan_tf.plotting.drawing import as_png
from legan_tf.training.run_folder import NETWORK_FILE

_REFERENCES = {"truth": "the true pictures", "others": "different people"}


def compare_models(
    load: Callable[[str], Any],
    models: str,
    output: str,
    preferences: str = "",
    config: EvaluationConfig | None = None,
) -> str:
    """Evaluates models that have no report yet, and compares all of them.

    Args:
        load: Loads an editor; ``legan_tf.load``.
        models: As ``parse_models`` reads it. A path may be a model or the folder of a report.
        output: Folder of the tables and pictures; reports of models are in folders in it.
        preferences: As ``read_preferences`` reads it; none if empty.
        config: As for ``evaluate``; judges and cache are shared by all models.

    Returns:
        The content of ``compare.md``.

    Raises:
        UserError: A model, a report or an option is not usable, or they cannot be compared.
    """
    config = config or EvaluationConfig()
    config.check()
    groups = parse_models(models)
    preferred = read_preferences(preferences) if preferences else {}
    make_writable("output", output)
    config = dataclasses.replace(
        config,
        cache=config.cache or os.path.join(output, "cache"),
        judges=config.judges
        or (os.path.join(output, "judges") if config.dataset == "rendered" else ""),
    )
    # All models are loaded and all reports checked before the evaluation, which takes long.
    opened = {name: [_open(load, path) for path in paths] for name, paths in groups.items()}
    faces = _check_alike(
        [pair for name in groups for pair in zip(groups[name], opened[name])], config
    )
    reports: dict[str, list[dict[str, Any]]] = {}
    editors: dict[str, Any] = {}
    for name, runs in opened.items():
        reports[name] = []
        for number, run in enumerate(runs, start=1):
            if not isinstance(run, dict):
                editors.setdefault(name, run)
                folder = os.path.join(output, name, str(number) if len(runs) > 1 else "")
                run = evaluate(run, folder, config)
            reports[name].append(run)
    markdown = compare(reports, preferred, output)
    pictures = {
        "identity.png": _identity(reports),
        "correlation.png": _correlation(reports),
        "edits.png": _edits(editors, faces, config) if faces else None,
    }
    for name, content in pictures.items():
        if content:
            write_atomically(os.path.join(output, name), content)
    return markdown


def _open(load: Callable[[str], Any], path: str) -> Any:
    """An editor, or the report in a folder."""
    file = os.path.join(path, REPORT_FILE)
    if not os.path.isfile(file):
        editor = load(path)
        if editor.kind != "editor":
            raise UserError(f"--models: {path} is a {editor.kind}, not an editor.")
        return editor
    try:
        with open(file, encoding="utf-8") as stream:
            report = json.load(stream)
    except (OSError, ValueError) as error:
        raise UserError(f"--models: {file} cannot be read as a report ({error}).") from error
    if not isinstance(report, dict):
        raise UserError(f"--models: {file} cannot be read as a report (it holds no object).")
    check_form(path, report)
    network = os.path.join(path, NETWORK_FILE)
    # In the folder of a run, which may have gone on since.
    if os.path.isfile(network) and report["model"].get("sha256") != storage.sha256(network):
        raise UserError(
            f"--models: {file} is not of the {NETWORK_FILE} beside it, which is another or has "
            f"been trained since; evaluate it again, or take {REPORT_FILE} out of {path}."
        )
    return report


def _check_alike(runs: list[tuple[str, Any]], config: EvaluationConfig) -> FaceSet | None:
    """Checks that all models, each after its path, can be asked for the same edits.

    Returns the faces to edit, None if all models are reports. Raises UserError where they differ in
    image size, or in names that the data know.
    """
    sizes = [
        (path, run["data"]["image_size"] if isinstance(run, dict) else run.image_size)
        for path, run in runs
    ]
    for path, size in sizes[1:]:
        if size != sizes[0][1]:
            raise UserError(
                f"--models: {sizes[0][0]} works on {sizes[0][1]} x {sizes[0][1]} pixels and {path} "
                f"on {size} x {size}; models of different image sizes cannot be compared."
            )
    editors = [(path, run) for path, run in runs if not isinstance(run, dict)]
    if not editors:
        return None
    (first, editor), *others = editors
    faces = faces_to_edit(config, editor.image_size, editor.conditions)
    shared = shared_names(editor, faces)
    for path, other in others:
        theirs = shared_names(other, faces)
        for one in faces.conditions:
            differing = np.setxor1d(shared[one.name], theirs[one.name])
            if len(differing):
                raise UserError(
                    f"--models: of {first} and {path} only one knows the {one.name} "
                    f"{', '.join(one.names[place] for place in differing)}; models that know "
                    "different ones cannot be compared, as they are asked for different edits."
                )
    return faces


def _identity(reports: dict[str, list[dict[str, Any]]]) -> bytes | None:
    """The identity distances of all models, beside those of true pictures and other people."""
    distances = {
        name: np.concatenate([run["identity_distances"]["edit"] for run in runs])
        for name, runs in reports.items()
        if all(run.get("identity_distances") for run in runs)
    }
    if not distances:
        return None
    first = next(runs[0] for name, runs in reports.items() if name in distances)
    known = {key: label for key, label in _REFERENCES.items() if key in first["identity_distances"]}
    for key, label in known.items():
        distances[label] = np.array(first["identity_distances"][key])
    return as_png(identity_distance_figure(distances, list(known.values())))


def _correlation(reports: dict[str, list[dict[str, Any]]]) -> bytes | None:
    """Quality against every other metric, a point per run."""
    runs = [
        (f"{name} {number}" if len(group) > 1 else name, run["figures"]["edit"])
        for name, group in reports.items()
        for number, run in enumerate(group, start=1)
    ]
    names = [name for name, _ in runs]
    networks = next(iter(reports.values()))[0]["networks"]
    if len(runs) < 2 or any("rating" not in figures for _, figures in runs):
        return None
    quality = np.array([float(figures["rating"]) for _, figures in runs])
    points = {
        column.title: (quality, np.array([float(figures[key]) for _, figures in runs]))
        for key, column in registered("editor", networks).items()
        if key not in ("rating", "natural")
        and column.network != "depth"
        and all(key in figures for _, figures in runs)
    }
    return as_png(correlation_figure(points, names)) if points else None


def _edits(editors: dict[str, Any], faces: FaceSet, config: EvaluationConfig) -> bytes:
    """The first edits of each model that was loaded, beside the input and the truth."""
    plan = plan_edits(next(iter(editors.values())), faces, config.edits, config.seed)
    shown = plan.index[:SHOWN]
    images = {"input": faces.images(shown)}
    labels = {name: of_all[:SHOWN] for name, of_all in plan.labels.items()}
    for name, editor in editors.items():
        policy = ClassPolicy.of(editor, config.class_policy, config.seed)
        told = policy.told(faces, shown, labels) if policy else {}
        images[name] = adapt_editor(editor, faces)(images["input"], **labels, **told)
    truth = plan.truth[:SHOWN]
    return edit_sheet(faces, plan, {**images, "truth": faces.images(truth[truth >= 0])})
