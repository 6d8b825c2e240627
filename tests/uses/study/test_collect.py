from __future__ import annotations

import csv
import dataclasses
import json
import os
import pathlib
import runpy

import numpy as np
import pytest
from PIL import Image

from legan_tf.data.check.validation import check_manifest
from legan_tf.data.manifest import read_manifest
from legan_tf.errors import UserError
from legan_tf.evaluation.comparison_inputs import read_preferences
from legan_tf.evaluation.metrics.krippendorff import krippendorff_alpha
from legan_tf.uses.study.analysis import interval, newcombe, resample, wilson
from legan_tf.uses.study.answers import Answer
from legan_tf.uses.study.build import build_study
from legan_tf.uses.study.collect import collect
from legan_tf.uses.study.config import ScreenOptions, StudyOptions
from legan_tf.uses.study.design import Question
from legan_tf.uses.study.screening import repeats, screen
from legan_tf.uses.study.study_file import read_study

HERE = pathlib.Path(__file__).parent
DOCS = HERE.parents[2] / "docs"
simulated = runpy.run_path(str(HERE / "simulated.py"))


def say(study, number, folder, choose, rate, ms=2000, person=None):
    """Writes what a person says who answers by rule; the rules get the pictures' key."""
    answers = []
    for trial, question in enumerate(study.lists[study.list_of(number)]):
        known = [study.pictures[name] for name in question.pictures]
        said = question.pictures[choose(known)] if question.is_choice else rate(known[0])
        answers.append({"trial": trial, "answer": said, "ms": ms, "at": trial})
    content = {"study": study.id, "rater": number, "person": person or f"{number:012x}"}
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{number}{person or ''}.json"), "w") as file:
        json.dump({**content, "answers": answers}, file)


def place_of(*models):
    """Chooses the first of these models that is there."""
    return lambda known: min(
        range(len(known)),
        key=lambda i: models.index(known[i].model) if known[i].model in models else len(models),
    )


RATED = {"Good": 8, "Poor": 3, "real": 9, "broken": 1}


@pytest.fixture
def asked(study, tmp_path):
    """Two people: both prefer Good but on one source, and rate alike but for one point."""
    folder = tmp_path / "answers"

    def on_one_poor(known):
        liked = "Poor" if known[0].source == "person1" else "Good"
        return place_of("real", liked)(known)

    say(study, 1, folder, place_of("real", "Good"), lambda p: RATED[p.model])
    say(study, 2, folder, on_one_poor, lambda p: RATED[p.model] + (p.model == "Good"))
    return folder


def test_every_figure_of_a_small_study_is_what_it_is_by_hand(study, asked, tmp_path):
    text = collect(study, str(asked), str(tmp_path / "results"), ScreenOptions())
    report = json.loads((tmp_path / "results" / "report.json").read_text())
    choice, rating = report["choice"], report["rating"]
    # Four sources, two people each: 7 of 8 for Good.
    assert choice["models"]["Good"]["share"] == 7 / 8 and choice["models"]["Good"]["chosen"] == 7
    assert choice["models"]["Poor"]["share"] == 1 / 8 and choice["answers"] == 8
    low, high = choice["models"]["Good"]["interval"]
    assert low < 7 / 8 < high == 1
    assert choice["differences"][0]["models"] == ["Good", "Poor"]
    assert choice["differences"][0]["difference"] == 6 / 8
    pairs = np.array([[0, 0, 0, 0], [0, 1, 0, 0]], float)
    expected = krippendorff_alpha(pairs, "nominal")
    # Disagreement observed 2 of 8, expected 2 * 7 * 1 / 7 of 8.
    assert expected == pytest.approx(1 - (2 / 8) / (2 / 8))
    assert choice["alpha"]["nominal"] == pytest.approx(expected)
    assert sum(choice["places"]) == 8
    good, poor = rating["models"]["Good"], rating["models"]["Poor"]
    assert (good["mean"], poor["mean"], rating["answers"]) == (8.5, 3.0, 16)
    assert (good["std"], poor["std"]) == (0.5, 0.0)
    assert (good["natural"], poor["natural"]) == (1.0, 0.0)
    assert good["counts"] == [0, 0, 0, 0, 0, 0, 0, 4, 4, 0] and poor["counts"][2] == 8
    # Two people are too few to tell how far a mean rating could be another.
    assert good["interval"] == poor["interval"] == [None, None]
    assert rating["differences"][0]["interval"] == [None, None]
    # Of two models, the difference of the shares is twice the one share, less 1.
    difference = choice["differences"][0]["interval"]
    assert difference == pytest.approx([2 * low - 1, 2 * high - 1])
    assert rating["differences"][0]["difference"] == 5.5
    values = np.array([[8] * 4 + [3] * 4, [9] * 4 + [3] * 4], float)
    for level in ("ordinal", "interval"):
        assert rating["alpha"][level] == pytest.approx(krippendorff_alpha(values, level))
    assert report["repeats"] == {"ratings": 2, "gap": 0.0, "choices": 2, "same": 1.0}
    total = sum(map(len, study.lists))
    assert report["answers"] == {"all": total, "kept": total, "counted": 24}
    assert [rater["controls_right"] for rater in report["raters"]] == [1.0, 1.0]
    assert "| Good | 87.5 [" in text and text == (tmp_path / "results/report.md").read_text()
    assert read_preferences(str(tmp_path / "results/preferences.csv")) == {
        "Good": 7 / 8,
        "Poor": 1 / 8,
    }
    for name in ("shares.png", "ratings.png"):
        with Image.open(tmp_path / "results" / name) as image:
            assert min(image.size) > 150


