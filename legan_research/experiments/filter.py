"""Does Q find what is damaged, and does dropping what it rates low make a set of edits better?"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from legan_research.experiments import training
from legan_research.experiments.config import ExperimentOptions
from legan_research.experiments.provenance import chain_of, check_unseen, flags_of, networks_of
from legan_tf.cli import counter
from legan_tf.data import storage
from legan_tf.data.manifest import OnProgress
from legan_tf.data.rendered import rated_faces
from legan_tf.data.rendered.damage import DAMAGES
from legan_tf.data.rendered.facesets import damage_done
from legan_tf.data.rendered.ratings import naturalness
from legan_tf.drawing import as_png, dress, new_figure, style, write_legend
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.columns import Column
from legan_tf.evaluation.evaluate import faces_to_edit
from legan_tf.evaluation.instruments import SHARD, Looker, load_instruments, sha256_of
from legan_tf.evaluation.metrics.images import ssim
from legan_tf.evaluation.metrics.ratings import spearman
from legan_tf.evaluation.metrics.sets import Statistics, bootstrap_interval, fid, kid
from legan_tf.evaluation.plan import ATTRIBUTES, draw_plan, in_classes_of, shared_classes
from legan_tf.evaluation.tables import Figure, Row, Table, as_markdown
from legan_tf.serving.loading import Editor, Scorer
from legan_tf.sheet import captioned_sheet
from legan_tf.training.datasets import HELD_OUT_PEOPLE
from legan_tf.training.run_folder import NETWORK_FILE
from legan_tf.uses.augment.output import enlarged

TENTH = 0.1
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the edits that are dropped for the picture."""
DRAWS = 20
"""Random drops that one by Q is compared with."""
RESAMPLES = 50
# Of so many features, one value of FID takes seconds; an interval by few draws is a little wider.
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
    Column("fid", "FID", "lower", 3),
    Column("kid", "KID", "lower", 4),
    Column("ssim", "SSIM to the truth", "higher", 3),
    Column("rating", "rating by Q", "higher", 2),
)
_BY_Q, _AT_RANDOM, _BY_TRUTH = "lowest by Q", "at random", "least like the truth"


@dataclasses.dataclass(frozen=True)
class Edits:
    """Edits of unseen people and what was seen in them.

    Attributes:
        source: uint8 [n,S,S,3].
        edit: Likewise.
        truth: Likewise, the true pictures of what was asked for.
        rating: float [n], by Q.
        likeness: float [n], SSIM to the truth.
        features: float [n,D].
        reference: float [m,D], of real pictures.
    """

    source: np.ndarray
    edit: np.ndarray
    truth: np.ndarray
    rating: np.ndarray
    likeness: np.ndarray
    features: np.ndarray
    reference: np.ndarray


def filter_experiment(
    model: str, output: str, options: ExperimentOptions, bar: Callable[[str], OnProgress]
) -> str:
    """Measures what Q finds in rendered faces with known damage, and what it is worth to edits.

    Args:
        model: Path of the editor.
        output: A folder on this machine; what was computed already is in ``cache`` there.
        options: What to do.
        bar: Given what is counted, returns what shows how far it is.

    Returns:
        What ``report.md`` holds.

    Raises:
        UserError: Flags, model or folder cannot be used, or there is no Q.
    """
    options.check("filter")
    output = training.real_folder(output)
    editor = training.open_model(model)
    scorer = training.open_quality(model, options)
    if scorer is None:
        raise UserError(
            f"--model={model}: it is not known which Q it was trained with; give one with "
            "--quality_model."
        )
    # All people here are of split test, from which no training on rendered faces learns.
    unchecked = check_unseen(networks_of(model, options), ())
    kept = ("data_seed", "rated", "edits", "judge_steps")
    settings = {
        "model": editor.sha256,
        "quality_model": scorer.sha256,
        **{name: getattr(options, name) for name in kept},
        "judges": os.path.realpath(options.judges) if options.judges else "",
        "identity_model": _content_of("--identity_model", options.identity_model),
        "features": _content_of("--features", options.features),
    }
    training.begin(output, "filter", settings)
    damage, damage_table, pictures = _known_damage(editor, scorer, options, bar)
    edits, networks, doubts = _edits(editor, scorer, output, options)
    # Of matrices this small several threads make hardly more, and where other work is running on
    # the machine they wait for each other.
    with threadpool_limits(1, "blas"):
        dropped, tables, more = dropping(edits, options.data_seed, bar("comparing drops"))
    pictures.update(more)
    notes = [
        f"Q: `{scorer.path}`, sha256 {scorer.sha256[:16]}…. {options.rated:,} rendered faces with "
        f"damage of known severity; {options.edits:,} edits of {HELD_OUT_PEOPLE} unseen people, at "
        f"{editor.image_size} x {editor.image_size}, people of seed {options.data_seed}. FID and "
        f"KID by {networks['features']['name']}.",
        _q_learned_from(scorer),
        *doubts,
        *unchecked,
    ]
    for name, content in pictures.items():
        storage.write_bytes(os.path.join(output, name), content)
    text = as_markdown("Filtering by Q", [damage_table, *tables], notes)
    text += "".join(f"\n![{name}]({name})\n" for name in pictures)
    storage.write_bytes(os.path.join(output, training.MARKDOWN_FILE), text.encode())
    report = {
        "format": 1,
        "experiment": "filter",
        "settings": settings,
        "networks": networks,
        "damage": damage,
        "edits": dropped,
    }
    content = json.dumps(report, indent=2, ensure_ascii=False).encode()
    storage.write_bytes(os.path.join(output, training.REPORT_FILE), content)
    return text


