from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from legan_tf.command_line import flagfiles
from legan_tf.command_line.flagfiles import expand_flagfiles, find_flagfile
from legan_tf.errors import UserError
from legan_tf.training.systems import from_flagfile

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "configs").glob("*.flags"))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["{}", "configs/{}"])
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_files_are_found_from_anywhere(elsewhere, file, name):
    assert os.path.samefile(find_flagfile(name.format(file.name)), file)


def departures() -> list[tuple[str, str, str]]:
    """Name, value ("" for any) and form in the papers of each switch that fidelity.md lists."""
    text = (ROOT / "docs/fidelity.md").read_text(encoding="utf-8")
    table = text.split("## Departures")[1].split("\n## ")[0]
    cells = [line.split(" | ") for line in table.splitlines() if line.startswith("| `--")]
    switches = [cell[0].strip("| `").removeprefix("--").partition("=") for cell in cells]
    return [(name, value, cell[2].strip("`")) for (name, _, value), cell in zip(switches, cells)]


def told_in(file: pathlib.Path) -> str:
    """The comments of a flag file and of those that it includes."""
    lines = file.read_text(encoding="utf-8").splitlines()
    included = [line.partition("=")[2] for line in lines if line.startswith("--flagfile=")]
    own = "\n".join(line for line in lines if line.startswith("#"))
    return "\n".join([own, *(told_in(ROOT / name) for name in included)])


def test_the_papers_flag_files_turn_off_or_name_all_that_is_ours():
    assert len(departures()) >= 16
    text = (ROOT / "docs/fidelity.md").read_text(encoding="utf-8")
    papers = text.split("Defaults are those of")[1].split(" keep the published")[0]
    files = [file for file in SHIPPED if f"{file.name}`" in papers]
    assert len(files) == 8
    options = set()
    for file in files:
        system, comments = from_flagfile(str(file)), told_in(file)
        for name, departing, form in departures():
            if not hasattr(system, name) or f"--{name}" in comments:
                continue
            options.add(name)
            value = str(getattr(system, name))
            if form == "–":
                assert value != departing, (file.name, name)
            elif form in ("true", "false"):
                assert value.lower() == form, (file.name, name)
            else:
                same = float(value) == float(form) if form.isdecimal() else value == form
                assert same, (file.name, name, value)
    assert options >= {"ema_decay", "balance", "merge_flashless", "zoom", "freeze_depth", "stem"}


@pytest.mark.parametrize("name", ["legan.flags", "configs/legan.flags"])
def test_a_file_in_the_working_directory_comes_first(elsewhere, name):
    own = elsewhere / name
    own.parent.mkdir(exist_ok=True)
    own.write_text("--image_size=32\n")
    assert expand_flagfiles(["train", f"--flagfile={name}"]) == ["train", "--image_size=32"]


def test_an_included_shipped_file_is_found_from_anywhere(elsewhere):
    expanded = expand_flagfiles(["--flagfile=normal_stargan.flags", "--batch_size=3"])
    assert "--geometry=normal" in expanded
    assert expanded[-1] == "--batch_size=3"
    # Of stargan.flags, which depth_stargan.flags includes.
    assert "--model=stargan" in expanded
    assert not any("flagfile" in argument for argument in expanded)
    assert expand_flagfiles(expanded) == expanded


def test_an_installed_package_finds_the_files_inside_it(elsewhere, monkeypatch):
    shutil.copytree(ROOT / "configs", elsewhere / "legan_tf" / "configs")
    monkeypatch.setattr(flagfiles, "_PACKAGE", str(elsewhere / "legan_tf"))
    assert find_flagfile("rendered.flags") == str(elsewhere / "legan_tf/configs/rendered.flags")
    assert "--model=legan" in expand_flagfiles(["--flagfile=rendered.flags"])


def test_a_training_is_read_from_a_shipped_file_by_name(elsewhere):
    # As scripts/quickstart.py does with --training.
    assert from_flagfile("rendered.flags").model == "legan"


def test_every_form_is_expanded_in_place_and_nothing_after_two_dashes(elsewhere):
    (elsewhere / "a").write_text("# A comment.\n// Another.\n\n--one=1\n  --text=of two = parts\n")
    arguments = [
        "program",
        "--zero",
        "-flagfile=a",
        "word",
        "--flagfile",
        "a",
        "--",
        "--flagfile=a",
    ]
    lines = ["--one=1", "--text=of two = parts"]
    assert expand_flagfiles(arguments) == [
        *["program", "--zero", *lines, "word", *lines, "--", "--flagfile=a"]
    ]


@pytest.mark.parametrize("name", ["lega.flags", "other/legan.flags", "", "folder"])
def test_an_unknown_name_gets_the_shipped_ones(elsewhere, name):
    (elsewhere / "folder").mkdir()
    with pytest.raises(UserError, match="no such flag file.*: classifier.flags, depth_pretrain"):
        expand_flagfiles([f"--flagfile={name}"])


def test_what_cannot_be_read_is_named(elsewhere):
    (elsewhere / "a.flags").write_text("--flagfile=b.flags\n")
    (elsewhere / "b.flags").write_text("--flagfile=./a.flags\n")
    with pytest.raises(UserError, match="a.flags: this flag file includes itself"):
        expand_flagfiles(["--flagfile=a.flags"])
    (elsewhere / "b.flags").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="b.flags: it cannot be read"):
        expand_flagfiles(["--flagfile=a.flags"])


def test_a_script_refuses_an_unknown_one():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "client.py"), "--flagfile=none.flags"],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: --flagfile=none.flags: there is no such flag file; ")
    assert done.stderr.count("\n") == 1