def test_the_manifest_trains_q(study, asked, tmp_path):
    collect(study, str(asked), str(tmp_path / "results"), ScreenOptions())
    manifest = read_manifest(str(tmp_path / "results" / "manifest.csv"))
    assert not os.path.isabs(manifest.rows[0].path)
    check_manifest(manifest, needs=("rating",))  # Every picture is there and decodes.
    assert len(manifest.rows) == 8
    splits = {}
    for row in manifest.rows:
        picture = study.pictures[os.path.splitext(os.path.basename(row.file))[0]]
        assert not picture.control and row.identity == picture.source
        expected = (8.5, 0.5) if picture.model == "Good" else (3.0, 0.0)
        assert (row.rating_mean, row.rating_std) == expected
        assert splits.setdefault(row.identity, row.split) == row.split


def test_careless_people_are_left_out_and_the_report_says_why(study, asked, tmp_path):
    clean = collect(study, str(asked), str(tmp_path / "clean"), ScreenOptions())
    # The first place, and the same number; too fast; against everything obvious.
    say(study, 3, asked, lambda known: 0, lambda p: 5)
    say(study, 5, asked, place_of("real", "Good"), lambda p: RATED[p.model], ms=300)
    say(study, 7, asked, place_of("broken", "Poor"), lambda p: 11 - RATED[p.model])
    text = collect(study, str(asked), str(tmp_path / "results"), ScreenOptions())
    one, other = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("clean", "results")
    )
    assert one["choice"] == other["choice"] and one["rating"] == other["rating"]
    assert "## Raters left out" in text and "## Raters left out" not in clean
    reasons = {r["name"].partition("-")[0]: "; ".join(r["reasons"]) for r in other["raters"]}
    assert reasons["1"] == reasons["2"] == ""
    assert "controls right" in reasons["3"]
    assert reasons["5"] == "half of the answers took 0.30 s or less"
    assert reasons["7"] == "0 of 6 controls right"
    off = ScreenOptions(controls_right=0, repeat_gap=9, min_seconds=0, same_answer=1)
    collect(study, str(asked), str(tmp_path / "all"), off)
    everyone = json.loads((tmp_path / "all" / "report.json").read_text())
    assert not any(rater["reasons"] for rater in everyone["raters"])
    assert everyone["rating"]["answers"] == 5 * 8
    alone = ScreenOptions(min_seconds=3600)
    with pytest.raises(UserError, match="none of 5 raters is left. .*half of the answers took"):
        collect(study, str(asked), str(tmp_path / "none"), alone)
    assert not (tmp_path / "none").exists()


