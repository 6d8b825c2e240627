from __future__ import annotations

import json
import os
import shutil

import pytest
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.judge_networks import load_judge_networks
from legan_tf.evaluation.judge_training import JUDGES, doubt_of_identity, judge_config, train_judges
from legan_tf.training.datasets import rendered_split
from legan_tf.training.run_folder import INPUTS_FILE, METRICS_FILE


def faces(size=16, expressions="multipie", merged=True, attributes=False):
    return rendered_split("test", 1, expressions, merged, size, 0, with_attributes=attributes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("evaluation") / "judges")
    train_judges(folder, faces(), 1)
    return folder


def test_judges_are_trained_once(folder, capsys):
    judges = train_judges(folder, faces(), 1)
    told = capsys.readouterr().err
    assert [f"{kind}: complete at step 1, nothing to do" in told for kind in JUDGES] == [True] * 3
    logits = judges["classifier"](tf.zeros([2, 16, 16, 3]))
    assert (logits["expression"].shape, logits["lighting"].shape) == ((2, 6), (2, 19))
    assert judges["identity"](tf.zeros([2, 16, 16, 3])).shape == (2, 256)
    assert judges["quality"](tf.zeros([2, 16, 16, 3])).shape == (2,)


def test_attributes_of_rendered_faces_are_read_by_a_judge(tmp_path):
    shown = faces(attributes=True)
    folder = str(tmp_path / "judges")
    classifier = train_judges(folder, shown, 1, ["classifier"])["classifier"]
    assert classifier.conditions == shown.conditions


def test_a_face_judge_that_learned_nothing_is_doubted(folder, judges):
    config = EvaluationConfig(judge_steps=1)
    (doubt,) = load_judge_networks(config, folder, faces()).doubts
    with open(os.path.join(folder, "identity", METRICS_FILE)) as file:
        (share,) = [x["val_right_of_two"] for x in map(json.loads, file) if "val_right_of_two" in x]
    assert f"for {100 * share:.0f} % of people" in doubt and "--identity_model" in doubt
    assert load_judge_networks(config, folder, faces(), ["quality"]).doubts == (doubt,)
    given = EvaluationConfig(judge_steps=1, identity_model=judges["identity_model"])
    assert load_judge_networks(given, folder, faces()).doubts == ()


def test_it_is_the_last_validation_that_tells_whether_to_doubt(tmp_path):
    assert doubt_of_identity(str(tmp_path)) == ""
    (tmp_path / "identity").mkdir()
    for share, doubted in ((None, False), (0.44, True), (0.75, False), (0.74, True), (0.99, False)):
        line = {"step": 1} | ({"loss": 1.0} if share is None else {"val_right_of_two": share})
        with open(tmp_path / "identity" / METRICS_FILE, "a") as file:
            file.write(json.dumps(line) + "\n")
        assert bool(doubt_of_identity(str(tmp_path))) == doubted


@pytest.mark.parametrize(
    "asked, difference",
    [
        ((faces(), 2), "--judge_steps 1, not 2"),
        ((faces(32), 1), "an image size of 16, not 32"),
        ((faces(16, "affectnet"), 1), "the expressions of multipie, not affectnet"),
        ((faces(16, "multipie", False), 1), "merged flashless lights True, not False"),
        (
            (faces(attributes=True), 1),
            "the conditions expression,lighting, not expression,lighting,attributes",
        ),
    ],
)
def test_other_judges_are_refused_in_words_of_the_flags_that_there_are(folder, asked, difference):
    with pytest.raises(UserError) as error:
        train_judges(folder, *asked)
    message = str(error.value)
    assert message.startswith(f"--judges={folder}: the classifier judge there was trained with ")
    assert difference in message
    assert "Name another folder with --judges" in message and "same --judge_steps" in message
    for absent in ("--train_steps", "--image_size", "--workdir"):
        assert absent not in message


def test_judges_of_other_pictures_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match="was trained with snapshots False, not True"):
        train_judges(folder, faces(), 1, snapshots=True)
    with pytest.raises(UserError, match="was trained with the lights , not lights.csv"):
        train_judges(folder, faces(), 1, own_lights="lights.csv")


def test_judges_on_faces_of_an_earlier_version_are_refused(folder, tmp_path):
    before = tmp_path / "judges"
    shutil.copytree(folder, before)
    inputs = before / "identity" / INPUTS_FILE
    known = json.loads(inputs.read_text())
    inputs.write_text(json.dumps({name: known[name] for name in known if "faces" not in name}))
    with pytest.raises(UserError, match="identity judge .* with the rendered faces of an earlier"):
        train_judges(str(before), faces(), 1)


def test_a_judge_is_the_same_on_every_machine():
    configs = [judge_config(kind, "j", 16, "multipie", True, 1) for kind in JUDGES]
    assert [(config.replicas, config.tensor_float_32) for config in configs] == [(1, False)] * 3


def test_a_folder_that_cannot_hold_judges_is_told(tmp_path):
    (tmp_path / "judges").write_text("a file")
    with pytest.raises(UserError, match=f"^--judges={tmp_path}/judges: "):
        train_judges(str(tmp_path / "judges"), faces(), 1)


def test_a_size_that_no_judge_can_take_is_told_in_words_of_the_flags_that_there_are(tmp_path):
    with pytest.raises(UserError, match="no classifier judge can be trained for pictures of 48 x"):
        train_judges(str(tmp_path), faces(48), 1)
    with pytest.raises(UserError, match="no identity judge .* give one with --identity_model"):
        train_judges(str(tmp_path), faces(24), 1, ["identity"])
