from __future__ import annotations

import keras
import numpy as np
import pytest

from legan_research.benchmarks import infer, training
from legan_tf.training.systems.quality import Quality

SMALL = training.CONFIG.replace(image_size=32, width=4, blocks=1, d_width=4, d_depth=2)


def check_rates(results, count):
    for result in results:
        first = float(result.note.split()[0].replace(",", ""))
        assert first == pytest.approx(count / result.medians[0], rel=0.01)


def test_the_edit_in_process_and_the_served_one_are_the_same(monkeypatch):
    pytest.importorskip("grpc")
    monkeypatch.setattr(infer, "PRECISIONS", ("float32",))
    edited = {name: edit(3)() for name, edit in infer.editors(SMALL)}
    served = edited["legan_tf, client and server"]
    assert served.shape == (3, 32, 32, 3) and served.dtype == np.uint8 and served.std() > 10
    in_process = (edited["legan_tf in process, float32"] + 1.0) * 127.5
    np.testing.assert_allclose(served, in_process, atol=1.0)


def test_edits_in_process_and_served_are_timed_beside_pytorch(monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("grpc")
    monkeypatch.setattr(infer, "PRECISIONS", ("bfloat16",))
    results = infer.edits(pairs=1, batch_sizes=[3], config=SMALL)
    assert [result.first for result in results] == [
        "legan_tf in process, bfloat16",
        "legan_tf, client and server",
    ]
    assert [result.what for result in results] == ["edits at 32 x 32, batch 3"] * 2
    check_rates(results, 3)
    assert keras.mixed_precision.global_policy().name == "float32"


def test_ratings_of_q_are_timed_beside_nima():
    result = infer.ratings(pairs=1, config=Quality.of(image_size=32, q_width=4, q_depth=2))
    assert result.first == "Q, 132,301 parameters"
    # MobileNet's 3,228,864 and a dense layer of its 1,024 features.
    assert result.second == "NIMA on MobileNet, 3,239,114"
    check_rates([result], 32)
