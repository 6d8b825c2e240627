"""Results of a study: a report, plots, preferences, and a manifest of ratings to train Q on."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data import csv_text
from legan_tf.data.manifest import to_csv
from legan_tf.data.output_folder import write_or_remove
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.evaluation.tables import PERCENT, Column, Figure, Row, Table, as_markdown
from legan_tf.files import make_writable
from legan_tf.uses.study.analysis import MIN_RATERS, choice_statistics, rating_statistics
from legan_tf.uses.study.answers import Answer, Collected, read_answers
from legan_tf.uses.study.config import MIN_CONTROLS, ScreenOptions
from legan_tf.uses.study.design import ASKED
from legan_tf.uses.study.plots import rating_plot, share_plot
from legan_tf.uses.study.screening import Rater, repeats, screen
from legan_tf.uses.study.study_file import PAGE, PICTURES, Study

REPORT_FILE, TEXT_FILE = "report.json", "report.md"
PREFERENCES_FILE, MANIFEST_FILE = "preferences.csv", "manifest.csv"
SHARES_PLOT, RATINGS_PLOT = "shares.png", "ratings.png"

MIN_RATINGS = 2
"""Least number of ratings of an image in the manifest."""
_MAX_NOTES = 20


@dataclasses.dataclass(frozen=True)
class _Kind:
    """The tables of choices or of ratings: models and differences."""

    title: str
    columns: Sequence[Column]
    differences: str
    difference: Column
    agreement: str


_KINDS = {
    "choice": _Kind(
        "Which looks most natural",
        (
            Column("share", "preference", "higher", 1, PERCENT),
            Column("chosen", "chosen", "", 0),
        ),
        "Differences of the shares",
        Column("difference", "difference of shares", "", 1, PERCENT),
        "model chosen",
    ),
    "rating": _Kind(
        "How natural pictures look, 1 to 10",
        (
            Column("mean", "mean rating", "higher", 2),
            Column("std", "std of ratings", "", 2),
            Column("natural", "natural", "higher", 1, PERCENT),
            Column("ratings", "ratings", "", 0),
        ),
        "Differences of the ratings",
        Column("difference", "difference of means", "", 2),
        "pictures",
    ),
}


def collect(study: Study, answers: str, output: str, options: ScreenOptions) -> str:
    """Reads the answers to a study, excludes careless raters and writes the results.

    Args:
        study: The study.
        answers: Places of the answers, as for ``read_answers``.
        output: Folder of the report, plots and tables.
        options: Limits of the screening.

    Returns:
        The content of ``report.md``.

    Raises:
        UserError: There are no answers, or none that count; or ``output`` cannot be written.
    """
    options.check()
    collected = read_answers(study, answers)
    raters = screen(study, collected.answers, options)
    kept = [answer for answer in collected.answers if not raters[answer.rater].reasons]
    if not kept:
        name, rater = next(iter(raters.items()))
        raise UserError(
            f"--answers={answers}: none of {len(raters)} raters is left. The first, {name}: "
            f"{'; '.join(rater.reasons)}."
        )
    counted, repeated = _first_answers(study, kept)
    if not counted:
        raise UserError(
            f"--answers={answers}: holds controls only of the raters that are left; collect again "
            "when more is answered."
        )
    make_writable("output", output)
    rows, excluded = _manifest(study, counted, output)
    report = _report(study, collected, raters, kept, counted, options)
    if excluded:
        report["notes"].append(
            f"{excluded} pictures have fewer than {MIN_RATINGS} ratings left and are not in "
            f"{MANIFEST_FILE}."
        )
    if repeated:
        report["notes"].append(
            f"{repeated} answers are of raters who had answered about the same before, in another "
            "list, and do not count."
        )
    report["notes"] += collected.notes
    # Names of files may contain what UTF-8 cannot encode.
    text = _markdown(report).encode(errors="backslashreplace").decode()
    optional = (PREFERENCES_FILE, MANIFEST_FILE, SHARES_PLOT, RATINGS_PLOT)
    earlier = os.path.isfile(os.path.join(output, REPORT_FILE))
    # Of an earlier report, the files that these answers do not give are removed.
    files: dict[str, bytes | None] = dict.fromkeys(optional if earlier else ())
    files[REPORT_FILE] = json.dumps(report, indent=1).encode() + b"\n"
    if rows:
        files[MANIFEST_FILE] = to_csv(rows)
    if "choice" in report:
        models = report["choice"]["models"]
        shares = [(name, values["share"]) for name, values in models.items()]
        files[PREFERENCES_FILE] = csv_text.to_bytes(("model", "preference"), shares)
        files[SHARES_PLOT] = share_plot(
            {name: (values["share"], *values["interval"]) for name, values in models.items()}
        )
    if "rating" in report:
        models = report["rating"]["models"]
        files[RATINGS_PLOT] = rating_plot({name: v["counts"] for name, v in models.items()})
    for name, content in {**files, TEXT_FILE: text.encode()}.items():
        write_or_remove(output, name, content)
    return text


def _first_answers(study: Study, kept: Sequence[Answer]) -> tuple[list[Answer], int]:
    """The answers that count, the first of each rater on the same, and the number of others.

    A rater of several lists, as workers may be, can be asked about an image in each.
    """
    firsts: dict[tuple[str, bool, str], Answer] = {}
    repeated = 0
    for answer in kept:
        question = study.question(answer)
        if question.role == ASKED:
            shown = study.shown(answer).source if question.is_choice else question.pictures[0]
            key = (answer.rater, question.is_choice, shown)
            repeated += firsts.setdefault(key, answer) is not answer
    return list(firsts.values()), repeated


def _report(
    study: Study,
    collected: Collected,
    raters: Mapping[str, Rater],
    kept: Sequence[Answer],
    counted: Sequence[Answer],
    options: ScreenOptions,
) -> dict[str, Any]:
    gaps, same = repeats(study, kept)
    report: dict[str, Any] = {
        "format": 1,
        "study": study.id,
        "screening": dataclasses.asdict(options),
        "raters": [dataclasses.asdict(rater) for rater in raters.values()],
        "answers": {"all": len(collected.answers), "kept": len(kept), "counted": len(counted)},
        "unjudged": sum(not r.reasons and r.controls < MIN_CONTROLS for r in raters.values()),
        "repeats": {
            "ratings": len(gaps),
            "gap": float(np.mean(gaps)) if gaps else None,
            "choices": len(same),
            "same": float(np.mean(same)) if same else None,
        },
        "notes": [],
    }
    choices = [answer for answer in counted if isinstance(answer.value, str)]
    ratings = [answer for answer in counted if not isinstance(answer.value, str)]
    if choices:
        report["choice"] = choice_statistics(study, choices)
    if ratings:
        report["rating"] = rating_statistics(study, ratings)
    # JSON has no NaN.
    return json.loads(json.dumps(report), parse_constant=lambda _: None)


def _manifest(
    study: Study, counted: Sequence[Answer], output: str
) -> tuple[list[dict[str, str | float]], int]:
    """Rows of the rated images, and the number of images with too few ratings.

    The source is the ``identity``, so that a split has all images of a source.
    """
    found: dict[str, list[int]] = {}
    for answer in counted:
        if not isinstance(answer.value, str):
            found.setdefault(study.question(answer).pictures[0], []).append(answer.value)
    folder = os.path.relpath(os.path.join(study.folder, PAGE, PICTURES), output)
    rows: list[dict[str, str | float]] = [
        {
            "path": f"{folder}/{name}.png".replace(os.sep, "/"),
            "identity": picture.source,
            "rating_mean": float(np.mean(found[name])),
            "rating_std": float(np.std(found[name])),
        }
        for name, picture in study.pictures.items()
        if len(found.get(name, ())) >= MIN_RATINGS
    ]
    return rows, len(found) - len(rows)


def _markdown(report: Mapping[str, Any]) -> str:
    raters, counted, repeated = report["raters"], report["answers"], report["repeats"]
    excluded = [rater for rater in raters if rater["reasons"]]
    notes = [
        f"{counted['all']} answers of {len(raters)} raters; {counted['kept']} of "
        f"{len(raters) - len(excluded)} raters are kept, and {counted['counted']} count; the "
        "others are controls and repeats.",
        "In brackets, 95 % intervals: raters and sources resampled, both with replacement; of "
        "shares and their differences, at least Wilson's and Newcombe's; of ratings, from "
        f"{MIN_RATERS} raters on. A difference whose interval holds 0 is no finding; no "
        "interval is widened for being one of several.",
    ]
    if report["unjudged"]:
        notes.append(
            f"{report['unjudged']} of the raters kept answered fewer than {MIN_CONTROLS} controls, "
            "too few to screen them."
        )
    if repeated["ratings"]:
        notes.append(
            f"{repeated['ratings']} ratings that came again differ by {repeated['gap']:.2f} on "
            "average."
        )
    if repeated["choices"]:
        notes.append(
            f"{100 * repeated['same']:.0f} % of {repeated['choices']} choices that came again are "
            "alike."
        )
    tables = [table for key in _KINDS if key in report for table in _tables(key, report[key])]
    text = as_markdown("Study", [table for table in tables if table.rows], notes)
    told = {
        "Raters left out": [
            f"{rater['name']}: {'; '.join(rater['reasons'])}." for rater in excluded
        ],
        "Notes": report["notes"][:_MAX_NOTES],
    }
    if len(report["notes"]) > _MAX_NOTES:
        told["Notes"].append(f"and {len(report['notes']) - _MAX_NOTES} more.")
    for title, lines in told.items():
        text += "\n".join(
            ["", f"## {title}", "", *(f"- {line}" for line in lines), ""] * bool(lines)
        )
    return text


def _tables(key: str, values: Mapping[str, Any]) -> list[Table]:
    """The tables of the models and of their differences; the first column has intervals."""
    kind = _KINDS[key]
    main = kind.columns[0].key
    models = []
    for name, of_model in values["models"].items():
        figures = {column.key: Figure(of_model[column.key]) for column in kind.columns}
        models.append(Row(name, {**figures, main: _figure(of_model, main)}))
    differences = [
        Row(" less ".join(pair["models"]), {"difference": _figure(pair, "difference")})
        for pair in values["differences"]
    ]
    alpha = ", ".join(
        f"{level} {'not defined' if value is None else f'{value:.3f}'}"
        for level, value in values["alpha"].items()
    )
    more = f"Natural are ratings of {NATURAL:g} or more."
    if key == "choice":
        more = f"Chosen by place, from the first: {', '.join(map(str, values['places']))}."
    notes = [f"Agreement on the {kind.agreement}, Krippendorff's alpha: {alpha}.", more]
    return [
        Table(key, kind.title, kind.columns, models, notes),
        Table(f"{key}_differences", kind.differences, (kind.difference,), differences, of="models"),
    ]


def _figure(values: Mapping[str, Any], key: str) -> Figure:
    """A value with its interval, of which the ends may be unknown."""
    low, high = values["interval"]
    return Figure(values[key], interval=None if low is None else (low, high))
