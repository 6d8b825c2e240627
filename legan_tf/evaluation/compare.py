"""The papers' tables for any set of models, with the published figures beside them."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.evaluation import published
from legan_tf.evaluation.columns import COLUMNS, Column
from legan_tf.evaluation.maps import MAP_FIGURES
from legan_tf.evaluation.metrics.correlation import FEWEST_MODELS, correlations
from legan_tf.evaluation.tables import Figure, Row, Table, as_csv, as_latex, as_markdown
from legan_tf.files import write_atomically

MARKDOWN_FILE = "compare.md"
CSV_FILE = "compare.csv"
LATEX_FILE = "compare.tex"

_FORMAT = 2
_KINDS = ("editor", "pictures")
_SAME_FLAGS = {
    "classifier": "--judges or --classifier_model",
    "face": "--judges or --identity_model",
    "quality": "--judges or --quality_model",
    "features": "--features (face is the network of --judges or --identity_model)",
    "lpips": "--lpips, --lpips_trunk and --lpips_heads",
}
_POSTER = ("fid", "lpips", "ssim", "match", "rating", "preference")
_BODUR = ("accuracy", "fid", "cycle_psnr", "cycle_ssim")
_TRUTH = (
    "expression",
    "lighting",
    "ssim",
    "psnr",
    "l1",
    "person",
    "match",
    "light_error",
    "light_kept",
    "expression_kept",
    "normal_error",
    "depth_error",
    *MAP_FIGURES,
)
_OF_MAPS = (
    "Maps are read in the edits by a depth network, and compared, inside the silhouette, with the "
    "true map of that person under what was asked for; the true pictures show what the network "
    "itself leaves open."
)
_CORRELATION = (
    Column("pearson", "Pearson", "", 2),
    Column("spearman", "Spearman", "", 2),
    Column("models", "models", "", 0),
)
_FORMS = {dict: "object", int: "whole number", str: "text"}
_PARTS = {
    ("model",): dict,
    ("data",): dict,
    ("data", "name"): str,
    ("data", "people"): int,
    ("data", "images"): int,
    ("data", "image_size"): int,
    ("edits",): int,
    ("seed",): int,
    ("networks",): dict,
    ("figures",): dict,
    ("figures", "edit"): dict,
}
"""What is read of every report, each part after the one that it is in."""

Report = Mapping[str, Any]


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
    flag = f"--preferences={path}"
    try:
        text = storage.read_bytes(path).decode("utf-8-sig")
    except storage.StorageError as error:
        raise UserError(f"--preferences={error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{flag}: is not UTF-8; save it as a CSV file in UTF-8.") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: dict[str, float] = {}
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if sorted(header) != ["model", "preference"]:
            raise UserError(f"{flag}: line 1 must be model,preference.")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != 2:
                raise UserError(
                    f"{flag}: line {reader.line_num} has {len(cells)} cells, not 2; quote names "
                    "that contain a comma."
                )
            line = dict(zip(header, (cell.strip() for cell in cells)))
            if not line["model"]:
                raise UserError(f"{flag}: line {reader.line_num} names no model.")
            if line["model"] in found:
                raise UserError(
                    f"{flag}: line {reader.line_num} names {line['model']} again; keep one line."
                )
            found[line["model"]] = _share(line["preference"], f"{flag}: line {reader.line_num}")
    except csv.Error as error:
        raise UserError(f"{flag}: line {reader.line_num} is not CSV ({error}).") from error
    if not found:
        raise UserError(f"{flag}: names no model; give a line for each, such as LEGAN,0.393.")
    return found


def _share(text: str, place: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise UserError(
            f"{place}: preference must be a share from 0 to 1, such as 0.393 for 39.3 %, not "
            f"{text!r}."
        )
    return share


def compare(
    groups: Mapping[str, Sequence[Report]], preferences: Mapping[str, float], output: str
) -> str:
    """Writes the papers' tables, and those that only rendered faces allow, for some models.

    Writes ``compare.md``, ``compare.csv`` (full precision, a row for each model and table, or for
    each metric among the correlations; percentages as shares) and ``compare.tex`` (plain tabulars
    to be input).

    Args:
        groups: By model, what ``report.json`` of its runs hold; one run, or several that differ in
            their seed of training.
        preferences: How often people preferred a model, 0 to 1, by model; may be empty.
        output: An existing folder.

    Returns:
        What ``compare.md`` holds.

    Raises:
        UserError: A report is none of edits or holds what is no number, reports were not made on
            the same edits with the same networks, or a preference is of no model. The message
            names them.
        ValueError: There is no group, or one has no report.
    """
    if not groups or not all(groups.values()):
        raise ValueError("there must be a group, and a report in each")
    reports = dict(_named(groups))
    for name, report in reports.items():
        check_form(name, report)
    _check_same_edits(reports)
    comparable = _without_own_maps(groups)
    reports = dict(_named(comparable))
    _check_same_networks(reports)
    unknown = [name for name in preferences if name not in groups]
    if unknown:
        raise UserError(
            f"--preferences: {unknown[0]} is none of the models compared ({', '.join(groups)}); "
            "name them as --models does."
        )
    tables = _tables(comparable, list(reports.values()), preferences)
    notes = _notes(list(reports.values()), tables)
    if comparable is not groups:
        notes.append(
            "The maps of edits are left out, as not one depth network has read those of all: "
            "evaluate with --depth_model to have them."
        )
    markdown = as_markdown("Comparison", tables, notes)
    for name, text in (
        (MARKDOWN_FILE, markdown),
        (CSV_FILE, as_csv(tables)),
        (LATEX_FILE, as_latex(tables, notes)),
    ):
        write_atomically(os.path.join(output, name), text.encode())
    return markdown


def _named(groups: Mapping[str, Sequence[Report]]) -> Iterator[tuple[str, Report]]:
    """The reports by a name for messages."""
    for name, reports in groups.items():
        for i, report in enumerate(reports):
            yield (f"{name} (run {i + 1})" if len(reports) > 1 else name), report


def check_form(name: str, report: Report) -> None:
    """Refuses what is no report on edits, or lacks what tables are made of.

    Args:
        name: Of the model, for messages.
        report: What its ``report.json`` holds.

    Raises:
        UserError: It is one of something else or of an earlier form, or a part of it is missing or
            of another kind; the message names the part.
    """
    if report.get("format") != _FORMAT or report.get("kind") not in _KINDS:
        raise UserError(
            f"--models: the report of {name} is not one on edits in today's form; evaluate the "
            "model again, or leave it out if it is no editor."
        )
    wrong = _wrong_part(report)
    if wrong:
        raise UserError(
            f"--models: the report of {name} is damaged: it has {wrong}; evaluate the model again."
        )
    for row, figures in report["figures"].items():
        for key, value in figures.items():
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = math.nan
            if math.isnan(number):
                raise UserError(
                    f"--models: the report of {name} has {value!r} as {key} of {row}, which is "
                    "no number; evaluate the model again."
                )


def _wrong_part(report: Report) -> str:
    """The first part of a report that is missing or of another kind, in words; empty if none."""
    for path, form in _PARTS.items():
        part: Any = report
        for key in path:
            part = part.get(key)
        if not isinstance(part, form):
            return f"no {_FORMS[form]} as {' of '.join(reversed(path))}"
    for kind, network in report["networks"].items():
        if not isinstance(network, dict):
            return f"no object as {kind} of networks"
        for key in ("name", "sha256", "input"):
            if not isinstance(network.get(key), str):
                return f"no text as {key} of {kind} of networks"
    for row, figures in report["figures"].items():
        if not isinstance(figures, dict):
            return f"no object as {row} of figures"
    return ""


def _check_same_edits(reports: Mapping[str, Report]) -> None:
    """Refuses reports on other data, other edits, or another number of them."""
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
    """Everything but the model that decides which pictures were judged and compared."""
    settings = {f"data's {key}": value for key, value in report["data"].items()}
    settings.update({key: report[key] for key in ("edits", "seed")})
    confusion = report.get("confusion", {}).get("edit")
    if confusion:
        # Models that do not know all classes are asked for others, which no other setting tells.
        settings["edits per class"] = {
            attribute: [sum(row) for row in counts] for attribute, counts in confusion.items()
        }
    return settings


def _short(value: Any) -> str:
    """A value for a message, of a hash its beginning."""
    text = str(value)
    return f"{text[:12]}…" if re.fullmatch("[0-9a-f]{64}", text) else text


def _check_same_networks(reports: Mapping[str, Report]) -> None:
    """Refuses numbers of different networks under one heading."""
    for (first, report), (second, other) in itertools.combinations(reports.items(), 2):
        for kind, network in report["networks"].items():
            theirs = other["networks"].get(kind)
            if theirs is None or _identity(network) == _identity(theirs):
                continue
            both = _headings(set(_figures(report, "edit")) & set(_figures(other, "edit")), kind)
            if both:
                raise UserError(
                    f"--models: {both} of {first} and {second} come from different networks, so "
                    f"they cannot stand in one table: {_told(network)} and {_told(theirs)}. "
                    f"Evaluate both with the same {_SAME_FLAGS[kind]}."
                )


def _without_own_maps(
    groups: Mapping[str, Sequence[Report]],
) -> Mapping[str, Sequence[Report]]:
    """The reports without the figures of maps, unless one network has read those of all.

    Left to itself, every run is read by the depth network that it was trained with.
    """
    reports = itertools.chain.from_iterable(groups.values())
    readers = [r["networks"]["depth"] for r in reports if "depth" in r["networks"]]
    if all(_identity(reader) == _identity(readers[0]) for reader in readers):
        return groups
    return {name: [_without_maps(report) for report in runs] for name, runs in groups.items()}


def _without_maps(report: Report) -> Report:
    return {
        **report,
        "networks": {kind: n for kind, n in report["networks"].items() if kind != "depth"},
        "figures": {
            row: {key: value for key, value in figures.items() if key not in MAP_FIGURES}
            for row, figures in report["figures"].items()
        },
    }


def _headings(keys: Collection[str], kind: str) -> str:
    """Names those figures that a kind of network measures."""
    return ", ".join(c.heading for c in COLUMNS.values() if c.network == kind and c.key in keys)


def _identity(network: Mapping[str, str]) -> dict[str, str]:
    """What a number depends on: not what the network is called."""
    return {key: value for key, value in network.items() if key != "name"}


def _told(network: Mapping[str, str]) -> str:
    return f"{network['name']} ({network['input']}; sha256 {network['sha256'][:12]})"


def _tables(
    groups: Mapping[str, Sequence[Report]],
    reports: Sequence[Report],
    preferences: Mapping[str, float],
) -> list[Table]:
    """Every table that there is something for."""
    accuracy = _accuracy(reports)
    measured = [
        Row(name, _over_runs(runs, preferences.get(name)), len(runs), competes=True)
        for name, runs in groups.items()
    ]
    beside = [
        Row(name, figures)
        for name, figures in (
            ("the input, copied", _of_any(reports, "copy")),
            ("the true pictures", _of_any(reports, "truth")),
        )
        if figures
    ]
    rows = [*measured, *beside]
    networks = {kind: network for r in reports for kind, network in r["networks"].items()}
    report = {**reports[0], "networks": networks}
    poster = _published_rows(published.POSTER, report)
    bodur = [
        dataclasses.replace(row, name=f"{row.name} ({table.protocol.data})")
        for table in (published.AFFECTNET, published.DEPTH_WEIGHTS, published.RAFD)
        for row in _published_rows(table, report, accuracy)
    ]
    told = {"expression": "all expressions", "expression_six": "six of AffectNet's eight"}
    truth = [key for key in _TRUTH if any(key in row.figures for row in rows)]
    tables = [
        Table(
            "legan",
            "LEGAN's table",
            [COLUMNS[key] for key in _POSTER],
            [*rows, *poster],
            [f"Published: {published.POSTER.source}."],
        ),
        Table(
            "bodur",
            "Bodur's table",
            [COLUMNS[key] for key in _BODUR],
            [*rows, *bodur],
            [
                *([f"Accuracy is over {told[accuracy]}."] if accuracy else []),
                f"Published: {published.AFFECTNET.source} (AffectNet), "
                f"{_number(published.DEPTH_WEIGHTS)} (AffectNet, by depth weight) and "
                f"{_number(published.RAFD)} (RaFD). PSNR and SSIM are of the input and the edit "
                "edited back.",
            ],
        ),
    ]
    if truth:
        columns = [COLUMNS[key] for key in truth]
        told = [_OF_MAPS] if {*MAP_FIGURES} & {*truth} else []
        tables.append(Table("truth", "Against the truth", columns, rows, told))
    if sum("rating" in row.figures for row in measured) >= FEWEST_MODELS:
        tables.append(_correlation_table(measured, report))
    return tables


def _number(table: published.PublishedTable) -> str:
    """The number of a table in its paper."""
    return table.source.rpartition(", ")[2]


def _accuracy(reports: Sequence[Report]) -> str:
    """The figure that stands for Bodur's accuracy; empty where no report has one."""
    for key in ("expression_six", "expression"):
        if any(key in report["figures"].get("edit", {}) for report in reports):
            return key
    return ""