def test_each_rule_of_screening_by_itself(study):
    # Twelve ratings and twelve choices, four of each asked again.
    ratings = [Question((f"{i}",)) for i in range(12)]
    choices = [Question((f"{i}", f"{i}b")) for i in range(12)]
    again = [
        [dataclasses.replace(q, role="repeat") for q in part[:4]] for part in (ratings, choices)
    ]
    made = dataclasses.replace(study, lists=[[*ratings, *again[0], *choices, *again[1]]])

    def reasons(values, **limits):
        answers = [Answer("x", 0, i, value, 1000) for i, value in enumerate(values)]
        return screen(made, answers, ScreenOptions(**limits))["x"].reasons

    spread = [1, 9, 2, 8, 3, 7, 4, 6, 5, 1, 9, 2]
    first = [q.pictures[i % 2] for i, q in enumerate(choices)]
    careful = [*spread, *spread[:4], *first, *first[:4]]
    assert reasons(careful) == ()
    assert reasons([*spread, 9, 1, 9, 1, *first, *first[:4]]) == (
        "repeated ratings differ by 7.5 on average",
    )
    assert reasons([*[5] * 16, *careful[16:]]) == ("100 % of the ratings are one number",)
    one_place = [q.pictures[1] for q in (*choices, *choices[:4])]
    assert reasons([*careful[:16], *one_place]) == ("100 % of the choices are one place",)
    changed = [q.pictures[(i + 1) % 2] for i, q in enumerate(choices[:4])]
    assert repeats(
        made, [Answer("x", 0, i, v, 1) for i, v in enumerate([*careful[:-4], *changed])]
    ) == ([0] * 4, [False] * 4)


def test_intervals_hold_the_truth_as_often_as_they_say_and_are_as_wide_as_theory_has_them():
    rng = np.random.default_rng(4)
    held, widths = 0, []
    for draw in range(24):
        people, places = rng.normal(0, 2, 20), rng.normal(0, 0.5, 25)
        values = 5 + people[:, None] + places + rng.normal(0, 1, (20, 25))
        ends = interval(resample(values[None], np.ones((1, 20, 25)), draw)[:, 0])
        widths.append(ends[1] - ends[0])
        held += ends[0] <= 5 <= ends[1]
    assert held >= 20
    # What varies from answer to answer counts three times (Owen, 2007).
    assert np.mean(widths) == pytest.approx(3.92 * np.sqrt(4 / 20 + 0.25 / 25 + 3 / 500), rel=0.1)
    assert np.isnan(interval(np.full(5, np.nan))).all()


def test_one_person_alone_has_shares_but_no_intervals(study, tmp_path):
    say(study, 1, tmp_path / "answers", place_of("real", "Good"), lambda p: RATED[p.model])
    text = collect(study, str(tmp_path / "answers"), str(tmp_path / "results"), ScreenOptions())
    report = json.loads((tmp_path / "results/report.json").read_text())
    assert report["choice"]["models"]["Good"]["interval"] == [None, None]
    assert report["rating"]["alpha"]["ordinal"] is None
    assert "8 pictures have fewer than 2 ratings left" in text
    assert not (tmp_path / "results" / "manifest.csv").exists()
    assert "[" not in text.split("## Which")[1].split("\n\n")[1]


def test_mean_ratings_have_intervals_from_five_people_on(study, tmp_path):
    for number in range(1, 6):
        say(study, number, tmp_path / "answers", place_of("real", "Good"),
            lambda p, more=number % 3: RATED[p.model] + more * (p.model == "Good"))  # fmt: skip
        text = collect(study, str(tmp_path / "answers"), str(tmp_path / "out"), ScreenOptions())
        report = json.loads((tmp_path / "out/report.json").read_text())
        low, high = report["rating"]["models"]["Good"]["interval"]
        assert (low is None) == (number < 5)
    # One of 8, two each of 9 and 10.
    assert report["rating"]["models"]["Good"]["mean"] == pytest.approx(9.2)
    assert 8 <= low < 9.2 < high <= 10
    assert "of ratings, from 5 raters on" in text
    # Everybody chose Good, and still the share and the difference could be others.
    share, difference = report["choice"]["models"]["Good"], report["choice"]["differences"][0]
    assert share["share"] == difference["difference"] == share["interval"][1] == 1
    assert difference["interval"] == pytest.approx([2 * share["interval"][0] - 1, 1])
    assert 0.7 < share["interval"][0] < 0.9


