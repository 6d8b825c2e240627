"""Quickstart: trains a small model, evaluates it, exports it and edits a picture with it."""

from __future__ import annotations

import os

import numpy as np

from legan_tf.command_line.cli import say
from legan_tf.data import images
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate import evaluate
from legan_tf.evaluation.report import as_markdown
from legan_tf.graph_ops.target import current_target
from legan_tf.serving import editing, export, loading
from legan_tf.training import systems
from legan_tf.training.datasets import held_out_faces
from legan_tf.training.run_folder import load_network
from legan_tf.training.train import train

PERSON = 3
EXPRESSION, LIGHTING = "smile", "shot04"


def run(workdir: str, flagfile: str, seed: int) -> int:
    """Trains the model of a flag file on rendered faces, evaluates, exports and uses it.

    Args:
        workdir: Folder of all outputs.
        flagfile: Flag file of the training.
        seed: Seed of the training.

    Returns:
        0, or the status of a training that was stopped; the same call resumes it.

    Raises:
        UserError: The flags do not fit, or training diverged.
    """
    config = systems.from_flagfile(flagfile).replace(
        workdir=os.path.join(workdir, "legan"), seed=seed
    )
    say("[1/4] training Q, the identity network and LEGAN on rendered faces")
    status = train(config)
    if status:
        return status
    say("[2/4] judging edits of people that no network has seen")
    editor = loading.load(config.run.workdir)
    evaluation = os.path.join(workdir, "evaluation")
    report = evaluate(editor, evaluation, EvaluationConfig(seed=seed))
    say("[3/4] exporting a SavedModel for TensorFlow Serving")
    version = export.export(
        load_network(config.run.workdir),
        os.path.join(workdir, "models"),
        "legan",
        source=config.run.workdir,
        evaluation=evaluation,
        target=current_target(),
    )
    say("[4/4] editing a picture with the exported model")
    exported = loading.load(version)
    assert isinstance(exported, loading.Editor)
    faces = held_out_faces(config.data, seed, on_demand=True)
    picture = faces.images(np.array([PERSON * len(faces) // len(faces.identities)]))[0]
    written = {
        "input.png": picture,
        "edited.png": exported(picture, expression=EXPRESSION, lighting=LIGHTING),
        "grid.png": editing.draw_grid(exported, picture),
    }
    for name, pixels in written.items():
        images.save_png(os.path.join(workdir, name), pixels)
    print(as_markdown(report))
    say(
        f"Exported model: {version}\n"
        f"Samples during training, with the truth: {os.path.join(config.run.workdir, 'samples')}\n"
        f"One person, every target: {os.path.join(workdir, 'grid.png')}"
    )
    return 0
