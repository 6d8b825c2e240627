"""The wheel, built from the source distribution, in a new environment.

The environment is stacked on this one's libraries, so that none is downloaded again.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[1]


def run(*command, cwd=None):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    # A copy, since a build leaves its own folder in the source.
    source = tmp_path_factory.mktemp("source") / "legan_tf"
    ignored = shutil.ignore_patterns(".*", "build", "dist", "runs", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignored)
    output = os.environ.get("LEGAN_TF_DIST") or tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", output, source)
    (built,) = pathlib.Path(output).glob("*.whl")
    assert len(list(pathlib.Path(output).glob("*.tar.gz"))) == 1
    return built


@pytest.fixture(scope="module")
def binaries(wheel, tmp_path_factory):
    """The folder of programs of an environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "stacked.pth").write_text("\n".join(libraries))
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    return folder / "bin"


def test_every_file_of_the_package_is_in_it(wheel):
    expected = {
        str(path.relative_to(ROOT))
        for package in ("legan_tf", "legan_research")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for folder, pattern in (("configs", "*.flags"), ("scripts", "*.py")):
        expected |= {f"legan_tf/{folder}/{path.name}" for path in (ROOT / folder).glob(pattern)}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected
    assets = {name for name in expected if name.startswith("legan_tf/head/assets/")}
    assert {f"legan_tf/head/assets/head{end}" for end in (".npz", ".NOTICE.txt")} <= assets
    (source,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        assert assets <= {name.partition("/")[2] for name in archive.getnames()}


def test_the_installed_package_is_the_one_in_the_wheel(binaries, tmp_path):
    program = (
        "import importlib.metadata, sys, legan_tf, legan_research\n"
        "assert 'tensorflow' not in sys.modules\n"
        "print(legan_tf.__file__, legan_tf.RandomEdit, importlib.metadata.version('legan-tf'))\n"
    )
    printed = run(binaries / "python", "-c", program, cwd=tmp_path)
    assert printed.startswith(str(binaries.parent / "lib"))


def test_the_console_command_plans_a_training(binaries, tmp_path):
    assert "\n  train " in run(binaries / "legan-tf", "--help", cwd=tmp_path)
    # rendered.flags includes quickstart.flags.
    flags = ("--flagfile=rendered.flags", "--workdir=run", "--dry_run")
    plan = run(binaries / "legan-tf", "train", *flags, cwd=tmp_path)
    assert plan.startswith("plan of run (legan)\n")
    assert "--fake_class" in plan
