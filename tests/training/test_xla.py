"""Trainings whose losses and gradients XLA compiles."""

from __future__ import annotations

import re

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.training.train import train

ONE = {"train_steps": 1, "checkpoint_every": 1, "log_every": 1, "sample_every": 1}


ALONE = {"quality_weight": 0.0, "identity_weight": 0.0}
LAZY = {"adversarial": "hinge", "penalty_every": 2, "fake_class": True}


@pytest.mark.parametrize(
    ("model", "own"),
    [
        ("quality", {}),
        ("stargan", ALONE),
        ("legan", {**ALONE, **LAZY}),
        ("depth", {"perceptual_weight": 0.0}),
    ],
)
def test_a_compiled_step_makes_the_same_update(model, own, runs, tmp_path, capsys):
    options = {**ONE, "model": model, "schedule": "constant", **own}
    assert train(runs.config(tmp_path / "plain", **options)) == 0
    assert train(runs.config(tmp_path / "xla", **options, xla=True)) == 0
    assert "--xla: it is for GPUs" in "".join(capsys.readouterr())
    runs.assert_same_update(*(runs.last_checkpoint(tmp_path / name) for name in ("plain", "xla")))
    plain, compiled = (runs.metrics(tmp_path / name)[0] for name in ("plain", "xla"))
    for term, value in plain.items():
        if not re.search("images|rate|seconds|step", term):
            np.testing.assert_allclose(compiled[term], value, rtol=1e-3, atol=1e-4, err_msg=term)


def test_replicas_compile_what_each_computes(runs, tmp_path):
    options = {**ONE, **ALONE, "model": "stargan", "schedule": "constant", "replicas": 2}
    ways = ((tmp_path / name, {**options, "xla": name == "xla"}) for name in ("plain", "xla"))
    runs.in_turn(2, *ways)
    runs.assert_same_update(*(runs.last_checkpoint(tmp_path / name) for name in ("plain", "xla")))


def test_what_xla_cannot_repeat_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match="--xla does not go with --deterministic"):
        train(runs.config(tmp_path, xla=True, deterministic=True))
