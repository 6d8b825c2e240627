"""What a run says while it trains."""

from __future__ import annotations

import pytest

from legan_tf.training import callbacks
from legan_tf.training.train import train

OPTIONS = {
    "model": "stargan",
    "adversarial": "hinge",
    "identity_weight": 0.0,
    "quality_weight": 0.0,
    "blocks": 0,
    "critic_steps": 1,
    "log_every": 1,
    "schedule": "constant",
}


@pytest.mark.parametrize("weight", [1e6, 1e-6])
def test_an_adversary_at_chance_is_told_once_by_the_flag_that_mends_it(
    weight, runs, tmp_path, capsys, monkeypatch
):
    doubted = 5
    monkeypatch.setattr(callbacks, "DOUBTED_STEPS", doubted)
    steps = 2 * doubted + 1
    options = {**OPTIONS, "penalty_weight": weight, "train_steps": steps, "learning_rate": 5e-3}
    assert train(runs.config(tmp_path, **options)) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    losses = [line["discriminator"] for line in runs.metrics(tmp_path)]
    if weight < 1:
        assert told == [] and losses[-1] < 1.9
    else:
        assert min(losses) > 1.95
        (line,) = told
        assert f"at step {doubted}: --penalty_weight=1e+06: the discriminator tells" in line
        assert "guessing has a hinge loss of 2" in line
