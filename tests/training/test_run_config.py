"""Every flag is checked, explained and written down so that it can be replayed."""

from __future__ import annotations

import pathlib

import pytest
from absl import flags

from legan_tf.command_line import options as option_groups
from legan_tf.errors import UserError
from legan_tf.training import systems
from legan_tf.training.run_checks import changed_flags

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = [
    (
        {"model": "gan"},
        "--model=gan: choose from classifier, depth, identity, ",
    ),
    ({"dataset": "web"}, "--dataset=web: choose from rendered, manifest"),
    ({"expressions": "fer"}, "--expressions=fer: choose from multipie, affectnet"),
    ({"precision": "float16"}, "--precision=float16: choose from float32, bfloat16, auto"),
    (
        {"schedule": "cosine"},
        "--schedule=cosine: choose from linear, stargan, ganimation, constant",
    ),
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
    ({"quality_target": 11.0}, "--quality_target=11.0: must be 1 to 10"),
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
    ({"flip": True}, "--flip would put the light on the wrong side for legan; leave lighting out"),
    (
        {"conditions": "lighting,lighting"},
        "--conditions=lighting,lighting: names one of them twice",
    ),
    ({"conditions": " , "}, "--conditions: name at least one"),
    ({"attributes": "Smiling"}, "--attributes needs attributes among --conditions"),
    (
        {"conditions": "attributes", "attributes": "Smiling,Young,Smiling"},
        "--attributes=Smiling,Young,Smiling: names one of them twice",
    ),
    (
        {"conditions": "attributes", "fake_class": True},
        "--fake_class is for conditions with classes: name expression or lighting",
    ),
    (
        {"model": "depth", "conditions": "expression,lighting", "vgg_weights": "random"},
        "--conditions: no map shows the lighting; leave it out",
    ),
    (
        {"model": "depth_stargan", "conditions": "lighting"},
        "--conditions=lighting: maps of a surface show no light; name expression or attributes",
    ),
    ({"model": "quality", "zoom": 0.5}, "--zoom=0.5: must be 1 to 8"),
    ({"model": "legan", "zoom": 2.0}, "--zoom belongs to identity, quality, not to legan"),
]


@pytest.mark.parametrize("options, message", RULES, ids=[message for _, message in RULES])
def test_each_rule_has_its_message(options, message):
    with pytest.raises(UserError) as error:
        systems.make(**{"workdir": "runs/x", **options}).check()
    assert message in str(error.value)
    assert len(str(error.value)) < 500


def test_all_problems_are_told_at_once():
    wrong = {"schedule": "cosine", "width": 0, "beta_2": 2.0, "replicas": 5, "workdir": ""}
    with pytest.raises(UserError) as error:
        systems.make(**wrong).check()
    lines = str(error.value).splitlines()
    assert lines[0] == "5 of the flags do not fit:"
    named = [line.split("=")[0].split(":")[0].strip() for line in lines[1:]]
    assert sorted(named) == ["--batch_size", "--beta_2", "--schedule", "--width", "--workdir"]


@pytest.mark.parametrize("model", systems.names())
def test_the_defaults_fit(model):
    vgg = {"vgg_weights": "random"} if "depth" in model else {}
    systems.make(model, workdir="runs/x", **vgg).check()


def parsed(*arguments):
    values = flags.FlagValues()
    values(systems.select_flags(["train", *arguments], values))
    return systems.from_flags(values), values


@pytest.mark.parametrize("model", systems.names())
def test_a_system_has_a_flag_with_a_help_text_for_each_option_and_no_other(model):
    options = option_groups.fields_of(systems.get(model))
    for name, (field, _) in options.items():
        assert len(field.metadata["help"]) > 10, name
        assert field.metadata["help"].endswith("."), name
    system, values = parsed(f"--model={model}", "--learning_rate=2e-4")
    defined = {name for name in values if "?" not in name} - set(flags.FlagValues())
    assert {*options, "model"} == defined
    assert system == systems.make(model, learning_rate=2e-4)


def test_the_system_is_the_one_of_the_last_model_flag(tmp_path):
    (tmp_path / "q.flags").write_text("--model=quality\n--margin=relative\n")
    system, _ = parsed("--model=legan", f"--flagfile={tmp_path / 'q.flags'}", "--flip")
    assert system == systems.make("quality", margin="relative", flip=True)
    assert parsed("--nostem")[0] == systems.make("legan", stem=False)
    assert parsed("--model", "stargan", "--nostem")[0] == systems.make("stargan", stem=False)


def test_flags_of_a_system_that_a_later_model_flag_replaces_are_dropped():
    quickstart = ["--model=legan", "--mask_channels=3", "--width=16"]
    assert parsed(*quickstart, "--model=stargan")[0] == systems.make("stargan", width=16)
    with pytest.raises(UserError, match="--mask_channels belongs to legan, depth_legan, not to"):
        parsed("--model=legan", "--model=stargan", "--mask_channels=3")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--margin=relative", "--margin belongs to quality, not to legan."),
        ("--nofreeze_depth", "--freeze_depth belongs to depth_stargan, depth_legan, not to legan."),
        ("--start_from=x", "--start_from belongs to classifier, identity, quality, not to legan."),
        ("--model=gan", "--model=gan: choose from "),
    ],
)
def test_a_flag_of_another_system_is_refused_by_name(argument, message):
    with pytest.raises(UserError) as error:
        parsed("--model=legan", argument)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("model", systems.names())
def test_flags_txt_gives_the_same_configuration(model, tmp_path):
    changed = {}
    for name, (field, default) in option_groups.fields_of(systems.get(model)).items():
        if isinstance(default, bool):
            changed[name] = not default
        elif isinstance(default, int):
            changed[name] = default + 3
        elif isinstance(default, float):
            changed[name] = default / 3 + 1e-7
        else:
            choices = field.metadata["choices"]
            changed[name] = choices[-1] if choices else "a folder/with = signs, ünd commas"
    for one in (systems.make(model, workdir="x"), systems.make(model, **changed)):
        (tmp_path / "flags.txt").write_text(one.to_flagfile())
        assert systems.from_flagfile(str(tmp_path / "flags.txt")) == one
        assert parsed(f"--flagfile={tmp_path / 'flags.txt'}")[0] == one


def test_an_editor_without_weight_of_depth_resumes_the_run_of_the_editor_alone():
    alone = systems.make("stargan", workdir="x", width=8)
    unguided = systems.make("depth_stargan", workdir="x", width=8, depth_weight=0.0)
    assert changed_flags(alone, unguided) == changed_flags(unguided, alone) == []
    guided = systems.make("depth_stargan", workdir="x", width=8)
    assert changed_flags(alone, guided) == ["--model was stargan, is now depth_stargan"]


def test_a_bad_flag_file_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no such flag file"):
        systems.from_flagfile(str(tmp_path / "none.flags"))
    (tmp_path / "bad.flags").write_text("--learning_speed=1\n")
    with pytest.raises(UserError, match="bad.flags: .*learning_speed"):
        systems.from_flagfile(str(tmp_path / "bad.flags"))
    (tmp_path / "bad.flags").write_text("--batch_size=many\n")
    with pytest.raises(UserError, match="bad.flags: .*batch_size"):
        systems.from_flagfile(str(tmp_path / "bad.flags"))


@pytest.mark.parametrize("file", sorted(ROOT.glob("configs/*.flags")), ids=lambda file: file.name)
def test_every_shipped_configuration_fits(file):
    shipped = systems.from_flagfile(str(file))
    shipped.replace(workdir="runs/x").check()
