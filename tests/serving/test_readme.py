"""What serving/README.md promises to operators, where it can be checked."""

from __future__ import annotations

import pathlib
import re

import pytest
import tensorflow as tf
import yaml

from legan_tf.serving import graph_checks, preprocessing, publishing, server_files

ROOT = pathlib.Path(__file__).parents[2]
TEXT = (ROOT / "serving" / "README.md").read_text()
KINDS = {
    "legan": ("LEGAN, StarGAN", "LEGAN", "each"),
    "unlit_depth": ("LEGAN, StarGAN", "either, with a depth network", "each"),
    "quality": ("Q", "each"),
    "depth": ("Depth network", "each"),
}


def table_of_signatures() -> dict[str, dict[str, tuple[str, str]]]:
    """Inputs and outputs by kind of model and signature."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    kind = ""
    section = TEXT[TEXT.index("| Model | Signature |") :].partition("\n\n")[0]
    for line in section.splitlines()[2:]:
        model, names, inputs, outputs = (cell.strip() for cell in line.strip("|").split("|"))
        kind = model or kind
        for name in re.findall(r"`(\w+)`", names):
            found.setdefault(kind, {})[name] = (inputs, outputs)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_the_table_of_signatures_is_what_is_exported(serving_root, name):
    told: dict[str, tuple[str, str]] = {}
    table = table_of_signatures()
    for kind in KINDS[name]:
        told |= table[kind]
    head, row = re.findall(r"^\| (?:Kind|`class`).*", TEXT, re.MULTILINE)
    columns = zip(head.split("|")[2:], row.split("|")[2:])
    classes = {name: cell for names, cell in columns for name in re.findall(r"`(\w+)`", names)}
    exported = tf.saved_model.load(str(serving_root / name / "1")).signatures
    assert set(told) == set(exported)
    for signature, function in exported.items():
        inputs, outputs = told[signature]
        for names, text in (
            (function.structured_input_signature[1], inputs),
            (function.structured_outputs, outputs),
        ):
            if text.startswith("as "):
                continue
            for key, spec in names.items():
                if key in ("expression", "lighting"):
                    assert "each condition by its name" in text
                    assert spec.dtype.name in classes[signature], (signature, key)
                else:
                    key = re.sub("^(expression|lighting)_", "NAME_", key)
                    assert f"`{key}`" in text, (signature, key)
                    assert spec.dtype.name in text, (signature, key)


def test_limits_and_ports_are_the_real_ones():
    assert f"at most {preprocessing.MAX_PIXELS:,} pixels" in TEXT
    assert f"at most {graph_checks.MAX_ROWS} rows" in TEXT
    pixels_gb = preprocessing.DECODERS * 3 * preprocessing.MAX_PIXELS / 1e9
    assert f"take {pixels_gb:.1f} GB for PNG" in TEXT
    assert (preprocessing.DECODERS, graph_checks.NAMED_ROWS) == (4, 5)
    services = yaml.safe_load((ROOT / "serving" / "compose.yaml").read_text())["services"]
    published = [*services["cpu"]["ports"], *services["demo"]["ports"]]
    assert len(published) == 3
    for ports in published:
        assert f"| `localhost:{ports.split(':')[-2]}` |" in TEXT
    assert f"`{services['cpu']['image']}`" in TEXT
    assert "client_max_body_size 64m;" in (ROOT / "serving" / "nginx.conf").read_text()


def test_every_file_is_described():
    for path in (
        publishing.LABELS_FILE,
        publishing.CARD_FILE,
        publishing.SUMS_FILE,
        publishing.WARMUP_FILE,
    ):
        assert f"| `{pathlib.Path(path).name}` |" in TEXT
    for name in server_files.contents(["m"], "models"):
        assert f"`{name}`" in TEXT
        assert (ROOT / "serving" / name).is_file()


def test_every_flag_of_a_command_exists():
    defined = re.compile(r'DEFINE_\w+\(\s*"(\w+)"')
    commands = re.sub(r"\\\n", " ", TEXT)
    found = re.findall(r"python scripts/(\w+\.py)([^`\n]*)", commands)
    assert {name for name, _ in found} == {"export.py", "publish.py", "client.py"}
    for script, arguments in found:
        known = defined.findall((ROOT / "scripts" / script).read_text())
        assert set(re.findall(r"--(\w+)", arguments)) <= set(known), (script, arguments)
    options = (ROOT / "legan_tf" / "serving" / "local_server" / "options.py").read_text()
    (local,) = re.findall(r"legan_tf\.serving\.local_server ([^`]*)```", commands)
    for flag in re.findall(r"--(\w+)", local):
        assert re.search(rf"^    {flag}: ", options, re.MULTILINE), flag
