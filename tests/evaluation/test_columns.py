import math

import pytest

from legan_tf.evaluation.columns import COLUMNS


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
    assert lower == {"fid", "kid", "lpips", "l1", *errors}
    assert all(COLUMNS[key].best([2.0, 1.0, 2.0]) == 2.0 for key in COLUMNS.keys() - lower)


def test_every_column_is_found_under_its_key_and_has_a_heading_of_its_own():
    assert [column.key for column in COLUMNS.values()] == list(COLUMNS)
    assert len({column.heading for column in COLUMNS.values()}) == len(COLUMNS)
