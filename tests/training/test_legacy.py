"""Run folders of before mean what they meant: their flags are read as they are written today."""

from __future__ import annotations

import pytest
from absl import flags as absl_flags

from legan_tf.command_line import options
from legan_tf.errors import UserError
from legan_tf.training import legacy, systems
from legan_tf.training.systems import SYSTEMS

ADDED = {"conditions", "attributes"}
"""Options that no run of before had."""
SYSTEMS_OF_0_1 = [system for name, system in SYSTEMS.items() if name != "ganimation"]


def recorded(model: str, **values: object) -> str:
    """A flags.txt as runs of before wrote it: every option of a system, with --edit_lighting."""
    every = {n: d for n, (_, d) in options.fields_of(systems.get(model)).items() if n not in ADDED}
    if "stargan" in model:
        every["edit_lighting"] = True
    every.update({"workdir": "runs/x", **values})
    lines = (
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}\n"
        for name, value in every.items()
    )
    return f"--model={model}\n" + "".join(lines)


def recorded_by_version_0_1(**values: object) -> str:
    """A flags.txt as version 0.1 wrote it: every option of every system."""
    every = {n: d for s in SYSTEMS_OF_0_1 for n, (_, d) in options.fields_of(s).items()}
    every = {name: default for name, default in every.items() if name not in ADDED}
    every.update({"edit_lighting": True, "depth_weight": 0.0, "workdir": "runs/x", **values})
    return "".join(f"--{name}={value}\n" for name, value in every.items())


@pytest.fixture
def read(tmp_path):
    """Reads the text of a flags.txt."""

    def of(text: str):
        (tmp_path / "flags.txt").write_text(text)
        return systems.from_flagfile(str(tmp_path / "flags.txt"))

    return of


def test_r1_of_the_sum_over_patches_is_that_of_their_mean(read):
    # As the quickstart's: 4 x 4 patches of 64 pixels.
    hinge = {"adversarial": "hinge", "penalty_weight": 1.0}
    quickstart = {"model": "legan", **hinge, "image_size": 64, "d_depth": 4, "fake_class": True}
    wanted = systems.make(**{**quickstart, "penalty_weight": 256.0}, workdir="runs/x")
    assert read(recorded(**quickstart)) == wanted
    # What the run writes from then on is not multiplied again.
    assert read(wanted.to_flagfile()) == wanted
    # 2 x 2 patches, and a penalty of WGAN-GP, which is as it was.
    assert read(recorded("legan", **hinge, image_size=64, d_depth=5)).penalty_weight == 16.0
    assert read(recorded("legan", penalty_weight=10.0, image_size=64)).penalty_weight == 10.0


def test_an_editor_of_expressions_alone_has_that_condition(read):
    study = {"identity_weight": 0.0, "flip": True, "adversarial": "hinge", "penalty_weight": 1.0}
    study.update(image_size=64, d_depth=5)
    text = recorded("depth_stargan", **study, edit_lighting=False)
    assert "--edit_lighting=false\n" in text
    now = {**study, "conditions": "expression", "penalty_weight": 16.0, "workdir": "runs/x"}
    assert read(text) == systems.make("depth_stargan", **now)
    assert read(recorded("stargan")).conditions == "expression,lighting"
    assert read(recorded("depth")) == systems.make("depth", workdir="runs/x")
    assert read(recorded("depth")).conditions == "expression"


def test_flags_of_other_systems_in_a_run_of_version_0_1_are_dropped(read, tmp_path):
    text = recorded_by_version_0_1(model="quality", margin="relative", width=9)
    assert read(text) == systems.make("quality", margin="relative", workdir="runs/x")
    text = recorded_by_version_0_1(model="stargan", width=9, edit_lighting="false")
    alone = {"width": 9, "workdir": "runs/x", "conditions": "expression"}
    assert read(text) == systems.make("stargan", **alone)
    # A flag that is typed beside them is checked.
    with pytest.raises(UserError, match="--zoom belongs to identity, quality, not to stargan"):
        systems.select_flags(["train", f"--flagfile={tmp_path / 'flags.txt'}", "--zoom=2"])


def test_depth_guidance_had_no_name_of_its_own_in_version_0_1(read):
    text = recorded_by_version_0_1(model="stargan", depth_weight=0.3)
    assert read(text) == systems.make("depth_stargan", depth_weight=0.3, workdir="runs/x")
    with pytest.raises(UserError, match="flags.txt: .*depth_weight"):
        read(recorded_by_version_0_1(model="stargan", depth_weight="abc"))


def test_only_what_a_run_wrote_is_changed(read, tmp_path):
    # A person may call a flag file flags.txt, and is told of a slip in it.
    own = "--adversarial=hinge\n--penalty_weight=0.5\n"
    assert read(own) == systems.make("legan", adversarial="hinge", penalty_weight=0.5)
    with pytest.raises(UserError, match="flags.txt: .*learning_speed"):
        read(own + "--learning_speed=1\n")
    with pytest.raises(UserError, match="--edit_lighting is gone: --conditions=expression leaves"):
        read(own + "--noedit_lighting\n")
    # What a run wrote is known by its content, not by its name.
    (tmp_path / "copy.flags").write_text(recorded("stargan"))
    copied = systems.from_flagfile(str(tmp_path / "copy.flags"))
    assert copied == systems.make("stargan", workdir="runs/x")


def test_a_recorded_flag_that_no_system_has_is_refused(read):
    with pytest.raises(UserError, match="my_own_weight"):
        read(recorded("stargan") + "--my_own_weight=2\n")


def test_values_after_a_space_go_with_their_flags():
    values = absl_flags.FlagValues()
    line = ["train", "--model", "depth", "--mask_channels", "3", "--model=stargan", "--width", "8"]
    with pytest.raises(UserError, match="--mask_channels belongs to"):
        systems.select_flags(line, values)
    values = absl_flags.FlagValues()
    line[2] = "legan"
    kept = systems.select_flags(line, values)
    # A value that is missing is for absl to miss.
    bare = systems.select_flags(["train", "--model=stargan", "--width"], absl_flags.FlagValues())
    assert bare[-1] == "--width"
    assert kept == ["train", "--model", "legan", "--model=stargan", "--width", "8"]


def test_flags_are_parsed_in_each_form_that_a_file_can_have():
    lines = ["# --width=3", "--stem", "--noflip", "--crop=a = b", "--northern=1", ""]
    found = {"stem": "true", "flip": "false", "crop": "a = b", "northern": "1"}
    assert legacy.parsed(lines) == found
