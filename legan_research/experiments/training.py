"""Trainings that differ in their pictures alone, and the tables of what came of them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.provenance import flags_of, quality_of
from legan_research.experiments.published import SOURCE, PublishedRow
from legan_research.experiments.statistics import mean_and_std, paired_difference
from legan_tf.data import storage
from legan_tf.data.journal import Journal, folder_problem
from legan_tf.data.manifest import to_csv
from legan_tf.data.rendered.expressions import ACTIONS
from legan_tf.data.rendered.lights import LIGHTS
from legan_tf.drawing import as_png, dress, marker, panels, write_shared_legend
from legan_tf.errors import UserError
from legan_tf.evaluation.columns import Column
from legan_tf.evaluation.tables import Figure, Row, Table, as_markdown
from legan_tf.models import Network
from legan_tf.serving.labels import EDITOR, SCORER
from legan_tf.serving.loading import Editor, Scorer, load
from legan_tf.training.config import TrainConfig
from legan_tf.training.run_folder import load_network
from legan_tf.training.train import say, train

REPORT_FILE, MARKDOWN_FILE = "report.json", "report.md"
ORIGINAL = "original"
_COUNTS = (
    Column("real", "real pictures", "", 0),
    Column("synthetic", "added pictures", "", 0),
)


@dataclasses.dataclass(frozen=True)
class Line:
    """A picture to train on.

    Attributes:
        file: Its path.
        label: Its class, of what the training learns.
        real: Whether it is one of the real pictures, each counted once.
    """

    file: str
    label: str
    real: bool = False


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of one arm with one seed.

    Attributes:
        real: Real pictures that it learnt from.
        synthetic: Pictures that were added, whatever they are.
        figures: By the key of their column.
    """

    real: int
    synthetic: int
    figures: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class _Difference(Figure):
    """A difference, in bold where its interval leaves out 0."""

    def text(self, column: Column) -> str:
        """Returns it as a cell shows it."""
        text = super().text(column)
        return f"**{text}**" if self.interval and not _holds_0(*self.interval) else text


def _holds_0(low: float, high: float) -> bool:
    return low <= 0 <= high


def real_folder(output: str) -> str:
    """Returns the one path of the folder of an experiment, as its trainings write it down.

    Raises:
        UserError: It cannot be called so.
    """
    problem = folder_problem(output)
    if problem:
        raise UserError(f"{problem}.")
    return os.path.realpath(output)


def open_model(path: str) -> Editor:
    """Loads an editor to experiment with.

    Raises:
        UserError: There is none, or it names what rendered faces do not show.
    """
    editor = load(path)
    if editor.kind != EDITOR:
        raise UserError(f"--model={path}: is no editor, so it cannot make pictures.")
    strange = [name for name in editor.expressions if name not in ACTIONS]
    strange += [name for name in editor.lightings if name not in LIGHTS]
    if strange:
        raise UserError(
            f"--model={path}: it knows {', '.join(strange)}, which rendered faces do not show; "
            "give a model of --dataset=rendered."
        )
    return editor


def open_quality(path: str, options: ExperimentOptions) -> Scorer | None:
    """Loads Q: the one that is given, else the one that the model's run trained or was given.

    Raises:
        UserError: What is given is not Q.
    """
    file = options.quality_model or quality_of(path)
    if not file:
        return None
    scorer = load(file)
    if scorer.kind != SCORER:
        raise UserError(f"--quality_model={file}: is not Q, so it cannot rate pictures.")
    return scorer


def begin(output: str, experiment: str, settings: dict[str, Any]) -> None:
    """Makes the folder of an experiment, or looks whether what is there is of the same one.

    Args:
        output: The folder.
        experiment: Its name.
        settings: All that the results depend on, besides the number of seeds.

    Raises:
        UserError: It holds other things, or was begun with other settings.
    """
    told = {
        "model": "another model",
        "quality_model": "another --quality_model",
        "identity_model": "another --identity_model",
        "features": "other --features",
    }
    Journal(output, "experiment", {"experiment": experiment, **settings}, told).begin()


