"""Experiment: Q finds damaged images, and a set of edits is filtered by its ratings."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.experiment import Experiment, open_experiment
from legan_research.experiments.provenance import chain_of, flags_of
from legan_tf.command_line.cli import counter
from legan_tf.data import storage
from legan_tf.data.parallel import OnProgress
from legan_tf.data.rendered import rated_faces
from legan_tf.data.rendered.damage import DAMAGES
from legan_tf.data.rendered.dataset import damage_done
from legan_tf.data.rendered.ratings import naturalness
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache, array_sha256
from legan_tf.evaluation.edit_plan import adapt_editor, plan_edits
from legan_tf.evaluation.evaluate import faces_to_edit
from legan_tf.evaluation.evaluator import SHARD, Evaluator
from legan_tf.evaluation.judge_networks import load_judge_networks
from legan_tf.evaluation.metrics.correlation import spearman
from legan_tf.evaluation.metrics.feature_sets import bootstrap_counts, resampled_units
from legan_tf.evaluation.metrics.fid import Statistics, fid, fid_interval
from legan_tf.evaluation.metrics.kid import kid
from legan_tf.evaluation.metrics.registry import registered
from legan_tf.evaluation.metrics.ssim import ssim
from legan_tf.evaluation.tables import Column, Figure, Row, Table, as_markdown
from legan_tf.plotting.drawing import as_png, new_figure, style, style_axes, write_legend
from legan_tf.plotting.sheet import captioned_sheet, enlarged
from legan_tf.serving.loading import Scorer
from legan_tf.training.datasets import HELD_OUT_PEOPLE
from legan_tf.training.run_folder import NETWORK_FILE

TENTH = 0.1
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the edits dropped in the plot."""
DRAWS = 20
"""Random drops that the drop by Q is compared with."""
RESAMPLES = 50
# With so many features a FID takes seconds; fewer draws make the interval a little wider.
_MANY_FEATURES, _FEWER_DRAWS = 1000, 3
_SHOWN = 8
_NORMAL_95 = 1.96
_DAMAGE_COLUMNS = (
    Column("pictures", "pictures", "", 0),
    Column("spearman", "Spearman", "higher", 3),
    Column("worst", "of the worst tenth", "", 0),
    Column("found", "found in Q's lowest tenth", "higher", 3),
)
_DROP_COLUMNS = (
    Column("pictures", "pictures", "", 0),
    *(registered()[key] for key in ("fid", "kid")),
    Column("ssim", "SSIM to the truth", "higher", 3),
    Column("rating", "rating by Q", "higher", 2),
)
_BY_Q, _AT_RANDOM, _BY_TRUTH = "lowest by Q", "at random", "least like the truth"


@dataclasses.dataclass(frozen=True)
class Edits:
    """Edits of unseen people with their metrics.

    Attributes:
        source: Sources, uint8 [n, S, S, 3].
        edit: Edits, uint8 [n, S, S, 3].
        truth: True images of the targets, uint8 [n, S, S, 3].
        rating: Ratings by Q, float [n].
        ssim: SSIM of edit and truth, float [n].
        features: Features of the edits, float [n, D].
        reference: Features of real images, float [m, D].
        people: Who is in the edits, int [n], and in the real images, int [m]; -1 where unknown.
    """

    source: np.ndarray
    edit: np.ndarray
    truth: np.ndarray
    rating: np.ndarray
    ssim: np.ndarray
    features: np.ndarray
    reference: np.ndarray
    people: tuple[np.ndarray, np.ndarray]


