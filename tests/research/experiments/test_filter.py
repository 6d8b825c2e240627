from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.filter import (
    DRAWS,
    TENTH,
    Edits,
    dropping,
    filter_experiment,
    lowest,
    share_found,
)
from legan_tf.data import attributes, images
from legan_tf.data.rendered import rated_faces, render
from legan_tf.data.rendered.dataset import damage_done
from legan_tf.data.rendered.expressions import EXPRESSIONS
from legan_tf.data.rendered.ratings import naturalness
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.correlation import spearman
from legan_tf.evaluation.metrics.fid import Statistics, fid


def test_the_lowest_share_of_values():
    values = np.array([3.0, 1.0, 2.0, 1.0, 5.0])
    np.testing.assert_array_equal(lowest(values, 0.4), [False, True, False, True, False])
    np.testing.assert_array_equal(lowest(values, 0.2), [False, True, False, False, False])
    assert not lowest(values, 0.0).any() and lowest(values, 1.0).all()


def test_what_share_of_the_worst_is_found():
    rating = np.arange(10.0)
    worst = np.array([1, 0, 1, 0, 0, 0, 0, 1, 0, 0], bool)
    assert [share_found(rating, worst, share) for share in (0.1, 0.3, 0.7, 0.8)] == pytest.approx(
        [1 / 3, 2 / 3, 2 / 3, 1.0]
    )


def test_damage_done_is_the_damage_of_rated_faces():
    faces, done = rated_faces("test", 120, 16, 3), damage_done("test", 120, 3)
    natural = np.array([naturalness(severities) for severities in done])
    assert spearman(faces.rating_mean.astype(np.float64), natural) > 0.95
    undamaged = [row for row, severities in enumerate(done) if not severities]
    assert 5 < len(undamaged) < 40
    names = [int(faces.identities[faces.identity[row]][6:]) for row in undamaged]
    clean = render(
        names,
        [tuple(EXPRESSIONS)[faces.labels["expression"][row]] for row in undamaged],
        [attributes.lightings()[faces.labels["lighting"][row]] for row in undamaged],
        16,
    )
    np.testing.assert_array_equal(faces.images(np.array(undamaged)), clean)
    assert damage_done("val", 20, 3) != done[:20] != damage_done("test", 20, 4)


def test_dropping_what_is_unlike_real_pictures_lowers_fid():
    rng = np.random.default_rng(0)
    features, reference = rng.normal(size=(300, 8)), rng.normal(size=(300, 8))
    bad = np.arange(300) < 30
    features[bad] += 4
    blank = np.zeros((300, 4, 4, 3), np.uint8)
    unknown = (np.full(300, -1),) * 2
    rating = np.where(bad, 2.0, 8.0) + 0.1 * rng.normal(size=300)
    edits = Edits(blank, blank, blank, rating, rating / 10, features, reference, unknown)
    found, table, pictures = dropping(edits, {}, 0, lambda done, total: None)
    figures = found["figures"]
    assert figures["all"]["pictures"] == 300 and figures["lowest by Q"]["pictures"] == 270
    assert figures["lowest by Q"]["fid"] < 0.2 * figures["all"]["fid"]
    assert len(figures["at random"]) == 20
    assert found["difference"]["better_than"] == 1.0
    low, high = found["difference"]["interval"]
    assert low < found["difference"]["fid"] < high < 0
    assert found["fid_by_share_dropped"]["lowest by Q"][1][0] == figures["lowest by Q"]["fid"]
    assert [row.name for row in table.rows][0] == "all edits" and set(pictures) == {
        "dropped.png",
        "edits.png",
    }


def test_the_interval_of_an_uninformative_q_is_as_wide_as_samples_differ():
    count, blank = 200, np.zeros((200, 4, 4, 3), np.uint8)

    def drawn(seed):
        rng = np.random.default_rng(seed)
        # Edits are not of the kind of the real pictures.
        features = 0.5 + 1.2 * rng.normal(size=(count, 6))
        rating = rng.normal(size=count)
        real, unknown = rng.normal(size=(count, 6)), (np.full(count, -1),) * 2
        return Edits(blank, blank, blank, rating, rating, features, real, unknown)

    def difference(edits, seed):
        rng, reference = np.random.default_rng([1, seed]), Statistics.of(edits.reference)
        orders = [edits.rating, *rng.uniform(size=(DRAWS, count))]
        by_q, *at_random = (
            fid(Statistics.of(edits.features[~lowest(order, TENTH)]), reference) for order in orders
        )
        return by_q - np.mean(at_random)

    true = np.std([difference(drawn(seed), seed) for seed in range(150)], ddof=1)
    margins = []
    for seed in range(150, 154):
        found, _, _ = dropping(drawn(seed), {}, seed, lambda done, total: None)
        low, high = found["difference"]["interval"]
        margins.append((high - low) / 2)
    # 150 samples tell a deviation within 6 %, four times 50 resamples within 5 %.
    assert np.mean(margins) / 1.96 == pytest.approx(true, rel=0.2)


def test_a_whole_experiment_is_kept_for_the_next_time(
    editor_run, face_network, tmp_path, quiet, capsys
):
    output = tmp_path / "filter"
    options = ExperimentOptions(rated=60, edits=40, identity_model=str(face_network))
    text = filter_experiment(str(editor_run), str(output), options, quiet)
    report = json.loads((output / "report.json").read_text())
    groups = report["damage"]["groups"]
    assert groups["all"]["pictures"] == 60 and groups["all"]["worst"] == 6
    kinds = [of for name, of in groups.items() if name != "all"]
    assert sum(of["pictures"] for of in kinds) == 60 and sum(of["worst"] for of in kinds) == 6
    assert groups["undamaged"]["worst"] == 0
    for name in ("found.png", "damaged.png", "dropped.png", "edits.png"):
        assert f"![{name}]({name})" in text
        assert images.decode(str(output / name)).std() > 5
    assert "Q has learned from what is not known; what it finds of other damage" in text
    assert "40 edits of 50 unseen people" in text
    assert f"--identity_model={face_network}: there is no flags.txt with it" in text
    assert filter_experiment(str(editor_run), str(output), options, quiet) == text
    # The people of the editor's own seed, whom it has not learned from: they are of split test.
    for name, value, message in (
        ("identity_model", str(editor_run / "model.keras"), "begun with another --identity_model"),
        ("judge_steps", 5, "begun with judge_steps 800, now it is 5"),
        ("data_seed", 3, "begun with data_seed 5000, now it is 3"),
        ("features", "nowhere", "--features=nowhere: no such file or folder"),
    ):
        other = dataclasses.replace(options, **{name: value})
        with pytest.raises(UserError, match=message):
            filter_experiment(str(editor_run), str(output), other, quiet)


def test_without_q_there_is_nothing_to_filter_by(editor_run, tmp_path, quiet):
    model = str(editor_run / "model.keras")
    with pytest.raises(UserError, match="not known which Q .* give one with --quality_model"):
        filter_experiment(model, str(tmp_path / "out"), ExperimentOptions(), quiet)
    with pytest.raises(UserError, match="--edits=5: a tenth of them is dropped"):
        filter_experiment(model, str(tmp_path / "out"), ExperimentOptions(edits=5), quiet)
