"""The papers' tables for any set of models, with the published results beside them."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from legan_tf.errors import UserError
from legan_tf.evaluation import published
from legan_tf.evaluation.comparison_inputs import (
    Report,
    check_form,
    check_same_edits,
    check_same_networks,
    headings,
    keys_of_network,
    network_text,
    row_metrics,
    without_own_maps,
)
from legan_tf.evaluation.metrics.correlation import FEWEST_MODELS, correlations
from legan_tf.evaluation.metrics.registry import registered
from legan_tf.evaluation.tables import Column, Figure, Row, Table, as_csv, as_latex, as_markdown
from legan_tf.files import write_atomically

MARKDOWN_FILE = "compare.md"
CSV_FILE = "compare.csv"
LATEX_FILE = "compare.tex"

_POSTER = ("fid", "lpips", "ssim", "match", "rating", "preference")
_BODUR = ("accuracy", "fid", "cycle_psnr", "cycle_ssim")
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


def compare(
    groups: Mapping[str, Sequence[Report]], preferences: Mapping[str, float], output: str
) -> str:
    """Writes the papers' tables, and those that only rendered faces allow, for some models.

    Writes ``compare.md``, ``compare.csv`` (full precision, a row for each model and table, or for
    each metric among the correlations; percentages as shares) and ``compare.tex`` (plain tabulars
    to be input).

    Args:
        groups: By model, the ``report.json`` of its runs: one, or several that differ in their
            seed of training.
        preferences: Share of choices by people, 0 to 1, by model; may be empty.
        output: An existing folder.

    Returns:
        The content of ``compare.md``.

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
    check_same_edits(reports)
    comparable = without_own_maps(groups)
    reports = dict(_named(comparable))
    check_same_networks(reports)
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


def _tables(
    groups: Mapping[str, Sequence[Report]],
    reports: Sequence[Report],
    preferences: Mapping[str, float],
) -> list[Table]:
    """Every table that has content."""
    accuracy = _accuracy(reports)
    measured = [
        Row(
            _with_policy(name, runs),
            _over_runs(runs, preferences.get(name)),
            len(runs),
            competes=True,
        )
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
    columns = registered("editor", networks)
    classes = {"expression": "all expressions", "expression_six": "six of AffectNet's eight"}
    truth = [column for column in columns.values() if column.order[1] is not None]
    truth = sorted(
        (column for column in truth if any(row.has(column) for row in rows)),
        key=lambda column: (column.order[1], column.key),
    )
    tables = [
        Table(
            "legan",
            "LEGAN's table",
            [columns[key] for key in _POSTER],
            [*rows, *poster],
            [f"Published: {published.POSTER.source}."],
        ),
        Table(
            "bodur",
            "Bodur's table",
            [columns[key] for key in _BODUR],
            [*rows, *bodur],
            [
                *([f"Accuracy is over {classes[accuracy]}."] if accuracy else []),
                f"Published: {published.AFFECTNET.source} (AffectNet), "
                f"{_table_of(published.DEPTH_WEIGHTS)} (AffectNet, by depth weight) and "
                f"{_table_of(published.RAFD)} (RaFD). PSNR and SSIM are of the input and the edit "
                "edited back.",
            ],
        ),
    ]
    if truth:
        of_maps = keys_of_network("depth")
        notes = [_OF_MAPS] if any(column.key in of_maps for column in truth) else []
        tables.append(Table("truth", "Against the truth", truth, rows, notes))
    if sum("rating" in row.figures for row in measured) >= FEWEST_MODELS:
        tables.append(_correlation_table(measured, report))
    return tables


def _with_policy(name: str, reports: Sequence[Report]) -> str:
    """The name of a model, with the policy by which it was asked for classes if it is told none."""
    policies = sorted({r["class_policy"]["name"] for r in reports if r.get("class_policy")})
    return f"{name} ({', '.join(policies)})" if policies else name


def _table_of(table: published.PublishedTable) -> str:
    """The number of a table in its paper."""
    return table.source.rpartition(", ")[2]


def _accuracy(reports: Sequence[Report]) -> str:
    """The metric that is compared with Bodur's accuracy; empty where no report has one."""
    for key in ("expression_six", "expression"):
        if any(key in report["figures"].get("edit", {}) for report in reports):
            return key
    return ""


def _figures(report: Report, row: str) -> dict[str, Figure]:
    """The metrics of a row of a report."""
    intervals = report.get("intervals", {}).get(row, {})
    return {
        key: Figure(float(value), interval=intervals.get(key))
        for key, value in row_metrics(report, row).items()
    }


def _over_runs(reports: Sequence[Report], preference: float | None) -> dict[str, Figure]:
    """The metrics of a model that all of its runs have."""
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
    """A row that does not depend on the model: each metric from the first report that has it."""
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
    """Correlation of quality with every other metric over the models, measured and published."""
    paper = _published_rows(dataclasses.replace(published.POSTER, real={}), report)
    like = dataclasses.replace(paper[0], figures={})
    return Table(
        "correlation",
        "Correlation with quality over the models",
        _CORRELATION,
        [
            *_correlated(measured, Row("", {}), registered("editor", report["networks"])),
            *_correlated(paper, like, registered()),
        ],
        ["With a metric of which less is better, quality should go at -1."],
        of="metric",
    )


def _correlated(models: Sequence[Row], like: Row, columns: Mapping[str, Column]) -> list[Row]:
    """A row for each metric, with the source of ``like``, without undefined values."""
    keys = [
        key
        for key, column in columns.items()
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
        rows.append(dataclasses.replace(like, name=columns[key].heading, figures=figures))
    return rows


def _notes(reports: Sequence[Report], tables: Sequence[Table]) -> list[str]:
    """Sentences on data and networks of all tables."""
    report = reports[0]
    data = report["data"]
    people = f" of {data['people']} people" if data["people"] else ""
    notes = [
        f"{report['edits']} edits of {data['name']} ({data['images']} pictures{people}, "
        f"{data['image_size']} x {data['image_size']} pixels), seed {report['seed']}."
    ]
    networks = {kind: network for r in reports for kind, network in r["networks"].items()}
    measured = {key for r in reports for key in row_metrics(r, "edit")}
    of_sets = headings(measured, "features", networks)
    if "reference" in data and of_sets:
        notes.append(f"{of_sets}: of {report['edits']} pictures to {data['reference']} real ones.")
    known = [r["data"]["with_truth"] for r in reports if "with_truth" in r["data"]]
    if known and 0 < known[0] < report["edits"]:
        notes.append(
            f"A true picture is known for {known[0]} of the edits: the row of the true pictures, "
            "and figures that compare an edit with its true picture, are of so many."
        )
    notes.append(
        "Bold is the best model; ± the standard deviation over n runs; brackets hold 95 % "
        f"intervals of one run{_resampled(reports)}. No paper tells its number of pictures."
    )
    for kind, network in networks.items():
        notes.append(f"{headings(measured, kind, networks)}: {network_text(network)}.")
    notes += dict.fromkeys(sentence for r in reports for sentence in r.get("doubts", []))
    if not any(table.key == "correlation" for table in tables):
        notes.append(
            f"Correlations with quality take {FEWEST_MODELS} models or more that are rated."
        )
    return notes


def _resampled(reports: Sequence[Report]) -> str:
    """What the intervals of the edits come from, where the reports say so."""
    units = dict.fromkeys(r.get("resampled", {}).get("edit", "pictures") for r in reports)
    return f", by resampling {' or '.join(units)}"
