"""Does filling rare expressions with edits help a classifier? LEGAN's poster, on rendered faces."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from legan_research.experiments import training
from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.provenance import (
    check_unseen,
    editor_learned_from,
    flags_of,
    networks_of,
)
from legan_research.experiments.published import AFFECTNET_COUNTS, EXPRESSION
from legan_research.experiments.rendered import (
    Portrait,
    file_of,
    render_portraits,
    write_portraits,
)
from legan_research.experiments.training import ORIGINAL, Line, Result
from legan_tf.data import attributes, images
from legan_tf.data.manifest import OnProgress
from legan_tf.data.rendered.facesets import people_of
from legan_tf.errors import UserError
from legan_tf.evaluation.columns import Column
from legan_tf.evaluation.features import picture_network
from legan_tf.models import Network
from legan_tf.serving.loading import Editor, Scorer
from legan_tf.sheet import sheet
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
LIGHTS_OF_TEST = 2
_COMMONEST = max(AFFECTNET_COUNTS, key=AFFECTNET_COUNTS.get)
_LEFT_OUT = 0.25
_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Data:
    """What the arms of one seed are made of.

    Attributes:
        real: The real portraits.
        files: Their files.
        augmented: The edits by arm, and the folder that they are in.
        borrowed: For each edit of the first of these arms, the file of a picture of one of those
            that the editor has learned from; none where they are not known.
        true: For each of these edits, the file of its true picture.
    """

    real: Sequence[Portrait]
    files: Sequence[str]
    augmented: Mapping[str, tuple[Augmented, str]]
    borrowed: Sequence[str]
    true: Sequence[str]


def expression_experiment(
    model: str, output: str, options: ExperimentOptions, bar: Callable[[str], OnProgress]
) -> str:
    """Trains classifiers on rendered people as imbalanced as AffectNet, without edits and with.

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
    options.check("expression")
    options = options.sized("expression")
    output = training.real_folder(output)
    editor = training.open_model(model)
    unknown = [name for name in CLASSES if name not in (_COMMONEST, *editor.expressions)]
    if unknown:
        raise UserError(
            f"--model={model}: it does not know {', '.join(unknown)}, which are to be filled; give "
            "a model of --dataset=rendered that knows them."
        )
    scorer = training.open_quality(model, options)
    seeds = range(options.data_seed, options.data_seed + options.seeds)
    doubts = check_unseen(networks_of(model, options), seeds)
    settings = _settings(editor, scorer, options)
    training.refuse_fewer(output, options.seeds)
    training.begin(output, "expression", settings)
    results: dict[str, list[Result]] = collections.defaultdict(list)
    thresholds, pictures, lacking = [], {}, []
    for seed in range(options.seeds):
        folder = os.path.join(output, f"seed-{seed}")
        data = _make(folder, editor, scorer, options, seed, bar)
        if CHOSEN in data.augmented:
            thresholds.append(_threshold(data.augmented[AUGMENTED][0], options))
        lacking += [
            (f"Seed {seed}, *{arm}*", made.notes) for arm, (made, _) in data.augmented.items()
        ]
        if not seed:
            pictures["examples.png"] = _examples(data, editor.image_size)
        labels, unseen = _test_faces(options, editor.image_size, seed, bar)
        found = training.train_arms(
            _arms(data, seed),
            os.path.join(folder, "runs"),
            training.train_config("classifier", editor, options, seed),
            "expression",
            options.seeds,
            functools.partial(_figures, pictures=unseen, labels=labels),
        )
        for arm, one in found.items():
            results[arm].append(one)
    return training.write_arms(
        output,
        "Filling rare expressions with edits",
        results,
        COLUMNS,
        EXPRESSION,
        "on AffectNet (that it is the AUC is inferred), here on rendered faces",
        (ORIGINAL, REPEATED),
        "accuracy",
        "one editor with one Q" if scorer else "one editor",
        {"experiment": "expression", "settings": settings, "thresholds": thresholds},
        [*_notes(options, editor, scorer, thresholds), *training.gathered(lacking), *doubts],
        pictures,
    )


def _settings(editor: Editor, scorer: Scorer | None, options: ExperimentOptions) -> dict[str, Any]:
    """All that the results depend on, besides the number of seeds."""
    kept = ("data_seed", "people", "pictures", "test_people", "steps", "quality_above")
    return {
        "model": editor.sha256,
        "quality_model": scorer.sha256 if scorer else "",
        **{name: getattr(options, name) for name in kept},
    }


