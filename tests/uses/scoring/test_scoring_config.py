from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from absl import flags

from legan_tf.command_line import options
from legan_tf.errors import UserError
from legan_tf.uses.scoring.config import ScoringConfig

SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "..", "scripts", "score.py")


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"output": ""}, "--output=: name the CSV to write"),
        ({"output": "scores"}, "--output=scores: name the CSV to write"),
        ({"output": "IN/d.csv"}, "--output=IN/d.csv: is a folder"),
        ({"output": "gs://x/a.csv"}, "--output=gs://x/a.csv: must be on this machine"),
        ({"sheet": "a.jpg"}, "--sheet=a.jpg: name the picture to write, ending in .png"),
        (
            {"sheet": "IN/s/a.png"},
            "--sheet=IN/s/a.png: lies in --input=IN, where it would be rated",
        ),
        ({"sheet": "IN/s.png"}, "--sheet=IN/s.png: is a folder; name the picture to write"),
        ({"batch_size": 0}, "--batch_size=0: must be 1 to 1024"),
        ({"batch_size": 1025}, "--batch_size=1025: must be 1 to 1024"),
        ({"workers": -1}, "--workers=-1: must be 0 to 256"),
        ({"keep_above": 6.0}, "--keep_above needs --keep_dir"),
        ({"keep_above": float("nan"), "keep_dir": "k"}, "--keep_above=nan: must be a rating"),
        ({"keep_above": 5.0, "keep_dir": "IN"}, "--keep_dir=IN: lies in --input=IN"),
        ({"keep_above": 5.0, "keep_dir": "IN/k"}, "--keep_dir=IN/k: lies in --input=IN"),
        ({"keep_above": 5.0, "keep_dir": "FILE"}, "--keep_dir=FILE: is a file; name a folder"),
    ],
)
def test_each_mistake_is_reported_by_its_flag(tmp_path, values, sentence):
    folder, file = tmp_path / "in", tmp_path / "file"
    (folder / "d.csv").mkdir(parents=True)
    (folder / "s.png").mkdir()
    (folder / "a.png").write_bytes(b"")
    file.write_bytes(b"")

    def real(text):
        return text.replace("IN", str(folder)).replace("FILE", str(file))

    given = {"input": "IN", "output": str(tmp_path / "a.csv"), **values}
    given = {name: real(one) if isinstance(one, str) else one for name, one in given.items()}
    with pytest.raises(UserError, match=re.escape(real(sentence))):
        ScoringConfig(**given).check()


def test_the_default_flags_fit(tmp_path):
    values = flags.FlagValues()
    options.define_flags(ScoringConfig, values)
    values(["score", f"--input={tmp_path}", f"--output={tmp_path}/../a.csv", "--keep_above=5.5",
            "--keep_dir=elsewhere"])  # fmt: skip
    config = options.from_flags(ScoringConfig, values)
    config.check()
    assert (config.keep_above, config.batch_size, config.workers) == (5.5, 32, 0)


def test_the_script_rates_and_tells_by_its_status(quality_run, folder, tmp_path):
    def run(*more):
        command = [sys.executable, SCRIPT, f"--model={quality_run}", f"--input={folder}"]
        return subprocess.run(
            [*command, f"--output={tmp_path}/a.csv", *more], capture_output=True, text=True
        )

    done = run()
    assert done.returncode == 1, done.stderr
    assert "20 pictures rated: mean" in done.stdout and "a/cut.png: is damaged" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{tmp_path}/a.csv"
    assert "rating 21/21 (100%)" in done.stderr
