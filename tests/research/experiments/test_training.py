from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from legan_research.experiments.published import PublishedRow
from legan_research.experiments.rendered import Portrait, write_portraits
from legan_research.experiments.training import (
    Line,
    Result,
    begin,
    gathered,
    real_folder,
    refuse_fewer,
    train_arm,
    write_arms,
)
from legan_tf.data.manifest import read_manifest
from legan_tf.errors import UserError
from legan_tf.evaluation.columns import Column
from legan_tf.training.config import TrainConfig


def test_arms_begin_with_the_same_weights_whatever_their_pictures(tmp_path):
    shown = [
        Portrait(person, expression, "shot07")
        for person in range(4)
        for expression in ("neutral", "smile")
    ]
    rows = read_manifest(write_portraits(str(tmp_path / "real"), shown, 16)).rows
    lines = [Line(row.file, row.expression, True) for row in rows]
    weights = []
    for name, of_arm in (("fewer", lines[:4]), ("more", [*lines, *lines])):
        config = TrainConfig(
            model="classifier",
            workdir=str(tmp_path / "runs" / name),
            image_size=16,
            seed=3,
            batch_size=4,
            train_steps=1,
            learning_rate=1e-12,  # Adam's steps are no longer than that.
            classifier_width=4,
        )
        network = train_arm(config, of_arm, "expression", name)
        assert network.expressions == ("neutral", "smile") and not network.lightings
        weights.append(network.get_weights())
    assert sum(weight.size for weight in weights[0]) > 500
    for one, other in zip(*weights):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
    assert weights[0][0].std() > 0.01
    (tmp_path / "runs").rename(tmp_path / "moved")
    moved = dataclasses.replace(config, workdir=str(tmp_path / "moved" / "more"))
    with pytest.raises(UserError, match="--output: .*moved/more was begun as .*runs/more"):
        train_arm(moved, of_arm, "expression", "more")
    (tmp_path / "moved").rename(tmp_path / "runs")
    with pytest.raises(UserError, match="--output=.* holds a run with other flags: --batch_size"):
        train_arm(dataclasses.replace(config, batch_size=2), of_arm, "expression", "more")


def test_the_report_tells_means_deviations_and_paired_differences(tmp_path):
    def results(*values, synthetic=0):
        return [Result(10, synthetic, {"score": value, "note": 1.0}) for value in values]

    text = write_arms(
        str(tmp_path),
        "Title",
        {
            "original": results(0.1, 0.2, 0.3),
            "edited": results(0.2, 0.4, 0.6, synthetic=5),
            "true": results(0.2002, 0.4003, 0.6002),
        },
        (Column("score", "score", "higher", 3), Column("note", "note", "", 1)),
        {"original": PublishedRow(7, 0, {"score": "0.5 ± 0.1"})},
        "other data",
        ("original", "edited"),
        "score",
        "one editor",
        {"experiment": "none"},
        ["A note."],
        {},
    )
    lines = text.splitlines()
    assert "| trained on | real pictures | added pictures | score ↑ | note |" in lines
    assert "| edited (n = 3) | 10 | 5 | 0.400 ± 0.200 | 1.0 ± 0.0 |" in lines
    assert "| original, published † | 7 | 0 | 0.5 ± 0.1 | – |" in lines
    assert "† not comparable: other data." in lines
    # Differences 0.1, 0.2, 0.3: 4.3027 standard errors of 0.0577 on either side.
    assert "| edited (n = 3) | 0.200 [-0.048, 0.448] |" in lines
    # 0.0002, 0.0003, 0.0002: above 0, though what is shown is not.
    assert "| true (n = 3) | **0.000 [0.000, 0.000]** |" in lines
    to_edited = lines[lines.index("## Difference to edited") :]
    assert [line.split(" |")[0] for line in to_edited if "(n = 3)" in line] == ["| true (n = 3)"]
    assert "The figure to look at is *score*: " in text and "share one editor: no" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["arms"]["edited"][2]["figures"]["score"] == 0.6
    difference = report["differences"]["original"]["edited"]["score"]
    assert difference["mean"] == pytest.approx(0.2)
    assert list(report["differences"]["edited"]) == ["true"]
    refuse_fewer(str(tmp_path), 3)
    with pytest.raises(UserError, match="--seeds=2: the report in .* is of 3 seeds"):
        refuse_fewer(str(tmp_path), 2)
    assert report["published"]["rows"]["original"]["real"] == 7
    assert (tmp_path / "figures.png").exists()


def test_a_folder_is_of_one_experiment(tmp_path, monkeypatch):
    output = str(tmp_path / "out")
    begin(output, "filter", {"edits": 1})
    begin(output, "filter", {"edits": 1})
    with pytest.raises(UserError, match="was begun with experiment 'filter', now it is 'expres"):
        begin(output, "expression", {"edits": 1})
    with pytest.raises(UserError, match=r"name the folder to write"):
        real_folder("report.csv")
    (tmp_path / "link").symlink_to(output)
    monkeypatch.chdir(tmp_path)
    assert real_folder("link") == real_folder("out") == real_folder(output)


def test_what_is_told_of_several_places_is_told_once():
    told = [("here", ["None."]), ("there", []), ("yonder", ["Few.", "None."])]
    assert gathered(told) == ["here, yonder: None.", "yonder: Few."]
