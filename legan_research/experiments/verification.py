"""Experiment: face recognition networks trained with an edit of each image.

The augmentation experiment of LEGAN's poster, on rendered faces.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence

import numpy as np

from legan_research.experiments.config import FOLDS, ExperimentOptions
from legan_research.experiments.experiment import Experiment, open_experiment
from legan_research.experiments.provenance import editor_learned_from
from legan_research.experiments.published import VERIFICATION
from legan_research.experiments.rendered import (
    FaceLabels,
    file_sheet,
    labels_of_edits,
    render_images,
    write_images,
)
from legan_research.experiments.report import Comparison, write_report
from legan_research.experiments.training import (
    ORIGINAL,
    Example,
    SeedData,
    run_seeds,
    seeds_note,
)
from legan_research.experiments.verification_metrics import auc, fold_accuracies, true_accept_rate
from legan_tf.data import attributes
from legan_tf.data.parallel import OnProgress
from legan_tf.data.rendered.dataset import identity_name, split_people
from legan_tf.evaluation.image_networks import image_network
from legan_tf.evaluation.tables import Column
from legan_tf.models import Network
from legan_tf.uses.augment.augment import Source, augment
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
PAIRS_PER_FOLD = 300
"""Pairs of one person, and as many of two, in each fold, as in LFW."""
TEST_IMAGES = 12
"""Images of each unseen person."""

# Approximate shares in photographs on the web; the other classes share the rest.
_EXPRESSION_SHARES = {"neutral": 0.5, "smile": 0.4}
_LIGHTING_SHARES = {"shot00": 0.25, "shot06": 0.2, "shot07": 0.2, "shot08": 0.2}
_MAX_EXAMPLES = 8
_SETTINGS = ("data_seed", "people", "pictures", "test_people", "steps")


def verification_experiment(
    model: str, output: str, options: ExperimentOptions, bar: Callable[[str], OnProgress]
) -> str:
    """Trains face networks on a few images of each person, without an edit of each and with.

    Takes the arguments of ``open_experiment`` and ``bar``, which returns a progress callback for a
    label. Returns the content of ``report.md``. An interrupted experiment resumes.
    """
    experiment = open_experiment("verification", model, output, options)
    options, editor = experiment.options, experiment.editor
    settings = {"model": editor.sha256, **{name: getattr(options, name) for name in _SETTINGS}}
    experiment.begin(settings)
    prepare = functools.partial(_prepare, experiment, bar)
    results, shortages, plots = run_seeds(
        experiment, "identity", "identity", prepare, identity_width=0.25, flip=True
    )
    comparison = Comparison(
        title="An edit of each picture, to tell people apart",
        columns=COLUMNS,
        main="auc",
        baselines=(ORIGINAL,),
        published=VERIFICATION,
        not_comparable=(
            "on CASIA-WebFace, IJB-B (templates on a fixed list of pairs; that it is the AUC is "
            "inferred) and LFW, here on all pairs of single rendered pictures, and on folds of them"
        ),
        shared="one editor",
    )
    notes = [*_notes(experiment), *shortages]
    return write_report(experiment, comparison, results, {"settings": settings}, notes, plots)


def _prepare(
    experiment: Experiment, bar: Callable[[str], OnProgress], folder: str, seed: int
) -> SeedData:
    options, editor = experiment.options, experiment.editor
    size = editor.image_size
    people = split_people("train", options.people, options.data_seed + seed)
    labels = draw_labels(people, options.pictures, seed)
    manifest, files = write_images(
        os.path.join(folder, "real"), labels, size, bar("rendering real pictures")
    )
    target = os.path.join(folder, "augmented")
    augmentation = AugmentOptions(policy="vary", seed=seed)
    made = augment(editor, Source(manifest), target, augmentation, bar=bar)
    _, true = write_images(
        os.path.join(folder, "true"),
        labels_of_edits(labels, made.edits),
        size,
        bar("rendering true pictures"),
    )
    sources = [one.source for one in made.edits]
    edits = [os.path.join(target, one.path) for one in made.edits]
    identities = [identity_name(labels[source].person) for source in sources]
    real = [Example(file, identity_name(one.person), True) for file, one in zip(files, labels)]
    arms = {
        ORIGINAL: real,
        AUGMENTED: [*real, *map(Example, edits, identities)],
        TRUE: [*real, *map(Example, true, identities)],
    }

    def examples() -> bytes:
        rows = range(0, len(edits), max(1, len(edits) // _MAX_EXAMPLES))[:_MAX_EXAMPLES]
        columns = {"real": [files[source] for source in sources], "edit": edits, "true": true}
        chosen = {heading: [column[row] for row in rows] for heading, column in columns.items()}
        return file_sheet(chosen, [""] * len(rows))

    people, unseen = _test_images(options, size, seed, bar)
    evaluate = functools.partial(_evaluate, images=unseen, people=people, seed=seed)
    return SeedData(arms, evaluate, {AUGMENTED: made.notes}, examples)


def draw_labels(people: Sequence[int], count: int, seed: int) -> list[FaceLabels]:
    """Draws ``count`` images of each person, mostly neutral or smiling and lit from the front.

    Args:
        people: Numbers of the people.
        count: Number of images of each person.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng([7401, seed])
    draws = []
    for names, shares in (
        (attributes.MULTIPIE_EXPRESSIONS, _EXPRESSION_SHARES),
        (attributes.lightings(), _LIGHTING_SHARES),
    ):
        rest = (1 - sum(shares.values())) / (len(names) - len(shares))
        weights = np.array([shares.get(name, rest) for name in names])
        draws.append(rng.choice(names, (len(people), count), p=weights / weights.sum()))
    return [
        FaceLabels(int(person), str(expression), str(lighting))
        for row, person in enumerate(people)
        for expression, lighting in zip(draws[0][row], draws[1][row])
    ]


