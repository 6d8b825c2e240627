"""The files that a server is started with, written for the models that have been exported.

Free of TensorFlow.
"""

from __future__ import annotations

import importlib.resources
import os
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.serving import publishing

DEMO_FOLDER = "demo"

_FIRST_LINE = (
    "# Written by `python scripts/publish.py files`, which replaces this file. To edit it, delete "
    "this line."
)
_MARK = _FIRST_LINE[: _FIRST_LINE.index(",")]
# The server keeps two versions loaded, so that after a roll-back the one before answers at once.
# No version labels: a label of a version that is not loaded makes the server refuse the file.
_MODEL_CONFIG = """\
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
  }}
"""
_CONFIG_MAP = ("models.config", "monitoring.config", "ready.sh")


class Written(NamedTuple):
    """Files that were written, and files that were kept since a person has edited them."""

    files: tuple[str, ...]
    kept: tuple[str, ...]


def write(serving_root: str, output: str) -> Written:
    """Writes ``models.config`` and the other files that a server needs to serve every model.

    Files that a person has edited are not replaced.

    Args:
        serving_root: Folder of the served models.
        output: Folder to write to. The demo page is served where its folder, ``demo``, lies there.

    Raises:
        UserError: There is no exported model, or a file cannot be read or written.
    """
    names = publishing.models(serving_root)
    if not names:
        raise UserError(
            f"{serving_root}: holds no exported model; scripts/export.py makes one from a run."
        )
    models = os.path.relpath(serving_root, output)
    demo = os.path.isdir(os.path.join(output, DEMO_FOLDER))
    files: list[str] = []
    kept: list[str] = []
    for name, text in contents(names, models, demo).items():
        path = os.path.join(output, name)
        if os.path.exists(path) and not storage.read_bytes(path).startswith(_MARK.encode()):
            kept.append(path)
            continue
        storage.write_bytes(path, text.encode())
        files.append(path)
    return Written(tuple(files), tuple(kept))


def contents(names: Sequence[str], models: str, demo: bool = True) -> dict[str, str]:
    """Returns the text of every file by its name.

    Args:
        names: Names that the models are served under.
        models: Folder of the models, relative to that of the files.
        demo: Whether to serve the demo page.
    """
    entries = "".join(_MODEL_CONFIG.format(name=name) for name in names)
    texts = {
        "models.config": f"model_config_list {{\n{entries}}}\n",
        "batching_parameters.txt": _template("batching_parameters.txt"),
        "monitoring.config": _template("monitoring.config"),
        "ready.sh": _template("ready.sh", MODELS=" ".join(names)),
        "compose.yaml": _template("compose.yaml", MODELS_FOLDER=models),
    }
    config_map = "".join(
        f"  {name}: |\n{textwrap.indent(texts[name], '    ')}" for name in _CONFIG_MAP
    )
    texts["kubernetes.yaml"] = _template("kubernetes.yaml", CONFIG_FILES=config_map)
    if demo:
        texts["compose.yaml"] += _template("compose.demo.yaml")
        texts["nginx.conf"] = _template("nginx.conf")
    return {name: f"{_FIRST_LINE}\n{text}" for name, text in texts.items()}


def _template(name: str, **values: str) -> str:
    """Returns a file of ``server_templates`` with each ``@KEY@`` replaced by its value."""
    folder = importlib.resources.files("legan_tf.serving") / "server_templates"
    text = (folder / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