def filter_experiment(
    model: str, output: str, options: ExperimentOptions, bar: Callable[[str], OnProgress]
) -> str:
    """Measures what Q finds in rendered faces with known damage, and the effect of filtering edits.

    Takes the arguments of ``open_experiment`` and ``bar``, which returns a progress callback for a
    label. Returns the content of ``report.md``. Results are cached in ``OUTPUT/cache``.
    """
    experiment = open_experiment("filter", model, output, options, scored=True, trained=False)
    editor, scorer = experiment.editor, experiment.scorer
    if scorer is None:
        raise UserError(
            f"--model={model}: it is not known which Q it was trained with; give one with "
            "--quality_model."
        )
    kept = ("data_seed", "rated", "edits", "judge_steps")
    settings = {
        "model": editor.sha256,
        "quality_model": scorer.sha256,
        **{name: getattr(options, name) for name in kept},
        "judges": os.path.realpath(options.judges) if options.judges else "",
        "identity_model": _checksum("--identity_model", options.identity_model),
        "features": _checksum("--features", options.features),
    }
    experiment.begin(settings)
    damage, damage_table, plots = _known_damage(experiment, bar)
    edits, networks, warnings = _edits(experiment)
    # For matrices this small, BLAS threads gain little and wait for each other on a busy machine.
    with threadpool_limits(1, "blas"):
        dropped, drop_table, more = dropping(
            edits, networks, options.data_seed, bar("comparing drops")
        )
    notes = [
        f"Q: `{scorer.path}`, sha256 {scorer.sha256[:16]}…. {options.rated:,} rendered faces with "
        f"damage of known severity; {options.edits:,} edits of {HELD_OUT_PEOPLE} unseen people, at "
        f"{editor.image_size} x {editor.image_size}, people of seed "
        f"{options.data_seed}. Features are of {networks['features']['name']}.",
        _q_learned_from(scorer),
        *warnings,
        *experiment.warnings,
    ]
    report = {
        "experiment": "filter",
        "settings": settings,
        "networks": networks,
        "damage": damage,
        "edits": dropped,
    }
    text = as_markdown("Filtering by Q", [damage_table, drop_table], notes)
    return experiment.write(text, report, {**plots, **more})


def _checksum(flag: str, given: str) -> str:
    """The checksum of a network, or the name of a built-in one."""
    if given in ("", "face", "inception"):
        return given
    if not os.path.exists(given):
        raise UserError(f"{flag}={given}: no such file or folder.")
    of_run = os.path.join(given, NETWORK_FILE)
    return storage.sha256(of_run if os.path.isfile(of_run) else given)


def _q_learned_from(scorer: Scorer) -> str:
    sources = []
    for _, path in chain_of("Q", scorer.path):
        config = flags_of(path)
        if config is None:
            sources.append("what is not known")
        elif config.dataset == "rendered":
            sources.append(
                f"{config.rated_faces:,} faces of other rendered people with the same kinds of "
                "damage"
            )
        else:
            sources.append(f"the pictures of `{config.manifest}`")
    return (
        f"Q has learned from {', and before from '.join(sources)}; what it finds of other damage "
        "is not measured."
    )


def lowest(values: np.ndarray, share: float) -> np.ndarray:
    """Returns a mask of the lowest values, bool [n].

    Args:
        values: float [n]; of equal values the first counts as lower.
        share: Share of the values, 0 to 1, rounded to a whole number of values.
    """
    found = np.zeros(len(values), bool)
    found[np.argsort(values, kind="stable")[: round(share * len(values))]] = True
    return found


def share_found(rating: np.ndarray, worst: np.ndarray, dropped: float) -> float:
    """Returns the share of the worst images that are among the lowest rated (recall).

    Args:
        rating: float [n].
        worst: Mask of the worst images, bool [n], at least one.
        dropped: Share of the images that counts as lowest rated, 0 to 1.
    """
    return float(np.mean(lowest(rating, dropped)[worst]))


