"""Files of version 0.1 are read as they were: networks, an export, run folders.

``previous_version.tar.xz`` was made by ``make_fixtures.py`` with commit fc6b3b7, on both stacks:
TensorFlow 2.15 with Keras 2.15, and TensorFlow 2.21 with Keras 3. Its ``facts.json`` holds what
that commit made of the files.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import pkgutil
import shutil
import sys
import tarfile

import keras
import numpy as np
import pytest

import legan_tf
import legan_tf.models
from legan_tf.errors import UserError
from legan_tf.runtime.compat import KERAS_3
from legan_tf.training.run_checks import check_resumable
from legan_tf.training.systems import from_flagfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import make_fixtures as fixtures

ROOT = pathlib.Path(__file__).resolve().parents[2]
STACKS = ("stack-a", "stack-b")
STACK = STACKS[KERAS_3]
RUNS = (("legan", "quality"), ("quality",))[KERAS_3]


for module in pkgutil.walk_packages(legan_tf.models.__path__, "legan_tf.models."):
    # So that Keras knows every class by its name.
    importlib.import_module(module.name)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(pathlib.Path(__file__).with_name("previous_version.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def facts(files) -> dict[str, dict]:
    return {
        stack: json.loads((files / stack / "facts.json").read_text())
        for stack in {STACKS[0], STACK}
    }


def assert_close(found, wanted) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", fixtures.WITH_FILE)
def test_a_file_of_stack_a_is_loaded_with_the_same_outputs(files, facts, name):
    model = keras.models.load_model(files / f"stack-a/networks/{name}.keras")
    assert type(model).__name__ == name
    assert_close(fixtures.outputs_of(model), facts["stack-a"]["outputs"][name])


def test_every_class_is_made_and_stored_as_before(facts, tmp_path):
    then = facts[STACK]
    for name, config in then["configs"].items():
        model = fixtures.made_from(config)
        initial = [fixtures.digest(weight)[-1] for weight in model.get_weights()]
        np.testing.assert_allclose(initial, then["initial"][name], rtol=1e-4, err_msg=name)
        fixtures.fill(model)
        assert_close(fixtures.outputs_of(model), then["outputs"][name])
        # With equal keys the files of both versions are the same.
        model.save(tmp_path / "new.keras")
        assert fixtures.keys_in(tmp_path / "new.keras") == then["keys"][name], name


def test_an_export_edits(files, tmp_path):
    served = legan_tf.load(files / "stack-a/export/editor")
    network = fixtures.small_editor()
    network.save(tmp_path / "network.keras")
    pictures = np.uint8(127.5 * (fixtures.image(fixtures.SIZE) + 1))
    assert served.expressions == fixtures.EXPRESSIONS
    edits = [
        model(pictures, expression="smile", lighting="right")
        for model in (served, legan_tf.load(tmp_path / "network.keras"))
    ]
    assert np.abs(np.subtract(*edits, dtype=int)).max() <= 1
    assert (edits[0] != pictures).any()


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on(files, facts, name, tmp_path):
    folder = tmp_path / STACK
    shutil.copytree(files / STACK, folder)
    flags = folder / "runs" / name / "flags.txt"
    assert len(flags.read_text().splitlines()) == 73  # It names those of all systems.
    config = from_flagfile(str(flags))
    # LEGAN with --depth_weight is a system of its own now.
    assert config.model == {"legan": "depth_legan"}.get(name, name)
    assert (config.image_size, config.train_steps) == (fixtures.SIZE, 1)
    if config.data.dataset == "rendered":
        longer = config.replace(workdir=str(flags.parent), train_steps=2)
        with pytest.raises(UserError, match="on the rendered faces of an earlier version"):
            check_resumable(longer)
        return
    fixtures.train(str(ROOT), folder, fixtures.go_on(name))
    wanted = facts[STACK]["metrics"][name]
    # What was called the critic is the discriminator.
    wanted = {key.replace("critic", "discriminator"): value for key, value in wanted.items()}
    found = fixtures.metrics(folder / "runs" / name)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key
    records = (folder / "runs" / name / "record.jsonl").read_text().splitlines()
    assert [json.loads(line)["from_step"] for line in records] == [0, 1]