def test_the_interval_of_a_difference_of_shares_fits_those_of_the_shares():
    for one in (0, 3, 10, 20):  # Of two models.
        low, high = wilson(one, 20)
        assert newcombe(one, 20 - one, 20) == pytest.approx((2 * low - 1, 2 * high - 1))
    # Nobody chose either of two: each could have what Wilson's interval says.
    assert newcombe(0, 0, 20) == pytest.approx((-wilson(0, 20)[1], wilson(0, 20)[1]))
    # For many answers it is that of the normal distribution.
    error = 1.96 * np.sqrt((0.5 + 0.3 - 0.2**2) / 1e6)
    assert newcombe(5e5, 3e5, 1e6) == pytest.approx((0.2 - error, 0.2 + error), rel=1e-4)


def test_a_model_without_answers_of_enough_people_has_no_interval(study, tmp_path):
    folder = tmp_path / "answers"
    for number in range(1, 6):
        say(study, number, folder, place_of("real", "Good"), lambda p: RATED[p.model])
        if number > 2:  # They were shown nothing of Poor but controls.
            path = folder / f"{number}.json"
            said = json.loads(path.read_text())
            shown = study.lists[study.list_of(number)]
            said["answers"] = [
                a for a in said["answers"]
                if study.pictures[shown[a["trial"]].pictures[0]].model != "Poor"
            ]  # fmt: skip
            path.write_text(json.dumps(said))
    collect(study, str(folder), str(tmp_path / "out"), ScreenOptions())
    rating = json.loads((tmp_path / "out/report.json").read_text())["rating"]
    assert rating["models"]["Good"]["interval"] == [8.0, 8.0]
    assert rating["models"]["Poor"]["interval"] == [None, None]
    assert rating["differences"][0]["interval"] == [None, None]


