"""Every flag is checked, explained and written down so that it can be replayed."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest
from absl import flags

from legan_tf import options
from legan_tf.errors import UserError
from legan_tf.training import config
from legan_tf.training.config import TrainConfig

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = [
    ({"model": "gan"}, "--model=gan: choose from legan, stargan, quality, identity, classifier"),
    ({"dataset": "web"}, "--dataset=web: choose from rendered, manifest"),
    ({"expressions": "fer"}, "--expressions=fer: choose from multipie, affectnet"),
    ({"precision": "float16"}, "--precision=float16: choose from float32, bfloat16"),
    ({"schedule": "cosine"}, "--schedule=cosine: choose from linear, stargan, constant"),
    ({"upsampling": "bicubic"}, "choose from (empty), pixelshuffle, nearest, transposed"),
    ({"batch_size": 0}, "--batch_size=0: must be more than 0"),
    ({"train_steps": -1}, "--train_steps=-1: must be more than 0"),
    ({"steps_per_execution": 0}, "--steps_per_execution=0: must be more than 0"),
    ({"learning_rate": float("nan")}, "--learning_rate=nan: must be more than 0"),
    ({"image_size": 0}, "--image_size=0: must be more than 0"),
    ({"d_depth": 0}, "--d_depth=0: must be more than 0"),
    ({"seed": -1}, "--seed=-1: must not be negative"),
    ({"replicas": -2}, "--replicas=-2: must not be negative"),
    ({"identity_weight": -1.0}, "--identity_weight=-1.0: must not be negative"),
    ({"ema_decay": 1.0}, "--ema_decay=1.0: must be at least 0 and less than 1"),
    ({"beta_1": -0.1}, "--beta_1=-0.1: must be at least 0 and less than 1"),
    ({"keep_share": 1.5}, "--keep_share=1.5: must be at least 0 and less than 1"),
    ({"quality_target": 11.0}, "--quality_target=11.0: ratings are 1 to 10"),
    ({"workdir": ""}, "--workdir: name the run folder"),
    ({"dataset": "manifest"}, "--dataset=manifest needs --manifest=FILE"),
    ({"manifest": "faces.csv"}, "--manifest and --crop belong to --dataset=manifest"),
    ({"crop": "0,0,1,1"}, "--manifest and --crop belong to --dataset=manifest"),
    (
        {"dataset": "manifest", "manifest": "a.csv", "crop": "0.8,0.1,0.2,0.9"},
        "--crop=0.8,0.1,0.2,0.9: give left,top,right,bottom as fractions",
    ),
    (
        {"dataset": "manifest", "manifest": "a.csv", "crop": "0.1,0.9"},
        "--crop=0.1,0.9: give left,top,right,bottom as fractions",
    ),
    ({"replicas": 3}, "--batch_size=16 must be a multiple of --replicas=3"),
    (
        {"steps_per_execution": 3, "train_steps": 40},
        "--train_steps=40 must be a multiple of --steps_per_execution=3",
    ),
    (
        {"steps_per_execution": 8, "checkpoint_every": 12},
        "--checkpoint_every=12 must be a multiple of --steps_per_execution=8",
    ),
    ({"image_size": 80}, "--image_size=80 cannot be halved --d_depth=6 times"),
    (
        {"model": "quality", "image_size": 80},
        "--image_size=80 cannot be halved --q_depth=6 times",
    ),
    ({"image_size": 18, "d_depth": 1}, "--image_size=18 must be a multiple of 4"),
    ({"model": "classifier", "image_size": 96}, "--image_size=96 must be a power of two here"),
    ({"model": "identity", "image_size": 100}, "--image_size=100 must be a multiple of 16"),
    ({"image_size": 36, "d_depth": 2}, "--image_size=36 must be a multiple of 16 for LightCNN"),
    ({"model": "classifier", "flip": True}, "--flip would put the light on the wrong side"),
    ({"model": "quality", "zoom": 0.5}, "--zoom=0.5: must be 1 to 8"),
    ({"model": "legan", "zoom": 2.0}, "--zoom belongs to quality and identity, not to legan"),
]


@pytest.mark.parametrize("options, message", RULES, ids=[message for _, message in RULES])
def test_each_rule_has_its_message(options, message):
    with pytest.raises(UserError) as error:
        TrainConfig(**{"workdir": "runs/x", **options}).check()
    assert message in str(error.value)
    assert len(str(error.value)) < 500


def test_all_problems_are_told_at_once():
    wrong = {"model": "gan", "width": 0, "beta_2": 2.0, "replicas": 5, "workdir": ""}
    with pytest.raises(UserError) as error:
        TrainConfig(**wrong).check()
    lines = str(error.value).splitlines()
    assert lines[0] == "5 of the flags do not fit:"
    named = [line.split("=")[0].split(":")[0].strip() for line in lines[1:]]
    assert sorted(named) == ["--batch_size", "--beta_2", "--model", "--width", "--workdir"]


@pytest.mark.parametrize("model", config.MODELS)
def test_the_defaults_fit(model):
    TrainConfig(model=model, workdir="runs/x").check()


def test_a_flag_for_each_field_with_a_help_text():
    values = flags.FlagValues()
    for field in dataclasses.fields(TrainConfig):
        assert len(field.metadata["help"]) > 10, field.name
        assert field.metadata["help"].endswith("."), field.name
    options.define_flags(TrainConfig, values)
    assert {field.name for field in dataclasses.fields(TrainConfig)} <= set(values)
    values(["train", "--model=quality", "--learning_rate=2e-4", "--flip", "--nostem"])
    read = options.from_flags(TrainConfig, values)
    assert read == TrainConfig(model="quality", learning_rate=2e-4, flip=True, stem=False)


def test_flags_txt_gives_the_same_configuration(tmp_path):
    changed = {}
    for field in dataclasses.fields(TrainConfig):
        kind = type(field.default)
        if kind is bool:
            changed[field.name] = not field.default
        elif kind is int:
            changed[field.name] = field.default + 3
        elif kind is float:
            changed[field.name] = field.default / 3 + 1e-7
        else:
            choices = field.metadata["choices"]
            changed[field.name] = choices[-1] if choices else "a folder/with = signs, ünd commas"
    for one in (TrainConfig(workdir="x"), TrainConfig(**changed)):
        (tmp_path / "flags.txt").write_text(one.to_flagfile())
        assert config.from_flagfile(str(tmp_path / "flags.txt")) == one
        values = flags.FlagValues()
        options.define_flags(TrainConfig, values)
        values(["train", f"--flagfile={tmp_path / 'flags.txt'}"])
        assert options.from_flags(TrainConfig, values) == one


def test_a_bad_flag_file_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no such flag file"):
        config.from_flagfile(str(tmp_path / "none.flags"))
    (tmp_path / "bad.flags").write_text("--learning_speed=1\n")
    with pytest.raises(UserError, match="bad.flags: .*learning_speed"):
        config.from_flagfile(str(tmp_path / "bad.flags"))
    (tmp_path / "bad.flags").write_text("--batch_size=many\n")
    with pytest.raises(UserError, match="bad.flags: .*batch_size"):
        config.from_flagfile(str(tmp_path / "bad.flags"))


@pytest.mark.parametrize("file", sorted(ROOT.glob("configs/*.flags")), ids=lambda file: file.name)
def test_every_shipped_configuration_fits(file):
    shipped = config.from_flagfile(str(file))
    dataclasses.replace(shipped, workdir="runs/x", manifest=shipped.manifest or "").check()
