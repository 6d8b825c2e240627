"""What TF_CONFIG says, and what a person is told who got it wrong."""

from __future__ import annotations

import json
import socket

import pytest

from legan_tf.errors import UserError
from legan_tf.runtime import compat
from legan_tf.training.train import train
from legan_tf.training.workers import Worker, this_worker

TWO = ["a:1", "b:2"]


@pytest.fixture
def tell(monkeypatch):
    """Sets TF_CONFIG."""

    def set_to(cluster, job="worker", index=0):
        told = {"cluster": cluster, "task": {"type": job, "index": index}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(told))

    return set_to


def test_without_others_a_process_is_alone(tell, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert this_worker() == Worker()
    assert (this_worker().count, this_worker().is_chief) == (1, True)
    monkeypatch.setenv("TF_CONFIG", json.dumps({"environment": "cloud"}))
    assert this_worker() == Worker()
    for cluster, job in (
        ({}, "worker"),
        ({"worker": ["a:1"]}, "worker"),
        ({"chief": ["a:1"]}, "chief"),
    ):
        tell(cluster, job)
        assert this_worker() == Worker()


def test_workers_are_counted_from_the_chief(tell):
    tell({"worker": TWO}, index=1)
    assert this_worker() == Worker(("a:1", "b:2"), 1)
    assert (this_worker().count, this_worker().is_chief) == (2, False)
    with_chief = {"worker": TWO, "chief": ["c:3"], "evaluator": ["d:4"]}
    tell(with_chief, "chief")
    assert this_worker() == Worker(("c:3", "a:1", "b:2"), 0)
    tell(with_chief, "worker", 0)
    assert this_worker() == Worker(("c:3", "a:1", "b:2"), 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"cluster": ', "is not JSON"),
        ("[1]", "write"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "write"),
        ('{"cluster": {"worker": 3}}', "write"),
    ],
)
def test_what_is_no_tf_config_is_refused(text, reason, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="TF_CONFIG.*" + reason) as error:
        this_worker()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cluster", "job", "index", "reason"),
    [
        ({"worker": TWO}, "worker", 2, "no worker with the index 2"),
        ({"worker": TWO}, "chief", 0, "no chief with the index 0"),
        ({"worker": TWO}, "evaluator", 0, "'evaluator' has no work"),
        ({"worker": ["a:1"], "ps": ["b:2"]}, "worker", 0, "no parameter servers"),
        ({"worker": ["a:1", "b"]}, "worker", 0, "'b' is no address: write HOST:PORT"),
        ({"worker": ["a:1", "a:1"]}, "worker", 0, "the same address"),
    ],
)
def test_a_place_that_is_none_is_refused(cluster, job, index, reason, tell):
    tell(cluster, job, index)
    with pytest.raises(UserError, match=reason):
        this_worker()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"batch_size": 3},
            "--batch_size=3 must be a multiple of the 2 replicas, 1 on each worker",
        ),
        ({"replicas": 2}, "--replicas=2: without GPUs each worker of TF_CONFIG is one replica"),
    ],
)
def test_workers_that_cannot_share_do_not_wait_for_each_other(
    options, reason, tell, tmp_path, runs
):
    tell({"worker": TWO})
    with pytest.raises(UserError, match=reason):
        train(runs.config(tmp_path / "run", **options))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(compat.STEPS_TOGETHER_ON_REPLICAS, reason="this Keras takes them together")
def test_steps_that_keras_cannot_take_together_are_refused(tell, tmp_path, runs):
    tell({"worker": TWO})
    with pytest.raises(UserError, match="--steps_per_execution=2: with several replicas"):
        train(runs.config(tmp_path / "run", steps_per_execution=2))


def test_a_port_in_use_is_told_before_anybody_waits(tell, tmp_path, runs):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        tell({"worker": [f"localhost:{port}", "b:2"]})
        with pytest.raises(UserError, match=f"cannot listen at localhost:{port} .*in use"):
            train(runs.config(tmp_path / "run"))
    tell({"worker": ["localhost:70000", "b:2"]})
    with pytest.raises(UserError, match="cannot listen at localhost:70000"):
        train(runs.config(tmp_path / "run"))


def test_a_dry_run_meets_nobody(tell, tmp_path, runs, capsys):
    tell({"worker": TWO})
    config = runs.config(tmp_path / "run", model="classifier", dry_run=True)
    assert train(config) == 0
    assert "plan of" in capsys.readouterr().out