def _content_of(flag: str, given: str) -> str:
    """The checksum of a network; the name of one that has a name."""
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
    """Returns whether each of n values is among the lowest share of them, bool [n].

    Args:
        values: float [n]; of equal ones the first are lower.
        share: 0 to 1; rounded to whole values.
    """
    found = np.zeros(len(values), bool)
    found[np.argsort(values, kind="stable")[: round(share * len(values))]] = True
    return found


def share_found(rating: np.ndarray, worst: np.ndarray, dropped: float) -> float:
    """Returns what share of the worst is dropped with what is rated lowest.

    Args:
        rating: float [n].
        worst: bool [n], at least one.
        dropped: Share of all that is dropped, 0 to 1.
    """
    return float(np.mean(lowest(rating, dropped)[worst]))


def _known_damage(
    editor: Editor, scorer: Scorer, options: ExperimentOptions, bar: Callable[[str], OnProgress]
) -> tuple[dict[str, Any], Table, dict[str, bytes]]:
    """What Q finds in faces whose damage is known: figures, their table, and pictures."""
    seed, count = options.data_seed, options.rated
    faces = rated_faces("test", count, editor.image_size, seed, bar("rendering damaged faces"))
    done = damage_done("test", count, seed)
    natural = np.array([naturalness(severities) for severities in done])
    shown = faces.images(np.arange(count))
    rating = np.asarray(scorer(shown), np.float64)
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
    told = {name: figures(rows) for name, rows in groups.items()}
    rows = [
        Row(
            name.replace("_", " ") + (" alone" if name in DAMAGES else ""),
            {key: Figure(float(value)) for key, value in of_group.items()},
        )
        for name, of_group in told.items()
    ]
    people = faces.rating_mean.astype(np.float64)
    said = {"spearman": spearman(people, natural), "found": share_found(people, worst, TENTH)}
    notes = (
        "Spearman's correlation of Q's rating with how natural the damage leaves a picture, which "
        "no rater says. The worst tenth by that naturalness, found if Q rates it in its lowest "
        "tenth; chance finds 0.1. The mean of the three simulated raters has "
        f"{said['spearman']:.3f} and {said['found']:.3f} over all.",
    )
    table = Table("damage", "Known damage", _DAMAGE_COLUMNS, rows, notes, "damage")
    order = np.argsort(rating, kind="stable")
    cells = [
        (
            f"{name} by Q",
            [(enlarged(shown[i]), f"Q {rating[i]:.1f} is {natural[i]:.1f}") for i in chosen],
        )
        for name, chosen in (("lowest", order[:_SHOWN]), ("highest", order[-_SHOWN:]))
    ]
    pictures = {"found.png": _found_picture(rating, worst), "damaged.png": captioned_sheet(cells)}
    return {"groups": told, "raters": said}, table, pictures


