"""Report of trainings on several training sets (arms): tables, paired differences, a plot."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy import stats

from legan_research.experiments.experiment import Experiment
from legan_research.experiments.published import SOURCE, PublishedRow
from legan_tf.evaluation.tables import Column, Figure, Row, Table, as_markdown
from legan_tf.plotting.drawing import as_png, marker, panels, style_axes, write_shared_legend

_LEVEL = 0.95
_COUNTS = (
    Column("real", "real pictures", "", 0),
    Column("synthetic", "added pictures", "", 0),
)


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of one arm with one seed.

    Attributes:
        real: Number of real training images.
        synthetic: Number of added training images.
        figures: Metrics by the key of their column.
    """

    real: int
    synthetic: int
    figures: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Description of a report.

    Attributes:
        title: Its title.
        columns: The metrics.
        main: Key of the main metric.
        baselines: Arms that the others are compared with, each without the baselines before it.
        published: Rows of the paper, by arm.
        not_comparable: How the published experiment differs.
        shared: The networks that all seeds share.
    """

    title: str
    columns: Sequence[Column]
    main: str
    baselines: Sequence[str]
    published: Mapping[str, PublishedRow]
    not_comparable: str
    shared: str


@dataclasses.dataclass(frozen=True)
class _Difference(Figure):
    """A difference, in bold if its interval excludes 0."""

    def text(self, column: Column) -> str:
        text = super().text(column)
        if self.interval and not self.interval[0] <= 0 <= self.interval[1]:
            return f"**{text}**"
        return text


def write_report(
    experiment: Experiment,
    comparison: Comparison,
    results: Mapping[str, Sequence[Result]],
    about: Mapping[str, Any],
    notes: Sequence[str],
    plots: Mapping[str, bytes],
) -> str:
    """Writes the report of an experiment.

    Args:
        experiment: The experiment.
        comparison: Description of the report.
        results: Results of each arm, one for each seed.
        about: Further content of ``report.json``.
        notes: Sentences before the tables; the warnings of the experiment follow.
        plots: PNGs by file name.

    Returns:
        The content of ``report.md``.
    """
    tables = [_results_table(comparison, results)]
    differences: dict[str, Any] = {}
    compared = [column for column in comparison.columns if column.better]
    heading = next(c.heading for c in comparison.columns if c.key == comparison.main)
    on_intervals = (
        "Mean of the differences seed by seed, with its 95 % interval by Student's t; bold: the "
        "interval, before it is rounded, leaves out 0. Any other leaves open which is better.",
        f"The figure to look at is *{heading}*: of so many intervals, each alone errs in 5 % of "
        f"cases. All seeds share {comparison.shared}: no interval says what another training of it "
        "gives.",
    )
    for place, baseline in enumerate(comparison.baselines):
        others = {a: r for a, r in results.items() if a not in comparison.baselines[:place]}
        below = on_intervals if len(results[baseline]) > 1 else ()
        table, differences[baseline] = _difference_table(others, compared, baseline, below)
        tables.append(table)
    report = {
        "experiment": experiment.name,
        **about,
        "arms": {
            arm: [dataclasses.asdict(one) for one in of_seeds] for arm, of_seeds in results.items()
        },
        "differences": differences,
        "published": {
            "source": SOURCE,
            "rows": {arm: dataclasses.asdict(row) for arm, row in comparison.published.items()},
        },
    }
    plots = {**plots, "figures.png": _plot(results, compared)}
    text = as_markdown(comparison.title, tables, [*notes, *experiment.warnings])
    return experiment.write(text, report, plots)


def _results_table(comparison: Comparison, results: Mapping[str, Sequence[Result]]) -> Table:
    rows = []
    for arm, of_seeds in results.items():
        figures = {
            column.key: Figure(float(np.mean([getattr(one, column.key) for one in of_seeds])))
            for column in _COUNTS
        }
        for column in comparison.columns:
            values = [one.figures[column.key] for one in of_seeds]
            figures[column.key] = Figure(*mean_and_std(values))
        rows.append(Row(arm, figures, len(of_seeds)))
    for arm, row in comparison.published.items():
        figures = {"real": Figure(row.real), "synthetic": Figure(row.synthetic)}
        for key, text in row.figures.items():
            figures[key] = Figure(float(text.partition(" ")[0]), printed=text)
        rows.append(Row(arm, figures, source=SOURCE, differences=(comparison.not_comparable,)))
    return Table("arms", "Arms", [*_COUNTS, *comparison.columns], rows, (), "trained on")


def _difference_table(
    results: Mapping[str, Sequence[Result]],
    columns: Sequence[Column],
    baseline: str,
    notes: Sequence[str],
) -> tuple[Table, dict[str, Any]]:
    """The paired differences to one arm as a table and as values for JSON."""
    rows, values = [], {}
    for arm, of_seeds in results.items():
        if arm == baseline:
            continue
        figures = {}
        for column in columns:
            pair = [[o.figures[column.key] for o in r] for r in (of_seeds, results[baseline])]
            value, interval = paired_difference(*pair)
            figures[column.key] = _Difference(value, interval=interval)
        rows.append(Row(arm, figures, len(of_seeds)))
        values[arm] = {k: {"mean": f.value, "interval": f.interval} for k, f in figures.items()}
    table = Table("differences", f"Difference to {baseline}", columns, rows, notes, "trained on")
    return table, values


def _plot(results: Mapping[str, Sequence[Result]], columns: Sequence[Column]) -> bytes:
    """A panel for each metric with its values by arm, the values of a seed joined."""
    figure, grid = panels(len(columns))
    places = np.arange(len(results))
    seeds = len(next(iter(results.values())))
    handles = []
    for axes, column in zip(grid, columns):
        style_axes(axes, column.title)
        handles = []
        for seed in range(seeds):
            values = [of_seeds[seed].figures[column.key] for of_seeds in results.values()]
            handles += axes.plot(places, values, linewidth=0.8, markersize=5, **marker(seed))
        axes.set_xticks(places, list(results), rotation=25, ha="right")
        axes.set_xlim(-0.4, len(results) - 0.6)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    write_shared_legend(figure, handles, [f"seed {seed}" for seed in range(seeds)])
    return as_png(figure)


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Returns the mean and the standard deviation with n - 1, which is None for one value."""
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None


def paired_difference(
    values: Sequence[float], others: Sequence[float]
) -> tuple[float, tuple[float, float] | None]:
    """Returns the mean of ``values - others`` and its 95 % interval by Student's t.

    Args:
        values: One value for each seed.
        others: Values of the same seeds in the same order.

    Returns:
        The interval is None for one seed.

    Raises:
        ValueError: They differ in number.
    """
    if len(values) != len(others):
        raise ValueError(f"{len(values)} and {len(others)} values are no pairs")
    mean, std = mean_and_std(np.subtract(values, others))
    if std is None:
        return mean, None
    margin = stats.t.ppf((1 + _LEVEL) / 2, len(values) - 1) * std / np.sqrt(len(values))
    return mean, (float(mean - margin), float(mean + margin))
