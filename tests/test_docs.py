from __future__ import annotations

import dataclasses
import pathlib
import re

import pytest

from legan_tf.data.readers.config import ReaderOptions
from legan_tf.training.config import TrainConfig

DOCS = pathlib.Path(__file__).parents[1] / "docs"
FLAGS = {field.name: field for field in dataclasses.fields(TrainConfig)} | {"flagfile": None}
READER_FLAGS = {field.name for field in dataclasses.fields(ReaderOptions)} | {"output"}


@pytest.mark.parametrize(
    ("page", "flags"), [("fidelity.md", {*FLAGS}), ("data.md", {*FLAGS, *READER_FLAGS})]
)
def test_every_flag_that_a_page_names_exists(page, flags):
    named = set(re.findall(r"--(\w+)", (DOCS / page).read_text()))
    assert named
    assert {name for name in named if name not in flags and name[2:] not in flags} == set()


def test_the_page_on_fidelity_names_every_choice_of_method():
    text = (DOCS / "fidelity.md").read_text()
    first = list(FLAGS).index("learning_rate")
    method = set(list(FLAGS)[first : list(FLAGS).index("quality_model")])
    assert "fake_class" in method and "keep_share" in method
    missing = {name for name in method if f"--{name}" not in text and f"--no{name}" not in text}
    assert missing == set()