def test_whoever_is_asked_the_same_in_two_lists_counts_once(study, tmp_path):
    columns = ["WorkerId", "Input.study", "Input.rater"]
    rows = []
    for number, questions in enumerate(study.lists, start=1):
        row = {"WorkerId": "W1", "Input.study": study.id, "Input.rater": number}
        for trial, question in enumerate(questions, start=1):
            model = study.pictures[question.pictures[0]].model
            row[f"Answer.q{trial}"] = RATED[model] + (number == 2 and model == "Good")
            if question.is_choice:
                known = [study.pictures[name] for name in question.pictures]
                row[f"Answer.q{trial}"] = question.pictures[place_of("real", "Good")(known)]
            row[f"Answer.q{trial}_ms"] = 2000
        rows.append(row)
        columns += [name for name in row if name not in columns]
    with open(tmp_path / "results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    text = collect(study, str(tmp_path / "results.csv"), str(tmp_path / "out"), ScreenOptions())
    report = json.loads((tmp_path / "out/report.json").read_text())
    # Each list has all 4 sources and all 8 pictures.
    assert report["answers"]["counted"] == report["choice"]["answers"] + 8 == 12
    assert report["rating"]["models"]["Good"]["mean"] == 8  # Those of the first list.
    assert "12 answers are of raters who had answered about the same before" in text


def only(study, number, folder, wanted):
    """Leaves of what a person said what is wanted of its role and its place among all."""
    path = folder / f"{number}.json"
    said = json.loads(path.read_text())
    roles = [question.role for question in study.lists[study.list_of(number)]]
    said["answers"] = [a for a in said["answers"] if wanted(roles[a["trial"]], a["trial"])]
    path.write_text(json.dumps(said))


def test_controls_alone_are_refused_and_leave_what_is_there(study, asked, tmp_path):
    for number in (1, 2):
        only(study, number, asked, lambda role, _: role in ("real", "broken", "obvious"))
    with pytest.raises(UserError, match="--answers=.*: holds controls only"):
        collect(study, str(asked), str(tmp_path / "out"), ScreenOptions())
    assert not (tmp_path / "out").exists()


def test_files_of_an_earlier_collect_do_not_stay(study, asked, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    collect(study, str(asked), str(out), ScreenOptions())
    everything = {"report.md", "report.json", "notes.txt", "shares.png", "preferences.csv"}
    assert set(os.listdir(out)) == everything | {"ratings.png", "manifest.csv"}
    for number in (1, 2):
        first = [q.is_choice for q in study.lists[number - 1]]
        only(study, number, asked, lambda _, trial, first=first: first[trial])
    collect(study, str(asked), str(out), ScreenOptions())
    assert set(os.listdir(out)) == everything


def test_choices_alone_tell_who_is_careless(flags, tmp_path):
    models, options = flags
    options = dataclasses.replace(options, questions="choice")
    build_study(models, str(tmp_path / "study"), options)
    study, folder = read_study(str(tmp_path / "study")), tmp_path / "answers"
    say(study, 1, folder, place_of("real", "Good"), None)
    say(study, 2, folder, place_of("broken", "Poor"), None)
    say(study, 3, folder, place_of("real", "Good"), None)
    only(study, 3, folder, lambda role, trial: role != "obvious" or trial == 0)
    text = collect(study, str(folder), str(tmp_path / "out"), ScreenOptions())
    report = json.loads((tmp_path / "out/report.json").read_text())
    reasons = [rater["reasons"] for rater in report["raters"]]
    assert reasons == [[], ["0 of 3 controls right"], []]
    assert report["choice"]["models"]["Good"]["share"] == 1
    assert report["unjudged"] == 1
    assert "1 of the raters kept answered fewer than 3 controls" in text


# docs/studies.md shows what this study gives.
MODELS = {"light": 0.05, "mild": 0.12, "medium": 0.3, "strong": 0.6}
CARELESS = (5, 9)
# Two who do not care, and two in their places.
NUMBERS = [*range(1, 13), *(12 + number for number in CARELESS)]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    simulated["write_pictures"](str(folder), MODELS, 40, 12, 32)
    models = ",".join(f"{name}={folder / name}" for name in MODELS)
    build_study(models, str(folder / "study"), StudyOptions(real=str(folder / "photos"), raters=12))
    study = read_study(str(folder / "study"))
    simulated["write_answers"](study, MODELS, NUMBERS, CARELESS, str(folder / "study/answers"))
    answers = str(folder / "study/answers")
    text = collect(study, answers, str(folder / "results"), ScreenOptions())
    return folder, study, text


def test_a_simulated_study_finds_what_was_put_into_it(large):
    folder, study, text = large
    report = json.loads((folder / "results/report.json").read_text())
    left_out = [r["name"].partition("-")[0] for r in report["raters"] if r["reasons"]]
    assert left_out == [str(number) for number in CARELESS]
    assert report["choice"]["answers"] == 3 * 40 and report["rating"]["answers"] == 3 * 160
    shares = [report["choice"]["models"][name]["share"] for name in MODELS]
    means = [report["rating"]["models"][name]["mean"] for name in MODELS]
    assert shares == sorted(shares, reverse=True) and means == sorted(means, reverse=True)
    natural = simulated["naturalness"](study, MODELS)
    given = {
        name: np.mean([natural[i] for i, p in study.pictures.items() if p.model == name])
        for name in MODELS
    }
    # These people are kind on average, which differences are free of.
    numbered = zip(NUMBERS, simulated["people"](len(NUMBERS)))
    kind = np.mean([rater.bias for number, rater in numbered if number not in CARELESS])
    assert kind == pytest.approx(0.27, abs=0.005)
    for name in MODELS:
        low, high = report["rating"]["models"][name]["interval"]
        assert low <= given[name] + kind <= high
    for pair in report["rating"]["differences"]:
        one, other = pair["models"]
        low, high = pair["interval"]
        assert low <= given[one] - given[other] <= high
    with_careless = ScreenOptions(controls_right=0, repeat_gap=9)
    collect(study, str(folder / "study/answers"), str(folder / "everyone"), with_careless)
    everyone = json.loads((folder / "everyone/report.json").read_text())
    assert everyone["rating"]["alpha"]["ordinal"] < report["rating"]["alpha"]["ordinal"] - 0.05


def test_the_page_on_studies_shows_these_figures(large):
    _, _, text = large
    page = (DOCS / "studies.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) >= 10
    assert [row for row in rows if row not in page] == []
    for line in text.splitlines():
        if line.startswith(("- 5-", "- 9-", "Agreement")):
            assert line in page