def draw_portraits(people: Sequence[int], commonest: int, seed: int) -> list[Portrait]:
    """Draws a training set as imbalanced as AffectNet, every light as often.

    Args:
        people: Their numbers; in each class they take turns.
        commonest: Pictures of the commonest class.
        seed: Seed of turns and lights.
    """
    rng = np.random.default_rng([7201, seed])
    lightings = attributes.lightings()
    most = max(AFFECTNET_COUNTS.values())
    portraits = []
    for name, count in AFFECTNET_COUNTS.items():
        count = max(1, round(commonest * count / most))
        turns = [rng.permutation(people) for _ in range(-(-count // len(people)))]
        for person in np.concatenate(turns)[:count]:
            lighting = lightings[rng.integers(len(lightings))]
            portraits.append(Portrait(int(person), name, lighting))
    return portraits


def _make(
    folder: str,
    editor: Editor,
    scorer: Scorer | None,
    options: ExperimentOptions,
    seed: int,
    bar: Callable[[str], OnProgress],
) -> Data:
    """Renders the real pictures and the true ones, and makes the edits."""
    people = people_of("train", options.people, options.data_seed + seed)
    portraits = draw_portraits(people, options.pictures, seed)
    real, size = os.path.join(folder, "real"), editor.image_size
    manifest = write_portraits(real, portraits, size, bar("rendering real pictures"))
    rating = scorer.path if scorer else ""
    chosen = AugmentOptions(policy="balance", quality_model=rating, seed=seed)
    made = {}
    target = os.path.join(folder, "augmented")
    every = augment(editor, Source(manifest), target, chosen, scorer, bar=bar)
    made[AUGMENTED] = (every, target)
    if scorer:
        target = os.path.join(folder, "augmented_by_q")
        chosen = dataclasses.replace(chosen, quality_above=_threshold(every, options))
        by_q = augment(editor, Source(manifest), target, chosen, scorer, bar=bar)
        made[CHOSEN] = (by_q, target)
    shown = [
        portraits[one.edit.source]._replace(expression=one.edit.expression) for one in every.edits
    ]
    true = os.path.join(folder, "true")
    write_portraits(true, shown, size, bar("rendering true pictures"))
    lent = draw_lent(_lenders(editor), [portrait.expression for portrait in shown], seed)
    borrowed = os.path.join(folder, "borrowed")
    if lent:
        write_portraits(borrowed, lent, size, bar("rendering borrowed pictures"))
    return Data(
        portraits,
        [os.path.join(real, file_of(row)) for row in range(len(portraits))],
        made,
        [os.path.join(borrowed, file_of(row)) for row in range(len(lent))],
        [os.path.join(true, file_of(row)) for row in range(len(shown))],
    )


def _lenders(editor: Editor) -> Sequence[int]:
    """The rendered people that an editor has learned from; nobody if that is not known."""
    config = flags_of(editor.path)
    if config is None or config.dataset != "rendered":
        return ()
    return people_of("train", config.people, config.seed)


def draw_lent(people: Sequence[int], expressions: Sequence[str], seed: int) -> list[Portrait]:
    """Draws who shows each of some expressions, and in which light.

    Args:
        people: Their numbers; for each expression they take turns. Of nobody there is nothing.
        expressions: What is wanted, in this order.
        seed: Seed of turns and lights.
    """
    rng = np.random.default_rng([7204, seed])
    lightings = attributes.lightings()
    turns: dict[str, list[int]] = {name: [] for name in expressions}
    portraits = []
    for name in expressions if people else ():
        turns[name] = turns[name] or rng.permutation(people).tolist()
        lighting = lightings[rng.integers(len(lightings))]
        portraits.append(Portrait(turns[name].pop(), name, lighting))
    return portraits


def _threshold(every: Augmented, options: ExperimentOptions) -> float:
    """The lowest rating that is good enough for the arm that Q chooses."""
    ratings = [one.rating for one in every.edits]
    quartile = round(float(np.quantile(ratings, _LEFT_OUT)), 3)
    return options.quality_above or min(max(quartile, 1.0), 10.0)


def _arms(data: Data, seed: int) -> dict[str, list[Line]]:
    """The pictures of each arm."""
    real = [Line(file, portrait.expression, True) for file, portrait in zip(data.files, data.real)]
    found = {ORIGINAL: real, REPEATED: [*real, *_repetitions(real, seed)]}
    for arm, (made, folder) in data.augmented.items():
        edits = [Line(os.path.join(folder, one.path), one.edit.expression) for one in made.edits]
        found[arm] = [*real, *edits]
    every, _ = data.augmented[AUGMENTED]
    wanted = [one.edit.expression for one in every.edits]
    if data.borrowed:
        found[BORROWED] = [*real, *(Line(*pair) for pair in zip(data.borrowed, wanted))]
    found[TRUE] = [*real, *(Line(*pair) for pair in zip(data.true, wanted))]
    return found


def _repetitions(real: Sequence[Line], seed: int) -> list[Line]:
    """Pictures of the rare classes again, in turns, until every class is as common."""
    rng = np.random.default_rng([7202, seed])
    of_class: dict[str, list[Line]] = {name: [] for name in CLASSES}
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


def _test_faces(
    options: ExperimentOptions, size: int, seed: int, bar: Callable[[str], OnProgress]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels int [n] and pictures of unseen people, every class as often, all lights at random."""
    rng = np.random.default_rng([7203, seed])
    lightings = attributes.lightings()
    portraits = [
        Portrait(person, name, lightings[light])
        for person in people_of("test", options.test_people, options.data_seed + seed)
        for name in CLASSES
        for light in rng.choice(len(lightings), LIGHTS_OF_TEST, replace=False)
    ]
    labels = np.array([CLASSES.index(portrait.expression) for portrait in portraits])
    return labels, render_portraits(portraits, size, bar("rendering unseen people"))


def _figures(network: Network, pictures: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What a classifier makes of unseen people."""
    logits = picture_network(network)(pictures)["expression"]
    columns = [network.expressions.index(name) for name in CLASSES]
    return class_figures(softmax(logits[:, columns].astype(np.float64), axis=1), labels)


def class_figures(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns the area under the curve of each class against the others, and accuracies.

    Args:
        probabilities: float [n,4], of ``CLASSES``.
        labels: int [n]; each class is there.
    """
    read = probabilities.argmax(axis=1)
    figures = {}
    for place, name in enumerate(CLASSES):
        of_class = labels == place
        figures[f"auc_{name}"] = float(roc_auc_score(of_class, probabilities[:, place]))
        figures[f"accuracy_{name}"] = float(np.mean(read[of_class] == place))
    figures["accuracy"] = float(np.mean([figures[f"accuracy_{name}"] for name in CLASSES]))
    return figures


def _examples(data: Data, size: int) -> bytes:
    """Sources, their edits and the true pictures, the same number of every class."""
    made, folder = data.augmented[AUGMENTED]
    chosen = []
    for name in CLASSES:
        rows = [row for row, one in enumerate(made.edits) if one.edit.expression == name]
        chosen += rows[: _SHOWN // 2]
    edits = [made.edits[row] for row in chosen]
    columns = {
        "real source": [data.files[one.edit.source] for one in edits],
        "edit": [os.path.join(folder, one.path) for one in edits],
        "true": [data.true[row] for row in chosen],
    }
    names = []
    for one in edits:
        rating = "" if one.rating is None else f"\nQ {one.rating:.1f}"
        names.append(f"{data.real[one.edit.source].expression}\nto {one.edit.expression}{rating}")
    return sheet(
        {
            head: np.stack([images.decode(file) for file in files])
            for head, files in columns.items()
        },
        names,
    )


def _notes(
    options: ExperimentOptions,
    editor: Editor,
    scorer: Scorer | None,
    thresholds: Sequence[float],
) -> list[str]:
    counts = {
        name: max(1, round(options.pictures * count / max(AFFECTNET_COUNTS.values())))
        for name, count in AFFECTNET_COUNTS.items()
    }
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    tested = options.test_people * len(CLASSES) * LIGHTS_OF_TEST
    notes = [
        f"Classifiers of {options.steps} updates at {editor.image_size} x {editor.image_size}, "
        f"trained on pictures of {options.people} rendered people ({told}), all lights at random; "
        f"tested on {tested:,} pictures of {options.test_people} others, each class as often. "
        f"{training.over_seeds(options)}",
        editor_learned_from(editor),
        "*repeated*: rare classes repeated up to the commonest. *augmented*: filled with edits. "
        "*true*: filled with the true pictures that the edits of *augmented* stand for: what "
        "perfect edits of the same pictures would give.",
    ]
    if _lenders(editor):
        notes.append(
            "*borrowed*: filled with as many true pictures of those people that the editor has "
            "learned from, all lights at random: what the data behind the editor would give "
            "without the editor."
        )
    if scorer:
        lowest = ", ".join(f"{threshold:.3f}" for threshold in thresholds)
        notes.append(
            f"*augmented, by Q*: only edits that Q rates {lowest} or more (one number per seed). "
            "*true* stands for the edits of *augmented*, not for those that Q chose."
        )
    else:
        notes.append("Without Q, no arm is chosen by it; give --quality_model.")
    return notes