def _found_picture(rating: np.ndarray, worst: np.ndarray) -> bytes:
    """Draws how much of the worst tenth is found, and how much of what is dropped is of it."""
    shares = np.linspace(0.01, 1, 100)
    found = np.array([share_found(rating, worst, share) for share in shares])
    dropped = np.array([max(lowest(rating, share).sum(), 1) for share in shares])
    figure = new_figure(6.4, 4.0)
    axes = figure.add_subplot()
    dress(axes, "The truly worst tenth", "share dropped, lowest by Q first", "share")
    (recall,) = axes.plot(shares, found, **style(0))
    (precision,) = axes.plot(shares, found * worst.sum() / dropped, **style(1))
    (chance,) = axes.plot([0, 1], [0, 1], color="#888888", linewidth=1)
    labels = ["of the worst, dropped", "of the dropped, among the worst", "dropped, by chance"]
    write_legend(figure, [recall, precision, chance], labels, loc="outside lower center", ncols=3)
    return as_png(figure)


def _edits(
    editor: Editor, scorer: Scorer, output: str, options: ExperimentOptions
) -> tuple[Edits, dict[str, dict[str, str]], tuple[str, ...]]:
    """Edits of unseen people as evaluating draws them, the networks, and doubts of these."""
    config = options.for_edits(os.path.join(output, "cache"))
    config.check()
    cache = Cache(config.cache)
    faces = faces_to_edit(editor, config)
    plan = draw_plan(faces, shared_classes(editor, faces), config.edits, config.seed)
    judges = config.judges or os.path.join(output, "judges")
    tools = load_instruments(config, judges, faces, kinds=())
    looker = Looker(tools, cache, counter(len(plan) + len(plan.reference), "looking"))
    edit = in_classes_of(editor, faces)
    parts: dict[str, list[np.ndarray]] = {field.name: [] for field in dataclasses.fields(Edits)}
    for start in range(0, len(plan), SHARD):
        rows = slice(start, start + SHARD)
        source, truth = faces.images(plan.index[rows]), faces.images(plan.truth[rows])
        wanted = {name: getattr(plan, name)[rows] for name in ATTRIBUTES}

        def make(source: np.ndarray = source, wanted: Mapping[str, Any] = wanted) -> dict:
            made = edit(source, **wanted)
            return {"edit": made, "rating": np.asarray(scorer(made), np.float64)}

        key = {
            "edits_by": editor.sha256,
            "rated_by": scorer.sha256,
            "of": sha256_of(source),
            **{name: ids.tolist() for name, ids in wanted.items()},
        }
        made = cache.arrays(key, make)
        seen = {
            **made,
            "source": source,
            "truth": truth,
            "likeness": ssim(made["edit"], truth),
            "features": looker.look(made["edit"])["features"],
        }
        for name, values in seen.items():
            parts[name].append(values)
    for start in range(0, len(plan.reference), SHARD):
        shown = faces.images(plan.reference[start : start + SHARD])
        parts["reference"].append(looker.look(shown)["features"])
    edits = Edits(**{name: np.concatenate(values) for name, values in parts.items()})
    return edits, tools.descriptions, tools.doubts


