from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from legan_research.benchmarks import growth, training
from legan_research.benchmarks.growth import Growth, Moment

SMALL = dataclasses.replace(
    training.CONFIG, image_size=16, batch_size=2, critic_steps=1, width=4, blocks=0, d_width=4,
    d_depth=1,
)  # fmt: skip


def test_what_was_measured_becomes_tables_and_a_picture():
    measured = Growth(
        training.CONFIG,
        sizes={64: 2.0, 128: 8.0},
        batch_sizes={1: 2.5, 4: 8.0},
        replicas={1: 8.0, 2: 10.0},
        run=[Moment(50 * i, i, 1000.0 + (i > 4)) for i in range(1, 9)],
        start=[Moment(0, 9.0, 1.0), *(Moment(i, 10.0 + 3.0 * i, 1.0) for i in (1, 2, 3))],
        checkpoint=(1.5, 0.5, 640_000_000),
    )
    # Images that an update of the critic sees, five times in each step.
    assert measured.rates() == (
        {64: 10.0, 128: 2.5},
        {1: 2.0, 4: 2.5},
        {1: 2.5, 2: 2.0},
    )
    assert measured.quarters() == (1000.0, 1001.0)
    text = measured.markdown()
    for row in (
        "| size, batch 4 | step, s | images/s |",
        "| 64 | 2 | 10 |",
        "| CPU replicas, batch 4 | step, s | images/s |",
        "| 2 | 10 | 2 |",
        "| memory in the first quarter of 400 steps | 1,000 MiB |",
        "| in the last | 1,001 MiB (+0.10 %) |",
        "| from the start of the process until all is made | 9.0 s |",
        "| until the first step is done | 13.0 s |",
        "| a step after that | 3.0 s |",
        "| to write a checkpoint of 640 MB | 1.50 s |",
    ):
        assert row in text
    picture = np.asarray(Image.open(io.BytesIO(measured.picture())).convert("RGB"))
    assert picture.shape[1] > 2 * picture.shape[0]
    assert all(np.ptp(part) > 100 for part in np.array_split(picture, 3, axis=1))


def test_a_step_of_two_replicas_is_timed_in_a_process_of_its_own():
    # Here the CPU is one device, and stays it.
    seconds = training.apart(dataclasses.replace(SMALL, replicas=2), repeats=2)["seconds"]
    assert len(seconds) == 2 and min(seconds) > 0.0


def test_moments_of_a_real_run_tell_its_steps_time_and_memory():
    flags = {**dataclasses.asdict(SMALL), "people": 1, "train_steps": 4, "log_every": 2}
    del flags["workdir"]
    seen = list(growth.started("stargan", *(f"--{k}={v}" for k, v in flags.items())))
    # The process may end before its memory at the last step was read.
    assert [moment.step for moment in seen][:2] == [0, 2]
    assert seen[0].seconds < seen[1].seconds
    assert all(50.0 < moment.memory < 20_000.0 for moment in seen)


def test_a_run_that_fails_is_reported():
    with pytest.raises(RuntimeError, match="train failed"):
        list(growth.started("stargan", "--nonsense"))


def test_checkpoints_are_written_and_restored():
    written, restored, size = growth.checkpointed(SMALL, repeats=2)
    assert written > 0.0 and restored > 0.0
    # Weights and both of Adam's moments, float32.
    networks = training.Training.of(SMALL).trainer.trained.values()
    assert size > 12 * sum(network.count_params() for network in networks)
