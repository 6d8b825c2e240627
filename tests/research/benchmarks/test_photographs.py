from __future__ import annotations

from legan_research.benchmarks import photographs


def test_edits_of_a_drawn_face_are_timed_from_the_shell_and_once_fitted():
    lines = photographs.benchmark(runs=1, sizes=(256,)).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[0].split(": ")[1] for row in rows] == [
        "the command, a smile",
        "the command, a light",
        "finding and fitting",
        "a first smile of a fitted face",
        "another strength of it",
        "another light",
    ]
    seconds = {row[0].split(": ")[1]: float(row[1]) for row in rows}
    assert 0 < seconds["another strength of it"] < seconds["the command, a smile"]
    assert all(float(row[2]) > 0 for row in rows)
    assert [bool(row[3]) for row in rows] == [True, True, False, False, False, False]
