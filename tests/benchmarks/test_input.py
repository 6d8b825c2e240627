from __future__ import annotations

import pytest
import tensorflow as tf

from legan_tf.benchmarks import input
from legan_tf.training.config import TrainConfig


def test_input_is_timed_from_records_files_and_memory_and_beside_training(monkeypatch):
    monkeypatch.setattr(input, "PEOPLE", 1)
    config = TrainConfig(
        image_size=16,
        batch_size=2,
        critic_steps=2,
        width=4,
        blocks=1,
        mask_channels=4,
        d_width=4,
        d_depth=2,
        q_width=4,
        q_depth=2,
        identity_weight=0.0,
        quality_weight=0.0,
    )
    # Without a GPU, training takes one picture at a time.
    taken = (2 if tf.config.list_physical_devices("GPU") else 1) * 2
    results = input.benchmark(pairs=1, config=config, file_size=20, updates=3)
    assert [(result.what, result.first) for result in results] == [
        ("12 pictures of 16 pixels in batches", "records, as needed"),
        ("12 pictures of 16 pixels in batches", "from memory"),
        ("114 pictures of 16 pixels into memory", "records"),
        (f"the {taken} pictures of one update", "records, as needed"),
    ]
    assert results[-1].second == "LEGAN's training step"
    for result, count in zip(results, (12, 12, 114, taken)):
        first, _, second, _ = result.note.replace(",", "").split()
        rates = (count / result.medians[0], count / result.medians[1])
        assert (float(first), float(second)) == pytest.approx(rates, rel=0.01)
    # Of one update's share of a pass that had three.
    assert results[-1].medians[0] < results[0].medians[0]
