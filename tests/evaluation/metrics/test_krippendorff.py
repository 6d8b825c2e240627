from __future__ import annotations

import numpy as np
import pytest

from legan_tf.evaluation.metrics.krippendorff import LEVELS, krippendorff_alpha

NAN = np.nan
# Krippendorff (2011), part C: four observers, twelve units, values missing.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)


@pytest.mark.parametrize(
    ("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_the_published_example_with_missing_values(level, expected):
    assert krippendorff_alpha(PUBLISHED, level) == pytest.approx(expected, abs=5e-4)
    # Neither the order of the raters nor that of the units plays a part.
    turned = PUBLISHED[::-1, ::-1]
    assert krippendorff_alpha(turned, level) == pytest.approx(
        krippendorff_alpha(PUBLISHED, level), abs=1e-12
    )


def by_pairs(values: np.ndarray, distance) -> float:
    """The definition word for word: over all pairs, in loops."""
    units = [unit[~np.isnan(unit)] for unit in values.T]
    units = [unit for unit in units if len(unit) > 1]
    everything = np.concatenate(units)

    def disagreement(sample):
        return sum(distance(a, b) for a in sample for b in sample) / (len(sample) - 1)

    observed = sum(disagreement(unit) for unit in units)
    return 1 - observed / disagreement(everything)


def test_two_observers_by_hand():
    # Krippendorff (2011), part A: ten units, of two values; alpha is 0.095.
    pair = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], float)
    assert krippendorff_alpha(pair, "nominal") == pytest.approx(0.095, abs=5e-4)
    # Of two values, all levels are the same.
    assert len({round(krippendorff_alpha(pair, level), 12) for level in LEVELS}) == 1


def test_it_is_what_the_definition_over_all_pairs_gives():
    rng = np.random.default_rng(5)
    values = rng.integers(1, 11, (4, 30)).astype(float)
    values[rng.uniform(size=values.shape) < 0.3] = NAN
    units = [unit[~np.isnan(unit)] for unit in values.T]
    pairable = np.concatenate([unit for unit in units if len(unit) > 1])

    def ordinal(a, b):
        low, high = min(a, b), max(a, b)
        ends = (np.sum(pairable == low) + np.sum(pairable == high)) / 2
        return (np.sum((pairable >= low) & (pairable <= high)) - ends) ** 2 if a != b else 0.0

    for level, distance in (
        ("nominal", lambda a, b: float(a != b)),
        ("ordinal", ordinal),
        ("interval", lambda a, b: (a - b) ** 2),
    ):
        expected = by_pairs(values, distance)
        assert abs(expected) < 0.4
        assert krippendorff_alpha(values, level) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_the_ends_of_the_scale(level):
    agreed = np.tile(np.array([1.0, 2, 5, 9]), (3, 1))
    assert krippendorff_alpha(agreed, level) == 1
    opposed = np.array([[1.0, 2, 1, 2], [2, 1, 2, 1]])
    # Four pairs that all disagree, where 8 * 7 ordered pairs hold 32 that do: 1 - 1 / (32 / 56).
    assert krippendorff_alpha(opposed, level) == pytest.approx(-0.75)


def test_what_is_not_defined_is_nan_and_what_is_wrong_is_refused():
    assert np.isnan(krippendorff_alpha(np.full((3, 4), 2.0), "ordinal"))
    assert np.isnan(krippendorff_alpha(np.array([[1.0, NAN], [NAN, 2]]), "nominal"))
    assert np.isnan(krippendorff_alpha(np.zeros((0, 0)), "interval"))
    with pytest.raises(ValueError, match="raters, units"):
        krippendorff_alpha(np.zeros(3), "nominal")
    with pytest.raises(ValueError, match="finite"):
        krippendorff_alpha(np.array([[1, np.inf], [1, 2]]), "nominal")
    with pytest.raises(ValueError, match="ratio"):
        krippendorff_alpha(PUBLISHED, "ratio")
