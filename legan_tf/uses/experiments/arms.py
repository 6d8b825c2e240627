"""Trainings that differ in their pictures alone, and the tables of what came of them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

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
from legan_tf.training.config import TrainConfig, from_flagfile
from legan_tf.training.run import FLAGS_FILE, load_network
from legan_tf.training.train import say, train
from legan_tf.uses.experiments.config import ExperimentOptions
from legan_tf.uses.experiments.published import SOURCE, PublishedRow
from legan_tf.uses.experiments.statistics import mean_and_std, paired_difference

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


def open_model(path: str, options: ExperimentOptions) -> Editor:
    """Loads an editor to experiment with.

    Raises:
        UserError: There is none, it names what rendered faces do not show, or it was trained on
            people of the experiment.
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
    flagfile = os.path.join(path, FLAGS_FILE)
    if os.path.isfile(flagfile):
        seed = from_flagfile(flagfile).seed
        if options.data_seed <= seed < options.data_seed + options.seeds:
            raise UserError(
                f"--data_seed={options.data_seed}: the model was trained with seed {seed}, whose "
                "people it has seen; give another --data_seed."
            )
    return editor


def open_quality(path: str, options: ExperimentOptions) -> Scorer | None:
    """Loads Q: the one that is given, else the one that the model's run trained or was given.

    Raises:
        UserError: What is given is not Q.
    """
    flagfile, own = os.path.join(path, FLAGS_FILE), os.path.join(path, "quality")
    file = options.quality_model
    if not file and os.path.isdir(own):
        file = own
    if not file and os.path.isfile(flagfile):
        file = from_flagfile(flagfile).quality_model
    if not file:
        return None
    scorer = load(file)
    if scorer.kind != SCORER:
        raise UserError(f"--quality_model={file}: is not Q, so it cannot rate pictures.")
    return scorer


def begin(output: str, experiment: str, settings: dict[str, Any]) -> None:
    """Makes the folder of an experiment, or looks whether what is there is of the same one.

    Raises:
        UserError: It holds other things, or was begun with other settings.
    """
    problem = folder_problem(output)
    if problem:
        raise UserError(f"{problem}.")
    told = {"model": "another model", "quality_model": "another --quality_model"}
    Journal(output, "experiment", {"experiment": experiment, **settings}, told).begin()


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
        UserError: It was stopped; or see ``train``.
    """
    say(told)
    manifest = f"{config.workdir}.csv"
    base = os.path.dirname(manifest)
    rows = [
        {"path": os.path.relpath(line.file, base), label: line.label, "split": "train"}
        for line in lines
    ]
    content = to_csv(rows)
    if not os.path.exists(manifest) or storage.read_bytes(manifest) != content:
        storage.write_bytes(manifest, content)
    if train(dataclasses.replace(config, dataset="manifest", manifest=manifest)):
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


def result(lines: Sequence[Line], figures: Mapping[str, float]) -> Result:
    """Returns the figures of an arm with the numbers of its pictures."""
    real = sum(line.real for line in lines)
    return Result(real, len(lines) - real, figures)


def write_arms(
    output: str,
    title: str,
    results: Mapping[str, Sequence[Result]],
    columns: Sequence[Column],
    published: Mapping[str, PublishedRow],
    why_not_comparable: str,
    baselines: Sequence[str],
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
        baselines: Arms that all others are compared with.
        about: What else ``report.json`` should hold.
        notes: Sentences before the tables.
        pictures: PNGs by name.

    Returns:
        What ``report.md`` holds.
    """
    tables = [_arms_table(results, columns, published, why_not_comparable)]
    differences: dict[str, Any] = {}
    compared = [column for column in columns if column.better]
    for baseline in baselines:
        if baseline in results and len(results) > 1:
            table, found = _differences(results, compared, baseline)
            tables.append(table)
            differences[baseline] = found
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
    results: Mapping[str, Sequence[Result]], columns: Sequence[Column], baseline: str
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
            figures[column.key] = Figure(value, interval=interval)
        rows.append(Row(arm, figures, len(of_seeds)))
        found[arm] = {
            key: {"mean": figure.value, "interval": figure.interval}
            for key, figure in figures.items()
        }
    told = (
        "Mean of the differences seed by seed, with its 95 % interval by Student's t; one that "
        "holds 0 leaves open which is better."
    )
    notes = [told] if len(results[baseline]) > 1 else []
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
