from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from legan_tf.evaluation import metrics
from legan_tf.evaluation.comparison_tables import compare
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate import evaluate
from legan_tf.evaluation.metrics import registry
from legan_tf.evaluation.metrics.registry import (
    INPUTS,
    average,
    documentation,
    register,
    registered,
)

MODULE = """
import numpy as np
from legan_tf.evaluation.metrics.registry import register


@register("rms", "RMS error", "lower", "image true_image", unit="%", source="Nobody 2099")
def rms(image, true_image):
    'Root mean square error of pixels, lower is better.'
    return np.sqrt(np.square(image / 255 - true_image / 255).mean(axis=(1, 2, 3)))


@register("contrast", "contrast", "higher", "image")
def contrast(image):
    'Standard deviation of pixels, higher is better.'
    return image.std(axis=(1, 2, 3))


@register("spread", "spread", "higher", "features")
def spread(features):
    'Standard deviation of features, higher is better.'
    return features.std()
"""

COLUMNS = registered()


@pytest.mark.parametrize(
    "key, value, text",
    [
        ("fid", 38.7454, "38.745"),
        ("ssim", 0.1, "0.100"),
        ("psnr", 20.0, "20.00"),
        ("preference", 0.223, "22.3"),
        ("accuracy", 1.0, "100.0"),
        ("kid", -0.00012, "-0.0001"),
        ("kid", -0.00002, "0.0000"),
        ("psnr", math.inf, "∞"),
        ("psnr", -math.inf, "-∞"),
        ("lpips", None, "–"),
    ],
)
def test_a_figure_is_shown_in_the_form_of_its_column(key, value, text):
    assert COLUMNS[key].text(value) == text


@pytest.mark.parametrize(
    "key, title",
    [
        ("fid", "FID ↓"),
        ("rating", "quality ↑"),
        ("psnr", "PSNR (dB) ↑"),
        ("accuracy", "accuracy (%) ↑"),
        ("normal_error", "normal error (°) ↓"),
    ],
)
def test_a_title_tells_unit_and_direction(key, title):
    assert COLUMNS[key].title == title


def test_the_best_is_the_lowest_of_errors_and_distances_and_the_highest_of_the_rest():
    lower = {key for key, column in COLUMNS.items() if column.best([1.0, 2.0]) == 1.0}
    errors = {"light_error", "normal_error", "depth_error", "map_l1", "map_angle"}
    assert lower >= {"fid", "kid", "lpips", "l1", *errors}
    assert lower == {key for key, column in COLUMNS.items() if column.title.endswith("↓")}
    assert not lower & {"accuracy", "psnr", "ssim", "rating", "expression", "lighting"}
    assert all(COLUMNS[key].best([2.0, 1.0, 2.0]) == 2.0 for key in COLUMNS.keys() - lower)


def test_every_column_is_found_under_its_key_and_has_a_heading_of_its_own():
    assert [column.key for column in COLUMNS.values()] == list(COLUMNS)
    assert len({column.heading for column in COLUMNS.values()}) == len(COLUMNS)


@pytest.fixture
def new_module(tmp_path, monkeypatch):
    """Adds a module with three metrics to the package, until the end of the test."""
    found = {kind: dict(registered(kind)) for kind in INPUTS}
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "new_metrics.py").write_text(MODULE)
    monkeypatch.setattr(registry, "_METRICS", found)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path / "modules")])
    yield
    del sys.modules[f"{metrics.__name__}.new_metrics"], metrics.new_metrics


def test_a_metric_in_a_new_module_is_in_report_comparison_and_docs(
    new_module, few_people, judges, dimming, tmp_path
):
    config = EvaluationConfig(edits=12, **judges)
    report = evaluate(dimming(), str(tmp_path / "out"), config)
    edit, copy, truth = (report["figures"][row] for row in ("edit", "copy", "truth"))
    assert 0 < edit["rms"] < 1 and 0 < copy["rms"] < 1 and "rms" not in truth
    assert 0 < edit["contrast"] < copy["contrast"] and truth["contrast"] > 0
    assert all(row["spread"] > 0 for row in (edit, copy, truth))
    text = (tmp_path / "out" / "report.md").read_text()
    assert f"| RMS error (%) ↓ | {100 * edit['rms']:.3f} | {100 * copy['rms']:.3f} | – |" in text
    compared = compare({"A": [report]}, {}, str(tmp_path / "out")).split("## Against the truth")[1]
    assert "| RMS error (%) ↓ |" in compared and "| contrast ↑ |" in compared
    header = (tmp_path / "out" / "compare.csv").read_text().splitlines()[0].split(",")
    assert {"rms", "contrast", "spread"} <= set(header)
    definition = "| Root mean square error of pixels | `image`, `true_image` | Nobody 2099 |\n"
    assert f"| RMS error (%) ↓ | `rms` {definition}" in documentation("editor")
    assert registered()["spread"].network == "features"


@pytest.mark.parametrize(
    "key, needs, message",
    [
        ("new", "image truth", "metric 'new' needs 'truth', which no editor evaluation has"),
        ("fid", "image", "two metrics of kind 'editor' have the key 'fid'"),
    ],
)
def test_an_unknown_need_and_a_key_that_is_taken_are_refused(key, needs, message):
    with pytest.raises(ValueError, match=message):
        register(key, "new", "higher", needs)(len)


def test_an_average_is_over_defined_values_and_over_finite_ones_if_there_are_any():
    assert average(np.array([1.0, np.nan, 3.0, np.inf])) == 2
    assert average(np.array([np.inf, np.nan])) == np.inf
    assert math.isnan(average(np.array([np.nan]))) and math.isnan(average(np.zeros(0)))
    assert average(np.array([True, False])) == 0.5 and average(0.25) == 0.25
