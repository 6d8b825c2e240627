from __future__ import annotations

import pytest

from legan_research.benchmarks.paired import Comparison, as_markdown, compare


def test_both_are_called_in_turn_and_timed_but_for_their_first_call():
    calls = []
    result = compare(
        "adding",
        ("ours", lambda: calls.append("ours")),
        ("theirs", lambda: calls.append("theirs")),
        pairs=3,
    )
    assert calls == ["ours", "theirs"] * 4
    assert (result.what, result.first, result.second) == ("adding", "ours", "theirs")
    assert len(result.first_s) == len(result.second_s) == 3
    assert min(result.first_s + result.second_s) > 0.0


def test_what_takes_longer_is_seen_to():
    result = compare(
        "counting", ("few", lambda: sum(range(100))), ("many", lambda: sum(range(10**6)))
    )
    assert result.ratio > 10.0


def test_the_ratio_is_the_median_over_pairs_and_not_that_of_the_medians():
    result = Comparison("x", "a", "b", (1.0, 2.0, 4.0), (10.0, 12.0, 16.0))
    assert result.medians == (2.0, 12.0)
    assert result.ratios == (10.0, 6.0, 4.0)
    assert result.ratio == 6.0
    other = Comparison("x", "a", "b", (1.0, 2.0, 4.0), (12.0, 10.0, 16.0))
    assert (other.medians, other.ratio) == ((2.0, 12.0), 5.0)


def test_the_table_tells_times_spread_machine_and_command():
    result = Comparison("adding", "ours", "theirs", (1.0, 2.0, 4.0), (10.0, 12.0, 16.0), "same sum")
    table = as_markdown("Sums", [result], "python sums.py")
    assert "| adding | ours: 2 s | theirs: 12 s | 3 | **6** (4 to 10) | same sum |" in table
    assert table.startswith("# Sums\n")
    assert "`python sums.py`" in table
    for name in ("CPU", "GPU", "Python", "NumPy", "SciPy", "TensorFlow"):
        assert f"{name}: " in table


def test_no_pair_at_all_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        compare("x", ("a", int), ("b", int), pairs=0)
