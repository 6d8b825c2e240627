from __future__ import annotations

import pytest
import tensorflow as tf

from legan_research.benchmarks import input
from legan_tf.training.systems.legan import Legan


def test_input_is_timed_from_records_files_memory_and_renderer_and_beside_training(monkeypatch):
    monkeypatch.setattr(input, "PEOPLE", 1)
    config = Legan.of(
        image_size=16,
        batch_size=2,
        critic_steps=2,
        width=4,
        blocks=1,
        mask_channels=4,
        d_width=4,
        d_depth=2,
        identity_weight=0.0,
        quality_weight=0.0,
    )
    # Without a GPU, training takes one picture at a time.
    taken = (2 if tf.config.list_physical_devices("GPU") else 1) * 2
    results = input.benchmark(pairs=1, config=config, file_size=20, updates=3)
    batches, kept = "12 pictures of 16 pixels in batches", "114 pictures of 16 pixels into memory"
    records, files = "records, as needed", "PNG and JPEG of 20 pixels, as needed"
    assert [(result.what, result.first, result.second) for result in results] == [
        (batches, records, files),
        (batches, "from memory", records),
        (kept, "records", "files"),
        (kept, "records", "rendered"),
        (f"the {taken} pictures of one update", records, "LEGAN's training step"),
    ]
    for result, count in zip(results, (12, 12, 114, 114, taken)):
        first, _, second, _ = result.note.replace(",", "").split()
        rates = (count / result.medians[0], count / result.medians[1])
        assert (float(first), float(second)) == pytest.approx(rates, rel=0.01)
    # Of one update's share of a pass that had three.
    assert results[-1].medians[0] < results[0].medians[0]
