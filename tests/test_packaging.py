from __future__ import annotations

import ast
import importlib.metadata
import pathlib
import runpy
import subprocess
import sys

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "legan_tf"
RESEARCH = ROOT / "legan_research"

# A package imports only from itself and from those before it.
LAYERS = ("head", "data", "models", "losses", "training", "evaluation", "serving", "uses")
# Packages and modules beside the layers that every layer may use, and that use no layer.
ROOMS = ("command_line", "graph_ops", "plotting", "runtime")
SHARED = (*ROOMS, *sorted(p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__"))
STACK_A_ONLY = ("tensorflow_addons", "tensorflow_gan", "tensorflow_io")

STACKS = [
    ("stack-a.txt", "3.9"),
    ("stack-a.txt", "3.10"),
    ("stack-a.txt", "3.11"),
    ("stack-b.txt", "3.12"),
    ("stack-b.txt", "3.13"),
]


def environment(python):
    return {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}


def pins(constraints, python):
    """Maps each package that the file pins on this Python to its version."""
    pinned = {}
    for line in (ROOT / "constraints" / constraints).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate(environment(python)):
            continue
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        name = canonicalize_name(requirement.name)
        assert name not in pinned, f"{name} is pinned twice on Python {python}"
        pinned[name] = specifier.version
    return pinned


def requirements(python):
    setup = runpy.run_path(str(ROOT / "setup.py"))
    if python in ("3.9", "3.10", "3.11"):
        stack = setup["STACK_A"] + setup["ALIGN"] + setup["SERVING_A"]
    else:
        stack = setup["STACK_B"] + setup["SERVING_B"]
    both = setup["EVERYWHERE"] + setup["DEVELOPMENT"] + setup["SERVING"]
    return [Requirement(r) for r in both + stack]


@pytest.mark.parametrize(("constraints", "python"), STACKS)
def test_every_requirement_is_pinned_to_a_version_it_allows(constraints, python):
    pinned = pins(constraints, python)
    for requirement in requirements(python):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{constraints} does not pin {name}"
        assert requirement.specifier.contains(pinned[name]), f"{requirement} is not {pinned[name]}"


def test_tools_of_the_documentation_are_pinned_beside_stack_a():
    pinned = pins("docs.txt", "3.11")
    assert not set(pinned) & set(pins("stack-a.txt", "3.11"))
    for requirement in map(Requirement, runpy.run_path(str(ROOT / "setup.py"))["DOCS"]):
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(pinned[name]), requirement


def test_installed_metadata_asks_for_stack_a_below_python_3_12_and_for_b_from_there():
    asked = [Requirement(r) for r in importlib.metadata.requires("legan-tf")]

    def names(python):
        holds = {**environment(python), "extra": ""}
        return {
            canonicalize_name(r.name) for r in asked if not r.marker or r.marker.evaluate(holds)
        }

    of_a = {canonicalize_name(name) for name in STACK_A_ONLY}
    everywhere = {"absl-py", "keras", "numpy", "pillow", "scikit-learn", "tensorflow"}
    assert names("3.11") >= everywhere | of_a
    assert names("3.12") >= everywhere
    assert not names("3.12") & of_a


@pytest.mark.parametrize("stack", ["A", "B"])
def test_the_extra_cuda_adds_libraries_to_the_tensorflow_that_is_installed_anyway(stack):
    setup = runpy.run_path(str(ROOT / "setup.py"))
    plain = next(Requirement(r) for r in setup[f"STACK_{stack}"] if r.startswith("tensorflow"))
    (cuda,) = map(Requirement, setup[f"CUDA_{stack}"])
    assert (cuda.name, cuda.extras, cuda.specifier) == (plain.name, {"and-cuda"}, plain.specifier)


@pytest.mark.stack_a
@pytest.mark.parametrize("module", STACK_A_ONLY)
def test_stack_a_imports_what_only_it_can(module):
    result = subprocess.run(
        [sys.executable, "-c", f"import {module}"], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr


def test_every_folder_with_modules_is_a_package():
    # find_packages leaves a folder without __init__.py out of the installed package.
    folders = {path.parent for root in (PACKAGE, RESEARCH) for path in root.rglob("*.py")}
    assert [str(f) for f in sorted(folders) if not (f / "__init__.py").is_file()] == []


def test_every_file_that_is_no_module_is_installed_too():
    data = runpy.run_path(str(ROOT / "setup.py"))["PACKAGE_DATA"]
    patterns = [f"{package.replace('.', '/')}/{p}" for package, ps in data.items() for p in ps]
    installed = {file for pattern in patterns for file in ROOT.glob(pattern)}
    others = {
        path
        for root in (PACKAGE, RESEARCH)
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert others == installed


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.py")), ids=lambda p: p.stem)
def test_every_script_tells_its_flags(script):
    result = subprocess.run(
        [sys.executable, str(script), "--helpshort"],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode in (0, 1), result.stderr
    assert "Traceback" not in result.stderr
    assert f"{script.name}:" in result.stdout, "no flags of its own are listed"


def test_what_make_check_runs_is_there():
    patterns = runpy.run_path(str(ROOT / "tests" / "conftest.py"))["QUICK"]
    assert [pattern for pattern in patterns if not any((ROOT / "tests").glob(pattern))] == []


@pytest.mark.parametrize("folder", ["legan_tf", "legan_research", "scripts"])
def test_nothing_is_newer_than_the_oldest_python(folder):
    # What ruff and an interpreter of today let pass, and Python 3.9 refuses when it gets there.
    newer = {"zip": {"strict"}, "dataclass": {"slots", "kw_only"}}
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).split(".")[-1]
                for keyword in newer.get(name, set()) & {k.arg for k in node.keywords}:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}({keyword}=...)")
    assert found == []


def imported(path):
    """Yields (line, dotted name) for everything a module of the package imports, at any depth."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += [node.module] if node.module else []
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name])


def forbidden_imports(path, allowed):
    for line, name in imported(path):
        top, *rest = name.split(".")
        if top == "legan_tf" and (not rest or rest[0] not in allowed):
            yield f"{path.relative_to(ROOT)}:{line} imports {name}"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_from_itself_and_those_before(layer):
    allowed = {*SHARED, *LAYERS[: LAYERS.index(layer) + 1]}
    wrong = [w for p in (PACKAGE / layer).rglob("*.py") for w in forbidden_imports(p, allowed)]
    assert wrong == []


@pytest.mark.parametrize("module", SHARED)
def test_a_shared_module_imports_no_layer(module):
    files = (PACKAGE / module).glob("*.py") if module in ROOMS else [PACKAGE / f"{module}.py"]
    assert [w for file in files for w in forbidden_imports(file, set(SHARED))] == []


def test_the_package_does_not_import_research_that_is_built_on_it():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in PACKAGE.rglob("*.py")
        for line, name in imported(path)
        if name.split(".")[0] == RESEARCH.name
    ]
    assert wrong == []


def test_every_package_is_installed():
    patterns = runpy.run_path(str(ROOT / "setup.py"))["PACKAGES"]
    folders = {path.parent for root in (PACKAGE, RESEARCH) for path in root.rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(find_packages(str(ROOT), include=patterns)) == names


def test_there_is_no_folder_beside_the_layers_and_rooms():
    assert {p.parent.name for p in PACKAGE.glob("*/__init__.py")} <= {*LAYERS, *ROOMS}


@pytest.mark.parametrize("module", [*STACK_A_ONLY, "mediapipe"])
def test_what_only_stack_a_has_is_used_in_exactly_one_module(module):
    def uses(path):
        if any(name.split(".")[0] == module for _, name in imported(path)):
            return True
        # optional.require("tensorflow_io", ...) and importlib.import_module name it in a string.
        calls = (
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        )
        given = (a.value for call in calls for a in call.args if isinstance(a, ast.Constant))
        return any(isinstance(c, str) and c.split(".")[0] == module for c in given)

    # optional.py is the door that all come through; here it is about who comes.
    sources = [*PACKAGE.rglob("*.py"), *RESEARCH.rglob("*.py"), *(ROOT / "scripts").glob("*.py")]
    users = [p.relative_to(ROOT) for p in sources if uses(p) and p != PACKAGE / "optional.py"]
    assert len(users) == 1, users


def test_every_asset_is_small_and_has_a_note_of_its_origin():
    assets = sorted((PACKAGE / "head" / "assets").glob("*.npz"))
    assert "head.npz" in [path.name for path in assets]
    for path in assets:
        assert path.stat().st_size <= 2_000_000
        notice = path.with_name(f"{path.stem}.NOTICE.txt").read_text(encoding="utf-8")
        assert notice.startswith(path.name)
        assert "licen" in notice.lower() and "scripts/build_head.py" in notice
