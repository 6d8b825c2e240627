"""From answers to figures: shares, mean ratings, agreement, and a manifest that trains Q."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data import csv_text, storage
from legan_tf.data.manifest import to_csv
from legan_tf.errors import UserError
from legan_tf.evaluation.columns import PERCENT, Column
from legan_tf.evaluation.metrics.agreement import krippendorff_alpha
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.evaluation.tables import Figure, Row, Table, as_markdown
from legan_tf.files import make_writable
from legan_tf.uses.study.answers import RATINGS, Answer, Collected, read_answers
from legan_tf.uses.study.config import FEWEST, ScreenOptions
from legan_tf.uses.study.design import ASKED
from legan_tf.uses.study.intervals import FEWEST_RATERS, interval, newcombe, resample, wilson
from legan_tf.uses.study.plots import rating_picture, share_picture
from legan_tf.uses.study.screening import Rater, repeats, screen
from legan_tf.uses.study.study_file import PAGE, PICTURES, Study

REPORT_FILE, TEXT_FILE = "report.json", "report.md"
PREFERENCES_FILE, MANIFEST_FILE = "preferences.csv", "manifest.csv"
SHARES_PICTURE, RATINGS_PICTURE = "shares.png", "ratings.png"

FEWEST_RATINGS = 2
"""Ratings without which a picture has no standard deviation, and is not in the manifest."""
_SHOWN_NOTES = 20

_CHOICE_COLUMNS = (
    Column("share", "preference", "higher", 1, PERCENT),
    Column("chosen", "chosen", "", 0),
)
_RATING_COLUMNS = (
    Column("mean", "mean rating", "higher", 2),
    Column("std", "std of ratings", "", 2),
    Column("natural", "natural", "higher", 1, PERCENT),
    Column("ratings", "ratings", "", 0),
)
_DIFFERENCE_COLUMNS = {
    "choice": (Column("difference", "difference of shares", "", 1, PERCENT),),
    "rating": (Column("difference", "difference of means", "", 2),),
}


def collect(study: Study, answers: str, output: str, options: ScreenOptions) -> str:
    """Reads the answers to a study, leaves out who is careless, and writes the results.

    Args:
        study: The study.
        answers: As ``read_answers`` takes it.
        output: Folder of the report, its pictures and tables.
        options: When a person's answers do not count.

    Returns:
        What ``report.md`` holds.

    Raises:
        UserError: There are no answers, or none that count; or ``output`` cannot be written.
    """
    options.check()
    collected = read_answers(study, answers)
    raters = screen(study, collected.answers, options)
    kept = [answer for answer in collected.answers if not raters[answer.rater].reasons]
    if not kept:
        raise UserError(
            f"--answers={answers}: none of {len(raters)} raters is left. The first, "
            f"{next(iter(raters))}: {'; '.join(next(iter(raters.values())).reasons)}."
        )
    asked, again = _firsts(study, kept)
    if not asked:
        raise UserError(
            f"--answers={answers}: holds controls only of the raters that are left; collect again "
            "when more is answered."
        )
    make_writable("output", output)
    report = _report(study, collected, raters, kept, asked, options)
    lines, too_few = _manifest(study, asked, output)
    if again:
        report["notes"].insert(
            0,
            f"{again} answers are of raters who had answered about the same before, in another "
            "list, and do not count.",
        )
    if too_few:
        report["notes"].insert(
            0,
            f"{too_few} pictures have fewer than {FEWEST_RATINGS} ratings left and are not in "
            f"{MANIFEST_FILE}.",
        )
    # Names of files may hold what no text can.
    text = _markdown(study, report).encode(errors="backslashreplace").decode()
    files = {REPORT_FILE: json.dumps(report, indent=1).encode() + b"\n"}
    if lines:
        files[MANIFEST_FILE] = to_csv(lines)
    if "choice" in report:
        shares = report["choice"]["models"]
        rows = [(name, figures["share"]) for name, figures in shares.items()]
        files[PREFERENCES_FILE] = csv_text.to_bytes(("model", "preference"), rows)
        files[SHARES_PICTURE] = share_picture(
            {
                name: (f["share"], *(_nan(end) for end in f["interval"]))
                for name, f in shares.items()
            }
        )
    if "rating" in report:
        counts = {name: f["counts"] for name, f in report["rating"]["models"].items()}
        files[RATINGS_PICTURE] = rating_picture(counts)
    earlier = os.path.isfile(os.path.join(output, REPORT_FILE))
    for name, content in {**files, TEXT_FILE: text.encode()}.items():
        storage.write_bytes(os.path.join(output, name), content)
    for name in (PREFERENCES_FILE, MANIFEST_FILE, SHARES_PICTURE, RATINGS_PICTURE):
        if earlier and name not in files:  # Of other answers.
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(output, name))
    return text


def _firsts(study: Study, kept: Sequence[Answer]) -> tuple[list[Answer], int]:
    """The answers that count, one of each person to the same, and how many others there were.

    Whoever takes several lists, as workers may, can be asked about a picture in each.
    """
    firsts: dict[tuple[str, bool, str], Answer] = {}
    again = 0
    for answer in kept:
        question = study.lists[answer.list][answer.trial]
        if question.role == ASKED:
            of = _picture(study, answer).source if question.is_choice else question.pictures[0]
            again += firsts.setdefault((answer.rater, question.is_choice, of), answer) is not answer
    return list(firsts.values()), again


def _report(
    study: Study,
    collected: Collected,
    raters: Mapping[str, Rater],
    kept: Sequence[Answer],
    asked: Sequence[Answer],
    options: ScreenOptions,
) -> dict[str, Any]:
    gaps, alike = repeats(study, kept)
    report: dict[str, Any] = {
        "format": 1,
        "study": study.id,
        "screening": dataclasses.asdict(options),
        "raters": [_plain(dataclasses.asdict(rater)) for rater in raters.values()],
        "answers": {"all": len(collected.answers), "kept": len(kept), "counted": len(asked)},
        "unjudged": sum(not r.reasons and r.controls < FEWEST for r in raters.values()),
        "repeats": _plain(
            {
                "ratings": len(gaps),
                "gap": float(np.mean(gaps)) if gaps else math.nan,
                "choices": len(alike),
                "same": float(np.mean(alike)) if alike else math.nan,
            }
        ),
        "notes": list(collected.notes),
    }
    choices = [a for a in asked if isinstance(a.value, str)]
    ratings = [a for a in asked if not isinstance(a.value, str)]
    seed = study.options["seed"]
    if choices:
        report["choice"] = _plain(_choice_figures(study, choices, seed))
    if ratings:
        report["rating"] = _plain(_rating_figures(study, ratings, seed))
    return report


def _choice_figures(study: Study, answers: Sequence[Answer], seed: int) -> dict[str, Any]:
    """Shares of the models among all choices; agreement on which model is chosen of a source."""
    model_of = {name: study.models.index(p.model) for name, p in study.pictures.items()
                if not p.control}  # fmt: skip
    places = [study.lists[a.list][a.trial].pictures.index(a.value) for a in answers]
    chosen = np.array([model_of[a.value] for a in answers])
    sums = _table(study, answers, chosen, np.ones(len(answers)))
    counts = np.broadcast_to(sums.sum(axis=0), sums.shape)
    share = sums.sum(axis=(1, 2)) / len(answers)
    drawn = resample(sums, counts, seed)
    return {
        "answers": len(answers),
        "models": {
            model: {
                "share": float(share[i]),
                "interval": _widened(
                    _interval(counts[[i]], 2, drawn[:, i]), wilson(sums[i].sum(), len(answers))
                ),
                "chosen": int(sums[i].sum()),
            }
            for i, model in enumerate(study.models)
        },
        "differences": [
            {
                "models": [study.models[i], study.models[j]],
                "difference": float(share[i] - share[j]),
                "interval": _widened(
                    _interval(counts[[i, j]], 2, drawn[:, i] - drawn[:, j]),
                    newcombe(sums[i].sum(), sums[j].sum(), len(answers)),
                ),
            }
            for i, j in itertools.combinations(range(len(study.models)), 2)
        ],
        "alpha": {"nominal": krippendorff_alpha(_by_source(study, answers, chosen), "nominal")},
        "places": [places.count(place) for place in range(len(study.models))],
    }


def _rating_figures(study: Study, answers: Sequence[Answer], seed: int) -> dict[str, Any]:
    """Means of the models' ratings; agreement on the pictures."""
    model = np.array([study.models.index(_picture(study, a).model) for a in answers])
    values = np.array([a.value for a in answers], float)
    sums = _table(study, answers, model, values)
    counts = _table(study, answers, model, np.ones(len(answers)))
    drawn = resample(sums, counts, seed)
    means, figures = np.full(len(study.models), np.nan), {}
    for i, name in enumerate(study.models):
        own = values[model == i]
        if own.size:
            means[i] = own.mean()
            figures[name] = {
                "mean": float(means[i]),
                "interval": _interval(counts[[i]], FEWEST_RATERS, drawn[:, i]),
                "std": float(own.std()),
                "natural": float(np.mean(own >= NATURAL)),
                "ratings": int(own.size),
                "counts": [int(np.sum(own == rating)) for rating in RATINGS],
            }
    by_picture = _columns([_picture_id(study, a) for a in answers], values)
    return {
        "answers": len(answers),
        "models": figures,
        "differences": [
            {
                "models": [study.models[i], study.models[j]],
                "difference": float(means[i] - means[j]),
                "interval": _interval(counts[[i, j]], FEWEST_RATERS, drawn[:, i] - drawn[:, j]),
            }
            for i, j in itertools.combinations(range(len(study.models)), 2)
            if np.isfinite(means[[i, j]]).all()
        ],
        "alpha": {
            level: krippendorff_alpha(by_picture, level) for level in ("ordinal", "interval")
        },
    }


