from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

from legan_tf.data.readers import registry

ROOT = pathlib.Path(__file__).parents[3]

READER = '''
from __future__ import annotations

import dataclasses

from legan_tf.data.file_tree import stem
from legan_tf.data.manifest import Row
from legan_tf.data.readers.registry import Job, ValShare, register
from legan_tf.data.splits import NINE_TO_ONE, hold_out_val, split_groups
from legan_tf.command_line.options import Options, option


@dataclasses.dataclass(frozen=True)
class ToyOptions(Options):
    """The options of the toy data set."""

    toy_prefix: str = option("toy", "what the names of people begin with.")


@register(
    "toy",
    title="Toy faces",
    licence="nobody's",
    layout="PERSON_EXPRESSION.png",
    columns=("identity", "expression"),
    options=(ToyOptions, ValShare),
)
def read(job: Job) -> list[Row]:
    """Reads the file names."""
    rows = []
    for path in job.tree.pictures(job.report):
        person, expression = stem(path).split("_")
        name = job.options.toy_prefix + person
        rows.append(Row(path=path, identity=name, expression=expression))
    rows = split_groups(rows, NINE_TO_ONE, job.seed)
    return hold_out_val(rows, job.options.val_share, job.seed)
'''

# The folder of the temporary module becomes a part of the package of readers.
PROGRAM = """
import runpy, sys
from legan_tf.data import readers
readers.__path__.append(sys.argv.pop(1))
if sys.argv[1] == "table":
    from legan_tf.data.readers.registry import table
    print(table())
else:
    sys.argv[0] = "scripts/prepare.py"
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def with_toy(tmp_path):
    """Returns what runs scripts/prepare.py, or prints the table, with a reader of a module more."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "toy.py").write_text(READER)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "modules"), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    return run


def test_a_module_with_a_reader_is_all_that_a_new_source_takes(with_toy, tmp_path):
    shown = " ".join(with_toy("--helpshort").stdout.split()).replace(" ", "")
    assert "|rafd_d|toy>:Datasetthat--data_dirholds" in shown
    assert "--toy_prefix:toy:whatthenamesofpeoplebeginwith." in shown
    owners = re.search(r"--val_share:([\w,]+):share", shown)[1].split(",")
    assert {"affectnet", "folder", "rafd", "toy"} <= {*owners} and "multipie" not in owners
    (row,) = [line for line in with_toy("table").stdout.splitlines() if "`toy`" in line]
    assert row.split(" | ") == [
        "| `toy`",
        "Toy faces",
        "`identity`, `expression`",
        "`--toy_prefix`, `--val_share`",
        "nobody's |",
    ]
    folder, output = tmp_path / "faces", tmp_path / "toy.csv"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}_smile.png").write_bytes(b"")
    given = (
        f"--data_dir={folder}",
        f"--output={output}",
        "--toy_prefix=p",
    )
    done = with_toy("manifest", "--source=toy", *given)
    assert done.returncode == 0, done.stderr
    lines = output.read_text().splitlines()
    assert [line.split(",")[:3] for line in lines[1:3]] == [
        ["faces/0_smile.png", "p0", "smile"],
        ["faces/1_smile.png", "p1", "smile"],
    ]
    assert sorted(line.rpartition(",")[2] for line in lines[1:]) == ["test"] + ["train"] * 9
    refused = with_toy("manifest", "--source=lfw", *given)
    assert refused.returncode == 2
    assert "--toy_prefix belongs to --source=toy, not to lfw" in refused.stderr


def test_a_source_has_one_reader_that_fills_columns_of_a_manifest():
    details = {"title": "", "licence": "", "layout": ""}
    assert "lfw" in registry.readers()
    with pytest.raises(ValueError, match="lfw: is registered already"):
        registry.register("lfw", columns=(), **details)(lambda job: [])
    with pytest.raises(ValueError, match="other: .* unknown columns"):
        registry.register("other", columns=("age",), **details)(lambda job: [])
    assert "other" not in registry.readers()


def test_what_defines_the_flags_needs_no_tensorflow():
    program = """
        import sys
        from legan_tf.data.readers.registry import reader_options
        reader_options()
        assert "tensorflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, cwd=ROOT)
