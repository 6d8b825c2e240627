from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from legan_tf.data.rendered import rated_faces
from legan_tf.errors import UserError
from legan_tf.evaluation import evaluate_scorer as scorer_module
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate_scorer import evaluate_scorer
from legan_tf.evaluation.metrics.registry import compute
from legan_tf.models import QualityEstimator
from legan_tf.serving.loading import load


@pytest.fixture(scope="module")
def scorer(judges):
    return load(judges["quality_model"])


@pytest.fixture
def manifest(tmp_path):
    """Writes rated pictures as a manifest, and returns the pictures and its configuration."""

    def write(means, stds):
        pictures = rated_faces("test", len(means), 16, 0).images(np.arange(len(means)))
        with open(tmp_path / "faces.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "rating_mean", "rating_std", "split"])
            for i, picture in enumerate(pictures):
                Image.fromarray(picture).save(tmp_path / f"{i}.png")
                writer.writerow([f"{i}.png", means[i], stds[i], "test"])
        config = EvaluationConfig(dataset="manifest", manifest=str(tmp_path / "faces.csv"))
        return pictures, config

    return write


def test_q_is_judged_on_damaged_rendered_faces(scorer, tmp_path):
    report = evaluate_scorer(scorer, str(tmp_path), EvaluationConfig(edits=30))
    faces = rated_faces("test", 30, 16, 0)
    said = scorer(faces.images(np.arange(30)))
    expected = compute(
        "scorer",
        {
            "predicted_rating": said,
            "mean_rating": faces.rating_mean,
            "rating_std": faces.rating_std,
        },
    )
    assert report["figures"] == pytest.approx(expected, rel=1e-5)
    assert report["kind"] == "scorer" and report["data"]["rated"] == 30
    assert report["model"]["sha256"] == scorer.sha256
    with Image.open(tmp_path / "ratings.png") as picture:
        picture.load()
    assert "![ratings.png](ratings.png)" in (tmp_path / "report.md").read_text()


def test_a_second_call_rates_nothing(scorer, tmp_path, monkeypatch):
    monkeypatch.setattr(scorer_module, "SHARD", 8)
    config = EvaluationConfig(edits=20)
    report = evaluate_scorer(scorer, str(tmp_path), config)

    class Unable:
        path, sha256, image_size = scorer.path, scorer.sha256, scorer.image_size

    assert evaluate_scorer(Unable(), str(tmp_path), config) == report


def test_pictures_that_nobody_rated_do_not_count(scorer, manifest, tmp_path):
    means, stds = [2, "", 7.5, 9], [0.5, "", "", 1]
    pictures, config = manifest(means, stds)
    report = evaluate_scorer(scorer, str(tmp_path / "out"), config)
    said = scorer(pictures[[0, 2, 3]]).astype(np.float64)
    errors = np.abs(said - [2, 7.5, 9])
    figures = report["figures"]
    assert report["data"]["rated"] == 3 and report["data"]["images"] == 4
    assert figures["mae"] == pytest.approx(errors.mean(), rel=1e-5)
    assert figures["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-5)
    assert figures["within_std"] == np.mean([errors[0] <= 0.5, errors[2] <= 1])
    assert (tmp_path / "out" / "ratings.png").exists()


def test_a_correlation_that_is_not_defined_is_left_out(scorer, manifest, tmp_path):
    _, config = manifest([5, 5, 5], [1, 1, 1])
    report = evaluate_scorer(scorer, str(tmp_path / "out"), config)
    assert set(report["figures"]) == {"mae", "rmse", "within_std", "natural_accuracy"}
    assert "| Pearson ↑ | – |" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize("means, told", [(["", ""], "0 of its"), (["", 5], "1 of its")])
def test_fewer_than_two_rated_pictures_are_refused(means, told, scorer, manifest, tmp_path):
    _, config = manifest(means, ["" if mean == "" else 1 for mean in means])
    with pytest.raises(UserError, match=f"^faces.csv/test: {told} pictures are rated, and two"):
        evaluate_scorer(scorer, str(tmp_path / "out"), config)


def test_a_q_of_faces_too_small_to_judge_is_refused(tmp_path):
    network = QualityEstimator(8, 4, 2)
    network.build()
    network.save(tmp_path / "q.keras")
    with pytest.raises(UserError, match="^faces of 8 x 8 pixels cannot be judged"):
        evaluate_scorer(load(str(tmp_path / "q.keras")), str(tmp_path / "out"))


def test_a_network_that_judges_edits_is_refused(scorer, judges, tmp_path):
    config = EvaluationConfig(quality_model=judges["quality_model"])
    with pytest.raises(UserError, match="^Q is judged by people's ratings .* --quality_model="):
        evaluate_scorer(scorer, str(tmp_path / "out"), config)
    assert not (tmp_path / "out").exists()
