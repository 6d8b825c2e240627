"""Inputs of a comparison: the flags that name models, and their reports."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from legan_tf.data import csv_text
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.classification import expression_generation_rate
from legan_tf.evaluation.metrics.registry import registered

Report = Mapping[str, Any]
"""Content of a ``report.json``."""
_FORMAT = 2
_KINDS = ("editor", "pictures")
_SAME_FLAGS = {
    "classifier": "--judges or --classifier_model",
    "face": "--judges or --identity_model",
    "quality": "--judges or --quality_model",
    "features": "--features (face is the network of --judges or --identity_model)",
    "lpips": "--lpips, --lpips_trunk and --lpips_heads",
}
_PARTS = ("model", "data", "edits", "seed", "networks", "figures")
_PARTS_OF_DATA = ("name", "people", "images", "image_size")
_PARTS_OF_NETWORKS = ("name", "sha256", "input")


def parse_models(text: str) -> dict[str, list[str]]:
    """Reads the value of ``--models``.

    Args:
        text: Models with commas between them, each ``PATH`` or ``NAME=PATH``, or
            ``NAME=PATH+PATH`` for several runs of one model. A path that is not named has the name
            of its folder. No path may contain a comma or a plus; one with ``=`` needs a name.

    Returns:
        The paths of each model, by name, in the order given.

    Raises:
        UserError: There is no model, or one has no path, a name twice, or a run twice.
    """
    models: dict[str, list[str]] = {}
    if not text.strip():
        raise UserError("--models: name one model or more: PATH,PATH or NAME=PATH,NAME=PATH+PATH.")
    for item in text.split(","):
        name, named, paths = item.partition("=")
        if not named:
            name, paths = "", item
        name, runs = name.strip(), [path.strip() for path in paths.split("+")]
        if not all(runs) or (named and not name):
            raise UserError(
                f"--models: {item.strip()!r} is not PATH, NAME=PATH or NAME=PATH+PATH; take out a "
                "comma or plus that is one too many, or put in what is missing."
            )
        if "/" in name:
            raise UserError(
                f"--models: {name!r} is a path, not a name; give this model a name before it: "
                f"NAME={item.strip()}."
            )
        if not named:
            if len(runs) > 1:
                raise UserError(
                    f"--models: {item.strip()!r} is several runs; give them a name: "
                    f"NAME={item.strip()}."
                )
            name = os.path.basename(os.path.abspath(runs[0]))
        folders = [os.path.abspath(run) for run in runs]
        if len(set(folders)) < len(folders):
            raise UserError(f"--models: {name} names a run twice; name each run once.")
        if name in models:
            raise UserError(
                f"--models: two models are called {name}; give them names: NAME=PATH,NAME=PATH."
            )
        models[name] = runs
    return models


def read_preferences(path: str) -> dict[str, float]:
    """Reads how often people preferred each model.

    Args:
        path: CSV file, UTF-8, with the columns ``model`` and ``preference``, a share from 0 to 1.

    Returns:
        The share by model.

    Raises:
        UserError: The file cannot be read, or a line is wrong; the message names it.
        UnavailableError: It is on a storage that needs tensorflow-io.
    """
    try:
        lines = csv_text.read_lines(path, ",")
    except UserError as error:
        raise UserError(f"--preferences={error}") from error
    header = lines[0][1] if lines else []
    if sorted(header) != ["model", "preference"]:
        raise UserError(f"--preferences={path}:1: must be model,preference.")
    found: dict[str, float] = {}
    for number, cells in lines[1:]:
        line = dict(zip(header, cells))
        name, share = line.get("model"), line.get("preference")
        if len(cells) != 2:
            wrong = f"has {len(cells)} cells, not 2; quote names that contain a comma."
        elif not name:
            wrong = "names no model."
        elif name in found:
            wrong = f"names {name} again; keep one line."
        elif not 0 <= _number(share) <= 1:
            wrong = f"preference must be a share, such as 0.393 for 39.3 %, not {share!r}."
        else:
            found[name] = _number(share)
            continue
        raise UserError(f"--preferences={path}:{number}: {wrong}")
    if not found:
        raise UserError(
            f"--preferences={path}: names no model; give a line for each, such as LEGAN,0.393."
        )
    return found


def _number(value: Any) -> float:
    """A value as a number, NaN if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def check_form(name: str, report: Report) -> None:
    """Checks that a report is on edits and has every part that tables need.

    Args:
        name: Name of the model, for messages.
        report: Content of its ``report.json``.

    Raises:
        UserError: It is one of something else or of an earlier form, or it is damaged.
    """
    if report.get("format") != _FORMAT or report.get("kind") not in _KINDS:
        raise UserError(
            f"--models: the report of {name} is not one on edits in today's form; evaluate the "
            "model again, or leave it out if it is no editor."
        )
    try:
        wrong = [f"no {key}" for key in _PARTS if key not in report]
        wrong += [f"no {key} of data" for key in _PARTS_OF_DATA if key not in report["data"]]
        wrong += [
            f"no {key} of {kind} of networks"
            for kind, network in report["networks"].items()
            for key in _PARTS_OF_NETWORKS
            if key not in network
        ]
        wrong += [] if "edit" in report["figures"] else ["no edit of figures"]
        wrong += [
            f"{value!r} as {key} of {row}, which is no number"
            for row, figures in report["figures"].items()
            for key, value in figures.items()
            if math.isnan(_number(value))
        ]
    except (AttributeError, KeyError, TypeError):
        wrong = wrong or ["parts of other forms"]
    if wrong:
        raise UserError(
            f"--models: the report of {name} is damaged: it has {wrong[0]}; evaluate the model "
            "again."
        )


