"""Experiment: classifiers trained with rare expressions filled by edits.

The augmentation experiment of LEGAN's poster, on rendered faces.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.experiment import Experiment, open_experiment
from legan_research.experiments.provenance import editor_learned_from, flags_of
from legan_research.experiments.published import AFFECTNET_COUNTS, EXPRESSION
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
from legan_tf.data import attributes
from legan_tf.data.parallel import OnProgress
from legan_tf.data.rendered.dataset import split_people
from legan_tf.errors import UserError
from legan_tf.evaluation.image_networks import image_network
from legan_tf.evaluation.tables import Column
from legan_tf.models import Network
from legan_tf.serving.loading import Editor
from legan_tf.uses.augment.augment import Augmented, Source, augment
from legan_tf.uses.augment.config import AugmentOptions

CLASSES = tuple(AFFECTNET_COUNTS)
REPEATED, AUGMENTED, CHOSEN = "repeated", "augmented", "augmented, by Q"
BORROWED, TRUE = "borrowed", "true"
COLUMNS = (
    *(Column(f"auc_{name}", f"AUC {name}", "higher", 3) for name in CLASSES),
    *(Column(f"accuracy_{name}", f"accuracy {name}", "higher", 3) for name in CLASSES),
    Column("accuracy", "mean accuracy", "higher", 3),
)
TEST_LIGHTINGS = 2
"""Lightings of each person and expression in the test images."""
_MOST_COMMON = max(AFFECTNET_COUNTS, key=AFFECTNET_COUNTS.get)
_QUANTILE = 0.25
"""Share of all edits that Q rates below the default threshold."""
_MAX_EXAMPLES = 6
_SETTINGS = ("data_seed", "people", "pictures", "test_people", "steps", "quality_above")


def expression_experiment(
    model: str, output: str, options: ExperimentOptions, bar: Callable[[str], OnProgress]
) -> str:
    """Trains classifiers on rendered people as imbalanced as AffectNet, without edits and with.

    Takes the arguments of ``open_experiment`` and ``bar``, which returns a progress callback for a
    label. Returns the content of ``report.md``. An interrupted experiment resumes.
    """
    experiment = open_experiment("expression", model, output, options, scored=True)
    options, editor, scorer = experiment.options, experiment.editor, experiment.scorer
    known = (_MOST_COMMON, *editor.names("expression"))
    unknown = [name for name in CLASSES if name not in known]
    if unknown:
        raise UserError(
            f"--model={model}: it does not know {', '.join(unknown)}, which are to be filled; give "
            "a model of --dataset=rendered that knows them."
        )
    settings = {
        "model": editor.sha256,
        "quality_model": scorer.sha256 if scorer else "",
        **{name: getattr(options, name) for name in _SETTINGS},
    }
    experiment.begin(settings)
    thresholds: list[float] = []

    prepare = functools.partial(_prepare, experiment, thresholds, bar)
    results, shortages, plots = run_seeds(experiment, "classifier", "expression", prepare)
    comparison = Comparison(
        title="Filling rare expressions with edits",
        columns=COLUMNS,
        main="accuracy",
        baselines=(ORIGINAL, REPEATED),
        published=EXPRESSION,
        not_comparable="on AffectNet (that it is the AUC is inferred), here on rendered faces",
        shared="one editor with one Q" if scorer else "one editor",
    )
    notes = [*_notes(experiment, thresholds), *shortages]
    about = {"settings": settings, "thresholds": thresholds}
    return write_report(experiment, comparison, results, about, notes, plots)


def _prepare(
    experiment: Experiment,
    thresholds: list[float],
    bar: Callable[[str], OnProgress],
    folder: str,
    seed: int,
) -> SeedData:
    """Renders the images of a seed and edits them; adds the threshold of arm ``CHOSEN``."""
    options, editor, scorer = experiment.options, experiment.editor, experiment.scorer
    size = editor.image_size
    people = split_people("train", options.people, options.data_seed + seed)
    labels = draw_imbalanced(people, options.pictures, seed)
    manifest, files = write_images(
        os.path.join(folder, "real"), labels, size, bar("rendering real pictures")
    )
    real = [Example(file, one.expression, True) for file, one in zip(files, labels)]
    arms = {ORIGINAL: real, REPEATED: [*real, *_repetitions(real, seed)]}
    notes = {}

    def add_edits(arm: str, name: str, threshold: float) -> Augmented:
        quality = scorer.path if scorer else ""
        chosen = AugmentOptions("balance", quality, quality_above=threshold, seed=seed)
        target = os.path.join(folder, name)
        made = augment(editor, Source(manifest), target, chosen, scorer, bar=bar)
        added = [
            Example(os.path.join(target, one.path), one.targets["expression"]) for one in made.edits
        ]
        arms[arm], notes[arm] = [*real, *added], made.notes
        return made

    edits = add_edits(AUGMENTED, "augmented", 0.0).edits
    if scorer:
        thresholds.append(_threshold([one.rating for one in edits], options))
        add_edits(CHOSEN, "augmented_by_q", thresholds[-1])
    wanted = labels_of_edits(labels, edits)
    expressions = [one.expression for one in wanted]
    _, true = write_images(
        os.path.join(folder, "true"), wanted, size, bar("rendering true pictures")
    )
    known = draw_borrowed(_known_people(editor), expressions, seed)
    if known:
        _, borrowed = write_images(
            os.path.join(folder, "borrowed"), known, size, bar("rendering borrowed pictures")
        )
        arms[BORROWED] = [*real, *map(Example, borrowed, expressions)]
    arms[TRUE] = [*real, *map(Example, true, expressions)]

    def examples() -> bytes:
        """Draws sources, their edits and the true images, as many of every class."""
        chosen = []
        for name in CLASSES:
            rows = [row for row, expression in enumerate(expressions) if expression == name]
            chosen += rows[: _MAX_EXAMPLES // 2]
        names = []
        for one in (edits[row] for row in chosen):
            rating = "" if one.rating is None else f"\nQ {one.rating:.1f}"
            before = labels[one.source].expression
            names.append(f"{before}\nto {one.targets['expression']}{rating}")
        columns = {
            "real source": [files[edits[row].source] for row in chosen],
            "edit": [os.path.join(folder, "augmented", edits[row].path) for row in chosen],
            "true": [true[row] for row in chosen],
        }
        return file_sheet(columns, names)

    classes, unseen = _test_images(options, size, seed, bar)
    evaluate = functools.partial(_evaluate, images=unseen, labels=classes)
    return SeedData(arms, evaluate, notes, examples)


def draw_imbalanced(people: Sequence[int], largest: int, seed: int) -> list[FaceLabels]:
    """Draws labels of a training set as imbalanced as AffectNet, with uniform lightings.

    Args:
        people: Numbers of the people, who alternate in each class.
        largest: Number of images of the most common class.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng([7201, seed])
    lightings = attributes.lightings()
    drawn = []
    for name, count in _class_counts(largest).items():
        turns = [rng.permutation(people) for _ in range(-(-count // len(people)))]
        for person in np.concatenate(turns)[:count]:
            lighting = lightings[rng.integers(len(lightings))]
            drawn.append(FaceLabels(int(person), name, lighting))
    return drawn


def _class_counts(largest: int) -> dict[str, int]:
    most = max(AFFECTNET_COUNTS.values())
    return {name: max(1, round(largest * count / most)) for name, count in AFFECTNET_COUNTS.items()}


def _known_people(editor: Editor) -> Sequence[int]:
    """The rendered people that an editor has learned from; empty if unknown."""
    config = flags_of(editor.path)
    if config is None or config.dataset != "rendered":
        return ()
    return split_people("train", config.people, config.seed)


def draw_borrowed(people: Sequence[int], expressions: Sequence[str], seed: int) -> list[FaceLabels]:
    """Draws a person and a lighting for each of some expressions.

    Args:
        people: Numbers of the people, who alternate for each expression; if empty, so is the
            result.
        expressions: The expressions, in order.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng([7204, seed])
    lightings = attributes.lightings()
    turns: dict[str, list[int]] = {name: [] for name in expressions}
    drawn = []
    for name in expressions if people else ():
        turns[name] = turns[name] or rng.permutation(people).tolist()
        lighting = lightings[rng.integers(len(lightings))]
        drawn.append(FaceLabels(turns[name].pop(), name, lighting))
    return drawn


def _threshold(ratings: Sequence[float], options: ExperimentOptions) -> float:
    """The lowest rating of the edits of arm ``CHOSEN``, given the ratings of all edits."""
    quartile = round(float(np.quantile(ratings, _QUANTILE)), 3)
    return options.quality_above or min(max(quartile, 1.0), 10.0)


def _repetitions(real: Sequence[Example], seed: int) -> list[Example]:
    """Images of the rare classes repeated until all classes have the same size."""
    rng = np.random.default_rng([7202, seed])
    of_class: dict[str, list[Example]] = {name: [] for name in CLASSES}
    for line in real:
        of_class[line.label].append(line)
    most = max(map(len, of_class.values()))
    again = []
    for lines in of_class.values():
        missing = most - len(lines)
        turns = [rng.permutation(len(lines)) for _ in range(-(-missing // len(lines)))]
        order = np.concatenate(turns)[:missing] if turns else []
        again += [dataclasses.replace(lines[place], real=False) for place in order]
    return again


def _test_images(
    options: ExperimentOptions, size: int, seed: int, bar: Callable[[str], OnProgress]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels int [n] and images of unseen people, with uniform classes and random lightings."""
    rng = np.random.default_rng([7203, seed])
    lightings = attributes.lightings()
    shown = [
        FaceLabels(person, name, lightings[light])
        for person in split_people("test", options.test_people, options.data_seed + seed)
        for name in CLASSES
        for light in rng.choice(len(lightings), TEST_LIGHTINGS, replace=False)
    ]
    labels = np.array([CLASSES.index(one.expression) for one in shown])
    return labels, render_images(shown, size, bar("rendering unseen people"))


def _evaluate(network: Network, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Metrics of a classifier on unseen people."""
    logits = image_network(network)(images)["expression"]
    columns = [network.names("expression").index(name) for name in CLASSES]
    return classification_metrics(softmax(logits[:, columns].astype(np.float64), axis=1), labels)


def classification_metrics(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns the AUC of each class against the others, the accuracy of each and their mean.

    Args:
        probabilities: float [n, 4], of ``CLASSES``.
        labels: int [n]; every class occurs.
    """
    read = probabilities.argmax(axis=1)
    figures = {}
    for place, name in enumerate(CLASSES):
        of_class = labels == place
        figures[f"auc_{name}"] = float(roc_auc_score(of_class, probabilities[:, place]))
        figures[f"accuracy_{name}"] = float(np.mean(read[of_class] == place))
    figures["accuracy"] = float(np.mean([figures[f"accuracy_{name}"] for name in CLASSES]))
    return figures


def _notes(experiment: Experiment, thresholds: Sequence[float]) -> list[str]:
    options, editor = experiment.options, experiment.editor
    counts = ", ".join(f"{name} {n}" for name, n in _class_counts(options.pictures).items())
    tested = options.test_people * len(CLASSES) * TEST_LIGHTINGS
    notes = [
        f"Classifiers of {options.steps} updates at {editor.image_size} x {editor.image_size}, "
        f"trained on pictures of {options.people} rendered people ({counts}), all lights at "
        f"random; tested on {tested:,} pictures of {options.test_people} others, each class as "
        f"often. {seeds_note(options)}",
        editor_learned_from(editor),
        "*repeated*: rare classes repeated up to the commonest. *augmented*: filled with edits. "
        "*true*: filled with the true pictures that the edits of *augmented* stand for: what "
        "perfect edits of the same pictures would give.",
    ]
    if _known_people(editor):
        notes.append(
            "*borrowed*: filled with as many true pictures of those people that the editor has "
            "learned from, all lights at random: what the data behind the editor would give "
            "without the editor."
        )
    if experiment.scorer:
        lowest = ", ".join(f"{threshold:.3f}" for threshold in thresholds)
        notes.append(
            f"*augmented, by Q*: only edits that Q rates {lowest} or more (one number per seed). "
            "*true* stands for the edits of *augmented*, not for those that Q chose."
        )
    else:
        notes.append("Without Q, no arm is chosen by it; give --quality_model.")
    return notes
