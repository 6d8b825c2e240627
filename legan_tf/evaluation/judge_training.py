"""Training of the judge networks, which no editor is trained against."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from legan_tf.data.conditions import ATTRIBUTES
from legan_tf.data.faceset import FaceSet
from legan_tf.errors import UserError
from legan_tf.evaluation.curves import read_curves
from legan_tf.models import Network
from legan_tf.training import systems
from legan_tf.training.datasets import rendered_classes
from legan_tf.training.run_checks import begun_on_other_faces
from legan_tf.training.run_folder import FLAGS_FILE, load_network, saved_step
from legan_tf.training.system import System
from legan_tf.training.systems.quality import most_convolutions
from legan_tf.training.train import train

JUDGES = ("classifier", "identity", "quality")
SEED_APART = 1000
"""Seed of the judges, whose people no editor of a low seed has seen."""
LEAST_ACCURACY = 0.75
"""Least accuracy of a reliable face judge in choosing one of two pictures, half-way from chance."""
_COMPARED_FIELDS = {
    "train_steps": "--judge_steps",
    "image_size": "an image size of",
    "expressions": "the expressions of",
    "merge_flashless": "merged flashless lights",
    "conditions": "the conditions",
    "snapshots": "snapshots",
    "lights": "the lights",
    "layers": "the layers",
}
"""Fields that distinguish judges, and what they are called in messages on evaluation."""


def judge_config(
    kind: str,
    folder: str,
    image_size: int,
    expressions: str,
    merge_flashless: bool,
    steps: int,
    attributes: bool = False,
    snapshots: bool = False,
    own_lights: str = "",
    layers: str = "",
) -> System:
    """The configuration of a judge.

    Args:
        kind: ``classifier``, ``identity`` or ``quality``.
        folder: Folder of the judges.
        image_size: Height and width in pixels.
        expressions: ``multipie`` or ``affectnet``.
        merge_flashless: See ``DataOptions``.
        steps: Updates.
        attributes: Whether the classifier reads the binary attributes of rendered faces too.
        snapshots: Whether it sees snapshots; see ``DataOptions``. Q sees rated faces only.
        own_lights: File of the lights that it sees; see ``DataOptions``.
        layers: Folder of the photographs round the faces that it sees; see ``DataOptions``.
    """
    conditions = ("expression", "lighting", *([ATTRIBUTES] if attributes else []))
    shown = {"snapshots": snapshots, "lights": own_lights, "layers": layers}
    particular: dict[str, dict[str, Any]] = {
        "classifier": {"learning_rate": 1e-3, "conditions": ",".join(conditions), **shown},
        "identity": {"learning_rate": 1e-3, "identity_width": 0.25, "flip": True, **shown},
        "quality": {
            "learning_rate": 5e-4,
            "q_width": 16,
            "q_depth": most_convolutions(image_size),
            "flip": True,
        },
    }
    return systems.make(
        kind,
        workdir=os.path.join(folder, kind),
        image_size=image_size,
        expressions=expressions,
        merge_flashless=merge_flashless,
        seed=SEED_APART,
        batch_size=32,
        # The batch is too small to divide, and a judge must be the same on every machine.
        replicas=1,
        tensor_float_32=False,
        train_steps=steps,
        beta_1=0.9,
        log_every=50,
        sample_every=steps,
        checkpoint_every=max(steps // 4, 1),
        **particular[kind],
    )


def train_judges(
    folder: str,
    faces: FaceSet,
    steps: int,
    kinds: Sequence[str] = JUDGES,
    snapshots: bool = False,
    own_lights: str = "",
    layers: str = "",
) -> dict[str, Network]:
    """Trains judges on rendered faces, or loads them where they are already.

    Args:
        folder: Where their run folders are.
        faces: Rendered faces; the judges get their size and classes, and other people.
        steps: Updates of each.
        kinds: Which of ``classifier``, ``identity`` and ``quality``.
        snapshots: Whether the faces are snapshots.
        own_lights: File of their lights, if they are not Multi-PIE's.
        layers: Folder of the photographs round them, if there are any.

    Returns:
        The networks by kind.

    Raises:
        UserError: The judges in ``folder`` are others than asked for, or cannot be trained or
            loaded; or training was stopped, and the same call resumes it.
    """
    expressions, merged = rendered_classes(faces.names("expression"), faces.names("lighting"))
    configs = {
        kind: judge_config(
            kind,
            folder,
            faces.image_size,
            expressions,
            merged,
            steps,
            ATTRIBUTES in faces.labels,
            snapshots,
            own_lights,
            layers,
        )
        for kind in kinds
    }
    for config in configs.values():
        _check_size(config)
        _check_asked_for(config, folder)
    networks = {}
    for kind, config in configs.items():
        try:
            stopped = train(config)
        except UserError as error:
            raise UserError(f"--judges={folder}: {error}") from error
        if stopped:
            raise UserError(f"training the judge in {config.run.workdir} was stopped; start again")
        try:
            networks[kind] = load_network(config.run.workdir)
        except UserError as error:
            raise UserError(f"--judges={folder}: {error}") from error
    return networks


def doubt_of_identity(folder: str) -> str:
    """Returns whether the face judge in a folder is unreliable, by the validation of its run.

    Args:
        folder: Folder of the judges.

    Returns:
        A sentence, or nothing where the judge is reliable or its run has no validation.
    """
    try:
        curves = read_curves(os.path.join(folder, "identity"))
    except UserError:
        return ""
    if "val_right_of_two" not in curves:
        return ""
    share = float(curves["val_right_of_two"][1][-1])
    if share >= LEAST_ACCURACY:
        return ""
    return (
        f"The face judge hardly tells people apart: of two pictures, it finds that of the person "
        f"in a third for {100 * share:.0f} % of people it has not seen, and guessing would for "
        "50 %. What is measured with it says little; give a better one with --identity_model."
    )


def _check_size(config: System) -> None:
    """Raises UserError for a size that a judge cannot take, naming the flags of evaluation."""
    try:
        config.check()
    except UserError as error:
        size = f"{config.data.image_size} x {config.data.image_size}"
        raise UserError(
            f"no {config.model} judge can be trained for pictures of {size} pixels; give one with "
            f"--{config.model}_model, or pictures of 64 x 64 or 128 x 128."
        ) from error


def _check_asked_for(config: System, folder: str) -> None:
    """Raises UserError if the judge in the folder has other options than the requested one."""
    flagfile = os.path.join(config.run.workdir, FLAGS_FILE)
    if saved_step(config.run.workdir) is None or not os.path.isfile(flagfile):
        return
    there = systems.from_flagfile(flagfile)
    differences = [
        f"{name} {getattr(there, field)}, not {getattr(config, field)}"
        for field, name in _COMPARED_FIELDS.items()
        if getattr(there, field, None) != getattr(config, field, None)
    ]
    if begun_on_other_faces(config):
        differences.append("the rendered faces of an earlier version")
    if differences:
        raise UserError(
            f"--judges={folder}: the {config.model} judge there was trained with "
            f"{'; '.join(differences)}. Name another folder with --judges, where new judges are "
            "trained, or give the same --judge_steps and a model of that size and those classes."
        )
