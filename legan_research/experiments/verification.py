"""Does an edit of each picture help to tell people apart? LEGAN's poster, on rendered faces."""

from __future__ import annotations

import collections
import functools
import os
from collections.abc import Callable, Sequence

import numpy as np

from legan_research.experiments import training
from legan_research.experiments.config import FOLDS, ExperimentOptions
from legan_research.experiments.provenance import check_unseen, editor_learned_from, networks_of
from legan_research.experiments.published import VERIFICATION
from legan_research.experiments.rendered import (
    Portrait,
    file_of,
    render_portraits,
    write_portraits,
)
from legan_research.experiments.training import ORIGINAL, Line, Result
from legan_tf.data import attributes, images
from legan_tf.data.manifest import OnProgress
from legan_tf.data.rendered.facesets import name_of, people_of
from legan_tf.evaluation.columns import Column
from legan_tf.evaluation.features import picture_network
from legan_tf.evaluation.metrics.verification import auc, fold_accuracies, true_accept_rate
from legan_tf.models import Network
from legan_tf.serving.loading import Editor
from legan_tf.sheet import sheet
from legan_tf.uses.augment.augment import Augmented, Source, augment
from legan_tf.uses.augment.config import AugmentOptions

AUGMENTED, TRUE = "augmented", "true"
COLUMNS = (
    Column("auc", "all pairs, AUC", "higher", 3),
    Column("lfw", "LFW's protocol, accuracy", "higher", 3),
    Column("lfw_error", "its standard error", "", 3),
    Column("tar_1e-1", "true accepts, 10 % false", "higher", 3),
    Column("tar_1e-2", "true accepts, 1 % false", "higher", 3),
    Column("tar_1e-3", "true accepts, 0.1 % false", "higher", 3),
)
PER_FOLD = 300
"""Pairs of one person, and as many of two, in each fold, as LFW has them."""
PICTURES_OF_TEST = 12
"""Pictures of each unseen person."""

# What people show in photographs on the web, roughly: the rest of the share is divided evenly.
_MIENS = {"neutral": 0.5, "smile": 0.4}
_LIGHTS = {"shot00": 0.25, "shot06": 0.2, "shot07": 0.2, "shot08": 0.2}
_SHOWN = 8


def verification_experiment(
    model: str, output: str, options: ExperimentOptions, bar: Callable[[str], OnProgress]
) -> str:
    """Trains face networks on a few pictures of each person, without an edit of each and with.

    Each arm and seed is a run in ``OUTPUT/seed-S``; where it was stopped, the same call goes on.

    Args:
        model: Path of the editor.
        output: A folder on this machine.
        options: Sizes and seeds.
        bar: Given what is counted, returns what shows how far it is.

    Returns:
        What ``report.md`` holds.

    Raises:
        UserError: Flags, model or folder cannot be used, or a training was stopped.
    """
    options.check("verification")
    options = options.sized("verification")
    output = training.real_folder(output)
    editor = training.open_model(model)
    seeds = range(options.data_seed, options.data_seed + options.seeds)
    doubts = check_unseen(networks_of(model, options), seeds)
    kept = ("data_seed", "people", "pictures", "test_people", "steps")
    settings = {"model": editor.sha256, **{name: getattr(options, name) for name in kept}}
    training.refuse_fewer(output, options.seeds)
    training.begin(output, "verification", settings)
    results: dict[str, list[Result]] = collections.defaultdict(list)
    pictures, lacking = {}, []
    for seed in range(options.seeds):
        folder = os.path.join(output, f"seed-{seed}")
        lines, columns, made = _arms(folder, editor, options, seed, bar)
        lacking.append((f"Seed {seed}, *{AUGMENTED}*", made.notes))
        if not seed:
            pictures["examples.png"] = _examples(columns)
        people, unseen = _test_faces(options, editor.image_size, seed, bar)
        config = training.train_config(
            "identity", editor, options, seed, identity_width=0.25, flip=True
        )
        found = training.train_arms(
            lines,
            os.path.join(folder, "runs"),
            config,
            "identity",
            options.seeds,
            functools.partial(_figures, pictures=unseen, people=people, seed=seed),
        )
        for arm, one in found.items():
            results[arm].append(one)
    return training.write_arms(
        output,
        "An edit of each picture, to tell people apart",
        results,
        COLUMNS,
        VERIFICATION,
        "on CASIA-WebFace, IJB-B (templates on a fixed list of pairs; that it is the AUC is "
        "inferred) and LFW, here on all pairs of single rendered pictures, and on folds of them",
        (ORIGINAL,),
        "auc",
        "one editor",
        {"experiment": "verification", "settings": settings},
        [*_notes(options, editor), *training.gathered(lacking), *doubts],
        pictures,
    )