def _known_damage(
    experiment: Experiment, bar: Callable[[str], OnProgress]
) -> tuple[dict[str, Any], Table, dict[str, bytes]]:
    """Metrics of Q on faces with known damage: values, table and plots."""
    seed, count = experiment.options.data_seed, experiment.options.rated
    size = experiment.editor.image_size
    faces = rated_faces("test", count, size, seed, bar("rendering damaged faces"))
    done = damage_done("test", count, seed)
    natural = np.array([naturalness(severities) for severities in done])
    shown = faces.images(np.arange(count))
    rating = np.asarray(experiment.scorer(shown), np.float64)
    worst, low = lowest(natural, TENTH), lowest(rating, TENTH)

    def figures(rows: np.ndarray) -> dict[str, float]:
        found = {"pictures": int(rows.sum()), "worst": int((worst & rows).sum())}
        if found["worst"]:
            found["found"] = float(np.mean(low[worst & rows]))
        correlation = spearman(rating[rows], natural[rows])
        if not np.isnan(correlation):
            found["spearman"] = correlation
        return found

    groups = {"all": np.ones(count, bool), "undamaged": np.array([not kinds for kinds in done])}
    groups["two kinds"] = np.array([len(kinds) > 1 for kinds in done])
    groups.update({kind: np.array([[*kinds] == [kind] for kinds in done]) for kind in DAMAGES})
    values = {name: figures(rows) for name, rows in groups.items()}
    rows = [
        Row(
            name.replace("_", " ") + (" alone" if name in DAMAGES else ""),
            {key: Figure(float(value)) for key, value in of_group.items()},
        )
        for name, of_group in values.items()
    ]
    people = faces.rating_mean.astype(np.float64)
    raters = {"spearman": spearman(people, natural), "found": share_found(people, worst, TENTH)}
    notes = (
        "Spearman's correlation of Q's rating with how natural the damage leaves a picture, which "
        "no rater says. The worst tenth by that naturalness, found if Q rates it in its lowest "
        "tenth; chance finds 0.1. The mean of the three simulated raters has "
        f"{raters['spearman']:.3f} and {raters['found']:.3f} over all.",
    )
    table = Table("damage", "Known damage", _DAMAGE_COLUMNS, rows, notes, "damage")
    cells = [
        (name, [(enlarged(shown[i]), f"Q {rating[i]:.1f} is {natural[i]:.1f}") for i in chosen])
        for name, chosen in _extremes(rating).items()
    ]
    plots = {"found.png": _recall_plot(rating, worst), "damaged.png": captioned_sheet(cells)}
    return {"groups": values, "raters": raters}, table, plots


