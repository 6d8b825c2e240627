"""Stopped in whatever way, a run ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time

import pytest

from legan_tf.training.run_folder import saved_step

TOTAL = 60
GAN_PARTS = (
    "generator/",
    "discriminator/",
    "averaged_generator/",
    "g_optimizer/",
    "d_optimizer/",
    "means/",
)


@pytest.fixture(scope="module")
def options(faces):
    return {
        "model": "stargan",
        "dataset": "manifest",
        "manifest": faces / "faces.csv",
        "identity_weight": 0,
        "quality_weight": 0,
        "keep_share": 0.2,
        "blocks": 0,
        "train_steps": TOTAL,
        "log_every": 4,
        "checkpoint_every": 10,
        "sample_every": 30,
        "deterministic": True,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def uninterrupted(options, folder, runs):
    status, output = runs.start(folder / "uninterrupted", **options).wait()
    assert status == 0, output
    return folder / "uninterrupted"


def _steps(runs, workdir):
    return [line["step"] for line in runs.metrics(workdir)]


def _records(workdir):
    return [json.loads(line) for line in (workdir / "record.jsonl").read_text().splitlines()]


def _unfinished(workdir):
    return [path for path in workdir.rglob("*") if path.name.startswith(".writing")]


def test_an_uninterrupted_run_leaves_what_it_promises(uninterrupted, runs):
    assert _steps(runs, uninterrupted) == list(range(4, TOTAL + 1, 4))
    rates = [(line["d_rate"], line["g_rate"]) for line in runs.metrics(uninterrupted)]
    assert rates[0] == pytest.approx((1e-3, 1e-3))
    assert rates[-1][1] < 1e-4
    names = {path.name for path in uninterrupted.iterdir()}
    assert {"flags.txt", "metrics.jsonl", "record.jsonl", "tensorboard", "model.keras"} <= names
    assert {path.name for path in (uninterrupted / "samples").iterdir()} == {
        "samples-0000030.png",
        "samples-0000060.png",
    }
    indices = sorted(path.name for path in (uninterrupted / "checkpoints").glob("*.index"))
    assert indices == ["ckpt-40.index", "ckpt-50.index", "ckpt-60.index"]
    assert not _unfinished(uninterrupted)


def test_sigterm_and_ctrl_c_save_and_the_same_command_goes_on(options, uninterrupted, folder, runs):
    workdir = folder / "stopped"
    stops = [0]
    for number, step in ((signal.SIGTERM, 4), (signal.SIGINT, 24)):
        process = runs.start(workdir, **options)
        process.send_at(number, workdir, step)
        status, output = process.wait()
        assert status == 143, output
        stops.append(saved_step(str(workdir)))
        assert step <= stops[-1] < TOTAL
        assert f"{number.name}: saved at step {stops[-1]}" in output
        assert "Traceback" not in output
    status, output = runs.start(workdir, **options).wait()
    assert status == 0, output
    assert f"resumed at step {stops[-1]}" in output
    assert [record["from_step"] for record in _records(workdir)] == stops
    runs.assert_same(uninterrupted, workdir, GAN_PARTS)


def test_killed_again_and_again_a_run_still_ends_the_same(options, uninterrupted, folder, runs):
    workdir = folder / "killed"
    rng = random.Random(0)
    for step in (1, 24):
        process = runs.start(workdir, **options)
        process.wait_for(workdir, step)
        time.sleep(rng.random() / 4)
        process.process.kill()
        status, output = process.wait()
        assert status in (-signal.SIGKILL, 0), output
    status, output = runs.start(workdir, **options).wait()
    assert status == 0, output
    assert _steps(runs, workdir) == list(range(4, TOTAL + 1, 4))
    assert not _unfinished(workdir)
    runs.assert_same(uninterrupted, workdir, GAN_PARTS)


@pytest.mark.parametrize("model", ["identity", "quality"])
def test_a_supervised_run_goes_on_from_the_checkpoint_before(model, faces, folder, runs):
    options = {
        "model": model,
        "dataset": "manifest",
        "manifest": faces / "faces.csv",
        "flip": True,
        "train_steps": 6,
        "log_every": 2,
        "sample_every": 3,
        "checkpoint_every": 3,
        "deterministic": True,
    }
    whole, halves = folder / model, folder / f"{model}_in_halves"
    status, output = runs.start(whole, **options).wait()
    assert status == 0, output
    shutil.copytree(whole, halves)
    for file in (halves / "checkpoints").glob("ckpt-6.*"):
        file.unlink()
    status, output = runs.start(halves, **options).wait()
    assert status == 0, output
    assert "resumed at step 3" in output
    parts = {"identity": ("network/", "head/"), "quality": ("network/",)}[model]
    runs.assert_same(whole, halves, (*parts, "optimizer/", "means/"))
    validated = {"identity": "val_right_of_two", "quality": "val_mae"}[model]
    assert [line["step"] for line in runs.metrics(halves) if validated in line] == [3, 6]
