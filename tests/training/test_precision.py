"""Runs that measure which precision is quicker."""

from __future__ import annotations

import re

import keras
import pytest

from legan_tf.errors import UserError
from legan_tf.training import precision, systems
from legan_tf.training.train import train

SMALL = {
    "model": "quality",
    "precision": "auto",
    "train_steps": 1,
    "checkpoint_every": 1,
    "log_every": 1,
    "sample_every": 1,
    "schedule": "constant",
}


@pytest.fixture(autouse=True)
def float32_afterwards():
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [(4.6, 8.4, "float32"), (2.8, 1.9, "bfloat16"), (1.0, 0.95, "float32")],
)
def test_bfloat16_has_to_save_a_tenth_of_the_time(float32, bfloat16, chosen):
    assert precision.quicker({"float32": float32, "bfloat16": bfloat16}) == chosen


def test_a_run_measures_both_says_so_and_keeps_what_it_chose(runs, tmp_path, capsys):
    assert train(runs.config(tmp_path, **SMALL)) == 0
    said = "".join(capsys.readouterr())
    found = re.search(
        r"--precision=auto: float32 (\S+) s a step, bfloat16 (\S+) s a step; trains in (\w+)", said
    )
    seconds = dict(zip(precision.PRECISIONS, map(float, found.groups()[:2])))
    assert all(value > 0 for value in seconds.values())
    assert found[3] == precision.quicker(seconds)
    assert systems.from_flagfile(tmp_path / "flags.txt").precision == found[3]


@pytest.mark.parametrize("begun", ["float32", "bfloat16"])
def test_a_resumed_run_takes_the_precision_that_it_began_with(begun, runs, tmp_path, capsys):
    assert train(runs.config(tmp_path, **{**SMALL, "precision": begun})) == 0
    assert train(runs.config(tmp_path, **{**SMALL, "train_steps": 2})) == 0
    assert f"--precision=auto: {begun}, with which the run in" in "".join(capsys.readouterr())
    assert systems.from_flagfile(tmp_path / "flags.txt").precision == begun
    assert keras.mixed_precision.global_policy().compute_dtype == begun


def test_measuring_leaves_a_run_as_if_its_precision_had_been_named(runs, tmp_path):
    auto = {**SMALL, "deterministic": True}
    runs.in_turn(1, (tmp_path / "auto", auto))
    chosen = systems.from_flagfile(tmp_path / "auto" / "flags.txt").precision
    runs.in_turn(1, (tmp_path / "named", {**auto, "precision": chosen}))
    runs.assert_same(tmp_path / "auto", tmp_path / "named", ("network", "optimizer"))


def test_a_dry_run_measures_nothing(runs, tmp_path, capsys):
    assert train(runs.config(tmp_path / "run", **SMALL, dry_run=True)) == 0
    said = "".join(capsys.readouterr())
    assert "--precision=auto" in said
    assert "s a step" not in said


def test_several_workers_have_to_name_it(runs, tmp_path, monkeypatch):
    workers = '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}'
    monkeypatch.setenv("TF_CONFIG", workers)
    with pytest.raises(UserError, match="--precision=auto measures one machine"):
        train(runs.config(tmp_path, **SMALL))