def draw_portraits(people: Sequence[int], pictures: int, seed: int) -> list[Portrait]:
    """Draws as many pictures of each person, neutral or smiling in light from the front mostly.

    Args:
        people: Their numbers.
        pictures: Of each person.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng([7401, seed])
    draws = []
    for names, shares in (
        (attributes.MULTIPIE_EXPRESSIONS, _MIENS),
        (attributes.lightings(), _LIGHTS),
    ):
        rest = (1 - sum(shares.values())) / (len(names) - len(shares))
        weights = np.array([shares.get(name, rest) for name in names])
        draws.append(rng.choice(names, (len(people), pictures), p=weights / weights.sum()))
    return [
        Portrait(int(person), str(expression), str(lighting))
        for row, person in enumerate(people)
        for expression, lighting in zip(draws[0][row], draws[1][row])
    ]


def _arms(
    folder: str,
    editor: Editor,
    options: ExperimentOptions,
    seed: int,
    bar: Callable[[str], OnProgress],
) -> tuple[dict[str, list[Line]], dict[str, list[str]], Augmented]:
    """The pictures of each arm, the files to show by heading, and what was made."""
    people = people_of("train", options.people, options.data_seed + seed)
    portraits = draw_portraits(people, options.pictures, seed)
    real, size = os.path.join(folder, "real"), editor.image_size
    manifest = write_portraits(real, portraits, size, bar("rendering real pictures"))
    target = os.path.join(folder, "augmented")
    chosen = AugmentOptions(policy="vary", seed=seed)
    made = augment(editor, Source(manifest), target, chosen, bar=bar)
    true = os.path.join(folder, "true")
    shown = _true_portraits(made, portraits)
    write_portraits(true, shown, size, bar("rendering true pictures"))
    persons = [name_of(portraits[one.edit.source].person) for one in made.edits]
    edits = [os.path.join(target, one.path) for one in made.edits]
    trues = [os.path.join(true, file_of(row)) for row in range(len(shown))]
    originals = [
        Line(os.path.join(real, file_of(row)), name_of(portrait.person), True)
        for row, portrait in enumerate(portraits)
    ]
    lines = {ORIGINAL: originals}
    for arm, files in ((AUGMENTED, edits), (TRUE, trues)):
        lines[arm] = [*originals, *(Line(*pair) for pair in zip(files, persons))]
    sources = [originals[one.edit.source].file for one in made.edits]
    return lines, {"real": sources, "edit": edits, "true": trues}, made


def _true_portraits(made: Augmented, portraits: Sequence[Portrait]) -> list[Portrait]:
    """What the edits should show."""
    found = []
    for one in made.edits:
        source, edit = portraits[one.edit.source], one.edit
        found.append(
            source._replace(
                expression=edit.expression or source.expression,
                lighting=edit.lighting or source.lighting,
            )
        )
    return found


def _test_faces(
    options: ExperimentOptions, size: int, seed: int, bar: Callable[[str], OnProgress]
) -> tuple[np.ndarray, np.ndarray]:
    """People int [n] and pictures of unseen people, expressions and lights at random."""
    rng = np.random.default_rng([7402, seed])
    expressions, lightings = attributes.MULTIPIE_EXPRESSIONS, attributes.lightings()
    portraits = []
    for person in people_of("test", options.test_people, options.data_seed + seed):
        shown = rng.choice(len(expressions) * len(lightings), PICTURES_OF_TEST, replace=False)
        portraits += [
            Portrait(person, expressions[e], lightings[light])
            for e, light in zip(*np.divmod(shown, len(lightings)))
        ]
    people = np.repeat(np.arange(options.test_people), PICTURES_OF_TEST)
    return people, render_portraits(portraits, size, bar("rendering unseen people"))


def _figures(
    network: Network, pictures: np.ndarray, people: np.ndarray, seed: int
) -> dict[str, float]:
    """What a face network makes of unseen people."""
    return verification_figures(picture_network(network)(pictures), people, seed)


def verification_figures(embeddings: np.ndarray, people: np.ndarray, seed: int) -> dict[str, float]:
    """Returns figures of all pairs, in the measures of IJB-B, and of LFW's folds.

    Args:
        embeddings: float [n,D].
        people: int [n], ten people or more with two pictures or more each.
        seed: Seed of the folds and of their pairs.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    units = (embeddings / np.maximum(lengths, 1e-12)).astype(np.float64)
    first, second = np.triu_indices(len(people), 1)
    likeness, same = (units @ units.T)[first, second], people[first] == people[second]
    figures = {"auc": auc(likeness, same)}
    for told, rate in (("1e-1", 0.1), ("1e-2", 0.01), ("1e-3", 0.001)):
        figures[f"tar_{told}"] = true_accept_rate(likeness, same, rate)
    first, second, fold = lfw_pairs(people, FOLDS, PER_FOLD, seed)
    likeness = np.sum(units[first] * units[second], axis=1)
    accuracies = fold_accuracies(likeness, people[first] == people[second], fold)
    figures["lfw"] = float(accuracies.mean())
    figures["lfw_error"] = float(accuracies.std(ddof=1) / np.sqrt(len(accuracies)))
    return figures


