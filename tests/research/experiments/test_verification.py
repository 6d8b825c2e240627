from __future__ import annotations

import collections
import json

import numpy as np
import pytest

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.verification import (
    draw_labels,
    lfw_pairs,
    verification_experiment,
    verification_metrics,
)
from legan_tf.data import images
from legan_tf.data.manifest import read_manifest
from legan_tf.errors import UserError

PEOPLE = np.repeat(np.arange(20), 4)


def test_pairs_come_in_folds_that_share_no_person():
    first, second, fold = lfw_pairs(PEOPLE, 10, 5, 0)
    same = PEOPLE[first] == PEOPLE[second]
    assert len(first) == 100 and (first != second).all()
    assert len({frozenset(pair) for pair in zip(first, second)}) == 100
    seen = set()
    for number in range(10):
        here = fold == number
        assert same[here].sum() == (~same[here]).sum() == 5
        members = {*PEOPLE[first[here]], *PEOPLE[second[here]]}
        assert len(members) == 2 and not members & seen
        seen |= members
    again = lfw_pairs(PEOPLE, 10, 5, 0)
    np.testing.assert_array_equal(again, (first, second, fold))
    # Two people of four pictures have 12 pairs of one person, and 16 of two.
    assert collections.Counter(lfw_pairs(PEOPLE, 10, 300, 0)[2]) == dict.fromkeys(range(10), 24)


def test_figures_of_embeddings_that_tell_people_apart_and_of_others():
    rng = np.random.default_rng(0)
    towards = rng.normal(size=(20, 64))
    good = towards[PEOPLE] * rng.uniform(0.1, 9, size=(80, 1)) + 1e-3 * rng.normal(size=(80, 64))
    figures = verification_metrics(good, PEOPLE, 0)
    assert figures["auc"] == figures["lfw"] == figures["tar_1e-3"] == 1.0
    assert figures["lfw_error"] == 0
    chance = verification_metrics(rng.normal(size=(80, 64)), PEOPLE, 0)
    assert chance["auc"] == pytest.approx(0.5, abs=0.1)
    assert chance["lfw"] == pytest.approx(0.5, abs=0.12) and 0 < chance["lfw_error"] < 0.1
    assert chance["tar_1e-3"] < chance["tar_1e-1"] < 0.3


def test_people_mostly_look_as_on_the_web():
    portraits = draw_labels(range(500), 4, 0)
    assert [portrait.person for portrait in portraits[:5]] == [0, 0, 0, 0, 1]
    miens = collections.Counter(portrait.expression for portrait in portraits)
    lights = collections.Counter(portrait.lighting for portrait in portraits)
    assert miens["neutral"] == pytest.approx(1000, abs=90) and len(miens) == 6
    assert miens["smile"] == pytest.approx(800, abs=90)
    assert lights["shot00"] == pytest.approx(500, abs=80) and len(lights) == 19


def test_a_whole_experiment(editor_run, tmp_path, quiet):
    output = tmp_path / "verification"
    options = ExperimentOptions(seeds=1, people=4, pictures=2, test_people=20, steps=1)
    text = verification_experiment(str(editor_run), str(output), options, quiet)
    report = json.loads((output / "report.json").read_text())
    assert {name: [(one["real"], one["synthetic"]) for one in of_seeds]
            for name, of_seeds in report["arms"].items()} == {
        "original": [(8, 0)], "augmented": [(8, 8)], "true": [(8, 8)]
    }  # fmt: skip
    arms = {
        name: read_manifest(str(output / "seed-0" / "runs" / f"{name}.csv")).rows
        for name in report["arms"]
    }
    people = [row.identity for row in arms["original"]]
    assert people == sorted(people) and len(set(people)) == 4
    for name in ("augmented", "true"):
        assert [row.identity for row in arms[name]] == [*people, *people]
    true = read_manifest(str(output / "seed-0" / "true" / "manifest.csv")).rows
    made = read_manifest(str(output / "seed-0" / "augmented" / "manifest.csv")).rows[8:]
    labels = [[(r.identity, r.expression, r.lighting) for r in rows] for rows in (true, made)]
    assert labels[0] == labels[1]
    assert "| augmented, published † | 439999 | 439999 | 0.967 ± 0.001 | 0.972 ± 0.001 |" in text
    assert "its standard error" in text.partition("## Difference")[0]
    assert "its standard error" not in text.partition("## Difference")[2]
    assert "of all pairs of single pictures; IJB-B itself verifies templates" in text
    assert "1,234 updates on 798 labelled pictures of 7 other rendered people" in text
    assert images.decode(str(output / "examples.png")).std() > 10


def test_too_few_people_are_reported(editor_run, tmp_path, quiet):
    for options, message in (
        (ExperimentOptions(test_people=19), "10 folds of two people or more need 20"),
        (ExperimentOptions(people=1), "two or more to tell apart"),
        (ExperimentOptions(people=1_000_001), "--people=1000001: must be at most 1000000"),
        (ExperimentOptions(data_seed=2), "--data_seed=2: --model=.* was trained with seed 3"),
    ):
        with pytest.raises(UserError, match=message):
            verification_experiment(str(editor_run), str(tmp_path / "out"), options, quiet)
