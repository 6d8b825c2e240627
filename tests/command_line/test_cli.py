from __future__ import annotations

import os
import subprocess
import sys

import pytest

from legan_tf.command_line import cli

PROGRAM = """
from absl import flags
from legan_tf.command_line import cli

flags.DEFINE_integer("pairs", 5, "Of what?")
flags.DEFINE_string("shoes", "", "Whose?")


def main(argv):
    print(argv[1:], flags.FLAGS.pairs)


cli.run(main, commands={commands!r})
"""


FID_OR_TRAIN = {"train": ["shoes"], "fid": []}


def run(*arguments, commands=None):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(commands=commands), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("arguments", [("fid", "--pairs=7"), ("--pairs=7", "fid")])
def test_a_command_reaches_the_program_wherever_it_stands(arguments):
    result = run(*arguments, commands=FID_OR_TRAIN)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "['fid'] 7\n"


@pytest.mark.parametrize(
    ("arguments", "commands", "message"),
    [
        ((), FID_OR_TRAIN, "Error: say what to do, before the flags: train, fid.\n"),
        (("fdi",), FID_OR_TRAIN, "Error: 'fdi' is none of the commands: train, fid.\n"),
        (("fid", "train"), FID_OR_TRAIN, "Error: 'train' is not a flag; "),
        (("fid",), None, "Error: 'fid' is not a flag; "),
        (("fid", "--pears=7"), FID_OR_TRAIN, "Error: Unknown command line flag 'pears'."),
        (("fid", "--shoes="), FID_OR_TRAIN, "Error: --shoes belongs to train, not to fid.\n"),
    ],
)
def test_what_is_no_command_or_flag_ends_in_one_sentence(arguments, commands, message):
    result = run(*arguments, commands=commands)
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_what_was_done_before_the_first_report_does_not_shorten_the_time_left(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(cli.time, "monotonic", lambda: now[0])
    update = cli.bar("looking")
    update(90, 100)
    now[0] = 20.0
    update(92, 100)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "looking 90/100 (90%) ETA --:--"
    assert second == "looking 92/100 (92%) ETA 1:20"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("both", [False, True], ids=["output", "output and errors"])
@pytest.mark.parametrize(
    "end",
    [
        "print('many\\n')",
        "print('many\\n' * 100_000)",
        "print('many'); raise cli.UserError('no')",
        "",
    ],
    ids=["little", "much", "error", "help"],
)
def test_it_ends_quietly_when_nobody_reads(end, both, unbuffered):
    """Whether the output breaks while it is written or when its last part is."""
    program = PROGRAM.replace("print(argv[1:], flags.FLAGS.pairs)", end or "pass")
    arguments = [] if end else ["--help"]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-c", program.format(commands=None), *arguments],
            stdout=output,
            stderr=output if both else subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            timeout=60,
        )
    assert done.returncode == 141
    # With buffers, the sentence comes first.
    assert done.stderr in ([None] if both else ["", "Error: no\n"] if "no" in end else [""])


def test_it_needs_no_output():
    program = PROGRAM.replace("print(argv[1:], flags.FLAGS.pairs)", "pass")
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c"]
    done = subprocess.run(
        [*command, program.format(commands=None)], stderr=subprocess.PIPE, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_another_broken_pipe_is_a_bug():
    broken = PROGRAM.replace("print(argv[1:], flags.FLAGS.pairs)", "raise BrokenPipeError")
    program = [sys.executable, "-c", broken.format(commands=None)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_notes_of_tensorflow_are_left_out_unless_asked_for():
    program = PROGRAM.format(commands=None).replace(
        "argv[1:], flags.FLAGS.pairs",
        "flags.FLAGS.verbosity, __import__('logging').getLogger().level",
    )
    for arguments, printed in (((), "-1 30\n"), (("--verbosity=0",), "0 20\n")):
        command = [sys.executable, "-c", program, *arguments]
        assert subprocess.run(command, capture_output=True, text=True).stdout == printed
