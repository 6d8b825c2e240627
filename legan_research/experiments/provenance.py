"""What the networks of an experiment have learned from, as far as their runs tell."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from legan_research.experiments.config import ExperimentOptions
from legan_tf.data import attributes
from legan_tf.errors import UserError
from legan_tf.serving.loading import Editor
from legan_tf.training.config import TrainConfig, from_flagfile
from legan_tf.training.datasets import EXPRESSIONS
from legan_tf.training.run_folder import FLAGS_FILE


def flags_of(path: str) -> TrainConfig | None:
    """Returns the flags of the run that made a network; none where they are not with it.

    Args:
        path: A run folder, or a file, beside which they are looked for.

    Raises:
        UserError: The file of flags is damaged.
    """
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    file = os.path.join(folder, FLAGS_FILE)
    return from_flagfile(file) if os.path.isfile(file) else None


def quality_of(model: str) -> str:
    """Returns the path of the Q that a model's run trained or was given; nothing if not known."""
    own = os.path.join(model, "quality")
    if os.path.isdir(own):
        return own
    config = flags_of(model)
    return config.quality_model if config else ""


def networks_of(model: str, options: ExperimentOptions) -> list[tuple[str, str]]:
    """Returns what edits and ratings depend on, each network as it is told of, with its path.

    What a training began with (``--start_from``) is among it.
    """
    told = [
        (f"--model={model}", model),
        (f"the Q of --model={model}", quality_of(model)),
        (f"--quality_model={options.quality_model}", options.quality_model),
        (f"--identity_model={options.identity_model}", options.identity_model),
    ]
    return [link for name, path in told for link in chain_of(name, path)]


def chain_of(told: str, path: str) -> list[tuple[str, str]]:
    """Returns a network, what its training began with, and so on, as ``networks_of`` does.

    Args:
        told: How the network is told of.
        path: Its path; of none, nothing.
    """
    chain: list[tuple[str, str]] = []
    # Runs whose folders were used anew may name each other.
    while path and path not in [there for _, there in chain]:
        chain.append((told, path))
        config = flags_of(path)
        path = config.start_from if config else ""
        told = f"--start_from={path} of {told}"
    return chain


def check_unseen(networks: Iterable[tuple[str, str]], seeds: Sequence[int]) -> list[str]:
    """Refuses networks that have learned from people of an experiment.

    Trainings on rendered faces learn from the people of split train of their seed.

    Args:
        networks: As ``networks_of`` returns them.
        seeds: Those of whose people in split train the experiment has some.

    Returns:
        A sentence for each network of which it is not known.

    Raises:
        UserError: One has.
    """
    doubts = []
    for told, path in networks:
        config = flags_of(path)
        if config is None:
            doubts.append(
                f"{told}: there is no {FLAGS_FILE} with it, so it was not checked that it has "
                "learned from nobody here."
            )
        elif config.dataset != "rendered":
            doubts.append(
                f"{told}: has learned from a manifest, and it was not checked that nobody here is "
                "in it."
            )
        elif config.seed in seeds:
            raise UserError(
                f"--data_seed={seeds[0]}: {told} was trained with seed {config.seed}, of whose "
                "people it has seen those of the experiment; give another --data_seed."
            )
    return doubts


def editor_learned_from(editor: Editor) -> str:
    """Returns a sentence on what an editor knows that the pictures of an experiment do not tell."""
    config, gain = flags_of(editor.path), "what edits gain here includes what it knows from"
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
