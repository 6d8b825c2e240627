"""The report on one model: metrics as JSON and Markdown, and pictures."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data.faceset import FaceSet
from legan_tf.evaluation.edit_plan import EditPlan
from legan_tf.evaluation.evaluator import Arrays
from legan_tf.evaluation.metrics.registry import registered
from legan_tf.evaluation.plots.confusion import confusion_figure
from legan_tf.evaluation.plots.distributions import distribution_figure, identity_distance_figure
from legan_tf.evaluation.tables import Column, markdown_table
from legan_tf.files import write_atomically
from legan_tf.plotting.drawing import as_png
from legan_tf.plotting.sheet import sheet

REPORT_FILE = "report.json"
MARKDOWN_FILE = "report.md"
ROWS = {
    "edit": "the model's edits",
    "copy": "the input, copied",
    "truth": "the true pictures",
}
_PICTURES_ROWS = {"edit": "the pictures", "truth": "the true pictures"}
_OTHERS = "different people"
_MAPS = {"depth": "depth", "normal": "normals"}
_MAP_ROWS = {"map": "the network's maps", "mean_map": "the mean map of training people"}
_PICTURE_ROWS = {
    "picture": "from the true map",
    "cycle": "there and back",
    "mean_picture": "the mean picture of training people",
}
_ERROR_SCALE = 4


def write_report(
    output: str, report: dict[str, Any], pictures: Mapping[str, bytes] | None = None
) -> dict[str, Any]:
    """Writes a report; ``report.json`` comes last.

    Args:
        output: An existing folder.
        report: Made by one of the evaluations.
        pictures: PNGs by name of the file.

    Returns:
        The content of ``report.json``.
    """
    report, pictures = _plain(report), pictures or {}
    for name, picture in pictures.items():
        write_atomically(os.path.join(output, name), picture)
    markdown = as_markdown(report, sorted(pictures))
    write_atomically(os.path.join(output, MARKDOWN_FILE), markdown.encode())
    content = json.dumps(report, indent=2, allow_nan=False)
    write_atomically(os.path.join(output, REPORT_FILE), content.encode())
    return report


def edit_pictures(
    report: dict[str, Any], rows: dict[str, Arrays], faces: FaceSet, plan: EditPlan
) -> dict[str, bytes]:
    """Draws the pictures of the report on an editor.

    Args:
        report: Made by ``evaluate``.
        rows: Returned by ``predict_edits``.
        faces: The edited faces.
        plan: The requested edits.

    Returns:
        PNGs by name of the file.
    """
    figures = {}
    for row, matrices in report["confusion"].items():
        for name in set(matrices) & set(faces.classes()):  # Not for each binary attribute.
            figures[f"{name}-{row}.png"] = confusion_figure(
                np.array(matrices[name]), faces.names(name), f"{name} in {ROWS[row]}, %"
            )
    if report["identity_distances"]:
        distances = {
            ROWS.get(row, _OTHERS): np.array(values)
            for row, values in report["identity_distances"].items()
        }
        references = [label for label in distances if label != ROWS["edit"]]
        figures["identity.png"] = identity_distance_figure(distances, references)
    if "predicted_rating" in rows["edit"]:
        ratings = {ROWS[row]: found["predicted_rating"] for row, found in rows.items()}
        figures["quality.png"] = distribution_figure(ratings, "rating by Q")
    images = {"input": rows["copy"]["images"], "edit": rows["edit"]["images"]}
    if "images" in rows.get("truth", {}):
        images["truth"] = rows["truth"]["images"]
    pictures = {name: as_png(figure) for name, figure in figures.items()}
    return {**pictures, "edits.png": edit_sheet(faces, plan, images)}


def map_sheet(images: dict[str, np.ndarray], names: Sequence[str]) -> bytes:
    """Draws maps and pictures of a depth network beside the true ones.

    Args:
        images: A few ``input``, ``true`` (maps), ``map``, ``picture`` and ``cycle``, uint8
            [n,S,S,3] each.
        names: Labels of the n rows.

    Returns:
        A PNG.
    """
    error = np.abs(images["map"].astype(np.int32) - images["true"]).mean(axis=-1, keepdims=True)
    error = np.clip(_ERROR_SCALE * np.broadcast_to(error, images["map"].shape), 0, 255)
    columns = {
        "input": images["input"],
        "true map": images["true"],
        "network's map": images["map"],
        f"|error| x {_ERROR_SCALE}": error.astype(np.uint8),
        "there and back": images["cycle"],
        "from the true map": images["picture"],
    }
    return sheet(columns, names)


def as_markdown(report: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """Returns a report as Markdown, with the pictures of these names at its end."""
    lines_of = {"scorer": _rating_lines, "depth": _depth_lines}
    body = lines_of.get(report["kind"], _set_lines)(report)
    model = report["model"]
    lines = [f"# {model['name']}", "", *body, ""]
    lines += [f"Model: `{model['path']}`, sha256 {model['sha256'][:16]}…"]
    lines += [f"\n![{name}]({name})" for name in pictures]
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    """Values as JSON has them: infinity is a string, and NaN is left out of objects."""
    if isinstance(value, dict):
        known = ((key, _plain(item)) for key, item in value.items())
        return {key: item for key, item in known if item == item}  # NaN differs from itself.
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    return value


def _set_lines(report: dict[str, Any]) -> list[str]:
    """The table of an editor or of pictures, and the conditions of evaluation."""
    figures, data = report["figures"], report["data"]
    names = ROWS if report["kind"] == "editor" else _PICTURES_ROWS
    columns = [
        column
        for column in registered("editor", report["networks"]).values()
        if any(column.key in row for row in figures.values())
    ]
    rows = [["", *(names[row] for row in figures)]]
    for column in columns:
        cells = [column.title]
        for row, values in figures.items():
            cell = column.text(values.get(column.key))
            interval = report["intervals"].get(row, {}).get(column.key)
            if interval:
                cell += f" [{', '.join(column.text(end) for end in interval)}]"
            cells.append(cell)
        rows.append(cells)
    people = f" of {data['people']} people" if data["people"] else ""
    lines = [
        *markdown_table(rows),
        "",
        f"{report['edits']:,} pictures{people}, from {data['name']} ({data['images']:,} pictures, "
        f"{data['image_size']} x {data['image_size']}), seed {report['seed']}.",
    ]
    of_sets = [column.heading for column in columns if column.interval]
    if of_sets:
        units = {names[row]: unit for row, unit in report["resampled"].items()}
        told = " and ".join(dict.fromkeys(units.values()))
        if len({*units.values()}) > 1:
            told = "; ".join(f"{unit} ({row})" for row, unit in units.items())
        lines[-1] += (
            f" {', '.join(of_sets)}: to {data['reference']:,} real pictures, with 95 % intervals "
            f"by resampling {told}."
        )
    if report["kind"] == "editor":
        lines.append(
            "Sources and targets are uniform; quality is the mean rating, 1 to 10; what each row "
            "means is in docs/evaluation.md."
        )
        policy = report.get("class_policy")
        if policy:
            lines.append(
                f"Told {policy['condition'].replace('_', ' ')} in place of classes, by the policy "
                f"{policy['name']} (seed {policy['seed']}); the way back has those of the input, "
                f"where known. The model's are by {policy['source']}."
            )
        surface = report.get("surface")
        if surface:
            counts = []
            if surface["one_attribute_edits"]:
                counts.append(
                    f"light error and what is kept are of {surface['one_attribute_edits']:,} edits "
                    "of one condition alone"
                )
            if surface["relit_people"]:
                counts.append(f"normal and depth error of {surface['relit_people']} people")
            if counts:
                text = ", ".join(counts)
                lines.append(f"{text[0].upper()}{text[1:]}.")
        maps = report.get("maps")
        if maps:
            lines.append(
                f"Maps of {_MAPS[maps['geometry']]} are read by a depth network in "
                f"{maps['edits']:,} of the edits, inputs and true pictures, and compared with the "
                "true map of that person under what was asked for, inside its silhouette: the row "
                "of true pictures is what the depth network itself leaves open."
            )
        if data["with_truth"] < report["edits"]:
            lines.append(f"A true picture is known for {data['with_truth']:,} of the edits.")
    used = [
        [f"{kind}: {network['name']}", f"{network['sha256'][:16]}…", network["input"]]
        for kind, network in report["networks"].items()
    ]
    head = ["measured with", "sha256", "pictures enter as"]
    lines += ["", *markdown_table([head, *used], "---")]
    notes = [*report.get("doubts", []), *report["missing"]]
    if notes:
        lines += ["", *(f"- {sentence}" for sentence in notes)]
    return lines


def _rating_lines(report: dict[str, Any]) -> list[str]:
    data = report["data"]
    rows = [
        [metric.title, metric.text(report["figures"].get(key))]
        for key, metric in registered("scorer").items()
    ]
    return [
        *markdown_table([["", ""], *rows]),
        "",
        f"{data['rated']:,} rated pictures of {data['name']}, {data['image_size']} x "
        f"{data['image_size']}, seed {data['seed']}.",
    ]


def _depth_lines(report: dict[str, Any]) -> list[str]:
    """The tables of both directions and by expression, and the conditions of evaluation."""
    figures, data, geometry = report["figures"], report["data"], report["model"]["geometry"]
    of_maps = [c for c in registered("depth").values() if c.key in figures["map"]]
    of_pictures = [c for c in registered().values() if c.key in figures["picture"]]
    of_pictures.sort(key=lambda column: column.key != "l1")  # First, as of maps.
    lines = [f"From pictures to maps of {_MAPS[geometry]}:", ""]
    lines += _table(
        of_maps, {name: figures[row] for row, name in _MAP_ROWS.items() if row in figures}
    )
    lines += ["", "From maps to pictures:", ""]
    lines += _table(
        of_pictures,
        {name: figures[row] for row, name in _PICTURE_ROWS.items() if row in figures},
    )
    if report["per_expression"]:
        lines += ["", "By expression, maps:", ""]
        rows = {
            f"{expression} ({values['pictures']:,}), {name}": values[row]
            for expression, values in report["per_expression"].items()
            for row, name in (("map", "network"), ("mean_map", "mean map"))
            if row in values
        }
        lines += _table(of_maps, rows)
    people = f" of {data['people']} people" if data["people"] else ""
    value = "grey value" if geometry == "depth" else "z of the normal, as stored,"
    lines += [
        "",
        f"{data['read']:,} pictures{people}, from {data['name']}, {data['image_size']} x "
        f"{data['image_size']}, seed {report['seed']}. L1 is a share of the range of values; "
        "inside is inside the true silhouette; correlation and angles are means over pictures, but "
        f"where all pixels are said. The network shows something where its {value} is above "
        f"{report['threshold']:g} of the range.",
    ]
    if "baseline" in data:
        lines.append(f"The mean map and picture are of {data['baseline']}.")
    return [*lines, *(f"\n- {sentence}" for sentence in report["missing"])]


def _table(columns: Sequence[Column], rows: dict[str, dict[str, Any]]) -> list[str]:
    """A Markdown table with a line for each row of metrics."""
    body = [
        [name, *(column.text(values.get(column.key)) for column in columns)]
        for name, values in rows.items()
    ]
    return markdown_table([["", *(column.title for column in columns)], *body])


def edit_sheet(faces: FaceSet, plan: EditPlan, images: Mapping[str, np.ndarray]) -> bytes:
    """Draws the first edits of a plan beside their inputs and, if all have one, the true pictures.

    Args:
        faces: The edited faces.
        plan: The requested edits.
        images: By heading, ``input`` first, uint8 [n,S,S,3] of the first n edits; ``truth`` of
            those that have a true picture.

    Returns:
        A PNG.
    """
    columns = dict(images)
    count = len(columns["input"])
    if not np.all(plan.truth[:count] >= 0):
        columns.pop("truth", None)
    requests = [
        [
            one.label_text(*pair)
            for pair in zip(plan.labels[one.name][:count], faces.labels[one.name][plan.index])
        ]
        for one in faces.conditions
    ]
    return sheet(columns, ["\n".join(filter(None, row)) for row in zip(*requests)])
