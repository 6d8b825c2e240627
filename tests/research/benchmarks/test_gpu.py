from __future__ import annotations

import pytest

from legan_research.benchmarks import gpu, training
from legan_research.benchmarks.gpu import Check, Speed

SMALL = training.CONFIG.replace(
    image_size=16, batch_size=2, critic_steps=1, width=4, blocks=0, d_width=4, d_depth=1
)


def test_the_tables_tell_rates_shares_and_what_was_refused():
    measured = Check(
        training.CONFIG.replace(batch_size=16),
        gpus=2,
        speeds={
            "float32": Speed(0.8, 2**33, 60_000.0),
            "bfloat16, XLA": "--xla: refused.",
        },
        replicas={1: 0.8, 2: 1.0},
        repeatable=True,
        levels=(1, 0.004),
    )
    text = measured.markdown()
    # 544 * 10^9 multiply-adds at batch 4, four times as many at 16; 5 * 16 images.
    assert "| float32 | 0.8 s | 100 | 5,440 GFLOP/s | 60,000 GFLOP/s | 9 % | 8,192 MiB |" in text
    assert "| bfloat16, XLA | --xla: refused. |" in text
    assert "| 1 | 0.8 s | 100 | 100 % |" in text
    assert "| 2 | 1 s | 160 | 80 % |" in text
    assert "agree bit for bit" in text
    assert "at most 1 of 255 levels, in 0.4 % of values" in text
    assert "There is no GPU" not in text


def test_a_processor_tries_every_part():
    measured = gpu.check(repeats=1, config=SMALL)
    assert measured.gpus == 0
    assert list(measured.speeds) == ["float32", "bfloat16"]
    for speed in measured.speeds.values():
        assert speed.seconds > 0 and speed.peak > 1 and 100 < speed.memory / 2**20 < 20_000
    assert list(measured.replicas) == [1, 2]
    assert measured.repeatable
    assert measured.levels == (0, 0.0)
    assert "There is no GPU here" in measured.markdown()


@pytest.mark.gpu
def test_a_gpu_repeats_itself_and_edits_as_a_processor_does():
    measured = gpu.check(repeats=2, config=SMALL.replace(image_size=32))
    assert measured.gpus
    assert measured.repeatable
    assert measured.levels[0] <= 1