def _with_accuracy(figures: Mapping[str, Any]) -> dict[str, Any]:
    accuracy = figures.get("expression_six", figures.get("expression"))
    return dict(figures) if accuracy is None else {**figures, "accuracy": accuracy}


def _figures(report: Report, row: str) -> dict[str, Figure]:
    """The figures of a row of a report."""
    intervals = report.get("intervals", {}).get(row, {})
    return {
        key: Figure(
            float(value),
            interval=tuple(map(float, intervals[key])) if key in intervals else None,
        )
        for key, value in _with_accuracy(report["figures"].get(row, {})).items()
        if key in COLUMNS
    }


def _over_runs(reports: Sequence[Report], preference: float | None) -> dict[str, Figure]:
    """The figures of a model; one that a run lacks is left out, as its n would be another."""
    runs = [_figures(report, "edit") for report in reports]
    if len(runs) == 1:
        figures = runs[0]
    else:
        figures = {}
        for key in runs[0]:
            if all(key in run for run in runs):
                values = [run[key].value for run in runs]
                std = float(np.std(values, ddof=1)) if np.all(np.isfinite(values)) else None
                figures[key] = Figure(float(np.mean(values)), std)
    return figures if preference is None else {**figures, "preference": Figure(preference)}


def _of_any(reports: Sequence[Report], row: str) -> dict[str, Figure]:
    """A row that does not depend on the model: each figure from the first report that has it."""
    figures: dict[str, Figure] = {}
    for report in reports:
        figures = {**_figures(report, row), **figures}
    return figures


