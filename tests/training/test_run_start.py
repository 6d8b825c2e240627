"""Trainings that begin with the weights of another one."""

from __future__ import annotations

import hashlib
import json

import keras
import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.training.train import train


@pytest.fixture
def options(faces, runs, tmp_path):
    """Flags of a Q on the pictures of a folder, which begins with another Q."""
    return {
        "model": "quality",
        "dataset": "manifest",
        "manifest": faces / "faces.csv",
        "start_from": runs.untrained(tmp_path / "q", "quality"),
        "schedule": "constant",
        "train_steps": 1,
        "checkpoint_every": 1,
        "log_every": 1,
        "sample_every": 1,
    }


def weights_of(workdir):
    return keras.models.load_model(workdir / "model.keras").get_weights()


def test_training_begins_with_the_weights_that_are_given(options, tmp_path, runs):
    start = weights_of(options["start_from"])
    assert train(runs.config(tmp_path / "near", **{**options, "learning_rate": 1e-9})) == 0
    for there, here in zip(start, weights_of(tmp_path / "near")):
        np.testing.assert_allclose(here, there, rtol=0, atol=1e-8)
    assert train(runs.config(tmp_path / "random", **{**options, "start_from": ""})) == 0
    kernels = [
        np.abs(there - here).max()
        for there, here in zip(start, weights_of(tmp_path / "random"))
        if there.ndim > 1
    ]
    assert min(kernels) > 0.01


def test_a_resumed_run_goes_on_from_its_own_weights(options, tmp_path, runs):
    options["deterministic"] = True
    ways = (("whole", 2), ("parts", 1), ("parts", 2))
    runs.in_turn(2, *((tmp_path / name, {**options, "train_steps": n}) for name, n in ways))
    runs.assert_same(tmp_path / "whole", tmp_path / "parts", ("network", "optimizer"))


def test_an_identity_network_may_begin_with_one_of_other_people(options, tmp_path, runs):
    start = runs.untrained(tmp_path / "face", "identity")
    given = {"model": "identity", "start_from": start, "learning_rate": 1e-9}
    assert train(runs.config(tmp_path / "run", **{**options, **given})) == 0
    for there, here in zip(weights_of(start), weights_of(tmp_path / "run")):
        np.testing.assert_allclose(here, there, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"q_width": 8},
            "--start_from=.*q: it has another form: width is 4 there and 8 here. Give",
        ),
        ({"model": "identity"}, "--start_from=.*q: it holds a QualityEstimator, not a LightCNN29"),
        ({"model": "legan"}, "--start_from belongs to classifier, identity, quality, not to legan"),
        ({"model": "classifier"}, "--start_from=.*q: it holds a QualityEstimator, not an? Attr"),
        ({"start_from": "/nowhere"}, "--start_from=/nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_begun_with_is_refused(changed, message, options, tmp_path, runs):
    with pytest.raises(UserError, match=message):
        train(runs.config(tmp_path / "run", **{**options, **changed, "dry_run": True}))
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_write_over_what_it_begins_with(options, runs):
    folder = options["start_from"]
    for start in (folder, folder / "model.keras"):
        with pytest.raises(UserError, match="--start_from=.* is in --workdir, .* name another"):
            train(runs.config(folder, **{**options, "start_from": start}))


def test_once_begun_a_run_does_not_need_what_it_began_with(options, tmp_path, runs):
    first = (options["start_from"] / "model.keras").read_bytes()
    workdir = tmp_path / "run"
    assert train(runs.config(workdir, **options)) == 0
    (options["start_from"] / "model.keras").unlink()
    assert train(runs.config(workdir, **{**options, "train_steps": 2})) == 0
    began_with = json.loads((workdir / "inputs.json").read_text())["start_from"]
    assert began_with == hashlib.sha256(first).hexdigest()
    with pytest.raises(UserError, match="--start_from was .*/q, is now /other"):
        train(runs.config(workdir, **{**options, "start_from": "/other"}))
