"""Provenance of networks: the data that they have learned from, read from their run folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from legan_research.experiments.config import ExperimentOptions
from legan_tf.data import attributes
from legan_tf.errors import UserError
from legan_tf.serving.loading import Editor
from legan_tf.training import systems
from legan_tf.training.datasets import EXPRESSIONS
from legan_tf.training.run_folder import FLAGS_FILE
from legan_tf.training.system import System


def flags_of(path: str) -> System | None:
    """Returns the flags of the run that trained a network; None if unknown.

    Args:
        path: A run folder, or a file in one.

    Raises:
        UserError: The file of flags is damaged.
    """
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    file = os.path.join(folder, FLAGS_FILE)
    return systems.from_flagfile(file) if os.path.isfile(file) else None


def quality_of(model: str) -> str:
    """Returns the path of the Q that a run trained or was given; empty if unknown."""
    own = os.path.join(model, "quality")
    if os.path.isdir(own):
        return own
    config = flags_of(model)
    return getattr(config, "quality_model", "")


def networks_of(model: str, options: ExperimentOptions) -> list[tuple[str, str]]:
    """Returns description and path of each network that edits and ratings depend on.

    Includes the networks that trainings began with (``--start_from``).
    """
    networks = [
        (f"--model={model}", model),
        (f"the Q of --model={model}", quality_of(model)),
        (f"--quality_model={options.quality_model}", options.quality_model),
        (f"--identity_model={options.identity_model}", options.identity_model),
    ]
    return [link for name, path in networks for link in chain_of(name, path)]


def chain_of(name: str, path: str) -> list[tuple[str, str]]:
    """Returns description and path of a network and of all that its training began with.

    Args:
        name: Description of the network.
        path: Its path; if empty, nothing is returned.
    """
    chain: list[tuple[str, str]] = []
    # Runs may refer to each other, if a run folder was used again.
    while path and path not in [known for _, known in chain]:
        chain.append((name, path))
        config = flags_of(path)
        path = getattr(config, "start_from", "")
        name = f"--start_from={path} of {name}"
    return chain


def check_unseen(networks: Iterable[tuple[str, str]], seeds: Sequence[int]) -> list[str]:
    """Refuses networks that were trained on people of an experiment.

    A training on rendered faces uses the people of split train of its seed.

    Args:
        networks: Descriptions and paths, from ``networks_of``.
        seeds: Seeds of the people of split train in the experiment.

    Returns:
        A sentence for each network whose training data is unknown.

    Raises:
        UserError: A network was trained on them.
    """
    warnings = []
    for name, path in networks:
        config = flags_of(path)
        if config is None:
            warnings.append(
                f"{name}: there is no {FLAGS_FILE} with it, so it was not checked that it has "
                "learned from nobody here."
            )
        elif config.dataset != "rendered":
            warnings.append(
                f"{name}: has learned from a manifest, and it was not checked that nobody here is "
                "in it."
            )
        elif config.seed in seeds:
            raise UserError(
                f"--data_seed={seeds[0]}: {name} was trained with seed {config.seed}, of whose "
                "people it has seen those of the experiment; give another --data_seed."
            )
    return warnings


def editor_learned_from(editor: Editor) -> str:
    """Returns a sentence on the training data of an editor, from which edits may gain."""
    config = flags_of(editor.path)
    gain = "what edits gain here includes what it knows from"
    if config is None:
        return f"It is not known what the editor, `{editor.path}`, has learned from; {gain} there."
    updates = f"The editor, `{editor.path}`, has taken {config.train_steps:,} updates"
    if config.dataset != "rendered":
        return f"{updates} on the pictures of `{config.manifest}`; {gain} them."
    expressions = len(EXPRESSIONS[config.expressions])
    lights = len(attributes.lightings(config.merge_flashless))
    return (
        f"{updates} on {config.people * expressions * lights:,} labelled pictures of "
        f"{config.people:,} other rendered people, each with {expressions} expressions in "
        f"{lights} lights; {gain} them."
    )
