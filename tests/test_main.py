"""The console command, run as ``python -m legan_tf``, which is the same function."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))


def legan_tf(*arguments, cwd=None, program=("-m", "legan_tf")):
    return subprocess.run(
        [sys.executable, *program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
    )


@pytest.mark.parametrize("flag", ["--help", "-h", "help"])
def test_help_lists_every_script_with_one_line(flag):
    done = legan_tf(flag)
    assert (done.returncode, done.stderr) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line[:1] == " ")
    assert listed == {
        script.stem: ast.get_docstring(ast.parse(script.read_text())).splitlines()[0]
        for script in SCRIPTS
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_subcommand_has_the_flags_of_its_script(script, tmp_path):
    done = legan_tf(script.stem, "--helpshort", cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert f"\nlegan-tf {script.stem}:\n" in done.stdout
    assert "python scripts/" not in done.stdout
    plain = legan_tf("--helpshort", program=(str(script),))
    flags = f"{script}:"
    assert done.stdout.partition("\nflags:\n")[2] == (
        plain.stdout.partition("\nflags:\n")[2].replace(flags, f"legan-tf {script.stem}:")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Error: say what to do: augment, "),
        (("trian",), "Error: 'trian' is none of the commands: augment, "),
        (("--workdir=x", "train"), "Error: '--workdir=x' is none of the commands: "),
        (("client", "--pears=7"), "Error: Unknown command line flag 'pears'"),
        (("prepare",), "Error: say what to do, before the flags: manifest, "),
        (("prepare", "alien"), "Error: 'alien' is none of the commands: manifest, "),
    ],
)
def test_a_mistake_ends_in_one_sentence(arguments, message):
    done = legan_tf(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_training_is_planned_from_any_folder(tmp_path):
    arguments = ("--flagfile=rendered.flags", "--workdir=run", "--dry_run")
    done = legan_tf("train", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plain = legan_tf(*arguments, cwd=tmp_path, program=(str(ROOT / "scripts/train.py"),))
    assert done.stdout == plain.stdout
    assert "--fake_class" in done.stdout


def test_it_imports_no_tensorflow_until_that_is_needed():
    program = (
        "import sys\n"
        "from legan_tf.__main__ import main\n"
        "sys.argv = ['legan-tf', 'client', '--helpshort']\n"
        "try:\n    main()\n"
        "finally:\n    assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    done = legan_tf("-c", program, program=())
    assert "AssertionError" not in done.stderr and "legan-tf client:" in done.stdout