def _test_images(
    options: ExperimentOptions, size: int, seed: int, bar: Callable[[str], OnProgress]
) -> tuple[np.ndarray, np.ndarray]:
    """Identities int [n] and images of unseen people, with random expressions and lightings."""
    rng = np.random.default_rng([7402, seed])
    expressions, lightings = attributes.MULTIPIE_EXPRESSIONS, attributes.lightings()
    labels = []
    for person in split_people("test", options.test_people, options.data_seed + seed):
        shown = rng.choice(len(expressions) * len(lightings), TEST_IMAGES, replace=False)
        labels += [
            FaceLabels(person, expressions[e], lightings[light])
            for e, light in zip(*np.divmod(shown, len(lightings)))
        ]
    people = np.repeat(np.arange(options.test_people), TEST_IMAGES)
    return people, render_images(labels, size, bar("rendering unseen people"))


def _evaluate(
    network: Network, images: np.ndarray, people: np.ndarray, seed: int
) -> dict[str, float]:
    """Metrics of a face network on unseen people."""
    return verification_metrics(image_network(network)(images), people, seed)


def verification_metrics(embeddings: np.ndarray, people: np.ndarray, seed: int) -> dict[str, float]:
    """Returns the metrics of IJB-B on all pairs, and the accuracy of LFW's protocol.

    Args:
        embeddings: float [n, D].
        people: int [n], identities; ten or more with two or more images each.
        seed: Seed of the folds and of their pairs.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    units = (embeddings / np.maximum(lengths, 1e-12)).astype(np.float64)
    first, second = np.triu_indices(len(people), 1)
    similarity, same = (units @ units.T)[first, second], people[first] == people[second]
    figures = {"auc": auc(similarity, same)}
    for key, rate in (("1e-1", 0.1), ("1e-2", 0.01), ("1e-3", 0.001)):
        figures[f"tar_{key}"] = true_accept_rate(similarity, same, rate)
    first, second, fold = lfw_pairs(people, FOLDS, PAIRS_PER_FOLD, seed)
    similarity = np.sum(units[first] * units[second], axis=1)
    accuracies = fold_accuracies(similarity, people[first] == people[second], fold)
    figures["lfw"] = float(accuracies.mean())
    figures["lfw_error"] = float(accuracies.std(ddof=1) / np.sqrt(len(accuracies)))
    return figures


def lfw_pairs(
    people: np.ndarray, folds: int, per_fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws pairs of images in folds that share no person, as in LFW.

    Args:
        people: int [n], identities.
        folds: Number of folds; at most half the number of people.
        per_fold: Pairs of one person in each fold, and as many of two; fewer of both if a fold
            has fewer of either.
        seed: Seed of the draws.

    Returns:
        Indices of the first images, of the second images and of the folds, int [m] each.
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


def _notes(experiment: Experiment) -> list[str]:
    options, editor = experiment.options, experiment.editor
    return [
        f"LightCNN-29 with a quarter of its channels, {options.steps} updates at "
        f"{editor.image_size} x {editor.image_size}, trained on {options.pictures} pictures of "
        f"each of {options.people} rendered people, mostly neutral or smiling and lit from the "
        f"front. Tested on {TEST_IMAGES} pictures of each of {options.test_people} others, "
        f"all expressions and lights at random. {seeds_note(options)}",
        editor_learned_from(editor),
        "*augmented*: one edit of each picture, expression and light drawn. *true*: in its place "
        "the true picture of what was asked for: what perfect edits of the same pictures would "
        "give.",
        "AUC and true accepts: in the measures of IJB-B, of all pairs of single pictures; IJB-B "
        "itself verifies templates of several pictures, on a fixed list. "
        f"LFW's protocol: {FOLDS} folds that share no person, up to {PAIRS_PER_FOLD} pairs of one "
        "person in each and as many of two; the threshold is that of the other folds.",
    ]
