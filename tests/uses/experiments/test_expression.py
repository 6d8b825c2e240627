from __future__ import annotations

import collections
import json

import numpy as np
import pytest

from legan_tf.data import attributes, images
from legan_tf.data.manifest import read_manifest
from legan_tf.data.rendered.facesets import people_of
from legan_tf.errors import UserError
from legan_tf.uses.experiments.config import ExperimentOptions
from legan_tf.uses.experiments.expression import (
    CLASSES,
    class_figures,
    draw_portraits,
    expression_experiment,
)

SMALL = ExperimentOptions(seeds=1, people=5, pictures=40, test_people=3, steps=2)


def test_a_training_set_is_as_imbalanced_as_affectnet():
    people = people_of("train", 50, 5000)
    portraits = draw_portraits(people, 670, 0)
    counts = collections.Counter(portrait.expression for portrait in portraits)
    assert counts == {"neutral": 373, "smile": 670, "surprise": 70, "disgust": 19}
    shown = collections.Counter(p.person for p in portraits if p.expression == "smile")
    assert set(shown) == set(people) and set(shown.values()) == {13, 14}
    lights = collections.Counter(portrait.lighting for portrait in portraits)
    assert set(lights) == set(attributes.lightings()) and min(lights.values()) > 30
    assert portraits == draw_portraits(people, 670, 0) != draw_portraits(people, 670, 1)


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
    figures = class_figures(probabilities, np.array([0, 0, 1, 1, 2, 3]))
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
    for arm in ("repeated", "augmented", "true"):
        rows = arm_of(output, arm)
        assert [row.file for row in rows[: len(real)]] == [row.file for row in real]
        assert collections.Counter(row.expression for row in rows) == dict.fromkeys(CLASSES, 40)
        added[arm] = rows[len(real) :]
    files = {row.file for row in real}
    assert {row.file for row in added["repeated"]} <= files
    assert not files & {row.file for row in (*added["augmented"], *added["true"])}
    # What is added stands in the same order: the edit, and what it should show.
    assert [row.expression for row in added["augmented"]] == [
        row.expression for row in added["true"]
    ]
    true = read_manifest(str(output / "seed-0" / "true" / "manifest.csv")).rows
    made = read_manifest(str(output / "seed-0" / "augmented" / "manifest.csv")).rows[len(real) :]
    labels = [[(r.identity, r.expression, r.lighting) for r in rows] for rows in (true, made)]
    assert labels[0] == labels[1]


def test_the_report_holds_every_seed_and_the_published_figures(done):
    output, text = done
    report = json.loads((output / "report.json").read_text())
    assert list(report["arms"]) == ["original", "repeated", "augmented", "augmented, by Q", "true"]
    for name, (one,) in report["arms"].items():
        assert one["real"] == 67
        if name in ("repeated", "augmented", "true"):
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
    assert len(networks) == 5
    assert expression_experiment(str(editor_run), str(output), SMALL, quiet) == text
    assert [file.stat().st_mtime_ns for file in networks] == before
    other = ExperimentOptions(**{**vars(SMALL), "people": 6})
    with pytest.raises(UserError, match="was begun with people 5, now it is 6"):
        expression_experiment(str(editor_run), str(output), other, quiet)


def test_what_cannot_be_measured_is_told(editor_run, tmp_path, quiet):
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
    refused("the model was trained with seed 5002", tmp_path / "run")
    assert not (tmp_path / "out").exists()