def _extremes(rating: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of the images with the lowest and with the highest ratings, by their row's name."""
    order = np.argsort(rating, kind="stable")
    return {"lowest by Q": order[:_SHOWN], "highest by Q": order[-_SHOWN:]}


def _recall_plot(rating: np.ndarray, worst: np.ndarray) -> bytes:
    """Draws recall and precision of the worst tenth against the share dropped."""
    shares = np.linspace(0.01, 1, 100)
    found = np.array([share_found(rating, worst, share) for share in shares])
    dropped = np.array([max(lowest(rating, share).sum(), 1) for share in shares])
    figure = new_figure(6.4, 4.0)
    axes = figure.add_subplot()
    style_axes(axes, "The truly worst tenth", "share dropped, lowest by Q first", "share")
    (recall,) = axes.plot(shares, found, **style(0))
    (precision,) = axes.plot(shares, found * worst.sum() / dropped, **style(1))
    (chance,) = axes.plot([0, 1], [0, 1], color="#888888", linewidth=1)
    labels = ["of the worst, dropped", "of the dropped, among the worst", "dropped, by chance"]
    write_legend(figure, [recall, precision, chance], labels, loc="outside lower center", ncols=3)
    return as_png(figure)


def _edits(
    experiment: Experiment,
) -> tuple[Edits, dict[str, dict[str, str]], tuple[str, ...]]:
    """Edits of unseen people, drawn as in the evaluation, with its networks and their warnings."""
    editor, scorer = experiment.editor, experiment.scorer
    config = experiment.options.for_evaluation(os.path.join(experiment.output, "cache"))
    config.check()
    cache = Cache(config.cache)
    faces = faces_to_edit(config, editor.image_size, editor.conditions)
    plan = plan_edits(editor, faces, config.edits, config.seed)
    judges = config.judges or os.path.join(experiment.output, "judges")
    networks = load_judge_networks(config, judges, faces, kinds=())
    evaluator = Evaluator(networks, cache, counter(len(plan) + len(plan.reference), "features"))
    edit = adapt_editor(editor, faces)
    parts: dict[str, list[np.ndarray]] = collections.defaultdict(list)

    def edit_and_rate(source: np.ndarray, wanted: Mapping[str, Any]) -> dict[str, np.ndarray]:
        made = edit(source, **wanted)
        return {"edit": made, "rating": np.asarray(scorer(made), np.float64)}

    for start in range(0, len(plan), SHARD):
        rows = slice(start, start + SHARD)
        source, truth = faces.images(plan.index[rows]), faces.images(plan.truth[rows])
        wanted = {name: labels[rows] for name, labels in plan.labels.items()}
        key = {
            "edits_by": editor.sha256,
            "rated_by": scorer.sha256,
            "of": array_sha256(source),
            **{name: labels.tolist() for name, labels in wanted.items()},
        }
        made = cache.arrays(key, functools.partial(edit_and_rate, source, wanted))
        seen = {
            **made,
            "source": source,
            "truth": truth,
            "ssim": ssim(made["edit"], truth),
            "features": evaluator.predict(made["edit"])["features"],
        }
        for name, values in seen.items():
            parts[name].append(values)
    parts["reference"] = [evaluator.predict_all(faces.images, plan.reference)["features"]]
    people = faces.identity[plan.index], faces.identity[plan.reference]
    edits = Edits(**{name: np.concatenate(of) for name, of in parts.items()}, people=people)
    return edits, networks.descriptions, networks.doubts


def dropping(
    edits: Edits,
    networks: Mapping[str, Mapping[str, str]],
    seed: int,
    on_progress: OnProgress,
) -> tuple[dict[str, Any], Table, dict[str, bytes]]:
    """Measures the edits that are left after dropping some.

    Args:
        edits: All of them.
        networks: Those of the evaluation, as in ``networks`` of a report.
        seed: Seed of the random drops and the intervals.
        on_progress: Called with (resamples done, all of them).

    Returns:
        The values of the report, the table and the plots by file.
    """
    named = registered("editor", networks)
    columns = [named.get(column.key, column) for column in _DROP_COLUMNS]
    reference = Statistics.of(edits.reference)
    count = len(edits.rating)
    rng = np.random.default_rng([7301, seed])
    randoms = [rng.uniform(size=count) for _ in range(DRAWS)]
    orders = {_BY_Q: [edits.rating], _AT_RANDOM: randoms, _BY_TRUTH: [edits.ssim]}

    def figures(keep: np.ndarray) -> dict[str, float]:
        return {
            "pictures": int(keep.sum()),
            "fid": fid(Statistics.of(edits.features[keep]), reference),
            "kid": kid(edits.features[keep], edits.reference),
            "ssim": float(edits.ssim[keep].mean()),
            "rating": float(edits.rating[keep].mean()),
        }

    curves = {
        name: [
            [fid(Statistics.of(edits.features[~lowest(order, share)]), reference) for order in of]
            for share in SHARES
        ]
        for name, of in orders.items()
    }
    every = np.ones(count, bool)
    values = {"all": [figures(every)]}
    values.update(
        {name: [figures(~lowest(order, TENTH)) for order in of] for name, of in orders.items()}
    )
    intervals = {
        name: fid_interval(
            edits.features[keep],
            edits.reference,
            RESAMPLES,
            seed,
            (edits.people[0][keep], edits.people[1]),
        )
        for name, keep in (("all", every), (_BY_Q, ~lowest(edits.rating, TENTH)))
    }
    by_q, at_random = values[_BY_Q][0]["fid"], [one["fid"] for one in values[_AT_RANDOM]]
    difference = by_q - float(np.mean(at_random))
    margin = _NORMAL_95 * _deviation_of_difference(edits, seed, on_progress)
    better = float(np.mean([by_q < one for one in at_random]))
    agreement = spearman(edits.rating, edits.ssim)
    rows = []
    for name, of in values.items():
        cells = {}
        for column in columns:
            of_drops = np.array([one[column.key] for one in of], np.float64)
            spread = float(of_drops.std(ddof=1)) if len(of) > 1 else None
            interval = intervals.get(name) if column.key == "fid" else None
            cells[column.key] = Figure(float(of_drops.mean()), spread, interval)
        rows.append(Row("all edits" if name == "all" else f"without a tenth, {name}", cells))
    notes = (
        f"By Q rather than at random: {named['fid'].heading} {difference:+.3f} "
        f"[{difference - margin:.3f}, {difference + margin:.3f}], lower than {better:.0%} of "
        f"{DRAWS} random drops. Intervals are of 95 %, by {RESAMPLES} resamples of "
        f"{resampled_units(edits.people)}. Deviations are of the random drops. The distance "
        "depends on the number of pictures: compare those of as many. Spearman's correlation of "
        f"rating and SSIM to the truth over all edits: {agreement:.3f}.",
    )
    table = Table("edits", "Edits of unseen people", columns, rows, notes, "kept")
    found = {
        "figures": {name: of if len(of) > 1 else of[0] for name, of in values.items()},
        "intervals": intervals,
        "difference": {
            "fid": difference,
            "interval": [difference - margin, difference + margin],
            "better_than": better,
        },
        "spearman_of_rating_and_ssim": agreement,
        "fid_by_share_dropped": {"shares": SHARES, **curves},
    }
    plots = {"dropped.png": _drop_plot(curves, named["fid"].title), "edits.png": _sheet(edits)}
    return found, table, plots


def _deviation_of_difference(edits: Edits, seed: int, on_progress: OnProgress) -> float:
    """Bootstrap standard deviation of FID by Q less mean FID at random, over both sets."""
    rng = np.random.default_rng([7302, seed])
    differences = []
    draws = DRAWS if edits.features.shape[1] < _MANY_FEATURES else _FEWER_DRAWS
    drawn = bootstrap_counts(edits.features, edits.reference, RESAMPLES, seed, edits.people)
    for done in range(1, RESAMPLES + 1):
        rows, real = (
            np.repeat(np.arange(len(counts)), counts[:, done - 1].astype(int)) for counts in drawn
        )
        features, reference = edits.features[rows], Statistics.of(edits.reference[real])
        # Also at random, an image drawn twice is dropped twice.
        orders = [edits.rating, *(rng.uniform(size=len(edits.rating)) for _ in range(draws))]
        by_q, *at_random = (
            fid(Statistics.of(features[~lowest(order[rows], TENTH)]), reference) for order in orders
        )
        differences.append(by_q - float(np.mean(at_random)))
        on_progress(done, RESAMPLES)
    return float(np.std(differences, ddof=1))


def _drop_plot(curves: Mapping[str, Sequence[Sequence[float]]], label: str) -> bytes:
    """Draws FID against the share dropped, with the range of the random drops."""
    figure = new_figure(6.4, 4.0)
    axes = figure.add_subplot()
    style_axes(axes, "What is left of the edits", "share dropped", label)
    handles = []
    for index, of_shares in enumerate(curves.values()):
        values = np.array(of_shares)
        line_style = style(index)
        (line,) = axes.plot(SHARES, values.mean(axis=1), marker="o", markersize=4, **line_style)
        axes.fill_between(
            SHARES, values.min(axis=1), values.max(axis=1), color=line_style["color"], alpha=0.2
        )
        handles.append(line)
    write_legend(figure, handles, list(curves), loc="outside lower center", ncols=3)
    return as_png(figure)


def _sheet(edits: Edits) -> bytes:
    """Draws the edits with the lowest and highest ratings, with sources and true images."""
    kinds = {"source": edits.source, "edit": edits.edit, "true": edits.truth}
    rows = []
    for name, chosen in _extremes(edits.rating).items():
        for kind, pictures in kinds.items():
            cells = [
                (enlarged(pictures[i]), f"Q {edits.rating[i]:.1f}" if kind == "edit" else "")
                for i in chosen
            ]
            rows.append((f"{name}\n{kind}", cells))
    return captioned_sheet(rows)