def _published_rows(
    table: published.PublishedTable, report: Report, accuracy: str = ""
) -> list[Row]:
    """The rows of a paper's table."""
    found = tuple(published.differences(table.protocol, report, accuracy))
    return [
        Row(
            name,
            {key: Figure(published.value(key, text), printed=text) for key, text in row.items()},
            source=table.source,
            differences=found,
        )
        for name, row in {**table.models, **table.real}.items()
    ]


def _correlation_table(measured: Sequence[Row], report: Report) -> Table:
    """How quality goes with every other metric over the models, and how it does in the paper."""
    paper = _published_rows(dataclasses.replace(published.POSTER, real={}), report)
    like = dataclasses.replace(paper[0], figures={})
    return Table(
        "correlation",
        "Correlation with quality over the models",
        _CORRELATION,
        [
            *_correlated(measured, Row("", {})),
            *_correlated(paper, like),
        ],
        ["With a metric of which less is better, quality should go at -1."],
        of="metric",
    )


def _correlated(models: Sequence[Row], like: Row) -> list[Row]:
    """A row for each metric, with the source of another; no figure where it is not defined."""
    keys = [
        key
        for key, column in COLUMNS.items()
        if key != "accuracy" and any(row.has(column) for row in models)
    ]
    values = {
        key: [row.figures[key].value if key in row.figures else math.nan for row in models]
        for key in keys
    }
    rows = []
    for key, found in correlations(values, "rating").items():
        figures = {
            name: Figure(found[name])
            for name in ("pearson", "spearman")
            if math.isfinite(found[name])
        }
        figures["models"] = Figure(found["n"])
        rows.append(dataclasses.replace(like, name=COLUMNS[key].heading, figures=figures))
    return rows


