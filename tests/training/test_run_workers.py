"""Two processes that train together make the run of one."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

from legan_tf.training.run_folder import saved_step
from legan_tf.training.train import train

STEPS = 500
"""More than a run takes until it is stopped."""


@pytest.fixture(scope="module")
def options(faces):
    # Q, which the run trains first, is a supervised training.
    return {
        "model": "stargan",
        "dataset": "manifest",
        "manifest": faces / "faces.csv",
        "identity_weight": 0,
        "quality_weight": 1,
        "keep_share": 0.2,
        "blocks": 0,
        "critic_steps": 1,
        "penalty_weight": 0,
        "d_depth": 1,
        "q_depth": 1,
        "schedule": "constant",
        "log_every": 1,
        "checkpoint_every": 1,
        "sample_every": 2,
        "keep_checkpoints": STEPS,
    }


@pytest.fixture(scope="module")
def stopped(options, tmp_path_factory, runs):
    """A run of two workers of which the second was stopped, and their outputs."""
    workdir = tmp_path_factory.mktemp("workers") / "run"
    with runs.workers(2, workdir, **options, train_steps=STEPS) as (chief, other):
        chief.wait_for(workdir, 2)
        other.process.send_signal(signal.SIGTERM)
        ended = [process.wait() for process in (chief, other)]
    return workdir, ended


@pytest.fixture(scope="module")
def alone(stopped, options, tmp_path_factory, runs):
    """The same run of one process, and the stopped run after one step more, of one process."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    resumed = shutil.copytree(stopped[0], workdir.parent / "resumed")
    last = saved_step(str(resumed)) + 1
    for folder, steps in ((workdir, 1), (resumed, last)):
        assert train(runs.config(folder, **{**options, "train_steps": steps})) == 0
    return workdir, resumed


def test_a_stopped_worker_stops_all_after_saving(stopped):
    workdir, ended = stopped
    step = saved_step(str(workdir))
    assert 2 <= step < STEPS
    reasons = ("another worker was stopped", "SIGTERM")
    for (status, output), reason in zip(ended, reasons):
        assert status == 143, output
        assert f"{reason}: saved at step {step}; the same command resumes" in output
        assert "Traceback" not in output


def test_only_the_chief_writes(stopped, runs):
    workdir, _ = stopped
    step = saved_step(str(workdir))
    # Q writes what it was validated with besides its losses.
    for folder, steps in ((workdir, list(range(1, step + 1))), (workdir / "quality", [2, 2])):
        assert [line["step"] for line in runs.metrics(folder)] == steps
        lines = (folder / "record.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [(record["workers"], record["replicas"]) for record in records] == [(2, 2)]
        assert len(list((folder / "tensorboard").iterdir())) == 1
    assert (workdir / "samples/samples-0000002.png").exists()
    assert not [path for path in workdir.rglob("*") if path.name.startswith(".writing")]


@pytest.mark.parametrize("part", ["", "quality"])
def test_two_workers_make_the_update_of_one_process(part, stopped, alone, runs):
    one, two = (
        runs.last_checkpoint(workdir / part, 2 if part else 1) for workdir in (alone[0], stopped[0])
    )
    runs.assert_same_update(one, two)
    left, right = (runs.metrics(workdir / part)[0] for workdir in (alone[0], stopped[0]))
    assert left.keys() == right.keys()
    assert list(left.values()) == pytest.approx(list(right.values()), rel=2e-3, abs=2e-5)


def test_one_process_goes_on_with_the_run_of_two(stopped, alone, runs):
    step = saved_step(str(stopped[0]))
    _, resumed = alone
    records = (resumed / "record.jsonl").read_text().splitlines()
    told = [json.loads(record) for record in records]
    assert [(record["from_step"], record["workers"]) for record in told] == [(0, 2), (step, 1)]
    assert saved_step(str(resumed)) == step + 1
    assert runs.metrics(resumed)[:step] == runs.metrics(stopped[0])
    assert runs.metrics(resumed)[step]["step"] == step + 1


def test_a_worker_that_loses_the_chief_says_so(stopped, options, tmp_path, runs):
    workdir = shutil.copytree(stopped[0], tmp_path / "run")
    step = saved_step(str(workdir))
    options = {**options, "train_steps": STEPS, "sample_every": STEPS}
    with runs.workers(2, workdir, **options) as (chief, other):
        chief.wait_for(workdir, step + 1)
        chief.process.kill()
        status, output = other.wait()
    assert status == 2, output
    assert f"resumed at step {step}" in output
    assert "Error: worker 1 of 2: another worker has ended" in output
    assert "Traceback" not in output