def check_same_edits(reports: Mapping[str, Report]) -> None:
    """Raises UserError for reports on different data or edits."""
    # Every pair, as the first may lack a setting that two others have.
    for (first, report), (second, other) in itertools.combinations(reports.items(), 2):
        theirs = _settings(other)
        differing = [
            f"{what} is {_short(value)} and {_short(theirs[what])}"
            for what, value in _settings(report).items()
            if what in theirs and value != theirs[what]
        ]
        if differing:
            raise UserError(
                f"--models: {first} and {second} were not judged on the same edits, so their "
                f"figures cannot stand in one table: {'; '.join(differing)}. Evaluate both with "
                "the same data, --edits and --seed; models of different image sizes, or that know "
                "different classes, cannot be compared."
            )


def _settings(report: Report) -> dict[str, Any]:
    """Everything but the model that determines which pictures were evaluated and compared."""
    settings = {f"data's {key}": value for key, value in report["data"].items()}
    settings.update({key: report[key] for key in ("edits", "seed")})
    confusion = report.get("confusion", {}).get("edit")
    if confusion:
        # No other setting shows that models without all classes are asked for other edits.
        settings["edits per class"] = {
            name: [sum(row) for row in counts] for name, counts in confusion.items()
        }
    return settings


def _short(value: Any) -> str:
    """A value for a message, of a hash its beginning."""
    text = str(value)
    return f"{text[:12]}…" if re.fullmatch("[0-9a-f]{64}", text) else text


def check_same_networks(reports: Mapping[str, Report]) -> None:
    """Raises UserError for metrics that were measured with different networks."""
    for (first, report), (second, other) in itertools.combinations(reports.items(), 2):
        for kind, network in report["networks"].items():
            theirs = other["networks"].get(kind)
            if theirs is None or network_identity(network) == network_identity(theirs):
                continue
            both = headings(
                set(row_metrics(report, "edit")) & set(row_metrics(other, "edit")), kind
            )
            if both:
                raise UserError(
                    f"--models: {both} of {first} and {second} come from different networks, so "
                    f"they cannot stand in one table: {network_text(network)} and "
                    f"{network_text(theirs)}. Evaluate both with the same {_SAME_FLAGS[kind]}."
                )


def without_own_maps(
    groups: Mapping[str, Sequence[Report]],
) -> Mapping[str, Sequence[Report]]:
    """Returns the reports without metrics of maps, unless one network predicted all maps.

    By default the depth network of a run predicts the maps of its edits.
    """
    reports = itertools.chain.from_iterable(groups.values())
    networks = [r["networks"]["depth"] for r in reports if "depth" in r["networks"]]
    if all(network_identity(network) == network_identity(networks[0]) for network in networks):
        return groups
    return {name: [_without_maps(report) for report in runs] for name, runs in groups.items()}


def _without_maps(report: Report) -> Report:
    of_maps = keys_of_network("depth")
    return {
        **report,
        "networks": {kind: n for kind, n in report["networks"].items() if kind != "depth"},
        "figures": {
            row: {key: value for key, value in figures.items() if key not in of_maps}
            for row, figures in report["figures"].items()
        },
    }


def keys_of_network(kind: str) -> list[str]:
    """Returns the keys of the metrics that a kind of network measures."""
    return [metric.key for metric in registered().values() if metric.network == kind]


def headings(
    keys: Collection[str], kind: str, networks: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """Returns the names of those of some metrics that a kind of network measures.

    Args:
        keys: Of the metrics.
        kind: Of the network.
        networks: As ``registered`` takes them.
    """
    columns = registered("editor", networks)
    return ", ".join(columns[key].heading for key in keys_of_network(kind) if key in keys)


def row_metrics(report: Report, row: str) -> dict[str, Any]:
    """Returns the registered metrics of a row of a report, with ``accuracy`` if it has one."""
    found = dict(report["figures"].get(row, {}))
    found["accuracy"] = expression_generation_rate(found)
    return {key: value for key, value in found.items() if key in registered() and value is not None}


def network_identity(network: Mapping[str, str]) -> dict[str, str]:
    """Returns what results depend on: all of a description but the name."""
    return {key: value for key, value in network.items() if key != "name"}


def network_text(network: Mapping[str, str]) -> str:
    """Returns the description of a network as text."""
    return f"{network['name']} ({network['input']}; sha256 {network['sha256'][:12]})"
