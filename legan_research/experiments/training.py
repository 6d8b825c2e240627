"""Trainings of one network on several training sets (arms) that differ in their images alone."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.experiment import Experiment
from legan_research.experiments.provenance import flags_of
from legan_research.experiments.report import Result
from legan_tf.command_line.cli import say
from legan_tf.data import storage
from legan_tf.data.manifest import to_csv
from legan_tf.errors import UserError
from legan_tf.models import Network
from legan_tf.serving.loading import Editor
from legan_tf.training import systems
from legan_tf.training.run_folder import load_network
from legan_tf.training.system import System
from legan_tf.training.train import train

ORIGINAL = "original"
"""The arm of the real images alone."""


@dataclasses.dataclass(frozen=True)
class Example:
    """A training image.

    Attributes:
        file: Its path.
        label: Name of its class.
        real: Whether it counts as real; else it was added.
    """

    file: str
    label: str
    real: bool = False


@dataclasses.dataclass(frozen=True)
class SeedData:
    """The data of all arms with one seed.

    Attributes:
        arms: Training images of each arm.
        evaluate: Returns the metrics of a trained network.
        notes: Sentences on shortages, by arm.
        examples: Returns a PNG of some images.
    """

    arms: Mapping[str, Sequence[Example]]
    evaluate: Callable[[Network], Mapping[str, float]]
    notes: Mapping[str, Sequence[str]]
    examples: Callable[[], bytes]


def run_seeds(
    experiment: Experiment,
    model: str,
    label: str,
    prepare: Callable[[str, int], SeedData],
    **flags: Any,
) -> tuple[dict[str, list[Result]], list[str], dict[str, bytes]]:
    """Trains and evaluates a network on each arm with each seed.

    Each training is a run folder in ``OUTPUT/seed-S/runs``; interrupted ones resume.

    Args:
        experiment: The experiment, begun.
        model: Name of the trained model.
        label: Manifest column of the classes.
        prepare: Returns the data of a seed, given its folder and the seed.
        **flags: Further training flags.

    Returns:
        The results of each arm, the notes of all seeds, and a plot of examples.

    Raises:
        UserError: A training was interrupted, or its folder was moved.
    """
    results: dict[str, list[Result]] = collections.defaultdict(list)
    notes, plots, options = [], {}, experiment.options
    for seed in range(options.seeds):
        folder = os.path.join(experiment.output, f"seed-{seed}")
        data = prepare(folder, seed)
        notes += [(f"Seed {seed}, *{arm}*", of_arm) for arm, of_arm in data.notes.items()]
        if not seed:
            plots["examples.png"] = data.examples()
        config = train_config(model, experiment.editor, options, seed, **flags)
        for number, (arm, examples) in enumerate(data.arms.items(), 1 + seed * len(data.arms)):
            name = arm.replace(", ", "_").replace(" ", "_").lower()
            workdir = os.path.join(folder, "runs", name)
            title = f"[{number}/{options.seeds * len(data.arms)}] seed {seed}: {arm}"
            network = train_arm(config.replace(workdir=workdir), examples, label, title)
            real = sum(example.real for example in examples)
            results[arm].append(Result(real, len(examples) - real, data.evaluate(network)))
    return results, grouped(notes), plots


def train_config(
    model: str, editor: Editor, options: ExperimentOptions, seed: int, **flags: Any
) -> System:
    """Returns the configuration of all arms of a seed, without their run folders.

    Args:
        model: Name of the trained model.
        editor: The editor, for its image size.
        options: The options, for the number of steps.
        seed: Seed of the training.
        **flags: Further training flags.
    """
    return systems.make(
        model=model,
        image_size=editor.image_size,
        seed=seed,
        batch_size=32,
        # The batch is too small to divide, and all arms must be trained alike.
        replicas=1,
        train_steps=options.steps,
        learning_rate=1e-3,
        beta_1=0.9,
        log_every=50,
        sample_every=options.steps,
        checkpoint_every=max(options.steps // 3, 1),
        keep_checkpoints=1,
        **flags,
    )


def train_arm(config: System, examples: Sequence[Example], label: str, title: str) -> Network:
    """Trains a network on the images of an arm, or resumes its training.

    Args:
        config: Configuration with the run folder; the manifest is written beside that folder.
        examples: The training images.
        label: Manifest column of the classes.
        title: A line to print first.

    Returns:
        The network.

    Raises:
        UserError: The training was interrupted, or its folder was moved since it was begun.
    """
    say(title)
    manifest = f"{config.workdir}.csv"
    before = flags_of(config.workdir)
    if before and before.manifest != manifest:
        raise UserError(
            f"--output: {config.workdir} was begun as {before.workdir}, and the folder of an "
            "experiment goes on only where it was begun; move it back, or name a new one."
        )
    base = os.path.dirname(manifest)
    rows = [
        {"path": os.path.relpath(one.file, base), label: one.label, "split": "train"}
        for one in examples
    ]
    content = to_csv(rows)
    if not os.path.exists(manifest) or storage.read_bytes(manifest) != content:
        storage.write_bytes(manifest, content)
    try:
        stopped = train(config.replace(dataset="manifest", manifest=manifest))
    except UserError as error:
        # --workdir is derived from the experiment's --output.
        raise UserError(str(error).replace("--workdir", "--output")) from error
    if stopped:
        raise UserError(f"the training in {config.workdir} was stopped; the same command goes on.")
    return load_network(config.workdir)


def seeds_note(options: ExperimentOptions) -> str:
    """Returns a sentence on what the metrics of an arm are means of."""
    subject = "One seed"
    if options.seeds > 1:
        subject = f"Mean and standard deviation of {options.seeds} seeds, each"
    return (
        f"{subject} with people and weights of its own; all arms of a seed begin with the same "
        "weights and take as many updates."
    )


def grouped(notes: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Returns each sentence once, after the places that it is about.

    Args:
        notes: Places and their sentences.
    """
    places: dict[str, list[str]] = {}
    for place, sentences in notes:
        for sentence in sentences:
            places.setdefault(sentence, []).append(place)
    return [f"{', '.join(where)}: {sentence}" for sentence, where in places.items()]