def dropping(
    edits: Edits, seed: int, on_progress: OnProgress
) -> tuple[dict[str, Any], list[Table], dict[str, bytes]]:
    """What dropping edits does to the rest: figures, tables, and pictures."""
    reference = Statistics.of(edits.reference)
    count = len(edits.rating)
    rng = np.random.default_rng([7301, seed])
    randoms = [rng.uniform(size=count) for _ in range(DRAWS)]
    orders = {_BY_Q: [edits.rating], _AT_RANDOM: randoms, _BY_TRUTH: [edits.likeness]}

    def figures(keep: np.ndarray) -> dict[str, float]:
        return {
            "pictures": int(keep.sum()),
            "fid": fid(Statistics.of(edits.features[keep]), reference),
            "kid": kid(edits.features[keep], edits.reference),
            "ssim": float(edits.likeness[keep].mean()),
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
    told = {"all": [figures(every)]}
    told.update(
        {name: [figures(~lowest(order, TENTH)) for order in of] for name, of in orders.items()}
    )
    intervals = {
        name: bootstrap_interval("fid", edits.features[keep], edits.reference, RESAMPLES, seed)
        for name, keep in (("all", every), (_BY_Q, ~lowest(edits.rating, TENTH)))
    }
    difference = told[_BY_Q][0]["fid"] - float(np.mean([one["fid"] for one in told[_AT_RANDOM]]))
    margin = _NORMAL_95 * _deviation_of_difference(edits, seed, on_progress)
    better = float(np.mean([told[_BY_Q][0]["fid"] < one["fid"] for one in told[_AT_RANDOM]]))
    agreement = spearman(edits.rating, edits.likeness)
    rows = []
    for name, of in told.items():
        cells = {}
        for column in _DROP_COLUMNS:
            values = np.array([one[column.key] for one in of], np.float64)
            spread = float(values.std(ddof=1)) if len(of) > 1 else None
            interval = intervals.get(name) if column.key == "fid" else None
            cells[column.key] = Figure(float(values.mean()), spread, interval)
        rows.append(Row("all edits" if name == "all" else f"without a tenth, {name}", cells))
    notes = (
        f"By Q rather than at random: FID {difference:+.3f} "
        f"[{difference - margin:.3f}, {difference + margin:.3f}], lower than {better:.0%} of "
        f"{DRAWS} random drops. Intervals are of 95 %, by {RESAMPLES} resamples of the pictures: "
        "they are for these people. Deviations are of the random drops. FID depends on the number "
        "of pictures: compare those of as many. Spearman's correlation of rating and SSIM to the "
        f"truth over all edits: {agreement:.3f}.",
    )
    table = Table("edits", "Edits of unseen people", _DROP_COLUMNS, rows, notes, "kept")
    found = {
        "figures": {name: of if len(of) > 1 else of[0] for name, of in told.items()},
        "intervals": intervals,
        "difference": {
            "fid": difference,
            "interval": [difference - margin, difference + margin],
            "better_than": better,
        },
        "spearman_of_rating_and_ssim": agreement,
        "fid_by_share_dropped": {"shares": SHARES, **curves},
    }
    pictures = {"dropped.png": _dropped_picture(curves), "edits.png": _sheet(edits)}
    return found, [table], pictures


def _deviation_of_difference(edits: Edits, seed: int, on_progress: OnProgress) -> float:
    """The standard deviation of FID by Q less mean FID at random, over resamples of both sets."""
    rng = np.random.default_rng([7302, seed])
    differences, count = [], len(edits.rating)
    draws = DRAWS if edits.features.shape[1] < _MANY_FEATURES else _FEWER_DRAWS
    for done in range(1, RESAMPLES + 1):
        rows = rng.integers(count, size=count)
        real = edits.reference[rng.integers(len(edits.reference), size=len(edits.reference))]
        features, reference = edits.features[rows], Statistics.of(real)
        # As by Q, so at random, what was drawn twice is dropped twice.
        orders = [edits.rating, *(rng.uniform(size=count) for _ in range(draws))]
        by_q, *at_random = (
            fid(Statistics.of(features[~lowest(order[rows], TENTH)]), reference) for order in orders
        )
        differences.append(by_q - float(np.mean(at_random)))
        on_progress(done, RESAMPLES)
    return float(np.std(differences, ddof=1))


def _dropped_picture(curves: Mapping[str, Sequence[Sequence[float]]]) -> bytes:
    """Draws FID over the share that is dropped, that of random drops with its whole range."""
    figure = new_figure(6.4, 4.0)
    axes = figure.add_subplot()
    dress(axes, "What is left of the edits", "share dropped", "FID ↓")
    handles = []
    for index, of_shares in enumerate(curves.values()):
        values = np.array(of_shares)
        looks = style(index)
        (line,) = axes.plot(SHARES, values.mean(axis=1), marker="o", markersize=4, **looks)
        axes.fill_between(
            SHARES, values.min(axis=1), values.max(axis=1), color=looks["color"], alpha=0.2
        )
        handles.append(line)
    write_legend(figure, handles, list(curves), loc="outside lower center", ncols=3)
    return as_png(figure)


def _sheet(edits: Edits) -> bytes:
    """Draws the edits that Q rates lowest and highest, with their sources and the truth."""
    order = np.argsort(edits.rating, kind="stable")
    rows = []
    for name, chosen in (("lowest", order[:_SHOWN]), ("highest", order[-_SHOWN:])):
        for told, pictures in (
            ("source", edits.source),
            ("edit", edits.edit),
            ("true", edits.truth),
        ):
            cells = [
                (enlarged(pictures[i]), f"Q {edits.rating[i]:.1f}" if told == "edit" else "")
                for i in chosen
            ]
            rows.append((f"{name} by Q\n{told}", cells))
    return captioned_sheet(rows)
