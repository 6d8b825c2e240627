from __future__ import annotations

import pytest

from legan_research.benchmarks import score
from legan_tf.training.systems.quality import Quality


def test_ratings_of_files_are_timed_beside_q_alone(monkeypatch):
    monkeypatch.setattr(score, "PEOPLE", 1)
    config = Quality.of(image_size=16, q_width=4, q_depth=2)
    results = score.benchmark(pairs=1, config=config, file_sizes=(16, 20), batch_size=50)
    assert [result.first for result in results] == [
        f"{suffix} files of {size} pixels" for size in (16, 20) for suffix in ("png", "jpg")
    ]
    for result in results:
        assert (result.what, result.second) == (
            "114 ratings at 16 x 16",
            "Q alone, pictures in memory",
        )
        first = float(result.note.split()[0].replace(",", ""))
        assert first == pytest.approx(114 / result.medians[0], rel=0.01)
