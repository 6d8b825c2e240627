"""A loss term is one module: its function, its weight's flag, its line in the log and the docs."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from legan_tf.losses import terms
from legan_tf.losses.terms import DEPTH, EDITOR, loss_term

ROOT = pathlib.Path(__file__).resolve().parents[2]

SMOOTHNESS = """
import tensorflow as tf
from legan_tf.losses.terms import EDITOR, loss_term

@loss_term(
    "smoothness", EDITOR, inputs=("edited",), help="Weight of total variation.", source="ours"
)
def smoothness_loss(edited):
    return tf.image.total_variation(edited) / 100.0
"""

TRAIN_WITH_IT = """
import sys
import smoothness
from legan_tf.losses import terms
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
print(terms.table())
"""


def test_a_term_in_a_module_of_its_own_has_a_flag_a_line_in_the_log_and_in_the_docs(tmp_path):
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
    assert "| `smoothness` | editor | `--smoothness_weight` | 0 | ours |" in finished.stdout


def test_terms_that_share_a_weight_share_its_flag():
    weights = terms.weight_options(EDITOR)
    assert weights(quality_weight=0.0).quality_weight == 0.0
    names = [term.name for term in terms.active_terms(EDITOR, weights(quality_weight=0.0))]
    assert "naturalness" not in names and "preservation" not in names and "identity" in names
    assert [term.name for term in terms.terms(DEPTH)] == ["pixel", "perceptual"]


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="there is a loss term 'identity' already"):
        loss_term("identity", EDITOR, inputs=(), help="", source="")(len)
