from __future__ import annotations

import pytest

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.experiment import Experiment, open_experiment
from legan_tf.errors import UserError


def test_a_folder_is_of_one_experiment(editor_run, tmp_path, monkeypatch):
    output = str(tmp_path / "out")

    def begin(name):
        Experiment(name, output, ExperimentOptions(), None, None, ()).begin({"edits": 1})

    def real_folder(folder):
        return open_experiment("filter", str(editor_run), folder, ExperimentOptions()).output

    begin("filter")
    begin("filter")
    with pytest.raises(UserError, match="was begun with experiment 'filter', now it is 'expres"):
        begin("expression")
    with pytest.raises(UserError, match=r"name the folder to write"):
        real_folder("report.csv")
    (tmp_path / "link").symlink_to(output)
    monkeypatch.chdir(tmp_path)
    assert real_folder("link") == real_folder("out") == real_folder(output)
