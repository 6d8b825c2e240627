from __future__ import annotations

import pytest

from legan_tf.errors import UserError
from legan_tf.evaluation.config import EvaluationConfig

RULES = [
    ({"dataset": "web"}, "--dataset=web: choose from rendered, manifest"),
    ({"split": "all"}, "--split=all: choose from train, val, test"),
    ({"lpips": "resnet"}, "--lpips=resnet: choose from (empty), alex, vgg, squeeze"),
    ({"edits": 0}, "--edits=0: must be more than 0"),
    ({"edits": 1}, "--edits=1: sets of pictures cannot be compared by one"),
    ({"judge_steps": 0}, "--judge_steps=0: must be more than 0"),
    ({"seed": -1}, "--seed=-1: must be 0 to 1000000"),
    ({"seed": 1_000_001}, "--seed=1000001: must be 0 to 1000000"),
    ({"dataset": "manifest"}, "--dataset=manifest needs --manifest=FILE"),
    ({"manifest": "a.csv"}, "belong to --dataset=manifest"),
    ({"crop": "0,0,1,1"}, "belong to --dataset=manifest"),
    ({"data_dir": "faces"}, "belong to --dataset=manifest"),
    ({"dataset": "manifest", "manifest": "a", "crop": "1,0"}, "--crop=1,0: give left,top,right"),
    ({"dataset": "manifest", "manifest": "a", "judges": "j"}, "--judges belongs to --dataset=ren"),
    ({"lpips": "alex"}, "--lpips=alex and --lpips_trunk=: give all three or none"),
    ({"lpips_heads": "h"}, "--lpips= and --lpips_heads=h: give all three or none"),
    (
        {"lpips": "alex", "lpips_trunk": "absent", "lpips_heads": "absent"},
        "--lpips_trunk=absent: there is no such file",
    ),
]


@pytest.mark.parametrize("options, told", RULES)
def test_what_does_not_fit_is_told_by_its_flag(options, told):
    with pytest.raises(UserError) as error:
        EvaluationConfig(**options).check()
    assert told in str(error.value)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(UserError, match="3 of the flags do not fit") as error:
        EvaluationConfig(edits=0, seed=-1, split="all").check()
    assert all(flag in str(error.value) for flag in ("--edits", "--seed", "--split"))


def test_the_defaults_fit():
    EvaluationConfig().check()


FOREIGN = {
    "judges": "j",
    "judge_steps": 1,
    "classifier_model": "c",
    "identity_model": "i",
    "quality_model": "q",
    "depth_model": "d",
    "features": "inception",
    "lpips": "alex",
    "lpips_trunk": "t",
    "lpips_heads": "h",
}


@pytest.mark.parametrize(
    ("kind", "judged"), [("scorer", "Q .* by people's ratings"), ("depth", "depth .* by true maps")]
)
def test_networks_that_judge_edits_are_refused_where_there_are_none(kind, judged):
    for name, value in FOREIGN.items():
        with pytest.raises(UserError, match=f"^a? ?{judged} .*: leave out --{name}={value}.$"):
            EvaluationConfig(**{name: value}).check(kind)
    with pytest.raises(UserError) as error:
        EvaluationConfig(**FOREIGN).check(kind)
    assert all(f"--{name}={value}" in str(error.value) for name, value in FOREIGN.items())
    EvaluationConfig(edits=7, seed=3, cache="c").check(kind)
    EvaluationConfig(dataset="manifest", manifest="m", crop="0,0,1,1", split="val").check(kind)