def lfw_pairs(
    people: np.ndarray, folds: int, per_fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws pairs of pictures in folds that share no person, as LFW has them.

    Args:
        people: int [n], who each picture shows.
        folds: How many; there are twice as many people or more.
        per_fold: Pairs of one person in each fold, and as many of two; fewer of both where a fold
            has fewer of either.
        seed: Seed of the draws.

    Returns:
        Numbers of the first and of the second pictures and of the folds, int [m] each.
    """
    rng = np.random.default_rng([7403, seed])
    drawn = []
    for number, members in enumerate(np.array_split(rng.permutation(np.unique(people)), folds)):
        shown = np.flatnonzero(np.isin(people, members))
        first, second = (shown[side] for side in np.triu_indices(len(shown), 1))
        same = people[first] == people[second]
        count = min(per_fold, int(same.sum()), int((~same).sum()))
        for kind in (same, ~same):
            chosen = rng.choice(np.flatnonzero(kind), count, replace=False)
            drawn.append((first[chosen], second[chosen], np.full(count, number)))
    first, second, fold = (np.concatenate(parts) for parts in zip(*drawn))
    return first, second, fold


def _examples(columns: dict[str, list[str]]) -> bytes:
    """A few real pictures, their edits and the true pictures of what was asked for."""
    count = len(columns["edit"])
    rows = range(0, count, max(1, count // _SHOWN))[:_SHOWN]
    shown = {
        heading: np.stack([images.decode(files[row]) for row in rows])
        for heading, files in columns.items()
    }
    return sheet(shown, [""] * len(rows))


def _notes(options: ExperimentOptions, editor: Editor) -> list[str]:
    return [
        f"LightCNN-29 with a quarter of its channels, {options.steps} updates at "
        f"{editor.image_size} x {editor.image_size}, trained on {options.pictures} pictures of "
        f"each of {options.people} rendered people, mostly neutral or smiling and lit from the "
        f"front. Tested on {PICTURES_OF_TEST} pictures of each of {options.test_people} others, "
        f"all expressions and lights at random. {training.over_seeds(options)}",
        editor_learned_from(editor),
        "*augmented*: one edit of each picture, expression and light drawn. *true*: in its place "
        "the true picture of what was asked for: what perfect edits of the same pictures would "
        "give.",
        "AUC and true accepts: in the measures of IJB-B, of all pairs of single pictures; IJB-B "
        "itself verifies templates of several pictures, on a fixed list. "
        f"LFW's protocol: {FOLDS} folds that share no person, up to {PER_FOLD} pairs of one person "
        "in each and as many of two; the threshold is that of the other folds.",
    ]
