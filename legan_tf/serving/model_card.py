"""The model card of an exported version."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable

import keras
import tensorflow as tf

from legan_tf.command_line import options
from legan_tf.data import storage
from legan_tf.errors import first_line
from legan_tf.evaluation.report import REPORT_FILE, as_markdown
from legan_tf.serving.labels import DEPTH, EDITOR, SCORER, Labels
from legan_tf.serving.preprocessing import MAX_PIXELS
from legan_tf.serving.signatures import Servable
from legan_tf.training import systems
from legan_tf.training.run_folder import (
    FLAGS_FILE,
    INPUTS_FILE,
    NETWORK_FILE,
    last_record,
    saved_step,
)

_PACKAGES = ("legan-tf", "tensorflow", "keras", "numpy")
_DEVICES = {
    "any": "any device",
    "cpu": "processors with oneDNN; they answer the same on GPUs, slower",
    "gpu": "GPUs; they answer the same on processors, slower",
}
_USES = {
    EDITOR: (
        "It edits portraits of consenting people, for research, for the making of training data "
        "and for pictures that are shown as edited. It is not for deception: not for pictures that "
        "pass for real ones of a person, and not for changing evidence or documents."
    ),
    SCORER: (
        "It predicts how natural people would find a synthetic face, to compare generators and to "
        "pick among their pictures. It is not for judging people or their photographs, and it does "
        "not tell whether a picture is a forgery."
    ),
    DEPTH: (
        "It estimates the surface of a face from one picture, for research and for rendering. It "
        "is not for measuring, nor for telling who someone is."
    ),
}
_LIMITS = (
    "Faces should fill the frame, eyes at a third of the height; the middle square is used.",
    "People, poses, lights and cameras unlike those it was trained on give worse results. How it "
    "does on different groups of people has not been measured, unless the report below says so.",
    "Neither a camera's EXIF rotation nor transparency is applied to encoded pictures, and they "
    f"may have {MAX_PIXELS:,} pixels at most.",
)


def write(
    name: str,
    servable: Servable,
    network: keras.Model,
    depth: keras.Model | None,
    source: str,
    evaluation: str,
) -> str:
    """Returns the card in Markdown.

    Args:
        name: Name that the model is served under.
        servable: The model.
        network: Its network.
        depth: The depth network beside it.
        source: The run folder or file it comes from, or nothing if that is not known.
        evaluation: Folder of its report; default is ``evaluation`` in the run folder.
    """
    labels = servable.labels
    sections = {
        "Signatures": _signatures(servable),
        "Intended use": [_USES[labels.kind]],
        "Limits": [f"- {sentence}" for sentence in _LIMITS],
        "Training": _section(_training, source),
        "Evaluation": _section(_evaluation, source, evaluation),
    }
    lines = [f"# {name}", "", *_facts(labels, network, depth)]
    for title, section in sections.items():
        lines += ["", f"## {title}", "", *section]
    return "\n".join(lines) + "\n"


def _facts(labels: Labels, network: keras.Model, depth: keras.Model | None) -> list[str]:
    size = labels.image_size
    facts = {
        "Network": f"{labels.architecture}, {network.count_params():,} parameters",
        "Depth network beside it": depth and f"{depth.count_params():,} parameters",
        "Works at": f"{size} x {size} pixels",
        **{
            condition.name.capitalize(): ", ".join(condition.names)
            for condition in labels.conditions
        },
        "Conditions may be left as they are": labels.conditions
        and ("yes" if labels.keeps_unnamed else "no"),
        "Faces it was trained on": labels.face_lines
        and "eyes at {:.0%} of the height, mouth at {:.0%}".format(*labels.face_lines),
        "Maps show": labels.geometry,
        "Graphs for": _DEVICES[labels.target],
        "Exported": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "With": ", ".join(
            [f"{package} {importlib.metadata.version(package)}" for package in _PACKAGES]
            + [f"Python {platform.python_version()}"]
        ),
    }
    return ["| | |", "|---|---|", *(f"| {key} | {text} |" for key, text in facts.items() if text)]


def _signatures(servable: Servable) -> list[str]:
    lines = ["| Signature | Inputs | Outputs |", "|---|---|---|"]
    for name, function in servable.signatures.items():
        concrete = function.get_concrete_function()
        given = [_tensor(spec.name, spec) for spec in function.input_signature]
        made = [_tensor(key, spec) for key, spec in sorted(concrete.structured_outputs.items())]
        lines.append(f"| `{name}` | {'; '.join(given)} | {'; '.join(made)} |")
    return [*lines, "", "What they take and answer is in serving/README.md of legan_tf."]


def _tensor(name: str, spec: tf.TensorSpec | tf.Tensor) -> str:
    sizes = ["B"] + ["?" if size is None else str(size) for size in spec.shape[1:]]
    return f"`{name}` {spec.dtype.name} [{', '.join(sizes)}]"


def _section(section: Callable[..., list[str]], *sources: str) -> list[str]:
    """Returns a section; damaged files beside the network do not keep it from being served."""
    try:
        return section(*sources)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return [f"What stood beside the network is damaged ({first_line(error)})."]


def _training(source: str) -> list[str]:
    """Returns what the run folder holds of the training: steps, data and flags."""
    if not os.path.isfile(os.path.join(source, FLAGS_FILE)):
        origin = f" It was read from {os.path.basename(source)}." if source else ""
        return [f"The flags of its training are not known.{origin}"]
    lines = []
    step, record = saved_step(source), last_record(source)
    if step is not None:
        lines += [f"Trained for {step:,} steps, begun {record.get('started', 'unknown')[:10]}.", ""]
    if record.get("data"):
        lines += ["Data:", "", "```", *record["data"], "```", ""]
    lines += ["Flags that differ from the defaults of `scripts/train.py`:", "", "```"]
    lines += [*_flags(os.path.join(source, FLAGS_FILE)), "```"]
    inputs = os.path.join(source, INPUTS_FILE)
    if os.path.isfile(inputs):
        with open(inputs, encoding="utf-8") as file:
            for flag, digest in json.load(file).items():
                lines.append(f"\nsha256 of what `--{flag}` names: {digest}")
    return lines


def _flags(path: str) -> list[str]:
    """Returns the flags that shaped the training, with files by their names alone."""
    system, recorded = systems.recorded_flags(path)
    lines = [f"--model={system.model}"]
    for name, (field, default) in options.fields_of(system).items():
        text = str(default).lower() if isinstance(default, bool) else str(default)
        shaping = name == "train_steps" or not field.metadata["free"]
        value = recorded.get(name, text)
        if shaping and value != text:
            # The folders of the machine it was trained on are private.
            shown = os.path.basename(value.rstrip(os.sep)) if os.sep in value else value
            lines.append(f"--{name}={shown}")
    return lines


def _evaluation(source: str, evaluation: str) -> list[str]:
    """Returns the report on the network, if there is one and it is on this very network."""
    path = os.path.join(evaluation or os.path.join(source, "evaluation"), REPORT_FILE)
    if not source or not os.path.isfile(path):
        return ["None stood beside the network when it was exported."]
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    network = os.path.join(source, NETWORK_FILE) if os.path.isdir(source) else source
    if storage.sha256(network) != report["model"]["sha256"]:
        return ["The report beside the network was on another state of it."]
    # Without its title and the line with its path, which is of another machine.
    body = as_markdown(report).splitlines()[2:]
    return [line for line in body if not line.startswith("Model: ")]
