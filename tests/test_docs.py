from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
import re
import runpy

import pytest

from legan_research.experiments.config import ExperimentOptions
from legan_tf.command_line import options
from legan_tf.data.align.config import AlignOptions
from legan_tf.data.depth.config import DepthMapOptions
from legan_tf.data.readers.registry import reader_options
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.serving.local_server.options import Options
from legan_tf.training.options import DataOptions, RunOptions
from legan_tf.training.systems import SYSTEMS
from legan_tf.uses.augment.config import AugmentOptions
from legan_tf.uses.scoring.config import ScoringConfig
from legan_tf.uses.study.config import ScreenOptions, StudyOptions

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
OF_ABSL = {"help", "helpshort"}
FLAGS = {name for system in SYSTEMS.values() for name in options.names(system)}


def known_flags() -> set[str]:
    """Every flag: the fields of the configurations, and those that scripts define."""
    known = {"flagfile", *FLAGS}
    configs = (AlignOptions, DepthMapOptions, EvaluationConfig, Options, reader_options())
    configs += (ScreenOptions, StudyOptions)
    for config in (*configs, AugmentOptions, ExperimentOptions, ScoringConfig):
        known |= {field.name for field in dataclasses.fields(config)}
    for script in (ROOT / "scripts").glob("*.py"):
        known |= set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', script.read_text()))
    return known


@pytest.mark.parametrize(
    "page",
    [
        "augmentation.md",
        "fidelity.md",
        "data.md",
        "evaluation.md",
        "experiments.md",
        "extending.md",
        "serving.md",
        "studies.md",
        "weights.md",
        "filtering.md",
        "photographs.md",
        "recipes.md",
        "index.md",
        "notebook.ipynb",
    ],
)
def test_every_flag_that_a_page_names_exists(page):
    named = set(re.findall(r"--(\w+)", (DOCS / page).read_text()))
    known = known_flags()
    assert {"workdir", "model", "models", "judges"} <= known
    assert named
    assert {name for name in named if name not in known and name[2:] not in known} <= OF_ABSL


def test_the_page_on_fidelity_names_every_choice_of_method():
    # The page on extending lists the weights of all loss terms.
    text = "".join((DOCS / name).read_text() for name in ("fidelity.md", "extending.md"))
    of_runs = {*options.names(DataOptions), *options.names(RunOptions)}
    ours = {"auxiliary_steps", "classifier_width"}
    method = {f for f in FLAGS - of_runs - ours if not f.endswith(("_model", "_from"))}
    assert "fake_class" in method and "keep_share" in method
    missing = {name for name in method if f"--{name}" not in text and f"--no{name}" not in text}
    assert missing == set()


def test_what_the_notebook_imports_is_there():
    # make docs runs it; this is quick.
    cells = json.loads((DOCS / "notebook.ipynb").read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells), "save it without its outputs"
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    imports = re.findall(r"^from (legan_tf[\w.]*) import (\w+)$", code, re.MULTILINE)
    assert imports
    for module, name in imports:
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize("page", ["data.md", "evaluation.md", "extending.md"])
def test_pages_have_the_tables_of_what_is_registered(page):
    tables = runpy.run_path(str(DOCS / "tables.py"))
    assert page in tables["TABLES"]
    assert tables["with_tables"](page) == (DOCS / page).read_text(), "make format writes them"
