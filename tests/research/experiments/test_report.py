from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.experiment import Experiment
from legan_research.experiments.published import PublishedRow
from legan_research.experiments.report import (
    Comparison,
    Result,
    mean_and_std,
    paired_difference,
    write_report,
)
from legan_tf.errors import UserError
from legan_tf.evaluation.tables import Column


def test_mean_and_deviation_of_a_sample():
    assert mean_and_std([1.0, 2.0, 6.0]) == (3.0, pytest.approx(np.sqrt(7)))
    assert mean_and_std([0.5]) == (0.5, None)


def test_the_interval_is_that_of_the_paired_t_test():
    values, others = np.random.default_rng(0).normal(size=(2, 5))
    mean, (low, high) = paired_difference(values, others)
    expected = stats.ttest_rel(values, others).confidence_interval(0.95)
    assert mean == pytest.approx(np.mean(values - others))
    assert (low, high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_by_hand_of_three_seeds():
    # Differences 1, 2, 3: deviation 1, t of two degrees of freedom 4.3027.
    mean, interval = paired_difference([2, 4, 6], [1, 2, 3])
    assert mean == 2
    assert interval == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    assert paired_difference([0.75], [0.5]) == (0.25, None)
    with pytest.raises(ValueError, match="2 and 1 values are no pairs"):
        paired_difference([1, 2], [1])


def test_the_report_tells_means_deviations_and_paired_differences(tmp_path):
    def results(*values, synthetic=0):
        return [Result(10, synthetic, {"score": value, "note": 1.0}) for value in values]

    output = str(tmp_path / "out")
    experiment = Experiment("none", output, ExperimentOptions(seeds=3), None, None, ())
    experiment.begin({})
    comparison = Comparison(
        title="Title",
        columns=(Column("score", "score", "higher", 3), Column("note", "note", "", 1)),
        main="score",
        baselines=("original", "edited"),
        published={"original": PublishedRow(7, 0, {"score": "0.5 ± 0.1"})},
        not_comparable="other data",
        shared="one editor",
    )
    arms = {
        "original": results(0.1, 0.2, 0.3),
        "edited": results(0.2, 0.4, 0.6, synthetic=5),
        "true": results(0.2002, 0.4003, 0.6002),
    }
    text = write_report(experiment, comparison, arms, {}, ["A note."], {})
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
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["arms"]["edited"][2]["figures"]["score"] == 0.6
    difference = report["differences"]["original"]["edited"]["score"]
    assert difference["mean"] == pytest.approx(0.2)
    assert list(report["differences"]["edited"]) == ["true"]
    experiment.begin({})
    with pytest.raises(UserError, match="--seeds=2: the report in .* is of 3 seeds"):
        Experiment("none", output, ExperimentOptions(seeds=2), None, None, ()).begin({})
    assert report["published"]["rows"]["original"]["real"] == 7
    assert (tmp_path / "out" / "figures.png").exists()
