from __future__ import annotations

import keras
import pytest

from legan_research.benchmarks import infer, training
from legan_tf.training.systems.quality import Quality

SMALL = training.CONFIG.replace(image_size=32, width=4, blocks=1, d_width=4, d_depth=2)


def check_rates(results, count):
    for result in results:
        first = float(result.note.split()[0].replace(",", ""))
        assert first == pytest.approx(count / result.medians[0], rel=0.01)


def test_edits_are_timed_beside_pytorch(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(infer, "PRECISIONS", ("bfloat16",))
    results = infer.edits(pairs=1, batch_sizes=[3], config=SMALL)
    assert [result.first for result in results] == ["legan_tf, bfloat16"]
    assert [result.what for result in results] == ["edits at 32 x 32, batch 3"]
    check_rates(results, 3)
    assert keras.mixed_precision.global_policy().name == "float32"


def test_ratings_of_q_are_timed_beside_nima():
    result = infer.ratings(pairs=1, config=Quality.of(image_size=32, q_width=4, q_depth=2))
    assert result.first == "Q, 132,301 parameters"
    # MobileNet's 3,228,864 and a dense layer of its 1,024 features.
    assert result.second == "NIMA on MobileNet, 3,239,114"
    check_rates([result], 32)
