"""A loss term is one module: its function, its weight's flag, its line in the log."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from legan_tf.errors import UserError
from legan_tf.losses import terms
from legan_tf.losses.terms import DEPTH, EDITOR, active_terms, loss_term

ROOT = pathlib.Path(__file__).resolve().parents[2]

SMOOTHNESS = """
import tensorflow as tf
from legan_tf.losses.terms import EDITOR, loss_term

@loss_term("smoothness", EDITOR, help="Weight of total variation.")
def smoothness_loss(tensors):
    return tf.image.total_variation(tensors["edited"]) / 100.0
"""

TRAIN_WITH_IT = """
import sys
import smoothness
from legan_tf.training import systems
from legan_tf.training.train import train

arguments = ["train", "--smoothness_weight=0.5", "--identity_weight=0", "--quality_weight=0",
    "--image_size=16", "--people=1", "--batch_size=2", "--width=4", "--blocks=0", "--d_width=4",
    "--d_depth=2", "--mask_channels=1", "--nostem", "--critic_steps=1", "--train_steps=1",
    "--log_every=1", f"--workdir={sys.argv[1]}"]
systems.flags.FLAGS(systems.select_flags(arguments))
system = systems.from_flags()
assert system.smoothness_weight == 0.5 and systems.make("stargan").smoothness_weight == 0.0
assert "Weight of total variation." in systems.flags.FLAGS.get_help()
assert train(system) == 0
"""


def test_a_term_in_a_module_of_its_own_has_a_flag_and_a_line_in_the_log(tmp_path):
    (tmp_path / "smoothness.py").write_text(SMOOTHNESS)
    finished = subprocess.run(
        [sys.executable, "-c", TRAIN_WITH_IT, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    (line,) = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["smoothness"] > 0
    assert "--smoothness_weight=0.5\n" in (tmp_path / "run/flags.txt").read_text()


def test_a_name_is_taken_once_and_a_term_is_of_its_group_alone(monkeypatch):
    monkeypatch.setattr(terms, "_TERMS", {})
    loss_term("roughness", DEPTH, help="Weight of it.")(len)
    with pytest.raises(ValueError, match="there is a loss term 'roughness' already"):
        loss_term("roughness", EDITOR, help="")(len)
    group = terms.term_options(DEPTH)
    assert group().roughness_weight == 0.0 and not active_terms(DEPTH, group())
    (active,) = active_terms(DEPTH, group(roughness_weight=2.0))
    assert (active.name, active.function) == ("roughness", len)
    assert active_terms(EDITOR, group(roughness_weight=2.0)) == []
    assert not hasattr(terms.term_options(EDITOR)(), "roughness_weight")
    with pytest.raises(UserError, match="--roughness_weight=-1.0: must not be negative"):
        group(roughness_weight=-1.0).check()