def _notes(reports: Sequence[Report], tables: Sequence[Table]) -> list[str]:
    """Sentences on what all figures were measured with."""
    report = reports[0]
    data = report["data"]
    people = f" of {data['people']} people" if data["people"] else ""
    notes = [
        f"{report['edits']} edits of {data['name']} ({data['images']} pictures{people}, "
        f"{data['image_size']} x {data['image_size']} pixels), seed {report['seed']}."
    ]
    if "reference" in data:
        notes.append(
            f"FID and KID compare {report['edits']} pictures with {data['reference']} real ones."
        )
    known = [r["data"]["with_truth"] for r in reports if "with_truth" in r["data"]]
    if known and 0 < known[0] < report["edits"]:
        notes.append(
            f"A true picture is known for {known[0]} of the edits: the row of the true pictures, "
            "and figures that compare an edit with its true picture, are of so many."
        )
    notes.append(
        "Bold is the best model; ± the standard deviation over n runs; brackets hold 95 % "
        "intervals of one run. No paper tells its number of pictures."
    )
    networks = {kind: network for r in reports for kind, network in r["networks"].items()}
    measured = {key for r in reports for key in _figures(r, "edit")}
    for kind, network in networks.items():
        notes.append(f"{_headings(measured, kind)}: {_told(network)}.")
    notes += dict.fromkeys(sentence for r in reports for sentence in r.get("doubts", []))
    if not any(table.key == "correlation" for table in tables):
        notes.append(
            f"Correlations with quality take {FEWEST_MODELS} models or more that are rated."
        )
    return notes
