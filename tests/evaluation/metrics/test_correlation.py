from __future__ import annotations

import math

import numpy as np
import pytest

from legan_tf.evaluation.metrics.correlation import correlations

# LEGAN's main table: StarGAN, StarGAN with Q's loss, StarGAN-v2, LEGAN.
POSTER = {
    "fid": [38.745, 34.045, 54.842, 29.964],
    "lpips": [0.126, 0.123, 0.212, 0.120],
    "ssim": [0.559, 0.567, 0.415, 0.649],
    "match": [0.635, 0.647, 0.202, 0.649],
    "quality": [5.200, 5.391, 5.172, 5.853],
    "preference": [22.3, 34.7, 3.75, 39.3],
}


def test_the_published_table_has_its_known_correlations():
    found = correlations(POSTER, "quality")
    assert list(found) == ["fid", "lpips", "ssim", "match", "preference"]
    ranks = {name: row["spearman"] for name, row in found.items()}
    signs = {"fid": -1, "lpips": -1, "ssim": 1, "match": 1, "preference": 1}
    assert ranks == pytest.approx(signs, abs=1e-12)
    lines = {name: row["pearson"] for name, row in found.items()}
    expected = {"fid": -0.740, "lpips": -0.537, "ssim": 0.803, "match": 0.511, "preference": 0.785}
    assert lines == pytest.approx(expected, abs=5e-4)
    assert {row["n"] for row in found.values()} == {4}


def test_the_row_of_real_pictures_counts_where_it_has_a_value():
    values = {
        "fid": [*POSTER["fid"], 12.931],
        "ssim": [*POSTER["ssim"], math.nan],
        "quality": [*POSTER["quality"], 5.921],
    }
    found = correlations(values, "quality")
    assert found["fid"]["n"] == 5 and found["ssim"]["n"] == 4
    assert found["fid"]["pearson"] == pytest.approx(-0.86, abs=0.005)
    assert found["ssim"] == correlations(POSTER, "quality")["ssim"]


def test_infinite_values_and_models_without_the_wanted_metric_are_left_out():
    values = {"psnr": [math.inf, 30, 20, 10, 5], "rating": [9, 3, 2, 1, math.nan]}
    found = correlations(values, "rating")["psnr"]
    assert found == pytest.approx({"n": 3, "pearson": 1.0, "spearman": 1.0})


@pytest.mark.parametrize(
    ("other", "count"), [([1, 2, math.nan], 2), ([math.nan] * 3, 0), ([0.3, 0.3, 0.3], 3)]
)
def test_too_few_models_or_a_constant_have_no_correlation(other, count):
    found = correlations({"rating": [1, 2, 3], "other": other}, "rating")["other"]
    assert found["n"] == count
    assert math.isnan(found["pearson"]) and math.isnan(found["spearman"])


def test_values_that_are_not_of_the_same_models_are_refused():
    with pytest.raises(ValueError, match="'quality' is not among the metrics fid, kid"):
        correlations({"fid": [1, 2, 3], "kid": [1, 2, 3]}, "quality")
    with pytest.raises(ValueError, match=r"kid has values \(2,\), but fid has \(3,\)"):
        correlations({"fid": [1, 2, 3], "kid": [1, 2]}, "fid")
    assert correlations({"fid": np.arange(3.0)}, "fid") == {}