def refuse_fewer(output: str, seeds: int) -> None:
    """Refuses to write a report of fewer seeds over one of more.

    Raises:
        UserError: There is one of more.
    """
    file = os.path.join(output, REPORT_FILE)
    if not os.path.exists(file):
        return
    try:
        there = max(map(len, json.loads(storage.read_bytes(file))["arms"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # Damaged: it is written anew.
    if there > seeds:
        raise UserError(
            f"--seeds={seeds}: the report in {output} is of {there} seeds; give as many or more, "
            "or name a new --output."
        )


def train_config(
    model: str, editor: Editor, options: ExperimentOptions, seed: int, **flags: Any
) -> TrainConfig:
    """Returns how all arms of a seed are trained, but for their run folders.

    Args:
        model: What is trained.
        editor: Its size of pictures is theirs.
        options: Steps.
        seed: Seed of the training.
        **flags: What else to set.
    """
    return TrainConfig(
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


def train_arms(
    arms: Mapping[str, Sequence[Line]],
    folder: str,
    config: TrainConfig,
    label: str,
    seeds: int,
    measure: Callable[[Network], Mapping[str, float]],
) -> dict[str, Result]:
    """Trains a network on the pictures of each arm, with one seed, and measures it.

    Args:
        arms: The pictures of each.
        folder: Where their run folders are to be.
        config: See ``train_config``.
        label: Column of their classes.
        seeds: How many there are, of which this is number ``config.seed``.
        measure: Returns the figures of a network.

    Returns:
        What came of each arm.

    Raises:
        UserError: See ``train_arm``.
    """
    found = {}
    for number, (arm, lines) in enumerate(arms.items(), 1 + config.seed * len(arms)):
        name = arm.replace(", ", "_").replace(" ", "_").lower()
        workdir = os.path.join(folder, name)
        told = f"[{number}/{seeds * len(arms)}] seed {config.seed}: {arm}"
        network = train_arm(dataclasses.replace(config, workdir=workdir), lines, label, told)
        real = sum(line.real for line in lines)
        found[arm] = Result(real, len(lines) - real, measure(network))
    return found


def train_arm(config: TrainConfig, lines: Sequence[Line], label: str, told: str) -> Network:
    """Trains a network on the pictures of an arm, or goes on where that was stopped.

    Args:
        config: What to train, in which run folder; the manifest is written beside that folder.
        lines: The pictures.
        label: Column of their classes.
        told: What to say before.

    Returns:
        The network.

    Raises:
        UserError: It was stopped, or begun in a folder that was moved since; or see ``train``.
    """
    say(told)
    manifest = f"{config.workdir}.csv"
    before = flags_of(config.workdir)
    if before and before.manifest != manifest:
        raise UserError(
            f"--output: {config.workdir} was begun as {before.workdir}, and the folder of an "
            "experiment goes on only where it was begun; move it back, or name a new one."
        )
    base = os.path.dirname(manifest)
    rows = [
        {"path": os.path.relpath(line.file, base), label: line.label, "split": "train"}
        for line in lines
    ]
    content = to_csv(rows)
    if not os.path.exists(manifest) or storage.read_bytes(manifest) != content:
        storage.write_bytes(manifest, content)
    try:
        stopped = train(dataclasses.replace(config, dataset="manifest", manifest=manifest))
    except UserError as error:
        # Of the flags that it names, the experiment has this one, and by another name.
        raise UserError(str(error).replace("--workdir", "--output")) from error
    if stopped:
        raise UserError(f"the training in {config.workdir} was stopped; the same command goes on.")
    return load_network(config.workdir)


def over_seeds(options: ExperimentOptions) -> str:
    """Returns a sentence on what the figures of an arm are means of."""
    told = "One seed"
    if options.seeds > 1:
        told = f"Mean and standard deviation of {options.seeds} seeds, each"
    return (
        f"{told} with people and weights of its own; all arms of a seed begin with the same "
        "weights and take as many updates."
    )


def gathered(told: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Returns each sentence once, with where it was told.

    Args:
        told: Places, and what was told there.
    """
    places: dict[str, list[str]] = {}
    for place, sentences in told:
        for sentence in sentences:
            places.setdefault(sentence, []).append(place)
    return [f"{', '.join(where)}: {sentence}" for sentence, where in places.items()]


def write_arms(
    output: str,
    title: str,
    results: Mapping[str, Sequence[Result]],
    columns: Sequence[Column],
    published: Mapping[str, PublishedRow],
    why_not_comparable: str,
    baselines: Sequence[str],
    figure: str,
    shared: str,
    about: dict[str, Any],
    notes: Sequence[str],
    pictures: Mapping[str, bytes],
) -> str:
    """Writes the report on an experiment; ``report.json`` comes last.

    Args:
        output: Its folder.
        title: Its title.
        results: By arm, one for each seed.
        columns: The figures.
        published: Rows of the paper by arm.
        why_not_comparable: What sets them apart.
        baselines: Arms that the others are compared with, each but those before it.
        figure: Key of the column to look at.
        shared: What all seeds have in common, in words.
        about: What else ``report.json`` should hold.
        notes: Sentences before the tables.
        pictures: PNGs by name.

    Returns:
        What ``report.md`` holds.
    """
    tables = [_arms_table(results, columns, published, why_not_comparable)]
    differences: dict[str, Any] = {}
    compared = [column for column in columns if column.better]
    name = next(column.heading for column in columns if column.key == figure)
    notes_on_intervals = [
        "Mean of the differences seed by seed, with its 95 % interval by Student's t; bold: the "
        "interval, before it is rounded, leaves out 0. Any other leaves open which is better.",
        f"The figure to look at is *{name}*: of so many intervals, each alone errs in 5 % of "
        f"cases. All seeds share {shared}: no interval says what another training of it gives.",
    ]
    for place, baseline in enumerate(baselines):
        others = {arm: of for arm, of in results.items() if arm not in baselines[:place]}
        told = notes_on_intervals if len(results[baseline]) > 1 else ()
        table, differences[baseline] = _differences(others, compared, baseline, told)
        tables.append(table)
    files = {**pictures, "figures.png": _dots(results, compared)}
    text = as_markdown(title, tables, notes)
    text += "".join(f"\n![{name}]({name})\n" for name in files)
    report = {
        "format": 1,
        **about,
        "arms": {
            arm: [dataclasses.asdict(one) for one in of_seeds] for arm, of_seeds in results.items()
        },
        "differences": differences,
        "published": {
            "source": SOURCE,
            "rows": {arm: dataclasses.asdict(row) for arm, row in published.items()},
        },
    }
    for name, content in files.items():
        storage.write_bytes(os.path.join(output, name), content)
    storage.write_bytes(os.path.join(output, MARKDOWN_FILE), text.encode())
    content = json.dumps(report, indent=2, ensure_ascii=False).encode()
    storage.write_bytes(os.path.join(output, REPORT_FILE), content)
    return text


def _arms_table(
    results: Mapping[str, Sequence[Result]],
    columns: Sequence[Column],
    published: Mapping[str, PublishedRow],
    why_not_comparable: str,
) -> Table:
    rows = []
    for arm, of_seeds in results.items():
        figures = {
            name: Figure(float(np.mean([getattr(one, name) for one in of_seeds])))
            for name in ("real", "synthetic")
        }
        for column in columns:
            values = [one.figures[column.key] for one in of_seeds]
            figures[column.key] = Figure(*mean_and_std(values))
        rows.append(Row(arm, figures, len(of_seeds)))
    for arm, row in published.items():
        figures = {
            "real": Figure(row.real),
            "synthetic": Figure(row.synthetic),
            **{key: _printed(text) for key, text in row.figures.items()},
        }
        rows.append(Row(arm, figures, source=SOURCE, differences=(why_not_comparable,)))
    return Table("arms", "Arms", [*_COUNTS, *columns], rows, (), "trained on")


def _printed(text: str) -> Figure:
    return Figure(float(text.partition(" ")[0]), printed=text)


def _differences(
    results: Mapping[str, Sequence[Result]],
    columns: Sequence[Column],
    baseline: str,
    notes: Sequence[str],
) -> tuple[Table, dict[str, Any]]:
    """Paired differences to one arm, seed by seed, with what JSON should hold of them."""
    rows, found = [], {}
    for arm, of_seeds in results.items():
        if arm == baseline:
            continue
        figures = {}
        for column in columns:
            mine = [one.figures[column.key] for one in of_seeds]
            base = [one.figures[column.key] for one in results[baseline]]
            value, interval = paired_difference(mine, base)
            figures[column.key] = _Difference(value, interval=interval)
        rows.append(Row(arm, figures, len(of_seeds)))
        found[arm] = {
            key: {"mean": figure.value, "interval": figure.interval}
            for key, figure in figures.items()
        }
    table = Table("differences", f"Difference to {baseline}", columns, rows, notes, "trained on")
    return table, found


def _dots(results: Mapping[str, Sequence[Result]], columns: Sequence[Column]) -> bytes:
    """Draws every figure of every seed, those of a seed joined, a panel for each column."""
    figure, grid = panels(len(columns))
    places = np.arange(len(results))
    seeds = len(next(iter(results.values())))
    handles = []
    for axes, column in zip(grid, columns):
        dress(axes, column.title)
        handles = []
        for seed in range(seeds):
            values = [of_seeds[seed].figures[column.key] for of_seeds in results.values()]
            looks = marker(seed)
            (line,) = axes.plot(places, values, linewidth=0.8, markersize=5, **looks)
            handles.append(line)
        axes.set_xticks(places, list(results), rotation=25, ha="right")
        axes.set_xlim(-0.4, len(results) - 0.6)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    write_shared_legend(figure, handles, [f"seed {seed}" for seed in range(seeds)])
    return as_png(figure)
