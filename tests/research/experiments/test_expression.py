from __future__ import annotations

import collections
import json
import shutil

import numpy as np
import pytest

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.expression import (
    CLASSES,
    classification_metrics,
    draw_borrowed,
    draw_imbalanced,
    expression_experiment,
)
from legan_tf.data import attributes, images
from legan_tf.data.conditions import of_classes
from legan_tf.data.manifest import read_manifest
from legan_tf.data.rendered.dataset import identity_name, split_people
from legan_tf.errors import UserError
from legan_tf.models import LeganGenerator

SMALL = ExperimentOptions(seeds=1, people=5, pictures=40, test_people=3, steps=2)


def test_a_training_set_is_as_imbalanced_as_affectnet():
    people = split_people("train", 50, 5000)
    portraits = draw_imbalanced(people, 670, 0)
    counts = collections.Counter(portrait.expression for portrait in portraits)
    assert counts == {"neutral": 373, "smile": 670, "surprise": 70, "disgust": 19}
    shown = collections.Counter(p.person for p in portraits if p.expression == "smile")
    assert set(shown) == set(people) and set(shown.values()) == {13, 14}
    lights = collections.Counter(portrait.lighting for portrait in portraits)
    assert set(lights) == set(attributes.lightings()) and min(lights.values()) > 30
    assert portraits == draw_imbalanced(people, 670, 0) != draw_imbalanced(people, 670, 1)


def test_figures_of_classes_by_hand():
    probabilities = np.array(
        [
            [0.7, 0.1, 0.1, 0.1],
            [0.3, 0.4, 0.2, 0.1],  # Neutral, read as smile.
            [0.1, 0.8, 0.1, 0.0],
            [0.4, 0.3, 0.2, 0.1],  # Smile, read as neutral.
            [0.0, 0.0, 0.9, 0.1],
            [0.0, 0.0, 0.3, 0.7],
        ]
    )
    figures = classification_metrics(probabilities, np.array([0, 0, 1, 1, 2, 3]))
    assert [figures[f"accuracy_{name}"] for name in CLASSES] == [0.5, 0.5, 1.0, 1.0]
    assert figures["accuracy"] == 0.75
    # Neutral: 0.7 and 0.3 against 0.1, 0.4, 0, 0: 4 + 3 of 8; smile: 0.8 and 0.3 against the same.
    assert figures["auc_neutral"] == figures["auc_smile"] == pytest.approx(7 / 8)
    assert figures["auc_surprise"] == figures["auc_disgust"] == 1.0


@pytest.fixture(scope="module")
def done(editor_run, tmp_path_factory):
    output = tmp_path_factory.mktemp("experiment") / "expression"
    text = expression_experiment(
        str(editor_run), str(output), SMALL, lambda label: lambda done, total: None
    )
    return output, text


def arm_of(output, name):
    return read_manifest(str(output / "seed-0" / "runs" / f"{name}.csv")).rows


def test_the_arms_differ_in_what_is_added_alone(done):
    output, _ = done
    real = arm_of(output, "original")
    assert collections.Counter(row.expression for row in real) == {
        "neutral": 22,
        "smile": 40,
        "surprise": 4,
        "disgust": 1,
    }
    added = {}
    for arm in ("repeated", "augmented", "borrowed", "true"):
        rows = arm_of(output, arm)
        assert [row.file for row in rows[: len(real)]] == [row.file for row in real]
        assert collections.Counter(row.expression for row in rows) == dict.fromkeys(CLASSES, 40)
        added[arm] = rows[len(real) :]
    files = {row.file for row in real}
    assert {row.file for row in added["repeated"]} <= files
    assert not files & {row.file for row in (*added["augmented"], *added["true"])}
    # What is added stands in the same order: the edit, and what it should show.
    wanted = [row.expression for row in added["augmented"]]
    for arm in ("borrowed", "true"):
        assert [row.expression for row in added[arm]] == wanted
    true = read_manifest(str(output / "seed-0" / "true" / "manifest.csv")).rows
    made = read_manifest(str(output / "seed-0" / "augmented" / "manifest.csv")).rows[len(real) :]
    labels = [[(r.identity, r.expression, r.lighting) for r in rows] for rows in (true, made)]
    assert labels[0] == labels[1]
    # Those whom the editor has learned from, of its own seed and as many.
    lent = read_manifest(str(output / "seed-0" / "borrowed" / "manifest.csv")).rows
    assert [row.expression for row in lent] == wanted
    assert {row.identity for row in lent} == {identity_name(p) for p in split_people("train", 7, 3)}
    assert not {row.identity for row in lent} & {row.identity for row in (*true, *real)}


def test_who_lends_takes_turns():
    portraits = draw_borrowed(range(4), ["disgust", "neutral"] * 8, 0)
    assert [portrait.expression for portrait in portraits] == ["disgust", "neutral"] * 8
    for place in (0, 1):
        shown = [portrait.person for portrait in portraits[place::2]]
        assert sorted(shown[:4]) == sorted(shown[4:]) == [0, 1, 2, 3]
    assert len({portrait.lighting for portrait in portraits}) > 6
    assert draw_borrowed(range(4), ["disgust"], 0) == draw_borrowed(range(4), ["disgust"], 0)
    assert draw_borrowed((), ["disgust"], 0) == []


