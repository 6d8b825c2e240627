from __future__ import annotations

import pathlib
import runpy
import threading

import pytest

from legan_tf.uses.study.build import build_study
from legan_tf.uses.study.config import StudyOptions
from legan_tf.uses.study.server import StudyServer
from legan_tf.uses.study.study_file import read_study

simulated = runpy.run_path(str(pathlib.Path(__file__).parent / "simulated.py"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Four sources of two models, and four real pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    simulated["write_pictures"](str(folder), {"Good": 0.05, "Poor": 0.8}, 4, 4, 48)
    return folder


@pytest.fixture(scope="session")
def flags(pictures):
    """What a small study is made of: the models, and the options."""
    options = StudyOptions(
        real=str(pictures / "photos"), raters=2, ratings_per_image=2, choices_per_source=2
    )
    return f"Good={pictures / 'Good'},Poor={pictures / 'Poor'}", options


@pytest.fixture
def study(flags, tmp_path):
    models, options = flags
    build_study(models, str(tmp_path / "study"), options)
    return read_study(str(tmp_path / "study"))


@pytest.fixture
def server(study):
    with StudyServer(study, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()