def _picture_id(study: Study, answer: Answer) -> str:
    return study.lists[answer.list][answer.trial].pictures[0]


def _picture(study: Study, answer: Answer) -> Any:
    return study.pictures[_picture_id(study, answer)]


def _table(
    study: Study, answers: Sequence[Answer], model: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Sums of values, [models, raters, sources]; all pictures of a question are of one source."""
    raters = {name: i for i, name in enumerate(sorted({a.rater for a in answers}))}
    sources = {
        name: i for i, name in enumerate(sorted({_picture(study, a).source for a in answers}))
    }
    table = np.zeros((len(study.models), len(raters), len(sources)))
    place = (
        [raters[a.rater] for a in answers],
        [sources[_picture(study, a).source] for a in answers],
    )
    np.add.at(table, (model, *place), values)
    return table


def _by_source(study: Study, answers: Sequence[Answer], values: np.ndarray) -> np.ndarray:
    return _columns([_picture(study, a).source for a in answers], values)


def _columns(units: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Values by unit, [most of a unit, units], NaN below the last; not by whose they are."""
    found: dict[str, list[float]] = {}
    for unit, value in zip(units, values):
        found.setdefault(unit, []).append(float(value))
    table = np.full((max(map(len, found.values())), len(found)), np.nan)
    for column, own in enumerate(found.values()):
        table[: len(own), column] = own
    return table


def _interval(counts: np.ndarray, fewest: int, drawn: np.ndarray) -> tuple[float, float]:
    """The interval of what was drawn, where so many people and two sources have answers.

    Args:
        counts: How many answers there are, [models, raters, sources]; each model needs enough.
        fewest: People without whom nothing is known; one alone cannot be drawn anew.
        drawn: Values, [n].
    """
    people, sources = (np.min(np.sum(counts.any(axis=axis), axis=1)) for axis in (2, 1))
    return interval(drawn) if people >= fewest and sources > 1 else (math.nan, math.nan)


def _widened(ends: tuple[float, float], least: tuple[float, float]) -> tuple[float, float]:
    """At least as wide as over single answers: of no choice at all, all draws are 0."""
    return ends if math.isnan(ends[0]) else (min(ends[0], least[0]), max(ends[1], least[1]))


def _manifest(
    study: Study, asked: Sequence[Answer], output: str
) -> tuple[list[dict[str, str | float]], int]:
    """The pictures as they were shown, with mean and population deviation, and how many lack them.

    The source stands as the person, which keeps all pictures of it in one split.
    """
    found: dict[str, list[int]] = {}
    for answer in asked:
        if not isinstance(answer.value, str):
            found.setdefault(_picture_id(study, answer), []).append(answer.value)
    folder = os.path.relpath(os.path.join(study.folder, PAGE, PICTURES), output)
    lines = [
        {
            "path": f"{folder}/{name}.png".replace(os.sep, "/"),
            "identity": picture.source,
            "rating_mean": float(np.mean(found[name])),
            "rating_std": float(np.std(found[name])),
        }
        for name, picture in study.pictures.items()
        if len(found.get(name, ())) >= FEWEST_RATINGS
    ]
    return lines, len(found) - len(lines)


def _markdown(study: Study, report: Mapping[str, Any]) -> str:
    raters, counted = report["raters"], report["answers"]
    left_out = [rater for rater in raters if rater["reasons"]]
    notes = [
        f"{counted['all']} answers of {len(raters)} raters; {counted['kept']} of "
        f"{len(raters) - len(left_out)} raters are kept, of which {counted['counted']} count; the "
        "others are controls and repeats.",
        "In brackets, 95 % intervals: raters and sources drawn anew, both with replacement; of "
        "shares and their differences, at least Wilson's and Newcombe's; of ratings, from "
        f"{FEWEST_RATERS} raters on. A difference whose interval holds 0 is no finding; no "
        "interval is widened for being one of several.",
    ]
    if report["unjudged"]:
        notes.append(
            f"{report['unjudged']} of the raters kept answered fewer than {FEWEST} controls, which "
            "tell nothing about them."
        )
    again = report["repeats"]
    if again["ratings"]:
        notes.append(
            f"{again['ratings']} ratings that came again differ by {again['gap']:.2f} on average."
        )
    if again["choices"]:
        notes.append(
            f"{100 * again['same']:.0f} % of {again['choices']} choices that came again are alike."
        )
    tables = []
    if "choice" in report:
        choice = report["choice"]
        alpha = _alpha(choice["alpha"])
        places = ", ".join(map(str, choice["places"]))
        told = [f"Agreement on the model chosen, Krippendorff's alpha: {alpha}.",
                f"Chosen by place, from the first: {places}."]  # fmt: skip
        tables.append(
            Table("choice", "Which looks most natural", _CHOICE_COLUMNS,
                  _rows(choice["models"], "share", _CHOICE_COLUMNS), told)
        )  # fmt: skip
        tables.append(_difference_table("choice", choice["differences"]))
    if "rating" in report:
        rating = report["rating"]
        told = [f"Agreement on the pictures, Krippendorff's alpha: {_alpha(rating['alpha'])}.",
                f"Natural are ratings of {NATURAL:g} or more."]  # fmt: skip
        tables.append(
            Table("rating", "How natural pictures look, 1 to 10", _RATING_COLUMNS,
                  _rows(rating["models"], "mean", _RATING_COLUMNS), told)
        )  # fmt: skip
        tables.append(_difference_table("rating", rating["differences"]))
    text = as_markdown("Study", [table for table in tables if table.rows], notes)
    if left_out:
        lines = [f"- {rater['name']}: {'; '.join(rater['reasons'])}." for rater in left_out]
        text += "\n".join(["", "## Raters left out", "", *lines, ""])
    if report["notes"]:
        shown = report["notes"][:_SHOWN_NOTES]
        more = len(report["notes"]) - len(shown)
        lines = [f"- {note}" for note in shown] + ([f"- and {more} more."] if more else [])
        text += "\n".join(["", "## Notes", "", *lines, ""])
    return text


def _rows(
    models: Mapping[str, Mapping[str, Any]], main: str, columns: Sequence[Column]
) -> list[Row]:
    rows = []
    for name, figures in models.items():
        shown = {column.key: Figure(figures[column.key]) for column in columns}
        if figures["interval"][0] is not None:
            shown[main] = Figure(figures[main], interval=tuple(figures["interval"]))
        rows.append(Row(name, shown))
    return rows


def _difference_table(kind: str, differences: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for pair in differences:
        known = pair["interval"][0] is not None
        figure = Figure(pair["difference"], interval=tuple(pair["interval"]) if known else None)
        rows.append(Row(" less ".join(pair["models"]), {"difference": figure}))
    title = {"choice": "Differences of the shares", "rating": "Differences of the ratings"}[kind]
    return Table(f"{kind}_differences", title, _DIFFERENCE_COLUMNS[kind], rows, of="models")


def _alpha(levels: Mapping[str, float | None]) -> str:
    told = ("not defined" if value is None else f"{value:.3f}" for value in levels.values())
    return ", ".join(f"{level} {value}" for level, value in zip(levels, told))


def _plain(value: Any) -> Any:
    """Values as JSON holds them: no tuples, and nothing in place of NaN."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