def test_the_report_holds_every_seed_and_the_published_figures(done):
    output, text = done
    report = json.loads((output / "report.json").read_text())
    arms = ["original", "repeated", "augmented", "augmented, by Q", "borrowed", "true"]
    assert list(report["arms"]) == arms
    assert list(report["differences"]["repeated"]) == arms[2:]
    # 7 people with 6 expressions in 19 lights.
    assert "`, has taken 1,234 updates on 798 labelled pictures of 7 other" in text
    assert "the Q of --model=" in text and "what perfect edits of the same" in text
    assert "most that edits can do" not in text
    (threshold,) = report["thresholds"]
    assert f"that Q rates {threshold:.3f} or more" in text
    if report["arms"]["augmented, by Q"][0]["synthetic"] < 93:
        assert "Seed 0, *augmented, by Q*: '" in text
    assert "Seed 0, *augmented*" not in text
    for name, (one,) in report["arms"].items():
        assert one["real"] == 67
        if name in ("repeated", "augmented", "borrowed", "true"):
            assert one["synthetic"] == 93
        assert all(0 <= value <= 1 for value in one["figures"].values())
    assert report["differences"]["original"]["true"]["auc_disgust"]["mean"] == pytest.approx(
        report["arms"]["true"][0]["figures"]["auc_disgust"]
        - report["arms"]["original"][0]["figures"]["auc_disgust"]
    )
    assert "| original, published † | 204325 | 0 | 0.851 ± 0.005 |" in text
    assert text == (output / "report.md").read_text()
    for name in ("examples.png", "figures.png"):
        assert f"![{name}]({name})" in text
        assert images.decode(str(output / name)).std() > 10


def test_the_same_command_goes_on_and_trains_nothing_twice(done, editor_run, quiet):
    output, text = done
    networks = sorted(output.rglob("model.keras"))
    before = [file.stat().st_mtime_ns for file in networks]
    assert len(networks) == 6
    assert expression_experiment(str(editor_run), str(output), SMALL, quiet) == text
    assert [file.stat().st_mtime_ns for file in networks] == before
    other = ExperimentOptions(**{**vars(SMALL), "people": 6})
    with pytest.raises(UserError, match="was begun with people 5, now it is 6"):
        expression_experiment(str(editor_run), str(output), other, quiet)


def test_what_cannot_be_measured_is_reported(editor_run, tmp_path, quiet):
    def refused(message, model=editor_run, **options):
        with pytest.raises(UserError, match=message):
            expression_experiment(
                str(model), str(tmp_path / "out"), ExperimentOptions(**options), quiet
            )

    refused("--seeds=0: must be more than 0", seeds=0)
    refused("is no editor", editor_run / "quality")
    refused("is not Q", quality_model=str(editor_run))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").write_bytes((editor_run / "model.keras").read_bytes())
    (tmp_path / "run" / "flags.txt").write_text("--seed=5002\n")
    refused("run was trained with seed 5002", tmp_path / "run")
    refused("run/model.keras was trained with seed 5002", tmp_path / "run" / "model.keras")
    (tmp_path / "run" / "flags.txt").write_text(f"--quality_model={tmp_path / 'q'}\n")
    shutil.copytree(editor_run / "quality", tmp_path / "q")
    (tmp_path / "q" / "flags.txt").write_text("--model=quality\n--seed=5000\n")
    refused("the Q of --model=.*run was trained with seed 5000", tmp_path / "run")
    q = tmp_path / "q" / "model.keras"
    refused("--quality_model=.*keras was trained with seed 5000", quality_model=str(q))
    refused("--people=1000001: must be at most 1000000", people=1_000_001)
    refused("--test_people=1000001: must be at most", test_people=1_000_001)
    refused("--pictures=1: no class would be rarer", pictures=1)
    network = LeganGenerator(
        of_classes(expression=("neutral", "smile")), image_size=16, width=4, blocks=0
    )
    network.build()
    network.save(tmp_path / "two.keras")
    refused("it does not know surprise, disgust, which", tmp_path / "two.keras")
    assert not (tmp_path / "out").exists()


def test_a_folder_goes_on_under_another_spelling_and_not_with_fewer_seeds(
    done, editor_run, quiet, monkeypatch
):
    output, text = done
    monkeypatch.chdir(output.parent)
    assert expression_experiment(str(editor_run), "expression", SMALL, quiet) == text
    report = json.loads((output / "report.json").read_text())
    report["arms"] = {arm: of_seeds * 2 for arm, of_seeds in report["arms"].items()}
    kept = (output / "report.json").read_bytes()
    (output / "report.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match="--seeds=1: the report in .* is of 2 seeds"):
        expression_experiment(str(editor_run), "expression", SMALL, quiet)
    (output / "report.json").write_bytes(kept)
